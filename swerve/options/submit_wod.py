"""Options of `swerve submit wod`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from swerve.eval.planner_process.planner_limits import PlannerLimits
from swerve.eval.submission.wod_submission_info import WodSubmissionInfo
from swerve.options.shared import Config, On, Part, PlannerOption, PlanWorkers, ProgressForm
from swerve.scenes.option_types import FLAT


@dataclass(frozen=True)
class SubmitWod:
    """Write a submission for Waymo's end-to-end driving challenge: the planner's trajectory in every frame to submit.

    Writes OUT/submission.tar.gz, checks it, and says what to do with it. Nothing is written if the planner fails in a
    frame, or frames are not there, unless --incomplete is given: the server rejects such files. The same command again
    resumes an interrupted run, and tries the frames again in which the planner failed. docs/wod_e2e.md describes
    data and upload.

    Exit code: 0; 1 if the planner failed in a frame, or the file has faults; 2 if there was nothing to run.

    Example: swerve submit wod ~/wod_e2e/test out --planner my_planner:Mine --account-name me@example.org
    --method-name Mine --authors "A. Me" "B. You" --affiliation Home --num-model-parameters 200K
    --uses-public-model-pretraining False

    Attributes:
        source: Data.
        out: Output folder.
        planner: Planner.
        info: The method.
        frames: The JSON file that names the frame to submit of every sequence; None:
            test_sequence_frames_for_submission.json, in the folder of the shards or one of the two above it.
        shards: Number of files in the archive among which the predictions are divided.
        planner_option: Arguments of the planner.
        incomplete: Write the file even if frames are missing or the planner failed in some.
        limits: Limits of planners that are not Swerve's own.
        workers: Worker processes, each with a planner of its own.
        part: Share of the job.
        on: Place of the workers.
        progress: Form of the progress.
        config: Options to start from.
    """

    source: Annotated[
        Positional[str], arg(metavar="SOURCE", help="WOD-E2E's test split: wod_e2e:PATH, or the PATH of its shards.")
    ]
    out: Annotated[Positional[Path], arg(metavar="OUT", help="Output folder, for submission.tar.gz.")]
    planner: Annotated[
        str,
        arg(
            metavar="PLANNER",
            help="Planner that needs ego states and images alone: a name, module:Class, or FILE.safetensors; then "
            ",key=value...",
        ),
    ]
    info: Annotated[WodSubmissionInfo, FLAT]
    frames: Annotated[Path | None, arg(metavar="FILE.json")] = None
    shards: int = 1
    planner_option: PlannerOption = ()
    incomplete: bool = False
    limits: Annotated[PlannerLimits, FLAT] = field(default_factory=PlannerLimits)
    workers: PlanWorkers = 1
    part: Part = None
    on: On = "local"
    progress: ProgressForm = "bar"
    config: Config = None

    def __post_init__(self) -> None:
        if self.shards < 1:
            raise ValueError(f"shards must be 1 or more, not {self.shards}")
