"""Worker of the augmentation job: one part of a log becomes one shard and its record."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from swerve.data.dataset.augment_options import LOGGED_KINDS, AugmentOptions
from swerve.data.dataset.manifest import ShardRecord, write_record
from swerve.data.dataset.rigs import with_rig
from swerve.data.dataset.sample import SampleRenderer, draw_sample, split_of
from swerve.data.dataset.sample_encoder import SampleEncoder
from swerve.data.dataset.set_layout import check_split, save_static
from swerve.data.dataset.shards import Sample, ShardWriter
from swerve.data.dataset.synthetic_photos import SyntheticPhotos
from swerve.data.dataset.targets import expert_target
from swerve.data.dataset.viewpoint_maker import ExpertTarget, LogViewpoints, ViewpointMaker
from swerve.data.jobs import Failure, PartResult, ProgressCallback, load_log, part_stem, record_path
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.data.sources.source import Source
from swerve.data.storage.files import commit, remove_file, temporary_path
from swerve.scenes import Log, Scene, SwerveError, split_windows
from swerve.scenes.log import listed_outside
from swerve.scenes.primitives import build_static
from swerve.scenes.viewpoints import LogGeometry, Viewpoint, ViewpointKind, build_log_geometry, build_viewpoints

# Callable that blocks until a sample or its failure is available.
_Pending = Callable[[], Sample | Failure]


@dataclass(frozen=True)
class AugmentWork:
    """Job description that every worker receives once.

    Attributes:
        folder: output folder.
        sources: sources of the logs.
        owners: index of the source of each log.
        options: options of the set.
        threads: threads per worker; see `SampleEncoder`.
        maker: see `augment`.
    """

    folder: Path
    sources: tuple[Source, ...]
    owners: dict[str, int]
    options: AugmentOptions
    threads: int
    maker: ViewpointMaker | None = None

    def open(self, log: str, watch: Stopwatch) -> "AugmentLog":
        """Load a log.

        Raises:
            SwerveError: the log cannot be read, lacks a camera, is too short for a single scene, or has changed its
                split since earlier parts of it were made.
        """
        return _open_log(self, log, watch)


@dataclass(frozen=True)
class AugmentLog:
    """Loaded log with the objects shared by its parts.

    Attributes:
        folder: output folder.
        log: loaded log.
        scenes: all scenes of the log.
        gap_windows: windows rejected because of a time gap.
        geometry: geometry for the viewpoints.
        renderer: renderer with the log's map.
        options: options of the set.
        threads: see `SampleEncoder`.
        stopwatch: timer of the stages.
        made: maker of viewpoints beyond the log's own, if any.
    """

    folder: Path
    log: Log
    scenes: list[Scene]
    gap_windows: list[Scene]
    geometry: LogGeometry
    renderer: SampleRenderer
    options: AugmentOptions
    threads: int
    stopwatch: Stopwatch
    made: LogViewpoints | None

    @property
    def chunks(self) -> int:
        """Number of parts of the log."""
        return -(-len(self.scenes) // self.options.shard_scenes)

    def make(self, chunk: int, report: ProgressCallback) -> PartResult:
        """Build one part: its shard, then its record, which marks it as finished.

        Args:
            chunk: index of the part.
            report: called before each scene.

        Raises:
            OSError: the folder cannot be written.
        """
        record = _make_part(self, chunk, report)
        return PartResult(len(record.rows), record.failures)


def _open_log(work: AugmentWork, name: str, watch: Stopwatch) -> AugmentLog:
    """Load a log (see `AugmentWork.open`)."""
    options = work.options
    with watch.measure("loading"):
        log = load_log(work.folder, work.sources[work.owners[name]], name)
        check_split(work.folder, name, split_of(log, options))
        log = with_rig(log, options.rig, options.cameras)
        scenes, broken = split_windows(log, options.history, options.future, options.scene_interval)
        if not scenes:
            raise SwerveError(_no_scene(log, options, len(broken)))
    with watch.measure("viewpoints"):
        geometry = build_log_geometry(log)
        made = work.maker.open(geometry, scenes) if work.maker else None
    with watch.measure("drawing"):
        synthetic_photos = SyntheticPhotos(log, options) if options.photos else None
        kept = 2 if work.threads > 1 else 1
        drawer = SampleRenderer(build_static(log.road_map), options, watch, synthetic_photos, kept)
    return AugmentLog(work.folder, log, scenes, broken, geometry, drawer, options, work.threads, watch, made)


def _left_out(opened: AugmentLog) -> Iterator[tuple[str, str, int, str]]:
    """Yield the scenes of a log that no sample is made of, with the reason."""
    for scene in opened.gap_windows:
        yield scene.token, "scene", 0, "time_gap"
    for step in listed_outside(opened.log, (*opened.scenes, *opened.gap_windows)):
        yield str(opened.log.times_us[step]), "scene", 0, "outside_log"


def _no_scene(log: Log, options: AugmentOptions, broken: int) -> str:
    """Return the reason why a log has no scene."""
    seconds, wanted = (log.times_us[-1] - log.times_us[0]) * 1e-6, options.history + options.future
    reason = f"lasts {seconds:.1f} s: too short for a scene of {wanted:g} s"
    if broken:
        reason = f"has gaps in time: none of its {broken} scenes of {wanted:g} s is free of them"
    return f"log {log.name} {reason}. Use a shorter --history and --future, or `swerve show` for a single frame"


def _make_part(opened: AugmentLog, chunk: int, report: ProgressCallback) -> ShardRecord:
    """Build a part (see `AugmentLog.make`); return the record as written."""
    size_of_part = opened.options.shard_scenes
    scenes = opened.scenes[chunk * size_of_part : (chunk + 1) * size_of_part]
    split = split_of(opened.log, opened.options)
    shard = f"{split}/{part_stem(opened.log.name, chunk)}.tar"
    # Recorded once per log.
    gaps = list(_left_out(opened)) if chunk == 0 else []
    made = _Outcomes([], gaps, [])
    if chunk == 0 and opened.options.rasters == "primitives":
        with opened.stopwatch.measure("writing"):
            save_static(opened.folder, opened.log.name, opened.renderer.static)
    with ShardWriter(opened.folder / shard, split) as writer:
        _write_scenes(opened, scenes, report, writer, made)
        with opened.stopwatch.measure("writing"):
            size, sha256 = writer.finish()
    record = ShardRecord(
        log=opened.log.name,
        part=chunk,
        num_parts=opened.chunks,
        split=split,
        shard=shard,
        size=size,
        sha256=sha256,
        rows=tuple({**row, "shard": shard} for row in made.rows),
        rejections=tuple(made.rejections),
        failures=tuple(made.failures),
    )
    with opened.stopwatch.measure("writing"):
        return _committed(opened.folder, record)


class _Outcomes(NamedTuple):
    """Results of the scenes so far, as in `ShardRecord`."""

    rows: list[dict[str, Any]]
    rejections: list[tuple[str, str, int, str]]
    failures: list[Failure]


def _write_scenes(
    opened: AugmentLog, scenes: Sequence[Scene], report: ProgressCallback, writer: ShardWriter, made: _Outcomes
) -> None:
    """Append the scenes' samples to the shard, and their results to `made`.

    While other threads encode a sample, this one renders the next, and no more: at most two samples are in memory. An
    exception of the program in encoding is therefore reported at the scene being collected, which may be the following
    one.
    """
    pending = deque[_Pending]()

    def take() -> None:
        outcome = pending.popleft()()
        if isinstance(outcome, Failure):
            made.failures.append(outcome)
            return
        with opened.stopwatch.measure("writing"):
            offset = writer.add(outcome)
        made.rows.append({**outcome.row, "offset": offset})

    with SampleEncoder(opened.options, opened.threads, opened.stopwatch) as encoder:
        for number, scene in enumerate(scenes):
            report(scene.token, len(made.rows), number / len(scenes))
            for started in _started(opened, scene, encoder, made):
                pending.append(started)
                if len(pending) > encoder.ahead:
                    take()
        while pending:
            take()


def _committed(folder: Path, record: ShardRecord) -> ShardRecord:
    """Commit the shard, or remove it if it is empty; then write the record."""
    shard = folder / record.shard
    if record.rows:
        commit(shard)
    else:
        temporary_path(shard).unlink()
        remove_file(shard)
        record = replace(record, shard="", size=0, sha256="")
    write_record(record_path(folder, record.log, record.part, ".json"), record)
    return record


def _started(opened: AugmentLog, scene: Scene, encoder: SampleEncoder, made: _Outcomes) -> Iterator[_Pending]:
    """Render the scene's viewpoints, one by one; yield a callable per viewpoint that waits for its sample."""
    try:
        with opened.stopwatch.measure("viewpoints"):
            seats, rejections = scene_viewpoints(scene, opened.options, opened.geometry, opened.made)
    except SwerveError as error:
        yield partial(_failure, scene, "", error)
        return
    made.rejections.extend((scene.token, *one) for one in rejections)
    for viewpoint in seats:
        with opened.stopwatch.measure("experts"):
            labelled, expert, rejections = _labelled(viewpoint, opened.made.expert(viewpoint) if opened.made else None)
        made.rejections.extend((scene.token, *one) for one in rejections)
        if labelled is not None:
            yield _start(opened, labelled, expert, encoder)


