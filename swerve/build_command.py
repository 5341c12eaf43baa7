"""Run `swerve build`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from swerve.eval.benchmark.benchmark_store import folder_size
from swerve.eval.benchmark.build.build_job import NOUN, BuildReport, build
from swerve.job_report import open_sources, show_failures, stoppable, timing_line
from swerve.options.build import Build

_EXPLAINED = {
    "over_cap": "beyond --max-follow-ups; nothing is wrong with it",
    "collision": "the ego overlaps an agent",
    "off_road": "a corner is off the road",
    "collision_before": "its history overlaps an agent",
    "off_road_before": "its history leaves the road",
    "wrong_way": "it is on no lane of the route",
    "red_light": "it is in a connector whose light is red",
    "unscorable": "the scorer cannot place it on the route",
    "infeasible": "no history within the bounds leads there",
    "no_match": "no logged drive of the bank ends there",
    "rough_log": "the logged poses are not a vehicle's motion",
    "beyond_log": "it lies past the log's end, and the log bends there",
    "unfit_splats": "a splat view disagrees with the raster",
    "few_follow_ups": "fewer than --min-follow-ups follow-ups are left",
    "time_gap": "the log has a gap in time there",
}


def run(asked: Build) -> int:
    """Build a benchmark, print the report, and return the exit code."""
    console = Console()
    with stoppable(console):
        report = build(open_sources(asked.sources), asked.out, asked.options, asked.workers, console, asked.splats)
    show_report(console, asked.out, report)
    return 1 if report.failures else 0


def show_report(console: Console, folder: Path, report: BuildReport) -> None:
    """Print what the benchmark holds, what was rejected and failed, and where the time went."""
    counts = report.counts
    origins = ", ".join(f"{count} {origin}" for origin, count in sorted(counts["follow_ups_by_origin"].items()))
    follow_ups = f"{counts['follow_ups']} follow-ups ({origins or 'none'})"
    frames = f"{counts['scenes']} frames, {folder_size(folder) / 1e6:.1f} MB"
    console.print(f"{counts['scene_groups']} cases of {counts['logs']} logs, {follow_ups}: {frames}", highlight=False)
    console.print(f"in {folder}", highlight=False, soft_wrap=True, markup=False, emoji=False)
    table = Table("", "not used because", "count", "", box=None)
    for what, reasons in (("start points", counts["rejected_starts"]), ("cases", counts["dropped_scene_groups"])):
        for reason, count in sorted(reasons.items(), key=lambda item: -item[1]):
            table.add_row(what, reason, str(count), _EXPLAINED.get(reason, ""))
    if table.row_count:
        console.print(table)
    _tell_splats(console, counts)
    show_failures(console, report.failures)
    console.print(timing_line(report.timing, NOUN), highlight=False, soft_wrap=True)


def _tell_splats(console: Console, counts: Mapping[str, Any]) -> None:
    """Print how many splat views fail the gate, and what they lack."""
    if counts["unfit_follow_ups"]:
        reasons = ", ".join(f"{count} {name}" for name, count in sorted(counts["unfit_reasons"].items()))
        console.print(
            f"{counts['unfit_follow_ups']} follow-ups have unfit splat views ({reasons})",
            highlight=False,
            soft_wrap=True,
        )
    if counts["tracks_without_gaussians"]:
        console.print(
            f"{counts['tracks_without_gaussians']} tracks have no Gaussians: splat views do not show them",
            highlight=False,
            soft_wrap=True,
        )
