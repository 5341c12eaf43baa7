"""Cost of an augmentation job, from a pilot of some of its parts on this machine."""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Final

from swerve.data.dataset.acceptance import Acceptance
from swerve.data.dataset.augment_options import AugmentOptions
from swerve.data.dataset.augment_worker import AugmentLog, AugmentWork
from swerve.data.dataset.manifest import write_manifest
from swerve.data.dataset.set_layout import layout_of, read_records
from swerve.data.dataset.viewpoint_maker import ViewpointMaker
from swerve.data.jobs import RECORDS, Failure, log_names, record_path
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.data.sources.source import Source
from swerve.data.storage.files import make_folder
from swerve.scenes import SwerveError

# Seconds between two writings of a lease, and of a run's state, in a store.
_LEASE, _STATE = 20.0, 15.0
# Names in one answer of a store, and bytes put in one request.
_LISTED, _PUT = 1000, 100 * 2**20
_PIECE: Final = 50 * 2**20


@dataclass(frozen=True)
class Pilot:
    """Measurements of some parts of a job, one process on one core, kernels compiled.

    Seconds are those of the core, so that other work of the machine does not count; nor do waits for slow disks.

    Attributes:
        logs: logs that were read.
        parts: parts that were made.
        scenes: scenes of these parts.
        samples: samples of these parts.
        open_seconds: mean time to read a log and prepare its map.
        part_seconds: mean time to make a part.
        part_bytes: mean size of a shard.
        record_bytes: mean size of a record.
        log_scenes: mean number of scenes of a log.
        row_seconds: time to write a row of the manifest, with reading its record.
        failures: samples that failed, and are in none of these numbers.
    """

    logs: int
    parts: int
    scenes: int
    samples: int
    open_seconds: float
    part_seconds: float
    part_bytes: float
    record_bytes: float
    log_scenes: float
    row_seconds: float
    failures: tuple[Failure, ...] = ()


@dataclass(frozen=True)
class AugmentPlan:
    """Cost of a job.

    Attributes:
        logs: of the job.
        scenes: of the job.
        parts: of the job; each a shard and a record.
        samples: of the set.
        bytes: of the set.
        core_seconds: of all cores together.
        wall_seconds: from the first part to the manifest.
        finish_seconds: of them, for the manifest and the summary, by one process.
        puts: requests that write, to a store.
        gets: requests that read, to complete the set.
        lists: requests that list.
    """

    logs: int
    scenes: int
    parts: int
    samples: int
    bytes: float
    core_seconds: float
    wall_seconds: float
    finish_seconds: float
    puts: int
    gets: int
    lists: int


