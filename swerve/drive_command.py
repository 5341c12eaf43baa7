"""Run `swerve drive`."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from swerve.cells import cell
from swerve.consoles import print_table, progress_console, results_console
from swerve.data import Source
from swerve.data.dataset.image_encoding import encode_png
from swerve.data.jobs.folder import log_names
from swerve.data.storage.files import make_folder, safe_name, write_atomically
from swerve.drive_page import SHOWN, SceneRollout, drive_page, reason_text
from swerve.eval.benchmark.evaluate.observations import HISTORY_SECONDS
from swerve.eval.benchmark.evaluate.planner_records import check_labels
from swerve.eval.benchmark.renderers import default_renderers, renderer_of
from swerve.eval.closed_loop import (
    ClosedLoopOptions,
    metric_names,
)
from swerve.eval.closed_loop.rollout_file import (
    FOLDER,
    LogRollouts,
    RecordedRollout,
    record_of,
    write_index,
    write_rollouts,
)
from swerve.eval.closed_loop.rollout_image import rollout_image
from swerve.eval.closed_loop.rollout_record import WORST, displayed_record, save_rollout
from swerve.eval.scoring.inactive_scores import describe_missing, missing_inputs
from swerve.eval.scoring.score_tables import provenance, write_rows
from swerve.job_report import open_sources
from swerve.options.drive import Drive
from swerve.output import write_output
from swerve.planners.load_planner import with_options
from swerve.planners.open_planner import OpenedPlanner, open_planner
from swerve.scene_rollouts import ViewSettings, rollouts_of
from swerve.scenes import Log, SwerveError
from swerve.scenes.printable import printable
from swerve.scenes.resize import Resize
from swerve.views.rollout_view import view_of_rollout
from swerve.viz.film import film_of, import_av

PAGE = "index.html"
# Columns of the table on the terminal: short for the sub-scores of each scorer, in their order.
_SHORT = {
    "epdms": ("NC", "DAC", "DDC", "TLC", "EP", "TTC", "LK", "HC", "MP", "SL"),
    "nuplan": ("NC", "DAC", "DDC", "MP", "EP", "TTC", "SL", "C"),
}
_METRIC = {
    "epdms": "closed loop as nuPlan, of EPDMS's sub-scores",
    "nuplan": "nuPlan's closed-loop metrics",
}


def run(args: Drive) -> int:
    """Simulate planners in closed loop, print and write the scores, and return the exit code."""
    planners = [open_planner(with_options(spec, args.planner_option), args.limits) for spec in args.planners]
    sources, console, progress = open_sources(args.sources), results_console(), progress_console()
    check_labels([one.label for one in planners])
    if args.video:
        import_av()
    view_settings = ViewSettings(
        renderer_of(args.views, default_renderers("rap", args.seed, args.splats)), Resize(args.size, args.fit)
    )
    worst: dict[str, list[SceneRollout]] = {}
    rows: list[dict[str, Any]] = []
    missing: dict[str, tuple[bool, ...]] = {}
    recorded: dict[tuple[str, str], list[RecordedRollout]] = {}
    logs = _named_logs(sources, args.logs)
    for one in rollouts_of(logs, planners, view_settings, args.options, args.scene_interval, progress):
        rollout = one.rollout
        rows.append(_row(one))
        if rollout.log not in missing:
            missing[rollout.log] = missing_inputs(one.closed_loop_scene.viewpoint.scene.log)
        if args.record:
            recorded.setdefault((rollout.log, one.label), []).append(record_of(one.closed_loop_scene, rollout))
        shown = sorted([*worst.get(one.label, ()), one], key=lambda other: other.rollout.score)
        worst[one.label] = shown[:SHOWN]
    if not rows:
        length = f"{HISTORY_SECONDS} s before and {args.options.seconds:g} s after it"
        raise SwerveError(f"{' '.join(args.sources)}: no scene has {length}: use fewer --seconds")
    inactive = describe_missing(list(missing.values()))
    print_table(console, _table(rows, args.options))
    for line in inactive:
        console.print(f"never triggered: {line}", style="yellow", markup=False, soft_wrap=True)
    films = _films(worst) if args.video else {}
    write_output(args.out, lambda folder: _write(folder, rows, worst, args.options, inactive, films))
    if args.record:
        write_output(args.out, lambda folder: _write_recorded(folder / FOLDER, recorded, planners, args.options))
    console.print(
        f"{len(rows)} rollouts; tables and images in {args.out}, page {args.out / PAGE}",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    _print_failures(console, rows)
    return 1 if any(row["failed"] for row in rows) else 0


def _named_logs(sources: Sequence[Source], names: Sequence[str]) -> Iterator[Log]:
    """Yield the logs of these names, all if none is given.

    Raises:
        SwerveError: no source has a log of a name, or two have.
    """
    owners = {name: sources[number] for name, number in log_names(sources).items()}
    if unknown := [name for name in names if name not in owners]:
        raise SwerveError(f"the source has no log {unknown[0]!r}; it has {', '.join(list(owners)[:5])}")
    return (owners[name].load(name) for name in names or owners)


def _row(one: SceneRollout) -> dict[str, Any]:
    rollout = one.rollout
    return {
        "planner": one.label,
        "log": rollout.log,
        "token": rollout.token,
        "seconds": round(float(rollout.times[-1]), 1),
        "score": rollout.score,
        **{
            name: None if np.isnan(rollout.metrics[name]) else rollout.metrics[name]
            for name in metric_names(one.closed_loop_scene.options)
        },
        "progress": rollout.progress,
        "human_progress": rollout.human_progress,
        "failed": rollout.failed,
        "error": rollout.error,
        "plans": len(rollout.plans),
        "seconds_per_plan": float(np.mean([plan.planning_seconds for plan in rollout.plans]))
        if rollout.plans
        else None,
        "reasons": "; ".join(reason_text(item.seconds, item.text) for item in rollout.reasons),
    }


def _write(
    folder: Path,
    rows: list[dict[str, Any]],
    worst: dict[str, list[SceneRollout]],
    options: ClosedLoopOptions,
    inactive: Sequence[str],
    films: Mapping[str, bytes],
) -> None:
    make_folder(folder / WORST)
    stamp = {
        **provenance(options.traffic, None),
        "metric": _METRIC[options.scorer],
        "simulation": options.simulation,
        "rate": options.rate,
        "seconds": options.seconds,
        "inactive_sub_scores": list(inactive),
    }
    for ending in ("csv", "parquet"):
        write_rows(folder / f"rollouts.{ending}", rows, stamp)
    for label, (one, *_) in worst.items():
        image = rollout_image(one.closed_loop_scene, one.rollout, one.static)
        write_atomically(folder / f"worst-{safe_name(label)}.png", encode_png(image))
        for number, shown in enumerate(worst[label]):
            record = displayed_record(label, shown.closed_loop_scene, shown.rollout)
            save_rollout(folder / WORST / f"{safe_name(label)}-{number}.npz", record)
    for name, film in films.items():
        write_atomically(folder / name, film)
    write_atomically(folder / PAGE, drive_page(rows, worst, stamp).encode())


def _write_recorded(
    folder: Path,
    recorded: Mapping[tuple[str, str], Sequence[RecordedRollout]],
    planners: Sequence[OpenedPlanner],
    options: ClosedLoopOptions,
) -> None:
    """Write the roll-outs of every log and planner, and their index."""
    identities = {one.label: one.identity for one in planners}
    files = [
        write_rollouts(folder, LogRollouts(log, label, identities[label], options, tuple(rollouts)))
        for (log, label), rollouts in recorded.items()
    ]
    write_index(folder, files)


def _films(worst: Mapping[str, Sequence[SceneRollout]]) -> dict[str, bytes]:
    """Return a film of each planner's worst rollout, by file name."""
    films = {}
    for label, (one, *_) in worst.items():
        view = view_of_rollout(displayed_record(label, one.closed_loop_scene, one.rollout), "swerve drive")
        films[f"worst-{safe_name(label)}.mp4"] = film_of(view)
    return films


