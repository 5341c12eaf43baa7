"""Workers of a build: first each log's file and its part of the trajectory bank, then the scene groups."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from swerve.data.dataset.rigs import with_rig
from swerve.data.jobs import PartResult, ProgressCallback
from swerve.data.jobs import load_log as load_source_log
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.data.sources.source import Source
from swerve.data.storage.files import file_digest, safe_name
from swerve.eval.benchmark.benchmark_store import load_log, log_path, save_log
from swerve.eval.benchmark.build.build_records import OUTSIDE, TIME_GAP, BuildRecord, write_build_record
from swerve.eval.benchmark.build.make_scene_group import build_scene_group
from swerve.eval.benchmark.build.mapped_bank import bank_path, mapped_bank, save_bank
from swerve.eval.benchmark.build.writer import GroupWriter
from swerve.eval.benchmark.build_options import BuildOptions
from swerve.eval.benchmark.schedule import GroupSteps, scene_group_steps
from swerve.eval.benchmark.splat_renderer import check_fitted
from swerve.eval.benchmark.view_renderers import Renderers
from swerve.scenes import Log, SwerveError
from swerve.scenes.compilation import announce_compilation
from swerve.scenes.viewpoints import LogGeometry, build_log_geometry
from swerve.scenes.viewpoints.follow_up import FollowUpOptions, TrajectoryBank, build_trajectory_bank


@dataclass(frozen=True)
class LogWork:
    """Copies each log into the benchmark, and makes its part of the trajectory bank.

    Attributes:
        folder: the benchmark.
        sources: of the logs.
        owners: number of the source of each log.
        options: of the build.
        renderers: of the views that are stored, by kind.
    """

    folder: Path
    sources: tuple[Source, ...]
    owners: dict[str, int]
    options: BuildOptions
    renderers: Renderers

    def open(self, log: str, watch: Stopwatch) -> "OpenedLog":
        """Load a log.

        Raises:
            SwerveError: it cannot be read, has no scene group, or cannot be rendered.
        """
        with watch.measure("loading"):
            read = load_source_log(self.folder, self.sources[self.owners[log]], log)
            loaded = replace(read, photos=(), sweeps=())
            if self.renderers or self.options.cameras or self.options.rig == "default":
                loaded = with_rig(loaded, self.options.rig, self.options.cameras)
            for renderer in self.renderers.values():
                renderer.check(loaded)
                check_fitted(renderer, read)
            _group_steps(loaded, self.options)
        return OpenedLog(self.folder, loaded, self.options.follow_up, watch)


def _group_steps(log: Log, options: BuildOptions) -> GroupSteps:
    """Return `scene_group_steps` of a log.

    Raises:
        SwerveError: there are none, or the log has no map.
    """
    if log.road_map is None:
        raise SwerveError(f"log {log.name} has no map: follow-ups are placed and scored by its lanes and roads")
    steps = scene_group_steps(log, options.scene_interval)
    if not steps.kept:
        reason = "is too short"
        if steps.broken:
            reason = f"has gaps in time: they affect all of its {len(steps.broken)} scene groups"
        elif steps.outside:
            reason = f"has too little before or after each of the {len(steps.outside)} scenes that the split lists"
        # The parts that nuPlan's source cuts out around tags end 5 s after them, as most commands need.
        remedy = ". Of nuplan:ROOT?tags=TYPE, take nuplan:ROOT?tags=TYPE&after=8" if log.source == "nuplan" else ""
        raise SwerveError(
            f"log {log.name} {reason}. A scene group takes 10 s: 2 s of history and 8 s of future{remedy}"
        )
    return steps


@dataclass(frozen=True)
class OpenedLog:
    """A log to copy, in a single part."""

    folder: Path
    log: Log
    options: FollowUpOptions
    watch: Stopwatch
    chunks: int = 1

    def make(self, chunk: int, report: ProgressCallback) -> PartResult:
        """Write the log, then its part of the bank, which marks both as finished."""
        report("", 0, 0.0)
        name = safe_name(self.log.name)
        with self.watch.measure("writing"):
            save_log(log_path(self.folder, name), self.log)
        with self.watch.measure("bank"):
            bank = build_trajectory_bank(build_log_geometry(self.log), self.options)
        with self.watch.measure("writing"):
            save_bank(bank_path(self.folder, name), bank)
        return PartResult(1)


def bank_digest(folder: Path, logs: Iterable[str]) -> str:
    """Compute the SHA-256 over the parts of a bank; scene groups of another bank are rebuilt."""
    digests = [file_digest(bank_path(folder, safe_name(log))) for log in logs]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


@dataclass(frozen=True)
class GroupWork:
    """Builds the scene groups, one part per scene group.

    Attributes:
        folder: the benchmark.
        logs: names of the logs in the benchmark.
        digest: of the bank.
        options: of the build.
        renderers: of the views that are stored, by kind.
    """

    folder: Path
    logs: tuple[str, ...]
    digest: str
    options: BuildOptions
    renderers: Renderers

    @cached_property
    def bank(self) -> TrajectoryBank:
        """Open the trajectory bank of all logs."""
        return mapped_bank(self.folder, self.logs, self.digest)

    def open(self, log: str, watch: Stopwatch) -> "LogGroups":
        """Load a log of the benchmark.

        Raises:
            SwerveError: its file is damaged, or it cannot be rendered.
        """
        announce_compilation()
        with watch.measure("loading"):
            bank, loaded = self.bank, load_log(log_path(self.folder, safe_name(log)))
            steps = _group_steps(loaded, self.options)
        writer = GroupWriter.of(self.folder, loaded, self.renderers, self.options, watch)
        return LogGroups(self, build_log_geometry(loaded), bank, steps, writer, watch)


@dataclass(frozen=True)
class LogGroups:
    """A loaded log whose scene groups are built.

    Attributes:
        work: the job's work.
        geometry: of the log.
        bank: of all logs.
        steps: of the scene groups.
        writer: of their files.
        watch: measures the durations.
    """

    work: GroupWork
    geometry: LogGeometry
    bank: TrajectoryBank
    steps: GroupSteps
    writer: GroupWriter
    watch: Stopwatch

    @property
    def chunks(self) -> int:
        """Return the number of scene groups."""
        return len(self.steps.kept)

    def make(self, chunk: int, report: ProgressCallback) -> PartResult:
        """Build a scene group: its images, its file, then its record, which marks both as finished."""
        log, group_step = self.geometry.log, self.steps.kept[chunk]
        report(str(log.times_us[group_step]), 0, 0.0)
        made = build_scene_group(group_step, self.geometry, self.bank, self.work.options, self.watch)
        build_record = BuildRecord(
            log=log.name,
            chunk=chunk,
            chunks=self.chunks,
            time_us=int(log.times_us[group_step]),
            bank=self.work.digest,
            drop_reason=made.drop_reason,
            message=made.message,
            rejected=made.rejected,
            unfit=(),
            tracks_without_gaussians=(),
            left_out=self._left_out() if chunk == 0 else (),
            scenes=(),
            files={},
            sha256={},
        )
        if made.record is not None:
            build_record = self.writer.write(build_record, made.record)
        with self.watch.measure("writing"):
            write_build_record(self.work.folder, build_record)
        return PartResult(len(build_record.scenes))

    def _left_out(self) -> tuple[tuple[int, str], ...]:
        """Return the times of steps without a scene group, and the reasons."""
        steps, times = self.steps, self.geometry.log.times_us
        reasons = ((steps.broken, TIME_GAP), (steps.outside, OUTSIDE))
        return tuple((int(times[step]), reason) for left, reason in reasons for step in left)
