"""`swerve drive`: planners in closed loop."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, cast

import numpy as np
import typer
from rich.console import Console
from rich.progress import track
from rich.table import Table

from swerve.arguments import image_size, one_kind
from swerve.data import Source, open_source
from swerve.data.dataset.image_encoding import encode_png
from swerve.data.storage.files import make_folder, safe_name, write_atomically
from swerve.eval.benchmark.evaluate.observations import HISTORY_SECONDS, uses_images
from swerve.eval.benchmark.renderers import default_renderers, renderer_of
from swerve.eval.benchmark.view_renderers import ViewRenderer
from swerve.eval.closed_loop import (
    ROLLOUT_METRICS,
    ClosedLoopOptions,
    ClosedLoopScene,
    Rollout,
    RolloutViews,
    build_closed_loop_scene,
    drive_prepared,
)
from swerve.eval.closed_loop.rollout_image import rollout_image
from swerve.eval.scoring.score_tables import provenance, write_rows
from swerve.eval.traffic.policies import Policy
from swerve.planners.load_planner import LoadedPlanner, load_planner
from swerve.scenes import SwerveError, scenes_of
from swerve.scenes.primitives import Primitives, build_static
from swerve.scenes.viewpoints import logged, prepare
from swerve.score_command import Traffic

# Columns of the table on the terminal: short for the sub-scores, in their order.
_SHORT = ("NC", "DAC", "DDC", "TLC", "EP", "TTC", "LK", "HC", "MP", "SL")


@dataclass(frozen=True)
class _Driven:
    """A roll-out, and where it was."""

    label: str
    closed_loop_scene: ClosedLoopScene
    rollout: Rollout
    static: Primitives


@dataclass(frozen=True)
class _Sight:
    """What planners see."""

    renderer: ViewRenderer
    size: tuple[int, int] | None


def drive(
    source: Annotated[str, typer.Argument(help="av2:PATH, waymo:PATH, neutral:PATH, town:COUNT, or a path.")],
    planner: Annotated[list[str], typer.Option(help="NAME[,key=value...] or module:Class; may be given again.")],
    log: Annotated[list[str] | None, typer.Option(help="Name of a log; may be given again. Default: all.")] = None,
    every: Annotated[float, typer.Option(help="Seconds between the starts in a log.")] = 4.0,
    seconds: Annotated[float, typer.Option(help="How long each roll-out lasts, 4 or more.")] = 8.0,
    rate: Annotated[float, typer.Option(help="Plans per second: 10, 5, 2, 1, ...")] = 10.0,
    traffic: Annotated[Traffic, typer.Option(help="How the others drive.")] = Traffic.LOG_REPLAY,
    views: Annotated[
        str,
        typer.Option(
            help="What planners see: raster, photo (of towns: pictures that stand in for photographs) or splat."
        ),
    ] = "raster",
    splats: Annotated[Path | None, typer.Option(help="Made by swerve fit, for --views splat.")] = None,
    size: Annotated[str, typer.Option(help="Width and height of what they see, or `own` for the cameras'.")] = "own",
    seed: Annotated[int, typer.Option(help="With a log's name, the weather of its photographs.")] = 0,
    out: Annotated[Path, typer.Option(help="Folder for tables and pictures.")] = Path("rollouts"),
) -> None:
    """Let planners drive on from logged moments, and score their whole drives as nuPlan's closed loop does.

    Prints the mean of each planner's scores, and writes OUT/rollouts.csv and .parquet (a row per roll-out) and
    OUT/worst-PLANNER.png (its worst roll-out from above). docs/closed_loop.md says what the scores are.

    Exit code: 0, or 1 if a planner failed, or 2 if nothing could be driven.

    Example: swerve drive town:3 --planner idm --planner pdm-closed --rate 2 --traffic lane-following
    """
    options = ClosedLoopOptions(rate, seconds, cast(Policy, traffic.value))
    planners = [load_planner(spec) for spec in planner]
    _check_labels(planners)
    opened, console = open_source(source), Console()
    sight = _Sight(
        renderer_of(one_kind(views), default_renderers("rap", seed, splats)),
        None if size == "own" else image_size(size),
    )
    worst: dict[str, _Driven] = {}
    rows: list[dict[str, Any]] = []
    for one in _driven(opened, log or opened.names(), planners, sight, options, every, console):
        rows.append(_row(one))
        if one.label not in worst or one.rollout.score < worst[one.label].rollout.score:
            worst[one.label] = one
    if not rows:
        raise SwerveError(
            f"{source}: no moment has {HISTORY_SECONDS} s before and {seconds:g} s after it: use fewer --seconds"
        )
    _write(out, rows, worst, options)
    console.print(_table(rows))
    console.print(f"{len(rows)} roll-outs; tables and pictures in {out}", highlight=False, soft_wrap=True)
    if any(row["failed"] for row in rows):
        _tell_failures(console, rows)
        raise typer.Exit(1)


def _check_labels(planners: Sequence[LoadedPlanner]) -> None:
    labels = [one.label for one in planners]
    if twice := [label for label in labels if labels.count(label) > 1]:
        raise SwerveError(f"two planners are called {twice[0]!r}: give one of them label=TEXT")


def _driven(
    source: Source,
    names: Sequence[str],
    planners: Sequence[LoadedPlanner],
    sight: _Sight,
    options: ClosedLoopOptions,
    every: float,
    console: Console,
) -> Iterator[_Driven]:
    """All roll-outs, log by log."""
    for name in names:
        log = source.load(name)
        geometry, static = prepare(log), build_static(log.road_map)
        sees = any(uses_images(one.planner) for one in planners)
        views = RolloutViews(sight.renderer.prepare(log), sight.size) if sees else None
        scenes = scenes_of(log, history=HISTORY_SECONDS, future=options.seconds, every=every)
        for scene in track(scenes, description=log.name, console=console, transient=True):
            closed_loop_scene = build_closed_loop_scene(logged(scene, geometry), options, geometry=geometry)
            for one in planners:
                yield _Driven(
                    one.label, closed_loop_scene, drive_prepared(closed_loop_scene, one.planner, views), static
                )


def _row(one: _Driven) -> dict[str, Any]:
    rollout = one.rollout
    return {
        "planner": one.label,
        "log": rollout.log,
        "token": rollout.token,
        "seconds": round(float(rollout.times[-1]), 1),
        "score": rollout.score,
        **{name: None if np.isnan(rollout.metrics[name]) else rollout.metrics[name] for name in ROLLOUT_METRICS},
        "progress": rollout.progress,
        "human_progress": rollout.human_progress,
        "failed": rollout.failed,
        "error": rollout.error,
        "plans": len(rollout.plans),
        "seconds_per_plan": float(np.mean([plan.planning_seconds for plan in rollout.plans]))
        if rollout.plans
        else None,
        "reasons": "; ".join(_reason(item.seconds, item.text) for item in rollout.reasons),
    }


def _reason(seconds: float | None, text: str) -> str:
    return text if seconds is None else f"{seconds:.1f} s: {text}"


def _write(folder: Path, rows: list[dict[str, Any]], worst: dict[str, _Driven], options: ClosedLoopOptions) -> None:
    make_folder(folder)
    stamp = {
        **provenance(options.traffic, None),
        "metric": "closed loop as nuPlan, of EPDMS's sub-scores",
        "rate": options.rate,
        "seconds": options.seconds,
    }
    for ending in ("csv", "parquet"):
        write_rows(folder / f"rollouts.{ending}", rows, stamp)
    for label, one in worst.items():
        picture = rollout_image(one.closed_loop_scene, one.rollout, one.static)
        write_atomically(folder / f"worst-{safe_name(label)}.png", encode_png(picture))


def _table(rows: list[dict[str, Any]]) -> Table:
    """Per planner, the best first: means of scores (failed roll-outs count as 0), roll-outs, failures, ms per plan."""
    caption = "sub-scores in per cent; n roll-outs; ms per plan"
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), caption=caption, caption_justify="left")
    table.add_column("planner", overflow="fold")
    for heading in ("score", *_SHORT, "n", "failed", "ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    labels = dict.fromkeys(row["planner"] for row in rows)
    groups = {label: [row for row in rows if row["planner"] == label] for label in labels}
    for label, group in sorted(groups.items(), key=lambda item: -_mean(item[1], "score")):
        values = [f"{_mean(group, 'score'):.3f}", *(_percent(_mean(group, name)) for name in ROLLOUT_METRICS)]
        failed = str(sum(row["failed"] for row in group))
        table.add_row(label, *values, str(len(group)), failed, f"{1e3 * _mean(group, 'seconds_per_plan'):.1f}")
    return table


def _percent(share: float) -> str:
    return "-" if np.isnan(share) else f"{100 * share:.0f}"


def _mean(rows: list[dict[str, Any]], name: str) -> float:
    known = [row[name] for row in rows if row[name] is not None]
    return float(np.mean(known)) if known else np.nan


def _tell_failures(console: Console, rows: list[dict[str, Any]]) -> None:
    """The first failure of each planner."""
    for label in dict.fromkeys(row["planner"] for row in rows if row["failed"]):
        first = next(row for row in rows if row["failed"] and row["planner"] == label)
        last_line = first["error"].splitlines()[-1]
        console.print(
            f"{label} failed in log {first['log']}, scene {first['token']}, after {first['seconds']} s: {last_line}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
