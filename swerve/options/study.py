"""Options of `swerve study`."""

from dataclasses import dataclass, field
from typing import Annotated, Literal

from tyro.conf import arg

from swerve.eval.study.study_options import StudyOptions
from swerve.options.shared import Benchmark, Config, On, OutFolder, Part, ProgressForm, Workers
from swerve.scenes.option_types import FLAT


@dataclass(frozen=True)
class Study:
    """Correlate pseudo-simulation, and other open-loop scores, with closed-loop scores over many planners.

    A population of about 95 rule-based planners runs on all scene groups of a benchmark in open loop (initial and
    follow-up scenes) and in up to four closed loops (from the initial scenes). The headline is the closed loop that
    shares neither tracker, scorer nor traffic with pseudo-simulation. It computes for each planner the mean closed-loop
    scores and the mean of every open-loop score: EPDMS of one stage (full; and reduced: without traffic lights, lane
    keeping and extended comfort), PDMS, displacement errors, nuPlan's open-loop score, and the two stages of
    pseudo-simulation.
    Correlations over the planners have 95 % intervals of a cluster bootstrap over families of planners and logs, also
    for variants of pseudo-simulation: weights, kernel widths, aggregation, density of follow-up scenes.

    Writes study.json, study.parquet (a row per planner), scene_groups.parquet (a row per scene group), study.html and
    scatter.svg. A study that was stopped or killed is resumed by the same command.

    Exit code: 0; 1 if a planner or a scene group failed; 2 if the study could not run.

    Example: swerve study bench out/study --population 20

    Attributes:
        benchmark: Benchmark.
        out: Output folder.
        population: Planners of the population, evenly chosen from all families.
        options: The study.
        workers: Worker processes.
        part: Share of the job.
        on: Place of the workers.
        progress: Form of the progress.
        config: Options to start from.
    """

    benchmark: Benchmark
    out: OutFolder
    population: Annotated[Literal["all"] | int, arg(metavar="all|COUNT")] = "all"
    options: Annotated[StudyOptions, FLAT] = field(default_factory=StudyOptions)
    workers: Workers = None
    part: Part = None
    on: On = "local"
    progress: ProgressForm = "bar"
    config: Config = None
