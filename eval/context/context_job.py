"""The job that computes the scoring context of every sample of a training set."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.console import Console

from swerve.data.dataset.augment_options import LOGGED_KINDS, AugmentOptions
from swerve.data.dataset.augment_worker import scene_viewpoints
from swerve.data.dataset.manifest import ShardRecord, read_record
from swerve.data.dataset.sample import sample_key
from swerve.data.dataset.sample_shape import HINT
from swerve.data.dataset.set_config import read_maker_identity, read_options
from swerve.data.dataset.set_layout import SetRecords
from swerve.data.dataset.shards import Sample, ShardWriter
from swerve.data.dataset.viewpoint_maker import LogViewpoints, ViewpointMaker
from swerve.data.jobs import (
    CORE_PACKAGES,
    RECORDS,
    Execution,
    Failure,
    FolderLayout,
    PartResult,
    ProgressCallback,
    Workers,
    check_same_source,
    check_sources,
    job_config,
    load_log,
    log_names,
    open_job,
    record_path,
    report_damaged,
    run_work,
    write_failures,
)
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.data.sources.source import Source
from swerve.data.storage.checked_json import array, fields, parse_json
from swerve.data.storage.files import commit, file_digest, os_errors_as_swerve_errors, to_json, write_atomically
from swerve.data.stream.shard_reader import ShardReader
from swerve.eval.context.context_records import (
    ContextRecord,
    count_contexts,
    finished_contexts,
    remove_damaged,
    write_context_record,
)
from swerve.eval.context.context_store import CONTEXT, CONTEXTS, MANIFEST, REASON
from swerve.eval.context.log_map import MAPS, STORE_VERSION, LogMap, build_log_map, log_map_path, save_log_map
from swerve.eval.context.sample_context_file import sample_context_to_bytes
from swerve.eval.context.sample_contexts import context_of
from swerve.scenes import Log, Scene, SwerveError, split_windows
from swerve.scenes.compilation import announce_compilation
from swerve.scenes.viewpoints import LogGeometry, Viewpoint, build_log_geometry

NOUN: Final = "contexts"
_LAYOUT: Final = FolderLayout(
    CONTEXTS,
    ("failures.json", "timing.json"),
    {RECORDS: ".json", MAPS: ".npz", **dict.fromkeys(("train", "val", "test"), ".tar")},
    disposable_folders=(RECORDS,),
    kind="contexts",
)
# Tolerance on recomputed poses of viewpoints, which may differ by rounding.
_POSE: Final = fields({"world_from_ego": array(4, 4)})
_SLACK: Final = 1e-6
_CHANGED: Final = "the source or Swerve has changed since. Make the set again"


@dataclass(frozen=True)
class ContextReport:
    """Result of a job.

    Attributes:
        summary: counts over the whole store, as in contexts.json.
        timing: of this run alone.
        failures: logs and parts that could not be made.
    """

    summary: dict[str, Any]
    timing: dict[str, Any]
    failures: tuple[Failure, ...]


def write_contexts(
    sources: Sequence[Source],
    dataset: str | Path,
    folder: str | Path,
    workers: Workers = None,
    console: Console | None = None,
    maker: ViewpointMaker | None = None,
) -> ContextReport:
    """Compute the context of every sample of a set, from the logs that the set was made of.

    The viewpoints are recomputed and compared with the poses of the samples. For samples that cannot be scored the
    reason is stored. The folder mirrors the set: shards of the same names with the samples in the same order. The
    map of each log is stored once, in `maps/`. An interrupted job resumes when it is called again.

    Args:
        sources: with all logs of the set.
        dataset: a finished set.
        folder: of the contexts; a new or empty one, or one of the same job.
        workers: processes, or how the job is executed; one per usable core if None.
        console: where progress is shown; nowhere if None.
        maker: that of the set, see `augment`.

    Raises:
        SwerveError: the set is not finished, a log of it is in no source, or the folder is not this job's or cannot be
            written.
        ArrayPartDone: this run of an array made its part.
    """
    dataset, folder, execution = Path(dataset), Path(folder), Execution.of(workers)
    manifest, options = dataset / MANIFEST, read_options(dataset)
    if not manifest.is_file():
        raise SwerveError(f"{dataset}: no {MANIFEST}: not a finished set. Run `swerve augment` to its end")
    digest, records, owners = file_digest(manifest), SetRecords(dataset), log_names(sources)
    logs = dict.fromkeys(record.log for record in records)
    if lost := [log for log in logs if log not in owners]:
        raise SwerveError(f"{dataset}: its log {lost[0]} is in none of the sources. Give those that it was made of")
    _check_maker(dataset, options, maker)
    named = [(sources[owners[log]].kind, log) for log in logs]
    config = job_config({"manifest": digest, "version": STORE_VERSION}, named, CORE_PACKAGES)
    with open_job(folder, config, _LAYOUT, execution, console):
        with os_errors_as_swerve_errors(folder):
            report_damaged(console, remove_damaged(folder, records))
            finished = finished_contexts(folder, records)
            check_sources(folder, sources, {log: owners[log] for log in logs}, finished, execution.part is None)
        work = ContextWork(folder, dataset, tuple(sources), owners, options, maker)
        outcome = run_work(work, folder, list(logs), finished, NOUN, execution, console)
        with os_errors_as_swerve_errors(folder):
            counts = count_contexts(folder, records, len(outcome.failures))
            summary = {"version": STORE_VERSION, "manifest": digest, **counts}
            write_failures(folder, outcome.failures)
            write_atomically(folder / "timing.json", to_json(outcome.timing))
            if not outcome.failures:
                write_atomically(folder / CONTEXTS, to_json(summary))
    return ContextReport(summary, outcome.timing, outcome.failures)


def _check_maker(dataset: Path, options: AugmentOptions, maker: ViewpointMaker | None) -> None:
    """Check that the maker is that of the set.

    Raises:
        SwerveError: it is another one, or is missing.
    """
    needed = any(kind not in LOGGED_KINDS for kind in options.viewpoints)
    if needed and (maker is None or read_maker_identity(dataset) != maker.identity):
        raise SwerveError(
            f"{dataset}: its follow-up or visited viewpoints were made with other options or rollouts. Give --visited "
            "as for swerve augment"
        )


@dataclass(frozen=True)
class ContextWork:
    """Work of the job, sent once to every worker.

    Attributes:
        folder: of the contexts.
        dataset: the set.
        sources: of the logs.
        owners: number of the source of each log.
        options: of the set.
        maker: of the set, if any.
    """

    folder: Path
    dataset: Path
    sources: tuple[Source, ...]
    owners: dict[str, int]
    options: AugmentOptions
    maker: ViewpointMaker | None = None

    def open(self, log: str, watch: Stopwatch) -> "OpenedSamples":
        """Load a log.

        Raises:
            SwerveError: it cannot be read, or is not what the set was made of.
        """
        announce_compilation()
        with watch.measure("loading"):
            loaded = load_log(self.folder, self.sources[self.owners[log]], log)
            check_same_source(self.folder, self.dataset, log)
            options = self.options
            scenes, _ = split_windows(loaded, options.history, options.future, options.scene_interval)
        chunks = read_record(record_path(self.dataset, log, 0, ".json")).num_parts
        geometry = build_log_geometry(loaded)
        made = self.maker.open(geometry, scenes) if self.maker else None
        log_map = build_log_map(loaded.road_map) if loaded.road_map else None
        return OpenedSamples(self, loaded, scenes, geometry, made, log_map, chunks, ShardReader(self.dataset), watch)


@dataclass(frozen=True)
class OpenedSamples:
    """A loaded log of a set.

    Attributes:
        work: the job's work.
        log: the log.
        scenes: all scenes of the log, including those of the set.
        geometry: of the log.
        made: maker of viewpoints beyond the log's own, if any.
        log_map: map that the contexts share, if the log has one.
        chunks: number of parts of the set.
        reader: of the set.
        watch: measures the durations.
    """

    work: ContextWork
    log: Log
    scenes: list[Scene]
    geometry: LogGeometry
    made: LogViewpoints | None
    log_map: LogMap | None
    chunks: int
    reader: ShardReader
    watch: Stopwatch

    def make(self, chunk: int, report: ProgressCallback) -> PartResult:
        """Compute the contexts of one part: a shard, then its record, which marks them as finished.

        Raises:
            SwerveError: the log has changed since the set was made.
            OSError: the folder cannot be written.
        """
        record = read_record(record_path(self.work.dataset, self.log.name, chunk, ".json"))
        if not record.shard:
            return PartResult(0)
        self._write_map()
        path, scored = self.work.folder / record.shard, list[bool]()
        with ShardWriter(path, record.split) as writer:
            for number, (row, viewpoint) in enumerate(self._viewpoints(record)):
                report(row["token"], number, number / len(record.rows))
                self._check(record, number, viewpoint)
                with self.watch.measure("contexts"):
                    members = _members(viewpoint, self.log_map)
                with self.watch.measure("writing"):
                    writer.add(Sample(row["key"], record.split, members, row))
                scored.append(CONTEXT in members)
            size, sha256 = writer.finish()
        commit(path)
        write_context_record(self.work.folder, record, ContextRecord(record.shard, size, sha256, tuple(scored)))
        return PartResult(len(record.rows))

    def _write_map(self) -> None:
        """Write the map unless another part has: the bytes are the same."""
        folder, log = self.work.folder, self.log.name
        if self.log_map is not None and not log_map_path(folder, log).is_file():
            save_log_map(folder, log, self.log_map)

    def _viewpoints(self, record: ShardRecord) -> Iterator[tuple[dict[str, Any], Viewpoint]]:
        """Recompute the viewpoints of a part's samples."""
        options, size = self.work.options, self.work.options.shard_scenes
        rows = iter(record.rows)
        row = next(rows, None)
        for scene in self.scenes[record.part * size : (record.part + 1) * size]:
            with self.watch.measure("viewpoints"):
                made, _ = scene_viewpoints(scene, options, self.geometry, self.made)
            for viewpoint in made:
                # Samples are in the order of the viewpoints, of which those that failed are missing.
                if row is not None and row["key"] == sample_key(viewpoint):
                    yield row, viewpoint
                    row = next(rows, None)
        if row is not None:
            raise SwerveError(f"sample {row['key']} is not produced from the log any more: {_CHANGED}")

    def _check(self, record: ShardRecord, number: int, viewpoint: Viewpoint) -> None:
        """Check that the viewpoint has the pose of the sample."""
        stored = self.reader.sample(record.shard, number, record.rows[number]["key"])
        details = parse_json(stored.read("json"), f"{stored.path}: {stored.key}.json", _POSE, HINT)
        pose = np.array(details["world_from_ego"])
        if np.abs(pose - viewpoint.world_from_ego).max() > _SLACK:
            raise SwerveError(f"sample {stored.key} has another pose in the log now: {_CHANGED}")


def _members(viewpoint: Viewpoint, log_map: LogMap | None) -> dict[str, bytes]:
    """Return the context, or the reason why there is none.

    Raises:
        SwerveError: the viewpoint has another map than the log.
    """
    try:
        context = context_of(viewpoint)
    except SwerveError as error:
        return {REASON: str(error).encode()}
    if log_map is None:
        raise SwerveError(f"log {context.log} has no map, but a viewpoint with one")
    return {CONTEXT: sample_context_to_bytes(context, log_map)}
