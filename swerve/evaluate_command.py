"""`swerve evaluate`: the command."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from swerve.arguments import view_kinds
from swerve.data.jobs import Failure
from swerve.eval.benchmark.benchmark_store import Benchmark, open_benchmark
from swerve.eval.benchmark.build_options import ViewKind
from swerve.eval.benchmark.evaluate.evaluate_job import PlannerSpec
from swerve.eval.benchmark.evaluate.evaluate_job import evaluate as run_evaluation
from swerve.eval.benchmark.evaluate.evaluation_summary import REPORT
from swerve.eval.benchmark.evaluate.observations import uses_images
from swerve.eval.benchmark.evaluate.results import read_results
from swerve.eval.report.report_page import ReportOptions, write_report
from swerve.planners.fingerprint import fingerprint
from swerve.planners.load_planner import LoadedPlanner, load_planner
from swerve.scenes import SwerveError
from swerve.scenes.planning import Planner
from swerve.score_command import Traffic, Weighting

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


def evaluate(
    benchmark: Annotated[Path, typer.Argument(help="A folder made by swerve build.")],
    planner: Annotated[
        list[str],
        typer.Option(
            help="Repeat for several: a name (stationary, constant-velocity, constant-acceleration, human, idm, "
            "pdm-closed), module:Class of your own, or a trained FILE.safetensors; then ,key=value... and ,label=NAME."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the results. The same again: goes on, or adds planners.")],
    traffic: Annotated[
        Traffic | None, typer.Option(help="How the others drive. Default: as the benchmark was built.")
    ] = None,
    weighting: Annotated[Weighting, typer.Option(help="Of follow-up scenes.")] = Weighting.NAVSIM_EXACT,
    views: Annotated[
        str | None,
        typer.Option(
            help="What planners see: raster, photo or splat; several, separated by commas, to compare them. Default: "
            "what is stored, raster if that is several."
        ),
    ] = None,
    splats: Annotated[Path | None, typer.Option(help="Made by swerve fit, to draw splats that are not stored.")] = None,
    workers: Annotated[int | None, typer.Option(help="Processes. Default: one per core.")] = None,
    report: Annotated[bool, typer.Option(help="Write index.html, with the worst scenes of each planner.")] = True,
) -> None:
    """Run planners on every scene of a benchmark and score what they would have done: EPDMS in two stages."""
    opened, console = open_benchmark(benchmark, splats=splats), Console()
    kinds = view_kinds(views) if views else (opened.view_kind,)
    if not kinds:
        raise SwerveError("views: planners see something, or declare `cameras = ()`; give raster, photo or splat")
    opened = opened.with_views(*kinds)
    planners = [load_planner(spec) for spec in planner]
    drawn = {kind: opened.renderers[kind].name for kind in kinds if kind not in opened.stored_kinds}
    entries = [entry for named in planners for entry in entries_of(named, kinds, drawn)]
    policy = traffic.value if traffic else opened.traffic
    evaluation = run_evaluation(opened, entries, made, out, policy, weighting.value, workers, console)
    console.print(leaderboard(evaluation.summary))
    for line in evaluation.summary["inactive_sub_scores"]:
        console.print(f"cannot fire: {line}", style="yellow", markup=False, soft_wrap=True)
    if evaluation.summary["differences"]:
        console.print(differences_table(evaluation.summary["differences"]))
    _tell_failures(evaluation.failures, out, console)
    timing = evaluation.timing
    console.print(f"{timing['plans']} plans in {timing['seconds']:.1f} s; wrote {out}", highlight=False, soft_wrap=True)
    if report:
        _write_report(opened, planners, out)
        console.print(f"The report is at {out / REPORT}", highlight=False, soft_wrap=True)
    if evaluation.failures:
        raise typer.Exit(1)


def entries_of(named: LoadedPlanner, kinds: Sequence[ViewKind], drawn: Mapping[ViewKind, str]) -> list[PlannerSpec]:
    """A planner as it takes part: once for each kind of views, if it sees at all. With other views it is another.

    Args:
        named: the planner.
        kinds: of views.
        drawn: names of what draws those that the benchmark does not store: another folder of splats gives other views.
    """
    identity = fingerprint(named)
    if not uses_images(named.planner):
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
    title = f"{summary['scene_groups']} cases, {summary['scenes']} scenes; all scores times 100"
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
    kinds = (benchmark.view_kind, *benchmark.extra_view_kinds)
    options = ReportOptions(
        title=f"Planners on {benchmark.folder.resolve().name}",
        cameras={
            entry.label: getattr(named.planner, "cameras", None)
            for named in planners
            for entry in entries_of(named, kinds, {})
        },
    )
    write_report(out / REPORT, benchmark, read_results(out), options)
