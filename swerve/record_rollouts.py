"""Record where a planner gets to, log by log; logs that are recorded already are not driven again."""

from collections.abc import Callable, Sequence
from pathlib import Path

from rich.console import Console

from swerve.data import Source
from swerve.eval.closed_loop import ClosedLoopOptions
from swerve.eval.closed_loop.rollout_file import (
    LogRollouts,
    RolloutFile,
    read_rollouts,
    record_of,
    rollouts_name,
    write_index,
    write_rollouts,
)
from swerve.planners.open_planner import OpenedPlanner
from swerve.scene_rollouts import ViewSettings, rollouts_of
from swerve.scenes import Log, SwerveError
from swerve.scenes.printable import printable


def record_rollouts(
    logs: Sequence[tuple[Source, str]],
    planner: OpenedPlanner,
    view_settings: ViewSettings,
    options: ClosedLoopOptions,
    every: float,
    folder: Path,
    console: Console,
    report: Callable[[str], None] = lambda log: None,
    prepare: Callable[[Log], Log] = lambda log: log,
) -> None:
    """Drive a planner from scenes of logs, and record the rollouts; rollouts.json is written last.

    A file is written per log. A run that was killed goes on with the first log without one.

    Args:
        logs: source and name of each.
        planner: the planner.
        view_settings: what it sees.
        options: of the rollouts.
        every: seconds between the initial scenes of a log.
        folder: of the files.
        console: where progress is shown.
        report: called after each log with its name.
        prepare: returns the log as it is driven, of the log as it is read.

    Raises:
        SwerveError: a file is of another planner or of other options, a log cannot be driven, or the planner fails.
    """
    files = list[RolloutFile]()
    for source, name in logs:
        path = folder / rollouts_name(name, planner.label)
        files.append(
            _recorded(path, planner, options)
            if path.is_file()
            else _driven(prepare(source.load(name)), planner, view_settings, options, every, folder, console)
        )
        report(name)
    write_index(folder, files)


def _recorded(path: Path, planner: OpenedPlanner, options: ClosedLoopOptions) -> RolloutFile:
    """Return the entry of a log that is recorded already.

    Raises:
        SwerveError: it is of another planner, or of other options.
    """
    known, entry = read_rollouts(path)
    if (known.planner, known.identity, known.options) != (planner.label, planner.identity, options):
        raise SwerveError(f"{path}: was driven by another planner, or with other options. Choose another folder")
    return entry


def _driven(
    log: Log,
    planner: OpenedPlanner,
    view_settings: ViewSettings,
    options: ClosedLoopOptions,
    every: float,
    folder: Path,
    console: Console,
) -> RolloutFile:
    found = rollouts_of(log, [planner], view_settings, options, every, console)
    records = tuple(record_of(one.closed_loop_scene, one.rollout) for one in found)
    if failed := [one for one in records if one.error]:
        reason = printable(failed[0].error.splitlines()[-1])[:300]
        raise SwerveError(f"{planner.label} fails in log {log.name}, scene {failed[0].token}: {reason}")
    return write_rollouts(folder, LogRollouts(log.name, planner.label, planner.identity, options, records))
