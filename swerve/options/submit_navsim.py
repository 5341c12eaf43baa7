"""Options of `swerve submit navsim`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from swerve.eval.planner_process.planner_limits import PlannerLimits
from swerve.eval.submission.submission import SubmissionInfo
from swerve.options.shared import Config, On, Part, PlannerOption, PlanWorkers, ProgressForm
from swerve.scenes.option_types import FLAT, or_default


@dataclass(frozen=True)
class SubmitNavsim:
    """Write a submission for NAVSIM's leaderboards: the planner's trajectory in every scene of a split.

    Writes OUT/submission.pkl, checks it, and says what to do with it. With two-stage splits it has the form of NAVSIM
    v2, else that of v1. Nothing is written if the planner fails in a scene, unless --incomplete is given: the server
    rejects such files without a reason. The same command again resumes an interrupted run, and tries the scenes again
    in which the planner failed. docs/navsim_agents.md describes agents, splits and the upload.

    Exit code: 0; 1 if the planner failed in a scene, or the file has faults; 2 if there was nothing to run.

    Example: swerve submit navsim ~/navsim_workspace/dataset out --split navhard_two_stage --planner navsim:agent.yaml
    --team-name Mine --authors Me --email me@example.org --institution Home --country Here

    Attributes:
        source: Data.
        out: Output folder.
        split: Split.
        planner: Planner.
        info: The team.
        planner_option: Arguments of the planner.
        version: Form of the file; None: by the split.
        incomplete: Write the file even if the planner failed in some scenes.
        limits: Limits of planners that are not Swerve's own.
        workers: Worker processes, each with a planner of its own.
        part: Share of the job.
        on: Place of the workers.
        progress: Form of the progress.
        config: Options to start from.
    """

    source: Annotated[
        Positional[str],
        arg(
            metavar="SOURCE",
            help="NAVSIM's data: the folder that has navsim_logs and sensor_blobs (OPENSCENE_DATA_ROOT).",
        ),
    ]
    out: Annotated[
        Positional[Path], arg(metavar="OUT", help="Output folder, for submission.pkl: new, empty, or of this same job.")
    ]
    split: Annotated[
        str,
        arg(
            metavar="SPLIT",
            help="Split: its YAML file, or its name (navtest, navhard_two_stage, private_test_hard_two_stage) where "
            "NAVSIM_DEVKIT_ROOT names a NAVSIM checkout.",
        ),
    ]
    planner: Annotated[
        str,
        arg(
            metavar="PLANNER",
            help="Planner: navsim:module.Class or navsim:FILE.yaml, an unchanged NAVSIM agent; or any planner of "
            "Swerve; then ,key=value...",
        ),
    ]
    info: Annotated[SubmissionInfo, FLAT]
    planner_option: PlannerOption = ()
    version: Annotated[
        Literal["v1", "v2"] | None,
        or_default(Literal["v1", "v2"]),
        arg(help="Form of the file: v1, v2, or default: by the split."),
    ] = None
    incomplete: bool = False
    limits: Annotated[PlannerLimits, FLAT] = field(default_factory=PlannerLimits)
    workers: PlanWorkers = 1
    part: Part = None
    on: On = "local"
    progress: ProgressForm = "bar"
    config: Config = field(default=None)
