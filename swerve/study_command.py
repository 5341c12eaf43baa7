"""Run `swerve study`."""

from pathlib import Path
from typing import Literal

import numpy as np
from rich.console import Console

from swerve.consoles import print_table, progress_console, results_console
from swerve.eval.benchmark.benchmark_store import open_benchmark
from swerve.eval.study.population import population
from swerve.eval.study.study_job import PAGE, StudyReport, run_study
from swerve.eval.study.study_options import StudyPlanner
from swerve.eval.study.study_tables import (
    best_lines,
    difference_lines,
    intervals_table,
    main_table,
    references_table,
    undefined_lines,
    variants_table,
    verdict_lines,
)
from swerve.job_report import execution_of, show_failures, stoppable, timing_line
from swerve.options.study import Study
from swerve.planners.load_planner import load_planner
from swerve.scenes import SwerveError
from swerve.scenes.planning import Planner


def run(args: Study) -> int:
    """Run a study, print the findings, and return the exit code."""
    opened, console, progress = open_benchmark(args.benchmark), results_console(), progress_console()
    with stoppable():
        report = run_study(opened, members(args.population), load, args.out, args.options, execution_of(args), progress)
    show_study(console, args.out, report)
    return 1 if report.failures else 0


def members(count: Literal["all"] | int) -> list[StudyPlanner]:
    """Return the planners of the population that take part.

    Raises:
        SwerveError: the population has fewer, or there are too few for a correlation.
    """
    planners = population()
    if count == "all":
        return list(planners)
    if not 3 <= count <= len(planners):
        raise SwerveError(f"population: {count} must be all, or a number from 3 to {len(planners)}")
    rows = np.linspace(0, len(planners) - 1, count).round().astype(int)
    return [planners[row] for row in rows]


def load(spec: str) -> Planner:
    """Return a planner of the population."""
    return load_planner(spec).planner


def show_study(console: Console, folder: Path, report: StudyReport) -> None:
    """Print the tables and lines of the findings."""
    study, findings = report.study, report.findings
    console.print(timing_line(report.timing, "plans", len(report.failures)), highlight=False, soft_wrap=True)
    counts = f"{len(study.planners)} planners, {len(study.tokens)} scene groups of {len(set(study.logs))} logs"
    console.print(f"{counts}, {int(study.present.sum())} pairs of follow-ups\n", highlight=False, soft_wrap=True)
    for table in (
        main_table(findings),
        references_table(findings),
        intervals_table(findings),
        variants_table(findings),
    ):
        print_table(console, table)
        console.print()
    for line in (
        *undefined_lines(findings),
        *difference_lines(findings),
        *verdict_lines(findings),
        *best_lines(findings),
    ):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    effective = f"Median effective number of follow-ups: {findings.effective:.1f}; "
    console.print(
        f"{effective}in {100 * findings.uniform:.0f} % of scenes weights are uniform: the plan ends too far away.",
        highlight=False,
        soft_wrap=True,
    )
    show_failures(console, report.failures)
    console.print(f"The page is {folder / PAGE}", highlight=False, soft_wrap=True, markup=False, emoji=False)
