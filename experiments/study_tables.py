"""Measurements for the tables of docs/study.md: a study of generated towns, built and run in build/study_tables.

The folder is kept: what is finished there is not measured again by the same code.
"""

import textwrap
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from swerve.consoles import results_console
from swerve.data.sources.registry import open_source
from swerve.eval.benchmark.benchmark_store import open_benchmark
from swerve.eval.benchmark.build.build_job import build
from swerve.eval.benchmark.build_options import BuildOptions
from swerve.eval.study.findings import Findings
from swerve.eval.study.study_job import StudyReport, run_study
from swerve.eval.study.study_options import StudyOptions
from swerve.eval.study.study_tables import main_head, main_rows, reference_head, reference_rows, shown, verdict_lines
from swerve.study_command import load, members

FOLDER = Path(__file__).resolve().parents[1] / "build" / "study_tables"
SOURCE, PLANNERS = "town:21-40", 42
BUILD = BuildOptions(scene_interval=20.0, max_follow_ups=10, views=())
# Variants of pseudo-simulation, by what is varied; the recipe of NAVSIM is "navsim-exact".
_VARIANTS = {
    "weights": ("navsim-exact", "stable"),
    "variance, stable": ("0.01 m2", "1 m2", "10 m2"),
    "aggregation": ("mean", "only stage one", "only stage two"),
}


def measures() -> list[str]:
    """Return the table of all measures against the headline, and what it says on pseudo-simulation."""
    findings = _report().findings
    return [
        *_markdown(main_head(findings), main_rows(findings)),
        "",
        *(f"- {line}." for line in verdict_lines(findings)),
    ]


def references() -> list[str]:
    """Return the table of all measures against every closed loop."""
    findings = _report().findings
    return _markdown(reference_head(findings), reference_rows(findings))


def variants() -> list[str]:
    """Return the table of some variants of pseudo-simulation against the headline."""
    findings = _report().findings
    formulas = tuple(findings.variants)
    rows = [
        (f"{kind}: {name}", *(shown(findings.variants[formula][kind][name].pearson["joint"]) for formula in formulas))
        for kind, names in _VARIANTS.items()
        for name in names
    ]
    return _markdown(("varied", *(f"r, {formula} EPDMS" for formula in formulas)), [*rows, *_densities(findings)])


def _densities(findings: Findings) -> list[tuple[str, ...]]:
    """Return mean r over random subsets of the follow-up scenes, by their share."""
    first = next(iter(findings.densities.values()))
    return [
        (
            f"follow-ups: {share:.0%}, {one.kept:.1f} pairs a scene group, mean of {len(one.pearson)} choices",
            *(f"{named[share].pearson.mean():.3f}" for named in findings.densities.values()),
        )
        for share, one in first.items()
    ]


def _bullet(text: str) -> list[str]:
    return textwrap.wrap(text, 120, initial_indent="- ", subsequent_indent="  ")


@cache
def _report() -> StudyReport:
    """Build the benchmark and run the study; once."""
    console, benchmark = results_console(), FOLDER / "benchmark"
    build([open_source(SOURCE)], benchmark, BUILD, console=console)
    report = run_study(
        open_benchmark(benchmark), members(PLANNERS), load, FOLDER / "study", StudyOptions(), console=console
    )
    study, clusters = report.study, report.findings.clusters
    console.print(
        f"{len(study.planners)} planners of {clusters.counts[0]} families, {len(study.tokens)} scene groups of "
        f"{clusters.counts[1]} logs, {int(study.present.sum())} pairs of follow-ups"
    )
    return report


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|---" * len(head) + "|"]
    return [*lines, *("| " + " | ".join(row) + " |" for row in rows)]
