"""Options of `swerve evaluate`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from swerve.eval.benchmark.build_options import ViewKind
from swerve.eval.planner_process.planner_limits import PlannerLimits
from swerve.eval.scoring.weighting import Weighting
from swerve.eval.traffic.policy import Policy
from swerve.options.shared import (
    Config,
    EvaluatedBenchmark,
    NavsimSplit,
    On,
    OutFolder,
    Part,
    PlannerOption,
    Planners,
    ProgressForm,
    Splats,
    Workers,
    unset,
)
from swerve.scenes.option_types import FLAT, or_default


@dataclass(frozen=True)
class EvaluateOptions:
    """Options of the evaluation of planners on a benchmark.

    Attributes:
        split: With navsim:ROOT, the split: a YAML file of NAVSIM's train_test_split, or the name of one in the checkout
            that NAVSIM_DEVKIT_ROOT names. With reactive_all_mapping in two stages, else in one. With wod_e2e:PATH,
            train, val or test: only shards whose names begin so.
        clusters: With wod_e2e:PATH, the JSON file that names the scenario cluster of every sequence; None:
            val_sequence_name_to_scenario_cluster.json, in the folder of the shards or one of the two above it.
        traffic: How annotated agents move; default: as in the benchmark; of NAVSIM's splits as in its scripts, that is
            navsim-reactive in two stages and log-replay in one.
        weighting: Weights of follow-up scenes.
        views: Images that planners see; with several, each planner takes part with each of them and they are compared.
            With none: those that are stored, or raster if several are.
        splats: Splat scenes.
        report: Write index.html, with the worst scenes of each planner.
        limits: Limits of planners that are not Swerve's own.
    """

    split: NavsimSplit = None
    clusters: Annotated[Path | None, arg(metavar="FILE.json")] = None
    traffic: Annotated[Policy | None, or_default(Policy)] = None
    weighting: Weighting = "navsim-exact"
    views: Annotated[tuple[ViewKind, ...], arg(help_behavior_hint=unset("default: those that are stored"))] = ()
    splats: Splats = None
    report: bool = True
    limits: Annotated[PlannerLimits, FLAT] = field(default_factory=PlannerLimits)


@dataclass(frozen=True)
class Evaluate:
    """Evaluate planners on a benchmark: EPDMS by two-stage pseudo-simulation, as in NAVSIM v2; or RFS on WOD-E2E.

    The benchmark is a folder that swerve build made, or a split of NAVSIM's own data, in place: navsim:ROOT with
    --split. ROOT has navsim_logs, sensor_blobs and maps (or NUPLAN_MAPS_ROOT names the maps); navsim: alone takes
    OPENSCENE_DATA_ROOT. wod_e2e:PATH is Waymo's end-to-end data: rater feedback score and displacement errors on the
    frames that people have rated (docs/wod_e2e.md).

    Prints the ranking, and writes NAVSIM's tables, summary.json and a report (OUT/index.html). The same command resumes
    an evaluation, and adds planners to a finished one. docs/evaluate.md describes the output.

    Planners that are not Swerve's own run in processes of their own. One that takes longer than --plan-timeout, or ends
    its process, fails in that scene and is started again; the scores of the others are those of a run without it.

    Exit code: 0; 1 if a planner failed in a scene, which then scores 0; 2 if the evaluation could not run.

    Example: swerve evaluate bench results --planners pdm-closed my_planner:Mine

    Example: swerve evaluate wod_e2e:~/wod_e2e/val results --planners constant-velocity human my_planner:Mine

    Example: swerve evaluate navsim:$OPENSCENE_DATA_ROOT results --split navhard_two_stage --planners constant-velocity

    Attributes:
        benchmark: Benchmark.
        out: Output folder.
        planners: Planners.
        planner_option: Arguments of the planners.
        options: The evaluation.
        workers: Worker processes.
        part: Share of the job.
        on: Place of the workers.
        progress: Form of the progress.
        config: Options to start from.
    """

    benchmark: EvaluatedBenchmark
    out: OutFolder
    planners: Planners
    planner_option: PlannerOption = ()
    options: Annotated[EvaluateOptions, FLAT] = field(default_factory=EvaluateOptions)
    workers: Workers = None
    part: Part = None
    on: On = "local"
    progress: ProgressForm = "bar"
    config: Config = None
