"""One part of a log becomes one shard and the record that says so."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

from swerve.data.augment.job import record_path, unit_stem
from swerve.data.augment.manifest import Failure, Record, write_record
from swerve.data.files import commit, part_of
from swerve.data.options import AugmentOptions
from swerve.data.rigs import default_rig
from swerve.data.samples.capture import chosen_cameras
from swerve.data.samples.sample import Drawer, make_sample, split_of
from swerve.data.samples.shards import Sample, ShardWriter
from swerve.data.source import Source
from swerve.data.stopwatch import Stopwatch
from swerve.scenes import Log, Scene, SwerveError, scenes_of
from swerve.scenes.primitives import build_static
from swerve.scenes.viewpoints import LogGeometry, Rejection, Viewpoint, ViewpointKind, prepare, viewpoints

# Called with the token of the scene that begins, the samples made so far and the share of the part that is done.
Report = Callable[[str, int, float], None]


@dataclass(frozen=True)
class Job:
    """What every worker is told once.

    Attributes:
        folder: the set.
        sources: where logs come from.
        owners: number of the source of each log.
        options: what to make.
    """

    folder: Path
    sources: tuple[Source, ...]
    owners: dict[str, int]
    options: AugmentOptions


@dataclass(frozen=True)
class OpenLog:
    """A loaded log and what is made of it once.

    Attributes:
        log: the log.
        scenes: all of them.
        geometry: what the viewpoints need of the log.
        drawer: of its map.
        options: what to make.
        watch: measures the stages.
    """

    log: Log
    scenes: list[Scene]
    geometry: LogGeometry
    drawer: Drawer
    options: AugmentOptions
    watch: Stopwatch

    @property
    def chunks(self) -> int:
        """Parts that the log is made in."""
        return -(-len(self.scenes) // self.options.shard_scenes)


def open_log(job: Job, name: str, watch: Stopwatch) -> OpenLog:
    """Loads a log.

    Raises:
        SwerveError: the log cannot be read, lacks a camera, or is too short for a single scene.
    """
    options = job.options
    with watch.measure("loading"):
        log = job.sources[job.owners[name]].load(name)
        if options.rig == "default":
            log = replace(log, cameras=default_rig(), photos=())
        chosen_cameras(log, log.cameras, options.cameras)
        scenes = scenes_of(log, options.history, options.future, options.every)
        if not scenes:
            seconds = (log.times_us[-1] - log.times_us[0]) * 1e-6
            raise SwerveError(
                f"log {name} lasts {seconds:.1f} s: too short for a scene of {options.history + options.future:g} s. "
                "Use a shorter --history and --future, or `swerve show` for a single frame"
            )
    with watch.measure("viewpoints"):
        geometry = prepare(log)
    with watch.measure("drawing"):
        static = build_static(log.road_map)
    return OpenLog(log, scenes, geometry, Drawer(static, options, watch), options, watch)


def make_part(folder: Path, opened: OpenLog, chunk: int, report: Report) -> Record:
    """Makes one part of a log: its shard, then its record, which says that it is finished.

    Args:
        folder: the set.
        opened: the log.
        chunk: which part.
        report: is called before each scene.

    Returns:
        the record as it was written.

    Raises:
        OSError: the folder cannot be written.
    """
    size_of_part = opened.options.shard_scenes
    scenes = opened.scenes[chunk * size_of_part : (chunk + 1) * size_of_part]
    split = split_of(scenes[0], opened.options)
    shard = f"{split}/{unit_stem(opened.log.name, chunk)}.tar"
    made = _Made([], [], [])
    with ShardWriter(folder / shard, split) as writer:
        for number, scene in enumerate(scenes):
            report(scene.token, len(made.rows), number / len(scenes))
            _write_scene(opened, scene, writer, made)
        with opened.watch.measure("writing"):
            size, sha256 = writer.finish()
    record = Record(
        log=opened.log.name,
        chunk=chunk,
        chunks=opened.chunks,
        split=split,
        shard=shard,
        size=size,
        sha256=sha256,
        rows=tuple({**row, "shard": shard} for row in made.rows),
        rejections=tuple(made.rejections),
        failures=tuple(made.failures),
    )
    with opened.watch.measure("writing"):
        return _committed(folder, record)


class _Made(NamedTuple):
    """What became of the scenes so far, as in `Record`."""

    rows: list[dict[str, Any]]
    rejections: list[tuple[str, str, int, str]]
    failures: list[Failure]


def _write_scene(opened: OpenLog, scene: Scene, writer: ShardWriter, made: _Made) -> None:
    """Appends the scene's samples to the shard, and what became of it to `made`."""
    for outcome in _samples(opened, scene):
        if isinstance(outcome, Failure):
            made.failures.append(outcome)
        elif isinstance(outcome, Rejection):
            made.rejections.append((scene.token, outcome.kind.value, outcome.index, outcome.reason))
        else:
            with opened.watch.measure("writing"):
                writer.add(outcome)
            made.rows.append(outcome.row)


def _committed(folder: Path, record: Record) -> Record:
    """Names the shard, or removes it if it is empty; then writes the record."""
    shard = folder / record.shard
    if record.rows:
        commit(shard)
    else:
        part_of(shard).unlink()
        shard.unlink(missing_ok=True)
        record = replace(record, shard="", size=0, sha256="")
    write_record(record_path(folder, record.log, record.chunk), record)
    return record


def _samples(opened: OpenLog, scene: Scene) -> Iterator[Sample | Rejection | Failure]:
    """Samples of a scene, viewpoints that were rejected, and samples that could not be made."""
    options = opened.options
    kinds = [ViewpointKind(view) for view in options.views]
    try:
        with opened.watch.measure("viewpoints"):
            made, rejected = viewpoints(scene, kinds, options.viewpoints, options.seed, opened.geometry)
    except SwerveError as error:
        yield Failure(scene.log.name, scene.token, "", str(error))
        return
    yield from rejected
    for viewpoint in made:
        yield _sample(opened, viewpoint)


def _sample(opened: OpenLog, viewpoint: Viewpoint) -> Sample | Failure:
    """One sample, or why there is none."""
    try:
        return make_sample(viewpoint, opened.drawer, opened.options, opened.watch)
    except SwerveError as error:
        name = f"{viewpoint.kind.value} {viewpoint.index}"
        return Failure(viewpoint.scene.log.name, viewpoint.scene.token, name, str(error))
