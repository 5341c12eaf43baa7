"""Options of `swerve drive`."""

from dataclasses import dataclass, field
from typing import Annotated

from swerve.eval.benchmark.build_options import ViewKind
from swerve.eval.closed_loop.closed_loop_options import ClosedLoopOptions
from swerve.eval.planner_process.planner_limits import PlannerLimits
from swerve.options.shared import (
    Config,
    Logs,
    On,
    OutFolder,
    Part,
    PlannerOption,
    Planners,
    ProgressForm,
    Sources,
    Splats,
    Workers,
)
from swerve.scenes.errors import SwerveError
from swerve.scenes.option_types import FLAT, ImageSize
from swerve.scenes.resize import Fit


@dataclass(frozen=True)
class Drive:
    """Simulate planners in closed loop from scenes of logs, and score the rollouts.

    Scores are those of EPDMS, or with --scorer nuplan nuPlan's closed-loop metrics.

    Prints the mean scores of each planner, and writes OUT/index.html (scores, what failed, and the worst rollouts from
    above with their reasons), OUT/rollouts.csv and .parquet (a row per rollout) and OUT/worst-PLANNER.png (its worst
    rollout). docs/closed_loop.md defines the scores. A job that was stopped or killed is resumed by the same command.

    Exit code: 0; 1 if a planner or a log failed; 2 if nothing could be simulated.

    Example: swerve drive town:3 rollouts --planners idm pdm-closed --rate 2 --traffic lane-following

    Attributes:
        sources: Logs.
        out: Output folder.
        planners: Planners.
        planner_option: Arguments of the planners.
        logs: Names of the logs.
        scene_interval: Time between the initial scenes of a log, in seconds.
        options: Closed-loop simulation.
        views: Images that planners see: raster, photo (generated towns only: synthetic photos) or splat.
        splats: Splat scenes.
        size: Size of the images that planners see, in pixels; own: the size of each camera.
        fit: How images of another aspect ratio are brought to the size; the camera model follows. crop: the excess is
            cut off, equally on both sides; pad: the field of view grows to fill the size; stretch: distorted.
        seed: Seed of the weather in synthetic photos.
        record: Also write where the planners get to into OUT/rollouts, for swerve augment --viewpoints visited.
        video: Also write OUT/worst-LABEL.mp4, a film of each planner's worst rollout; needs the extra video.
        workers: Worker processes, each with planners of its own.
        part: Share of the job.
        on: Place of the workers.
        progress: Form of the progress.
        limits: Limits of planners that are not Swerve's own.
        config: Options to start from.
    """

    sources: Sources
    out: OutFolder
    planners: Planners
    planner_option: PlannerOption = ()
    logs: Logs = ()
    scene_interval: float = 4.0
    options: Annotated[ClosedLoopOptions, FLAT] = field(default_factory=ClosedLoopOptions)
    views: ViewKind = "raster"
    splats: Splats = None
    size: ImageSize = None
    fit: Fit = "crop"
    seed: int = 0
    record: bool = False
    video: bool = False
    workers: Workers = None
    part: Part = None
    on: On = "local"
    progress: ProgressForm = "bar"
    limits: Annotated[PlannerLimits, FLAT] = field(default_factory=PlannerLimits)
    config: Config = None

    def __post_init__(self) -> None:
        if not 0.0 < self.scene_interval <= 3600.0:
            raise SwerveError(f"scene_interval: {self.scene_interval:g} must be above 0 s, and 3600 s at most")
