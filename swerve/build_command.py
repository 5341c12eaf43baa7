"""`swerve build`: logs in, a benchmark out."""

from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from swerve.arguments import image_size, view_kinds, words
from swerve.augment_command import Look, Rig
from swerve.data.dataset.augment_options import RigName, StyleName
from swerve.data.sources.registry import open_source
from swerve.eval.benchmark.benchmark_store import folder_size
from swerve.eval.benchmark.build.build_job import NOUN, BuildReport
from swerve.eval.benchmark.build.build_job import build as run_build
from swerve.eval.benchmark.build_options import BuildOptions
from swerve.job_report import show_failures, stoppable, timing_line
from swerve.scenes import SwerveError
from swerve.scenes.viewpoints.follow_up import FollowUpOptions
from swerve.score_command import Traffic

_START, _BANK = "Start points", "Histories of start points"
_DEFAULTS, _GRID = BuildOptions(), FollowUpOptions()
_BANK_HEADING = float(np.rad2deg(_GRID.bank_heading))
_EXPLAINED = {
    "over_cap": "beyond --most; nothing is wrong with it",
    "collision": "the car touches somebody",
    "off_road": "a corner is off the road",
    "wrong_way": "it stands on no lane of the route",
    "red_light": "it stands in a connector whose light is red",
    "unscorable": "the scorer cannot place it on the route",
    "infeasible": "no history within the bounds leads there",
    "no_match": "no drive of the bank ends there",
    "rough_log": "the logged poses are no car's motion",
    "beyond_log": "it lies past the log's end, and the log bends there",
    "unfit_splats": "a splat view disagrees with the raster",
    "few_follow_ups": "fewer than --least follow-ups are left",
    "time_gap": "the log has a gap in time there",
}


class Gate(str, Enum):
    """What becomes of unfit follow-ups."""

    drop = "drop"
    flag = "flag"
    off = "off"


class Histories(str, Enum):
    """Where they come from."""

    both = "bank+synthesis"
    bank = "bank"
    synthesis = "synthesis"


# What each option is; `build` has them in the order of its help.
_Sources = Annotated[
    list[str], typer.Argument(metavar="SOURCE", help="av2:PATH, waymo:PATH, town:COUNT, or a path; any number.")
]
_Benchmark = Annotated[Path, typer.Argument(metavar="BENCHMARK", help="A folder; new, empty, or of this same build.")]
_Every = Annotated[float, typer.Option(help="Seconds between the cases of a log.")]
_Traffic = Annotated[
    Traffic,
    typer.Option(
        help="How the others drive on in the 8 s after a case's moment: log-replay, constant-velocity, "
        "navsim-reactive, or lane-following, which reacts too but keeps everybody on the road."
    ),
]
_Least = Annotated[int, typer.Option(help="A case with fewer follow-ups is dropped.")]
_Most = Annotated[int, typer.Option(help="Follow-ups of a case at most; those with a human's history come first.")]
_Views = Annotated[
    str,
    typer.Option(
        help="Kinds of images that are stored of every camera, separated by commas: raster, photo (of towns: "
        "pictures that stand in for photographs), splat (of logs fitted by swerve fit); both is raster,splat; none "
        "is to draw rasters when a planner asks."
    ),
]
_Splats = Annotated[Path | None, typer.Option(help="Folder made by swerve fit, for splat.")]
_Gate = Annotated[
    Gate, typer.Option(help="What becomes of follow-ups with a splat view that disagrees with the raster.")
]
_Size = Annotated[str, typer.Option(help="Width and height of all images, or `own` for the cameras'.")]
_Style = Annotated[Look, typer.Option(help="rap has black ground; surfaces has grey roads.")]
_Rig = Annotated[Rig, typer.Option(help="own: each log's cameras; default: eight around the car.")]
_Cameras = Annotated[str, typer.Option(help="Names of the cameras to draw, separated by commas. Default: all.")]
_Seed = Annotated[int, typer.Option(help="Of the choice among follow-ups, and of the weather in photographs of towns.")]
_Workers = Annotated[int | None, typer.Option(help="Processes. Default: one per core.", min=1)]
_Lateral = Annotated[
    float, typer.Option(help="Farthest to either side of the driven path, in metres.", rich_help_panel=_START)
]
_LateralStep = Annotated[float, typer.Option(help="Between columns, in metres.", rich_help_panel=_START)]
_LongitudinalStep = Annotated[float, typer.Option(help="Between rows, in metres.", rich_help_panel=_START)]
_Reach = Annotated[
    float,
    typer.Option(
        help="Rows reach as far as braking and accelerating so hard for 4 s, in m/s2.", rich_help_panel=_START
    ),
]
_Headings = Annotated[
    str, typer.Option(help="Turns against the path, in degrees, separated by commas.", rich_help_panel=_START)
]
_Speeds = Annotated[
    str, typer.Option(help="Added to the speed at the start, in m/s, separated by commas.", rich_help_panel=_START)
]
_Histories = Annotated[
    Histories,
    typer.Option(
        help="From human drives of the bank, synthesised, or the one where the other lacks.", rich_help_panel=_BANK
    ),
]
_BankSpeed = Annotated[
    float,
    typer.Option(help="How much a drive may differ from the driver's speed at first, in m/s.", rich_help_panel=_BANK),
]
_BankAcceleration = Annotated[float, typer.Option(help="The same of acceleration, in m/s2.", rich_help_panel=_BANK)]
_BankHeading = Annotated[float, typer.Option(help="The same of heading as it ends, in degrees.", rich_help_panel=_BANK)]
_BankAcross = Annotated[
    float, typer.Option(help="How far beside the start point it may end, in metres.", rich_help_panel=_BANK)
]
_BankAlong = Annotated[float, typer.Option(help="The same before or behind it.", rich_help_panel=_BANK)]


