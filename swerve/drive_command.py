"""Run `swerve drive`."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from swerve.cells import cell
from swerve.consoles import print_table, progress_console, results_console
from swerve.data import Source
from swerve.data.dataset.image_encoding import encode_png
from swerve.data.jobs import Failure, log_names, write_failures
from swerve.data.jobs.failures import FAILURES
from swerve.data.sources.source import require_holding
from swerve.data.storage.files import make_folder, remove_leftovers, safe_name, write_atomically
from swerve.data.storage.mirror import shown
from swerve.drive_job import JOB, DriveSettings, DriveWork, run_drive
from swerve.drive_page import SHOWN, SceneRollout, drive_page
from swerve.eval.benchmark.evaluate.observations import HISTORY_SECONDS
from swerve.eval.benchmark.evaluate.planner_records import PlannerSpec, check_folder, check_labels
from swerve.eval.benchmark.renderers import default_renderers, renderer_of
from swerve.eval.closed_loop import ClosedLoopOptions, metric_names
from swerve.eval.closed_loop.rollout_file import FOLDER, LogRollouts, RolloutFile, write_index, write_rollouts
from swerve.eval.closed_loop.rollout_record import WORST, displayed_record, save_rollout
from swerve.eval.report.privileged_inputs import privileged_input_of
from swerve.eval.scoring.inactive_scores import describe_missing
from swerve.eval.scoring.score_tables import provenance, write_rows
from swerve.job_report import execution_of, open_sources, show_failures, show_planner_failures, stoppable
from swerve.options.drive import Drive
from swerve.planners.load_planner import with_options
from swerve.planners.open_planner import OpenedPlanner, PlannerLoader, open_planner
from swerve.scene_rollouts import ViewSettings
from swerve.scenes import SwerveError
from swerve.scenes.printable import sentence
from swerve.scenes.resize import Resize
from swerve.views.rollout_view import view_of_rollout
from swerve.viz.film import film_of, import_av

PAGE = "index.html"
# Side of worst-PLANNER.png.
_PIXELS = 900
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
    check_labels([one.label for one in planners])
    sources, console = open_sources(args.sources), results_console()
    if args.video:
        import_av()
    work = _work(args, sources, planners)
    check_folder(args.out)
    results = list[_Results]()

    def complete(failures: Sequence[Failure]) -> None:
        results.append(_complete(args, work, failures))

    with stoppable():
        outcome = run_drive(work, complete, execution_of(args), progress_console())
    show_failures(console, outcome.failures)
    (found,) = results
    print_table(console, _table(found.rows, args.options))
    for line in found.inactive:
        console.print(f"never triggered: {line}", style="yellow", markup=False, soft_wrap=True)
    where = f"tables and images in {shown(args.out)}, page {shown(args.out)}/{PAGE}"
    console.print(f"{len(found.rows)} rollouts; {where}", highlight=False, markup=False, soft_wrap=True)
    show_planner_failures(console, list(_failed(found.rows)), args.out)
    return 1 if outcome.failures or any(row["failed"] for row in found.rows) else 0


def _work(args: Drive, sources: Sequence[Source], planners: Sequence[OpenedPlanner]) -> DriveWork:
    """Return the work of the job.

    Raises:
        SwerveError: no source has a log of a name, two have, or the logs of one have no map.
    """
    owners = log_names(sources)
    if unknown := [name for name in args.logs if name not in owners]:
        raise SwerveError(f"the source has no log {unknown[0]!r}; it has {', '.join(list(owners)[:5])}")
    chosen = {name: owners[name] for name in args.logs or owners}
    require_holding(sources, chosen, "map", "rollouts are driven and scored on its lanes and roads")
    view_settings = ViewSettings(
        renderer_of(args.views, default_renderers("rap", args.seed, args.splats)), Resize(args.size, args.fit)
    )
    specs = tuple(
        PlannerSpec(one.label, one.spec, one.identity, privileged_input=privileged_input_of(one.planner))
        for one in planners
    )
    settings = DriveSettings(specs, view_settings, args.options, args.scene_interval)
    return DriveWork(args.out / JOB, tuple(sources), chosen, settings, PlannerLoader(args.limits, planners))


@dataclass(frozen=True)
class _Results:
    """Rows of all rollouts, and a line for each input of sub-scores that logs lack."""

    rows: list[dict[str, Any]]
    inactive: list[str]


def _complete(args: Drive, work: DriveWork, failures: Sequence[Failure]) -> _Results:
    """Write the failures, of scenes and logs that could not be driven and of planners, and what is made of the records.

    Raises:
        SwerveError: there is no rollout, or the folder cannot be written.
    """
    remove_leftovers(args.out)
    rows, missing = list[dict[str, Any]](), dict[str, tuple[bool, ...]]()
    parts = list[tuple[str, int]]()
    for record in work.records():
        rows += [{name: row[name] for name in work.settings.columns} for row in record["rows"]]
        parts += [(record["log"], record["chunk"])] * len(record["rows"])
        if record["rows"]:
            missing[record["log"]] = tuple(record["missing"])
    write_failures(args.out, [*failures, *_failed(rows)])
    if not rows and failures:
        raise SwerveError(
            f"no scene could be driven, the first: {failures[0].where}: {sentence(failures[0].reason)} See "
            f"{shown(args.out / FAILURES)}. Fix it and run the same command again to resume"
        )
    if not rows:
        length = f"{HISTORY_SECONDS} s before and {args.options.seconds:g} s after it"
        raise SwerveError(f"{' '.join(args.sources)}: no scene has {length}: use fewer --seconds")
    results = _Results(rows, describe_missing(list(missing.values())))
    worst = _worst(work, rows, parts)
    _write(args.out, rows, worst, work.settings, results.inactive, _films(worst) if args.video else {})
    if args.record:
        _write_recorded(args.out / FOLDER, work)
    return results


def _failed(rows: Sequence[Mapping[str, Any]]) -> Iterator[Failure]:
    """Yield the failures of planners."""
    for row in rows:
        if row["failed"]:
            yield Failure(row["log"], row["token"], row["planner"], _last_line(row["error"]), row["error"])


def _last_line(text: str) -> str:
    return (text.splitlines() or ["no message"])[-1]


def _worst(
    work: DriveWork, rows: Sequence[Mapping[str, Any]], parts: Sequence[tuple[str, int]]
) -> dict[str, list[SceneRollout]]:
    """Return the worst rollouts of each planner, in the scenes of their logs, which are read again one by one."""
    numbers = dict[str, list[int]]()
    for number in sorted(range(len(rows)), key=lambda one: rows[one]["score"]):
        numbers.setdefault(rows[number]["planner"], []).append(number)
    chosen = {label: own[:SHOWN] for label, own in numbers.items()}
    found = dict[int, SceneRollout]()
    needed = {parts[number] for own in chosen.values() for number in own}
    for log in sorted({log for log, _ in needed}):
        scenes = work.scenes_of(log)
        for chunk in sorted(chunk for name, chunk in needed if name == log):
            scene, driven = scenes.closed_loop_scene(chunk), work.driven(log, chunk)
            by_label = {one.label: SceneRollout(one.label, scene, one.rollout) for one in driven.planners}
            for number in (one for own in chosen.values() for one in own if parts[one] == (log, chunk)):
                found[number] = by_label[rows[number]["planner"]]
    order = dict.fromkeys(row["planner"] for row in rows)
    return {label: [found[number] for number in chosen[label]] for label in order}


def _write(
    folder: Path,
    rows: list[dict[str, Any]],
    worst: dict[str, list[SceneRollout]],
    settings: DriveSettings,
    inactive: Sequence[str],
    films: Mapping[str, bytes],
) -> None:
    make_folder(folder / WORST)
    options = settings.options
    stamp = {
        **provenance(options.traffic, None),
        "metric": _METRIC[options.scorer],
        "simulation": options.simulation,
        "rate": options.rate,
        "seconds": options.seconds,
        "inactive_sub_scores": list(inactive),
        "privileged_input": {one.label: one.privileged_input for one in settings.planners if one.privileged_input},
    }
    for ending in ("csv", "parquet"):
        write_rows(folder / f"rollouts.{ending}", rows, stamp)
    for label, (one, *_) in worst.items():
        write_atomically(folder / f"worst-{safe_name(label)}.png", encode_png(one.image(_PIXELS)))
        for number, other in enumerate(worst[label]):
            record = displayed_record(label, other.closed_loop_scene, other.rollout)
            save_rollout(folder / WORST / f"{safe_name(label)}-{number}.npz", record)
    for name, film in films.items():
        write_atomically(folder / name, film)
    write_atomically(folder / PAGE, drive_page(rows, worst, stamp).encode())


def _write_recorded(folder: Path, work: DriveWork) -> None:
    """Write the rollouts of every log and planner, and their index."""
    files, identities = list[RolloutFile](), {one.label: one.identity for one in work.settings.planners}
    chunks = dict[str, list[int]]()
    for record in work.records():
        if record["rows"]:
            chunks.setdefault(record["log"], []).append(record["chunk"])
    for log, own in chunks.items():
        driven = [one for chunk in own for one in work.driven(log, chunk).planners]
        for label, identity in identities.items():
            rollouts = tuple(one.recorded for one in driven if one.label == label)
            files.append(write_rollouts(folder, LogRollouts(log, label, identity, work.settings.options, rollouts)))
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
        table.add_row(cell(label), *values, str(len(group)), failed, _milliseconds(_mean(group, "seconds_per_plan")))
    return table


def _milliseconds(seconds: float) -> str:
    return "-" if np.isnan(seconds) else f"{1e3 * seconds:.1f}"


def _two_digits(share: float) -> str:
    return "-" if np.isnan(share) else f"{share:.2f}"


def _mean(rows: list[dict[str, Any]], name: str) -> float:
    values = [row[name] for row in rows if row[name] is not None]
    return float(np.mean(values)) if values else np.nan
