"""Job that drives planners in closed loop: a part per scene of a log, with its rollouts and a record of their scores.

A record names the file of its rollouts; the tables are made of the records alone.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console

from swerve.data import Source
from swerve.data.jobs import (
    CORE_PACKAGES,
    RECORDS,
    Failure,
    FolderLayout,
    PartResult,
    ProgressCallback,
    RunResult,
    Workers,
    check_sources,
    existing_parts,
    job_config,
    load_log,
    open_job,
    part_stem,
    record_path,
    report_damaged,
    run_work,
)
from swerve.data.jobs.execution import Execution
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.data.storage.archive import load_archive, to_bytes
from swerve.data.storage.checked_json import anything, fields, flag, integer, list_of, mapping_of, read_json, text
from swerve.data.storage.files import os_errors_as_swerve_errors, remove_file, safe_name, to_json, write_atomically
from swerve.drive_page import reason_text
from swerve.eval.benchmark.evaluate.planner_records import PlannerSpec
from swerve.eval.closed_loop import ClosedLoopOptions, Rollout, RolloutViews, metric_names
from swerve.eval.closed_loop.rollout_file import RecordedRollout
from swerve.eval.closed_loop.rollout_observations import DrivenHistory, initial_history
from swerve.eval.scoring.inactive_scores import missing_inputs
from swerve.planners.open_planner import OpenedPlanner, PlannerLoader
from swerve.scene_rollouts import LogScenes, ViewSettings, drive_scene
from swerve.scenes import SwerveError

JOB: Final = "job"
TIMING: Final = "timing.json"
_ROLLOUTS: Final = "rollouts"
_KIND, _VERSION = "rollouts of a scene", 1
LAYOUT: Final = FolderLayout(TIMING, (), {_ROLLOUTS: ".npz", RECORDS: ".json"}, kind="drive")
_RECORD: Final = fields(
    {
        **{"version": integer(), "log": text, "chunk": integer(0), "chunks": integer(1)},
        **{"missing": list_of(flag), "rows": list_of(mapping_of(anything))},
        **{"sha256": mapping_of(text, text), "files": mapping_of(integer(0), text)},
    }
)


@dataclass(frozen=True)
class DrivenPlanner:
    """Rollout of a planner in a scene.

    Attributes:
        label: of the planner.
        rollout: its rollout.
        past: the ego's states before it.
    """

    label: str
    rollout: Rollout
    past: DrivenHistory

    @property
    def recorded(self) -> RecordedRollout:
        """Return it without plans and scores."""
        one = self.rollout
        return RecordedRollout(one.token, self.past, one.states, one.traffic, one.error)


@dataclass(frozen=True)
class DrivenScene:
    """Rollouts of all planners in a scene; none where the log has no scene."""

    planners: tuple[DrivenPlanner, ...]


@dataclass(frozen=True)
class DriveSettings:
    """Planners, views and options of the rollouts.

    Attributes:
        planners: the planners.
        view_settings: what they see.
        options: of the rollouts.
        scene_interval: time between the initial scenes of a log, seconds.
    """

    planners: tuple[PlannerSpec, ...]
    view_settings: ViewSettings
    options: ClosedLoopOptions
    scene_interval: float

    def as_json(self) -> dict[str, Any]:
        """Return what the rollouts depend on, as JSON values."""
        seen = {"renderer": self.view_settings.renderer.name, **asdict(self.view_settings.resize)}
        identities = {one.label: hashlib.sha256(f"{one.spec} {one.identity}".encode()) for one in self.planners}
        return {
            "version": _VERSION,
            **asdict(self.options),
            "scene_interval": self.scene_interval,
            "views": seen,
            "planners": {label: digest.hexdigest() for label, digest in identities.items()},
        }

    @property
    def columns(self) -> tuple[str, ...]:
        """Return the names of the columns of a row."""
        first = ("planner", "log", "token", "seconds", "score")
        last = ("progress", "human_progress", "failed", "error", "plans", "seconds_per_plan", "reasons")
        return (*first, *metric_names(self.options), *last)


@dataclass(frozen=True)
class DriveWork:
    """Work of the job, sent once to every worker.

    Attributes:
        folder: of the job.
        sources: of the logs.
        owners: number of the source of each log.
        settings: what is driven.
        load: returns the planner of a spec.
    """

    folder: Path
    sources: tuple[Source, ...]
    owners: Mapping[str, int]
    settings: DriveSettings
    load: PlannerLoader

    @cached_property
    def planners(self) -> list[OpenedPlanner]:
        """Open the planners, once in each worker."""
        return [OpenedPlanner(one.label, one.spec, one.identity, self.load(one.spec)) for one in self.settings.planners]

    def open(self, log: str, watch: Stopwatch) -> "OpenedDrive":
        """Read a log; the first call of a worker opens the planners.

        Raises:
            SwerveError: a planner cannot be opened, the log cannot be read, has changed, or cannot be rendered.
        """
        with watch.measure("loading"):
            scenes = self.scenes_of(log)
            return OpenedDrive(self, scenes, scenes.views(self.planners, self.settings.view_settings), watch)

    def scenes_of(self, log: str) -> LogScenes:
        """Read the scenes of a log.

        Raises:
            SwerveError: the log cannot be read, or has changed since parts of it were made.
        """
        read = load_log(self.folder, self.sources[self.owners[log]], log)
        return LogScenes.of(read, self.settings.options, self.settings.scene_interval)

    def finished(self) -> dict[str, tuple[set[int], int]]:
        """Return by log the numbers of the scenes with a record, and the number of scenes."""
        found = dict[str, tuple[set[int], int]]()
        for record in self.records():
            found.setdefault(record["log"], (set(), record["chunks"]))[0].add(record["chunk"])
        return found

    def records(self) -> Iterator[dict[str, Any]]:
        """Yield the records, in the order of logs and scenes.

        Raises:
            SwerveError: one is damaged.
        """
        there = existing_parts(self.folder / RECORDS, ".json")
        for log in self.owners:
            for chunk in sorted(there.get(safe_name(log), ())):
                yield self._read(record_path(self.folder, log, chunk, ".json"))

    def _read(self, path: Path) -> dict[str, Any]:
        """Read a record.

        Raises:
            SwerveError: it is damaged, of another part, or the file that it names is missing or of another size.
        """
        record: dict[str, Any] = read_json(path, _RECORD)
        if record["version"] != _VERSION or path.stem != part_stem(record["log"], record["chunk"]):
            raise SwerveError(f"{path}: not the record of this part")
        if any(set(row) != set(self.settings.columns) for row in record["rows"]):
            raise SwerveError(f"{path}: rows of other columns")
        name = f"{_ROLLOUTS}/{path.stem}.npz"
        there = self.folder / name
        if set(record["files"]) != {name} or not there.is_file() or there.stat().st_size != record["files"][name]:
            raise SwerveError(f"{path}: its rollouts are missing or of another size")
        return record

    def remove_damaged_records(self) -> list[Path]:
        """Remove the records that cannot be used, whose parts are made again; return them."""
        damaged = [path for path in sorted((self.folder / RECORDS).glob("*.json")) if not self._is_record(path)]
        for path in damaged:
            remove_file(path)
        return damaged

    def _is_record(self, path: Path) -> bool:
        try:
            self._read(path)
        except SwerveError:
            return False
        return True

    def driven(self, log: str, chunk: int) -> DrivenScene:
        """Read the rollouts of a part.

        Raises:
            SwerveError: the file is missing or damaged.
        """
        return load_archive(self.folder / _ROLLOUTS / f"{part_stem(log, chunk)}.npz", DrivenScene, _KIND, _VERSION)


@dataclass(frozen=True)
class OpenedDrive:
    """The scenes of a log, see `swerve.data.jobs.LogHandle`."""

    work: DriveWork
    scenes: LogScenes
    views: RolloutViews | None
    watch: Stopwatch

    @property
    def chunks(self) -> int:
        """Return the number of scenes, or 1 if there is none: a part without rollouts."""
        return max(len(self.scenes.scenes), 1)

    def make(self, chunk: int, report: ProgressCallback) -> PartResult:
        """Drive all planners in a scene, and write rollouts and record.

        Raises:
            SwerveError: the scene cannot be scored or driven, or images that a planner needs are not available.
        """
        with self.watch.measure("driving"):
            driven = tuple(self._driven(chunk, report)) if self.scenes.scenes else ()
        with self.watch.measure("writing"):
            self._write(chunk, driven)
        return PartResult(len(driven))

    def _driven(self, chunk: int, report: ProgressCallback) -> Iterator[DrivenPlanner]:
        scene, planners = self.scenes.closed_loop_scene(chunk), self.work.planners
        past = initial_history(scene)
        for count, one in enumerate(drive_scene(scene, planners, self.views), start=1):
            report(one.rollout.token, count, count / len(planners))
            yield DrivenPlanner(one.label, one.rollout, past)

    def _write(self, chunk: int, driven: Sequence[DrivenPlanner]) -> None:
        """Write the rollouts, then the record."""
        log, folder = self.scenes.log.name, self.work.folder
        content = to_bytes(DrivenScene(tuple(driven)), _KIND, _VERSION)
        name = f"{_ROLLOUTS}/{part_stem(log, chunk)}.npz"
        write_atomically(folder / name, content)
        record = {
            **{"version": _VERSION, "log": log, "chunk": chunk, "chunks": self.chunks},
            "missing": list(missing_inputs(self.scenes.log)),
            "rows": [row_of(one, self.work.settings.options) for one in driven],
            "sha256": {name: hashlib.sha256(content).hexdigest()},
            "files": {name: len(content)},
        }
        write_atomically(record_path(folder, log, chunk, ".json"), to_json(record))


def row_of(driven: DrivenPlanner, options: ClosedLoopOptions) -> dict[str, Any]:
    """Return the row of a rollout in the tables, as JSON values."""
    rollout = driven.rollout
    spent = [plan.planning_seconds for plan in rollout.plans]
    metrics = {name: float(rollout.metrics[name]) for name in metric_names(options)}
    return {
        "planner": driven.label,
        "log": rollout.log,
        "token": rollout.token,
        "seconds": round(float(rollout.times[-1]), 1),
        "score": float(rollout.score),
        **{name: None if np.isnan(value) else value for name, value in metrics.items()},
        "progress": float(rollout.progress),
        "human_progress": float(rollout.human_progress),
        "failed": rollout.failed,
        "error": rollout.error,
        "plans": len(rollout.plans),
        "seconds_per_plan": float(np.mean(spent)) if spent else None,
        "reasons": "; ".join(reason_text(item.seconds, item.text) for item in rollout.reasons),
    }


def run_drive(
    work: DriveWork,
    complete: Callable[[Sequence[Failure]], None],
    workers: Workers = None,
    console: Console | None = None,
) -> RunResult:
    """Drive the planners in all scenes that have no record, then write what is made of the records.

    Args:
        work: what is driven.
        complete: writes what is made of the records, given the failures of parts without one.
        workers: processes, or how the job is executed; one per usable core if None.
        console: where progress is shown; nowhere if None.

    Raises:
        SwerveError: the folder is another job's or cannot be written, a log has changed, or all scenes failed.
        ArrayPartDone: this run of an array made its part.
    """
    folder, execution = work.folder, Execution.of(workers)
    names = [(work.sources[number].kind, name) for name, number in work.owners.items()]
    config = job_config(work.settings.as_json(), names, CORE_PACKAGES)
    with open_job(folder, config, LAYOUT, execution, console), os_errors_as_swerve_errors(folder):
        report_damaged(console, work.remove_damaged_records())
        finished = work.finished()
        check_sources(folder, work.sources, work.owners, finished, execution.part is None)
        outcome = run_work(work, folder, list(work.owners), finished, "rollouts", execution, console)
        complete(outcome.failures)
        write_atomically(folder / TIMING, to_json(outcome.timing))
    return outcome