def _table(rows: list[dict[str, Any]], options: ClosedLoopOptions) -> Table:
    """Return a table of planners, best first: mean scores (failed rollouts are 0), rollouts, failures, ms per plan."""
    caption = "scores from 0 to 1; n rollouts; ms per plan"
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0), caption=caption, caption_justify="left")
    table.add_column("planner", no_wrap=True)
    for heading in ("score", *_SHORT[options.scorer], "n", "failed", "ms"):
        table.add_column(heading, justify="right", no_wrap=True)
    labels = dict.fromkeys(row["planner"] for row in rows)
    groups = {label: [row for row in rows if row["planner"] == label] for label in labels}
    for label, group in sorted(groups.items(), key=lambda item: -_mean(item[1], "score")):
        values = [f"{_mean(group, 'score'):.3f}", *(_two_digits(_mean(group, name)) for name in metric_names(options))]
        failed = str(sum(row["failed"] for row in group))
        table.add_row(cell(label), *values, str(len(group)), failed, f"{1e3 * _mean(group, 'seconds_per_plan'):.1f}")
    return table


def _two_digits(share: float) -> str:
    return "-" if np.isnan(share) else f"{share:.2f}"


def _mean(rows: list[dict[str, Any]], name: str) -> float:
    values = [row[name] for row in rows if row[name] is not None]
    return float(np.mean(values)) if values else np.nan


def _print_failures(console: Console, rows: list[dict[str, Any]]) -> None:
    """Print the first failure of each planner."""
    for label in dict.fromkeys(row["planner"] for row in rows if row["failed"]):
        first = next(row for row in rows if row["failed"] and row["planner"] == label)
        last_line = (first["error"].splitlines() or ["no message"])[-1]
        where = f"{label} failed in log {first['log']}, scene {first['token']}, after {first['seconds']} s"
        console.print(
            printable(f"{where}: {last_line}"),
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
