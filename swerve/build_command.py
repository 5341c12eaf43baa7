"""Run `swerve build`."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from swerve.consoles import print_table, progress_console, results_console
from swerve.data.storage.mirror import shown
from swerve.eval.benchmark.benchmark_store import folder_size
from swerve.eval.benchmark.build.build_job import NOUN, BuildReport, build
from swerve.job_report import counted, execution_of, open_sources, show_failures, stoppable, timing_line
from swerve.options.build import Build

_EXPLANATIONS = {
    "over_cap": "valid, but beyond --max-follow-ups",
    "collision": "the ego overlaps an agent",
    "off_road": "a corner is off the drivable area",
    "collision_before": "its history overlaps an agent",
    "off_road_before": "its history leaves the drivable area",
    "wrong_way": "it is on no lane of the route",
    "red_light": "it is in a connector whose light is red",
    "unscorable": "the scorer cannot place it on the route",
    "infeasible": "no history within the bounds ends there",
    "no_match": "no trajectory of the bank ends there",
    "rough_log": "the logged poses are not a vehicle's motion",
    "beyond_log": "it lies beyond the end of the log, which ends in a curve",
    "unfit_splats": "a splat view disagrees with the raster",
    "few_follow_ups": "fewer than --min-follow-ups follow-ups are left",
    "time_gap": "the log has a gap in time there",
    "outside_log": "a scene of the split without 2 s before and 8 s after it",
}


def run(args: Build) -> int:
    """Build a benchmark, print the report, and return the exit code."""
    console = results_console()
    with stoppable():
        sources = open_sources(args.sources, args.navsim_split)
        report = build(sources, args.out, args.options, execution_of(args), progress_console(), args.splats)
    show_report(console, args.out, report)
    if not report.counts["scene_groups"]:
        print(f"error: {_why_empty(report)}", file=sys.stderr)
    return 1 if report.failures or not report.counts["scene_groups"] else 0


def _why_empty(report: BuildReport) -> str:
    """Return why a benchmark has no scene group."""
    if report.failures:
        return f"no scene group was made: {report.failures[0].where}: {report.failures[0].reason}"
    reasons = [f"{count} were dropped: {_EXPLANATIONS.get(name, name)}" for name, count in _dropped(report)]
    return f"no scene group was made: {'; '.join(reasons) or 'no log has 2 s before and 8 s after a scene'}"


def _dropped(report: BuildReport) -> list[tuple[str, int]]:
    return sorted(report.counts["dropped_scene_groups"].items(), key=lambda item: -item[1])


def show_report(console: Console, folder: Path, report: BuildReport) -> None:
    """Print the numbers of scenes, rejections and failures, and the time per stage."""
    counts = report.counts
    origins = ", ".join(f"{count} {origin}" for origin, count in sorted(counts["follow_ups_by_origin"].items()))
    follow_ups = f"{counts['follow_ups']} follow-ups ({origins or 'none'})"
    scenes = f"{counts['scenes']} scenes, {folder_size(folder) / 1e6:.1f} MB"
    groups = f"{counted(counts['scene_groups'], 'scene group')} of {counted(counts['logs'], 'log')}"
    console.print(f"{groups}, {follow_ups}: {scenes}", highlight=False)
    console.print(f"in {shown(folder)}", highlight=False, soft_wrap=True, markup=False, emoji=False)
    table = Table("", "rejected because", "count", "", box=None)
    rejected = {"start points": counts["rejected_starts"], "scene groups": counts["dropped_scene_groups"]}
    for what, reasons in rejected.items():
        for reason, count in sorted(reasons.items(), key=lambda item: -item[1]):
            table.add_row(what, reason, str(count), _EXPLANATIONS.get(reason, ""))
    if table.row_count:
        print_table(console, table)
    _print_unfit_views(console, counts)
    show_failures(console, report.failures)
    console.print(timing_line(report.timing, NOUN, len(report.failures)), highlight=False, soft_wrap=True)


def _print_unfit_views(console: Console, counts: Mapping[str, Any]) -> None:
    """Print the numbers of follow-ups with unfit splat views, and of tracks without Gaussians."""
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
