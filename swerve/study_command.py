"""`swerve study`: the command."""

from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console

from swerve.eval.benchmark.benchmark_store import open_benchmark
from swerve.eval.study.population import population
from swerve.eval.study.study_job import PAGE, StudyReport, run_study
from swerve.eval.study.study_options import StudyOptions, StudyPlanner
from swerve.eval.study.study_tables import (
    difference_lines,
    intervals_table,
    main_table,
    undefined_lines,
    variants_table,
)
from swerve.job_report import show_failures, stoppable, timing_line
from swerve.planners.load_planner import load_planner
from swerve.scenes import SwerveError
from swerve.scenes.planning import Planner
from swerve.score_command import Traffic

_DEFAULTS = StudyOptions()


def study(
    benchmark: Annotated[Path, typer.Argument(metavar="BENCHMARK", help="Folder that swerve build made.")],
    out: Annotated[Path, typer.Option(help="Folder for the results; new, empty, or of this study.")] = Path("study"),
    planners: Annotated[
        str, typer.Option(help="How many of the population, evenly chosen from all families; or all.")
    ] = "all",
    seconds: Annotated[float, typer.Option(help="Length of a closed-loop roll-out, 4 or more.")] = _DEFAULTS.seconds,
    rate: Annotated[float, typer.Option(help="Plans per second in closed loop.")] = _DEFAULTS.rate,
    traffic: Annotated[
        Traffic | None,
        typer.Option(help="How the others drive, in open and closed loop. Default: as the benchmark was built."),
    ] = None,
    density: Annotated[float, typer.Option(help="Share of the follow-ups to evaluate; less is quicker.")] = 1.0,
    seed: Annotated[int, typer.Option(help="Of the choice of these.", min=0)] = 0,
    workers: Annotated[int | None, typer.Option(help="Processes. Default: one per core.", min=1)] = None,
) -> None:
    """Ask whether pseudo-simulation predicts closed-loop driving, and what predicts it better.

    A population of some 95 rule-based planners, from bad to good, drives every case of a benchmark twice: in open loop,
    in the logged frames and in the follow-up frames, and in closed loop from the logged frame on. Each planner has a
    mean closed-loop score, and a mean of every open-loop measure: EPDMS of one stage (full; and reduced: without
    traffic lights, lane keeping and extended comfort), PDMS, displacement errors, nuPlan's open-loop score, and the two
    stages of pseudo-simulation. Shown is how well each agrees with closed loop over the planners, with 95 % intervals
    from planners and logs drawn anew (cases, where there are fewer than ten logs), and the same for variants of
    pseudo-simulation: weights, kernel widths, aggregation rules, observation densities.

    Writes study.json (everything), study.parquet and cases.parquet (a row per planner, and per case),
    study.html, scatter.svg. A study that was
    stopped, or killed, goes on where it was when the same command is given again.

    Exit code: 0, or 1 if a planner or a case failed, or 2 if the study could not run.

    Example: swerve study bench --out study --planners all
    """
    opened = open_benchmark(benchmark)
    options = StudyOptions(traffic.value if traffic else opened.traffic, seconds, rate, density, seed)
    chosen, console = members(planners), Console()
    with stoppable(console):
        report = run_study(opened, chosen, load, out, options, workers, console)
    show_study(console, out, report)
    if report.failures:
        raise typer.Exit(1)


def members(planners: str) -> list[StudyPlanner]:
    """The planners of the population that take part.

    Raises:
        SwerveError: it is neither "all" nor a number that the population has.
    """
    everybody = population()
    if planners == "all":
        return list(everybody)
    if not planners.isdigit() or not 3 <= int(planners) <= len(everybody):
        raise SwerveError(f"planners: {planners!r} must be all, or a number from 3 to {len(everybody)}")
    rows = np.linspace(0, len(everybody) - 1, int(planners)).round().astype(int)
    return [everybody[row] for row in rows]


def load(spec: str) -> Planner:
    """A planner of the population."""
    return load_planner(spec).planner


def show_study(console: Console, folder: Path, report: StudyReport) -> None:
    """Prints what was found."""
    study, findings = report.study, report.findings
    console.print(timing_line(report.timing, "plans"), highlight=False, soft_wrap=True)
    counts = f"{len(study.planners)} planners, {len(study.tokens)} cases of {len(set(study.logs))} logs"
    console.print(f"{counts}, {int(study.present.sum())} pairs of follow-ups\n", highlight=False, soft_wrap=True)
    wide = Console(width=None if console.is_terminal else 132, markup=False)
    for table in (main_table(findings), intervals_table(findings), variants_table(findings)):
        wide.print(table, "", highlight=False)
    for line in (*undefined_lines(findings), *difference_lines(findings)):
        wide.print(line, highlight=False, soft_wrap=True)
    effective = f"In the median {findings.effective:.1f} follow-ups count for a frame; "
    console.print(
        f"{effective}in {100 * findings.uniform:.0f} % all count alike, because the plan ends too far off.",
        highlight=False,
        soft_wrap=True,
    )
    show_failures(console, report.failures)
    console.print(f"The page is {folder / PAGE}", highlight=False, soft_wrap=True, markup=False, emoji=False)
