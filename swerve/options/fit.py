"""Options of `swerve fit`."""

from dataclasses import dataclass, field
from typing import Annotated

from swerve.data.splats.fit_job_options import SceneOptions
from swerve.options.shared import Config, OutFolder, Part, Sources
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
        part: Share of the logs.
        config: Options to start from.
    """

    sources: Sources
    out: OutFolder
    options: Annotated[SceneOptions, FLAT] = field(default_factory=SceneOptions)
    part: Part = None
    config: Config = None