def build(
    sources: _Sources,
    benchmark: _Benchmark,
    every: _Every = _DEFAULTS.every,
    traffic: _Traffic = Traffic.LANE_FOLLOWING,
    least: _Least = _DEFAULTS.least,
    most: _Most = _DEFAULTS.most,
    views: _Views = "raster",
    splats: _Splats = None,
    gate: _Gate = Gate.flag,
    size: _Size = "768x448",
    style: _Style = Look.rap,
    rig: _Rig = Rig.own,
    cameras: _Cameras = "",
    seed: _Seed = _DEFAULTS.seed,
    workers: _Workers = None,
    lateral: _Lateral = _GRID.lateral,
    lateral_step: _LateralStep = _GRID.lateral_step,
    longitudinal_step: _LongitudinalStep = _GRID.longitudinal_step,
    reach: _Reach = _GRID.reach,
    headings: _Headings = "0",
    speeds: _Speeds = "0",
    histories: _Histories = Histories.both,
    bank_speed: _BankSpeed = _GRID.bank_speed,
    bank_acceleration: _BankAcceleration = _GRID.bank_acceleration,
    bank_heading: _BankHeading = _BANK_HEADING,
    bank_across: _BankAcross = _GRID.bank_across,
    bank_along: _BankAlong = _GRID.bank_along,
) -> None:
    """Make a two-stage benchmark of logs, to evaluate planners on.

    Each case is a moment of a log and the frame 0.5 s before it. Around where the driver was 4 s later lie its
    follow-ups: starts beside, ahead of and behind him, with a history that leads there, in traffic that has gone on for
    4 s. Evaluated together, weighed by where a planner would have ended up, they stand in for closed loop. Starts that
    the scorer objects to are rejected and counted. docs/benchmark.md says what the folder holds.

    A build that was stopped, or killed, goes on where it was when the same command is given again.

    Exit code: 0, or 1 if a log or a case failed, or 2 if the build could not run.

    Example: swerve build av2:~/av2/val ~/benchmarks/av2 --every 4
    """
    try:
        grid = FollowUpOptions(
            lateral=lateral,
            lateral_step=lateral_step,
            longitudinal_step=longitudinal_step,
            reach=reach,
            headings=tuple(float(np.deg2rad(heading)) for heading in _numbers("headings", headings)),
            speeds=_numbers("speeds", speeds),
            sources=histories.value,
            bank_speed=bank_speed,
            bank_acceleration=bank_acceleration,
            bank_heading=float(np.deg2rad(bank_heading)),
            bank_across=bank_across,
            bank_along=bank_along,
        )
    except ValueError as error:
        raise SwerveError(str(error)) from error
    options = BuildOptions(
        every=every,
        least=least,
        most=most,
        policy=traffic.value,
        follow_up=grid,
        views=view_kinds(views),
        gate=gate.value,
        style=cast(StyleName, style.value),
        rig=cast(RigName, rig.value),
        cameras=words(cameras),
        size=None if size == "own" else image_size(size),
        seed=seed,
    )
    console = Console()
    with stoppable(console):
        report = run_build([open_source(source) for source in sources], benchmark, options, workers, console, splats)
    show_report(console, benchmark, report)
    if report.failures:
        raise typer.Exit(1)


def _numbers(option: str, text: str) -> tuple[float, ...]:
    """Numbers between commas.

    Raises:
        SwerveError: one is no number.
    """
    try:
        return tuple(float(word) for word in text.split(",") if word.strip())
    except ValueError as error:
        raise SwerveError(f"{option}: {text!r} must be numbers between commas, as in -5,0,5") from error


def show_report(console: Console, folder: Path, report: BuildReport) -> None:
    """Prints what the benchmark holds, what was rejected and failed, and where the time went."""
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
    """What the gate has against splat views, and what they lack."""
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
