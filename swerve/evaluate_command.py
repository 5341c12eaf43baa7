"""Run `swerve evaluate`."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from swerve.data.jobs import Failure
from swerve.eval.benchmark.benchmark_store import Benchmark, open_benchmark
from swerve.eval.benchmark.build_options import ViewKind
from swerve.eval.benchmark.evaluate.evaluate_job import PlannerSpec
from swerve.eval.benchmark.evaluate.evaluate_job import evaluate as run_evaluation
from swerve.eval.benchmark.evaluate.evaluation_summary import REPORT
from swerve.eval.benchmark.evaluate.observations import wants_images
from swerve.eval.benchmark.evaluate.results import read_results
from swerve.eval.report.report_page import ReportOptions, write_report
from swerve.options.evaluate import Evaluate, EvaluateOptions
from swerve.planners.fingerprint import fingerprint
from swerve.planners.load_planner import LoadedPlanner, load_planner
from swerve.scenes.planning import Planner

# Short headings of NAVSIM's columns.
SHORT = {
    "no_at_fault_collisions": "NC",
    "drivable_area_compliance": "DAC",
    "driving_direction_compliance": "DDC",
    "traffic_light_compliance": "TLC",
    "ego_progress": "EP",
    "time_to_collision_within_bound": "TTC",
    "lane_keeping": "LK",
    "history_comfort": "HC",
    "two_frame_extended_comfort": "EC",
}
_SHOWN_FAILURES = 10


def run(asked: Evaluate) -> int:
    """Evaluate planners, print and write the results, and return the exit code."""
    console, options = Console(), asked.options
    opened, planners = opened_for(asked.benchmark, options), [load_planner(spec) for spec in asked.planners]
    evaluation = run_evaluation(
        opened,
        all_entries(opened, planners),
        made,
        asked.out,
        options.traffic or opened.traffic,
        options.weighting,
        asked.workers,
        console,
    )
    console.print(leaderboard(evaluation.summary))
    if evaluation.summary["differences"]:
        console.print(differences_table(evaluation.summary["differences"]))
    _tell_failures(evaluation.failures, asked.out, console)
    plans, seconds = evaluation.timing["plans"], evaluation.timing["seconds"]
    console.print(f"{plans} plans in {seconds:.1f} s; wrote {asked.out}", highlight=False, soft_wrap=True)
    if options.report:
        _write_report(opened, planners, asked.out)
        console.print(f"The report is at {asked.out / REPORT}", highlight=False, soft_wrap=True)
    return 1 if evaluation.failures else 0


def opened_for(folder: Path, options: EvaluateOptions) -> Benchmark:
    """Return a benchmark with the views that the options ask for."""
    opened = open_benchmark(folder, splats=options.splats)
    return opened.showing(*(options.views or (opened.shown,)))


def all_entries(opened: Benchmark, planners: Sequence[LoadedPlanner]) -> list[PlannerSpec]:
    """Return how planners take part: once for each kind of views."""
    kinds = (opened.shown, *opened.beside)
    drawn = {kind: opened.renderers[kind].name for kind in kinds if kind not in opened.stored}
    return [entry for named in planners for entry in entries_of(named, kinds, drawn)]


def entries_of(named: LoadedPlanner, kinds: Sequence[ViewKind], drawn: Mapping[ViewKind, str]) -> list[PlannerSpec]:
    """A planner as it takes part: once for each kind of views, if it sees at all. With other views it is another.

    Args:
        named: the planner.
        kinds: of views.
        drawn: names of what draws those that the benchmark does not store: another folder of splats gives other views.
    """
    identity = fingerprint(named)
    if not wants_images(named.planner):
        return [PlannerSpec(named.label, named.spec, identity)]
    labels = [f"{named.label}@{kind}" for kind in kinds] if len(kinds) > 1 else [named.label]
    return [
        PlannerSpec(label, named.spec, f"{identity} sees {drawn.get(kind, kind)}", named.label, kind)
        for label, kind in zip(labels, kinds, strict=True)
    ]


def differences_table(found: Sequence[Mapping[str, Any]]) -> Table:
    """What planners gain when they see other views."""
    title = "what other views change, on the same cases; times 100, 95 % interval over cases"
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title_justify="left")
    table.add_column("planner", overflow="fold", min_width=12)
    for name in ("EPDMS", *SHORT.values()):
        table.add_column(name, justify="right", no_wrap=True)
    for one in found:
        low, high = (100 * value for value in one["interval"])
        table.add_row(f"[bold]{escape(one['planner'])}", f"[bold]{100 * one['score']:+.2f}")
        table.add_row(escape(f"  {one['after']} - {one['before']}"))
        table.add_row(escape(f"  [{low:+.2f}, {high:+.2f}]"))
        for name, stage in (("one", one["stage_one"]), ("two", one["stage_two"])):
            cells = [f"{100 * stage[metric]:+.0f}" for metric in SHORT]
            table.add_row(f"  stage {name}", f"{100 * stage['score']:+.2f}", *cells)
    return table


def made(spec: str) -> Planner:
    """The planner of a spec; workers call it."""
    return load_planner(spec).planner


def leaderboard(summary: Mapping[str, Any]) -> Table:
    """The planners of a summary, best first; under each its stages. With short labels it fits 80 columns."""
    title = f"{summary['cases']} cases, {summary['frames']} scenes; all scores times 100"
    table = Table(title=title, box=SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, title_justify="left")
    table.add_column("planner", overflow="fold", min_width=12)
    for name in ("EPDMS", *SHORT.values(), "failed"):
        table.add_column(name, justify="right", no_wrap=True)
    for label, row in sorted(summary["planners"].items(), key=lambda item: -item[1]["score"]):
        failed = str(row["failures"]) if row["failures"] else "-"
        table.add_row(f"[bold]{escape(label)}", f"[bold]{100 * row['score']:.2f}", *[""] * len(SHORT), failed)
        for name, stage in (("one", row["stage_one"]), ("two", row["stage_two"])):
            table.add_row(f"  stage {name}", f"{100 * stage['score']:.2f}", *_cells(stage), "")
    return table


def _cells(stage: Mapping[str, float]) -> list[str]:
    return [f"{100 * stage[name]:.0f}" for name in SHORT]


def _tell_failures(failures: Sequence[Failure], out: Path, console: Console) -> None:
    """The first failures by name, and where all are."""
    for failure in failures[:_SHOWN_FAILURES]:
        console.print(
            f"failed: {failure.what} in {failure.token}: {failure.reason}", style="red", markup=False, soft_wrap=True
        )
    if failures:
        console.print(f"{len(failures)} failures, each scored 0: {out / 'failures.json'}", style="red", soft_wrap=True)


def _write_report(benchmark: Benchmark, planners: Sequence[LoadedPlanner], out: Path) -> None:
    kinds = (benchmark.shown, *benchmark.beside)
    options = ReportOptions(
        title=f"Planners on {benchmark.folder.resolve().name}",
        cameras={
            entry.label: getattr(named.planner, "cameras", None)
            for named in planners
            for entry in entries_of(named, kinds, {})
        },
    )
    write_report(out / REPORT, benchmark, read_results(out), options)