def run_pilot(
    sources: Sequence[Source],
    folder: Path,
    options: AugmentOptions,
    parts: int,
    maker: ViewpointMaker | None = None,
) -> Pilot:
    """Make parts of the first, middle and last logs of a job, to measure them.

    Args:
        sources: of the logs.
        folder: an empty one, for the parts.
        options: of the set.
        parts: number of parts; one more is made before, which compiles kernels.
        maker: see `augment`.

    Raises:
        SwerveError: a log cannot be read, or has no scene.
    """
    owners = log_names(sources)
    for name in layout_of(options).parts:
        make_folder(folder / name)
    work = AugmentWork(folder, tuple(sources), owners, options, 1, maker)
    names = list(owners)
    chosen = list(dict.fromkeys(names[round(place * (len(names) - 1))] for place in (0.0, 0.5, 1.0)))[: max(parts, 1)]
    work.open(chosen[0], Stopwatch()).make(0, lambda *_: None)
    opened, opening, making = list[AugmentLog](), list[float](), list[float]()
    made = list[tuple[str, int]]()
    for number, name in enumerate(chosen):
        start = time.process_time()
        opened.append(work.open(name, Stopwatch()))
        opening.append(time.process_time() - start)
        share = -(-(parts - len(made)) // (len(chosen) - number))
        for chunk in _spread(opened[-1].chunks, share):
            start = time.process_time()
            opened[-1].make(chunk, lambda *_: None)
            making.append(time.process_time() - start)
            made.append((name, chunk))
    return _measured(folder, options, opened, made, fmean(opening), fmean(making))


def _spread(count: int, wanted: int) -> list[int]:
    """Return so many of the numbers below a count, evenly spread."""
    wanted = min(wanted, count)
    return [int((place + 0.5) * count / wanted) for place in range(wanted)]


def _measured(
    folder: Path,
    options: AugmentOptions,
    opened: Sequence[AugmentLog],
    made: Sequence[tuple[str, int]],
    open_seconds: float,
    part_seconds: float,
) -> Pilot:
    """Return the measurements of parts; that of the first log's first part, made to compile, is left out."""
    extra = record_path(folder, opened[0].log.name, 0, ".json")
    if (opened[0].log.name, 0) not in made:
        extra.unlink()
    records = list(read_records(folder))
    if not any(record.rows for record in records):
        raise SwerveError(
            f"the {len(records)} parts of the pilot have no sample: plan with more parts, or other options"
        )
    start = time.process_time()
    acceptance = Acceptance(options, read_records(folder))
    write_manifest(folder, read_records(folder), (), acceptance.weights, acceptance.summary())
    samples = sum(len(record.rows) for record in records)
    row_seconds = (time.process_time() - start) / samples
    lengths = {one.log.name: len(one.scenes) for one in opened}
    size = options.shard_scenes
    return Pilot(
        logs=len(opened),
        parts=len(made),
        scenes=sum(min(size, lengths[log] - chunk * size) for log, chunk in made),
        samples=samples,
        open_seconds=open_seconds,
        part_seconds=part_seconds,
        part_bytes=fmean(record.size for record in records),
        record_bytes=fmean(path.stat().st_size for path in (folder / RECORDS).glob("*.json")),
        log_scenes=fmean(lengths.values()),
        row_seconds=row_seconds,
        failures=tuple(failure for record in records for failure in record.failures),
    )


def plan_augment(pilot: Pilot, logs: int, scenes: int | None, shard_scenes: int, nodes: int, cores: int) -> AugmentPlan:
    """Compute the cost of a job from a pilot.

    Workers take parts one by one, so the last ends up to one part after the mean; each log is read once by one worker
    where there are more logs than workers, and else by as many workers as help with it.

    Args:
        pilot: measurements.
        logs: number of logs.
        scenes: number of scenes; as many for each log as in the pilot if None.
        shard_scenes: scenes of a full part.
        nodes: machines, each one run of an array.
        cores: workers of each.
    """
    total = round(logs * pilot.log_scenes) if scenes is None else scenes
    per_scene = pilot.part_seconds * pilot.parts / pilot.scenes
    parts = logs * math.ceil(total / logs / shard_scenes)
    workers = nodes * cores
    opens = max(logs, min(workers, parts))
    core_seconds = total * per_scene + opens * pilot.open_seconds
    samples = round(total * pilot.samples / pilot.scenes)
    finish = samples * pilot.row_seconds
    longest = math.ceil(parts / workers) * total / parts * per_scene + math.ceil(opens / workers) * pilot.open_seconds
    wall = max(core_seconds / workers, longest)
    size = samples * pilot.part_bytes * pilot.parts / pilot.samples
    own = nodes * (math.ceil(wall / _LEASE) + math.ceil(wall / _STATE) + 6)
    return AugmentPlan(
        logs=logs,
        scenes=total,
        parts=parts,
        samples=samples,
        bytes=size,
        core_seconds=core_seconds,
        wall_seconds=wall + finish,
        finish_seconds=finish,
        puts=parts * (1 + _puts(size / parts)) + 2 * logs + own,
        gets=parts + logs,
        lists=math.ceil((2 * parts + logs) / _LISTED) + 2 * nodes,
    )


def _puts(size: float) -> int:
    """Return the requests that put an object of a size: one, or one for each piece and two around them."""
    return 1 if size < _PUT else math.ceil(size / _PIECE) + 2
