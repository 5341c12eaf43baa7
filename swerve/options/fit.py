"""Options of `swerve fit`."""

from dataclasses import dataclass, field
from typing import Annotated

from tyro.conf import arg

from swerve.data.splats.fit_job_options import SceneOptions
from swerve.options.shared import Config, NavsimSplit, On, OutFolder, Part, ProgressForm, Sources
from swerve.scenes.errors import SwerveError
from swerve.scenes.option_types import FLAT


@dataclass(frozen=True)
class Fit:
    """Fit a Gaussian splat scene to the photos of each log, for rendering off the logged path.

    Each log has a folder in OUT with its scene as PLY files, preview.jpg (held-out photos above renderings of them) and
    fit.json (options and image quality). For generated towns synthetic photos are used. A fit that was
    stopped or killed is resumed by the same command. docs/fit.md has measurements. Needs the extra `torch`.

    Exit code: 0; 1 if a log could not be fitted; 2 if the command could not run.

    Example: swerve fit kitti:~/kitti splats --cameras left --test-cameras right --image-scale 0.5

    Attributes:
        sources: Logs.
        out: Output folder.
        options: The splat scene.
        navsim_split: Take the logs of this NAVSIM split alone, for swerve build --navsim-split. Sources are
            navsim:ROOT.
        checkpoint_seconds: Time between checkpoints of a fit, in seconds, from which the same command resumes it.
        workers: Logs that are fitted at a time.
        part: Share of the logs.
        on: Place of the workers.
        progress: Form of the progress.
        config: Options to start from.
    """

    sources: Sources
    out: OutFolder
    options: Annotated[SceneOptions, FLAT] = field(default_factory=SceneOptions)
    navsim_split: NavsimSplit = None
    checkpoint_seconds: float = 60.0
    workers: Annotated[int, arg(metavar="COUNT", help="Logs that are fitted at a time, each with --threads.")] = 1
    part: Part = None
    on: On = "local"
    progress: ProgressForm = "bar"
    config: Config = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.checkpoint_seconds <= 86_400.0:
            raise SwerveError(f"checkpoint_seconds: {self.checkpoint_seconds:g} must lie between 0 and 86400 seconds")