def scene_viewpoints(
    scene: Scene, options: AugmentOptions, geometry: LogGeometry, made: LogViewpoints | None
) -> tuple[list[Viewpoint], list[tuple[str, int, str]]]:
    """Build all viewpoints of a scene, kind by kind.

    Returns:
        viewpoints, and (kind, index, reason) of what was rejected: viewpoints, and ways back (kind "..._way_back").
    """
    seats, rejections = list[Viewpoint](), list[tuple[str, int, str]]()
    for kind in (ViewpointKind(name) for name in options.viewpoints):
        if kind.value in LOGGED_KINDS:
            found, rejected = build_viewpoints(scene, [kind], options.viewpoint_options, options.seed, geometry)
            seats += found
            rejections += [(one.kind.value, one.index, one.reason) for one in rejected]
        elif made is not None:
            more = made.make(scene, kind)
            seats += more.viewpoints
            rejections += [(one.kind.value, one.index, one.reason) for one in more.rejected]
            rejections += [(f"{one.kind.value}_way_back", one.index, one.reason) for one in more.without_way_back]
    return seats, rejections


def _labelled(
    viewpoint: Viewpoint, expert: ExpertTarget | str | None
) -> tuple[Viewpoint | None, ExpertTarget | None, list[tuple[str, int, str]]]:
    """Return a viewpoint with a target, its pseudo-expert, and what was rejected, see `scene_viewpoints`.

    Where there is no way back the pseudo-expert is the target; without either the viewpoint is rejected. A best
    candidate of score 0 collides, leaves the road or the like, as all others do: it is nobody to learn from.
    """
    kind, index = viewpoint.kind.value, viewpoint.index
    found = expert if isinstance(expert, ExpertTarget) and expert.score > 0.0 else None
    reason = "unscorable" if isinstance(expert, str) else "all_candidates_fail"
    rejections = [(f"{kind}_expert", index, reason)] if expert is not None and found is None else []
    if len(viewpoint.target):
        return viewpoint, found, rejections
    if found is None:
        return None, None, [*rejections, (kind, index, "no_target")]
    return replace(viewpoint, target=expert_target(viewpoint, found.poses)), found, rejections


def _start(opened: AugmentLog, viewpoint: Viewpoint, expert: ExpertTarget | None, encoder: SampleEncoder) -> _Pending:
    """Render a viewpoint and start its encoding; return a callable that returns the sample or its failure."""
    failed = partial(_failure, viewpoint.scene, f"{viewpoint.kind.value} {viewpoint.index}")
    try:
        encoded = encoder.start(draw_sample(viewpoint, opened.renderer, opened.options, expert))
    except SwerveError as error:
        return partial(failed, error)

    def finish() -> Sample | Failure:
        try:
            return encoded()
        except SwerveError as error:
            return failed(error)

    return finish


def _failure(scene: Scene, viewpoint: str, error: SwerveError) -> Failure:
    return Failure(scene.log.name, scene.token, viewpoint, str(error))
