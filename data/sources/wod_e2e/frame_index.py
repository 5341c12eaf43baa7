"""Index of WOD-E2E frames: where each is, built once and kept.

Frames of a sequence are scattered over the shards, so that all of them are looked through: names, and the numbers of
future points and of ratings; images are stepped over. The index is kept as a Parquet file in the data's folder, or in
the user's cache where that cannot be written, and files that are new or changed (size, time of change) are read again.
"""

import hashlib
import json
import logging
import mmap
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from swerve.data.sources.waymo.tfrecords import record_spans
from swerve.data.sources.waymo.waymo_source import record_files
from swerve.data.sources.wod_e2e.protobuf_fields import BYTES, Field, fields, float_of, number_of_floats
from swerve.data.storage.files import replaced
from swerve.scenes import LogError

FILE_NAME: Final = ".swerve_wod_e2e_index.parquet"
_VERSION: Final = 1
_KEY: Final = b"swerve.wod_e2e"
_KEEP_SECONDS: Final = 60.0
LOGGER = logging.getLogger(__name__)
_NAME: Final = re.compile(r"([0-9A-Za-z_]{1,100})-(\d{1,6})")
# Numbers of fields in E2EDFrame, Frame, Context and EgoTrajectoryStates.
_FRAME, _FUTURE, _PAST, _RATINGS = 1, 5, 6, 8
_CONTEXT, _CONTEXT_NAME = 1, 1
_POS_X, _SCORE = 1, 8
_UNRATED: Final = -1.0
_SCHEMA: Final = pa.schema(
    {
        "file": pa.string(),
        "number": pa.int64(),
        "start": pa.int64(),
        "length": pa.int64(),
        "name": pa.string(),
        "future": pa.int64(),
        "ratings": pa.int64(),
    }
)
# Told how many files of how many are read.
Report = Callable[[int, int], None]
# Size and time of change of a file.
Stamp = list[int]
# Of each file, by its path below the root: its stamp, and a row for each frame.
Kept = dict[str, tuple[Stamp | None, list[dict[str, Any]]]]


@dataclass(frozen=True)
class FrameEntry:
    """Place of a frame.

    Attributes:
        file: path of the shard.
        number: index of the record in it.
        start: offset of the record's data.
        length: of the data, bytes.
        name: of the frame, as in the data: SEQUENCE-FRAME.
        future: number of points of the logged future; 0 where it is hidden.
        ratings: number of rated trajectories; 0 in most frames.
    """

    file: Path
    number: int
    start: int
    length: int
    name: str
    future: int
    ratings: int

    @property
    def sequence(self) -> str:
        """Name of the sequence."""
        return parse_frame_name(self.name)[0]

    @property
    def frame(self) -> int:
        """Index of the frame in its sequence; frames are 0.1 s apart."""
        return parse_frame_name(self.name)[1]


@dataclass(frozen=True)
class FrameIndex:
    """All frames, sorted by sequence and frame."""

    entries: tuple[FrameEntry, ...]

    @cached_property
    def by_name(self) -> dict[str, FrameEntry]:
        """Return the frames by name."""
        return {entry.name: entry for entry in self.entries}

    @cached_property
    def rated(self) -> tuple[FrameEntry, ...]:
        """Return the frames that people have rated."""
        return tuple(entry for entry in self.entries if entry.ratings)

    @cached_property
    def sequences(self) -> dict[str, int]:
        """Return the numbers of frames by sequence."""
        return dict(Counter(entry.sequence for entry in self.entries))


def digest_of(entries: Iterable[FrameEntry]) -> str:
    """Return a text that differs where frames do: names, sizes, places in the shards; not where the folder is."""
    rows = [[one.name, one.file.name, one.start, one.length, one.future, one.ratings] for one in entries]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def parse_frame_name(name: str) -> tuple[str, int]:
    """Return sequence and index of a frame's name.

    Raises:
        ValueError: it has another form.
    """
    found = _NAME.fullmatch(name)
    if found is None:
        raise ValueError(f"{name[:120]!r} is not a frame's name, SEQUENCE-FRAME")
    return found[1], int(found[2])


def build_index(path: Path, report: Report | None = None) -> FrameIndex:
    """Return the index of a shard, or of all shards at or below a folder; reads what is not indexed yet.

    Args:
        path: file or folder.
        report: told about the files that are read.

    Raises:
        LogError: there is no shard, one is damaged or holds something else, or two records have one name.
    """
    files = record_files(path)
    if not files:
        raise LogError(path, "files", "no .tfrecord file there")
    root = path.absolute() if path.is_dir() else path.absolute().parent
    known = _read_kept(root)
    stamps = {str(file.relative_to(root)): _stamp(file) for file in files}
    missing = [name for name, stamp in stamps.items() if known.get(name, (None, []))[0] != stamp]
    if missing:
        _read_missing(root, {name: stamps[name] for name in missing}, known, report)
    return _checked([_entry(root, row) for name in stamps for row in known[name][1]])


def _read_missing(root: Path, stamps: Mapping[str, Stamp], known: Kept, report: Report | None) -> None:
    """Read shards into what is known, and keep it: every minute, at the end, and before an error.

    Raises:
        LogError: a shard is damaged.
    """
    kept = time.monotonic()
    try:
        for done, (name, stamp) in enumerate(stamps.items()):
            if report:
                report(done, len(stamps))
            known[name] = stamp, [_row(name, entry) for entry in scan_shard(root / name)]
            if time.monotonic() - kept > _KEEP_SECONDS:
                _keep(root, known)
                kept = time.monotonic()
    finally:
        _keep(root, {name: entry for name, entry in known.items() if (root / name).is_file()})
    if report:
        report(len(stamps), len(stamps))


def is_wod_e2e(path: Path) -> bool:
    """Test whether the first record at a path is a WOD-E2E frame."""
    for file in record_files(path)[:1]:
        with suppress(LogError):
            return next(scan_shard(file), None) is not None
    return False


def scan_shard(file: Path) -> Iterator[FrameEntry]:
    """Yield the frames of a shard from a few of their bytes; checksums of data are not looked at.

    Raises:
        LogError: the file is damaged, or a record is not a WOD-E2E frame.
    """
    spans = record_spans(file)
    first = next(spans)  # raises if the file is missing or empty, which cannot be mapped
    with open(file, "rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        data = memoryview(mapped)
        try:
            for number, (start, length) in enumerate(_chained(first, spans)):
                yield _scanned(data, file, number, start, length)
        finally:
            data.release()


def _chained(first: tuple[int, int], others: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    yield first
    yield from others


def _scanned(data: memoryview, file: Path, number: int, start: int, length: int) -> FrameEntry:
    name, future, scores, past = "", 0, list[float](), False
    try:
        for one in fields(data, start, start + length):
            if one.kind != BYTES:
                continue
            if one.number == _FRAME:
                name = _name_of(data, one)
            elif one.number == _FUTURE:
                future = number_of_floats(data, one, _POS_X)
            elif one.number == _RATINGS:
                scores.append(float_of(data, one, _SCORE, _UNRATED))
            past = past or one.number == _PAST
        parse_frame_name(name)
    except ValueError as error:
        raise LogError(file, f"record {number}", f"is not a Waymo end-to-end E2EDFrame ({error})") from error
    if not past:
        raise LogError(file, f"record {number}", "is not a Waymo end-to-end E2EDFrame (it has no past_states)")
    ratings = len(scores) if scores and scores[0] != _UNRATED else 0
    return FrameEntry(file, number, start, length, name, future, ratings)


def _name_of(data: memoryview, frame: Field) -> str:
    """Return context.name of a Frame, which comes first, before the images."""
    for context in fields(data, frame.start, frame.end):
        if context.number != _CONTEXT or context.kind != BYTES:
            continue
        for one in fields(data, context.start, context.end):
            if one.number == _CONTEXT_NAME and one.kind == BYTES and one.end - one.start < 200:
                return bytes(data[one.start : one.end]).decode()
    return ""


def _checked(entries: list[FrameEntry]) -> FrameIndex:
    """Sort the frames.

    Raises:
        LogError: two have one name.
    """
    ordered = sorted(entries, key=lambda entry: parse_frame_name(entry.name))
    for one, other in pairwise(ordered):
        if parse_frame_name(one.name) == parse_frame_name(other.name):
            problem = f"frame {one.name} is also record {one.number} of {one.file}"
            raise LogError(other.file, f"record {other.number}", problem, "Keep each shard once in the folder")
    return FrameIndex(tuple(ordered))


def _row(name: str, entry: FrameEntry) -> dict[str, Any]:
    return {**vars(entry), "file": name}


def _is_sound(row: dict[str, Any]) -> bool:
    """Test whether a row of a stored index has values that a scan can give."""
    numbers = [row[name] for name in ("number", "start", "length", "future", "ratings")]
    return all(number is not None and number >= 0 for number in numbers) and bool(_NAME.fullmatch(row["name"]))


def _entry(root: Path, row: dict[str, Any]) -> FrameEntry:
    return FrameEntry(**{**row, "file": root / row["file"]})


def _stamp(file: Path) -> Stamp:
    found = file.stat()
    return [found.st_size, found.st_mtime_ns]


def _places(root: Path) -> list[Path]:
    """Return where the index may be: in the data's folder, else in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path(os.path.expanduser("~"), ".cache"))
    return [root / FILE_NAME, cache / "swerve" / "wod_e2e" / f"{hashlib.sha256(bytes(root)).hexdigest()[:32]}.parquet"]


def _read_kept(root: Path) -> Kept:
    """Return what an earlier run has indexed; nothing where there is no index, or it is damaged or of another version.

    It saves time only: every record is compared with its entry when it is read.
    """
    for place in _places(root):
        with suppress(OSError, ValueError, KeyError, TypeError, pa.ArrowException):
            table = pq.read_table(place)
            header = json.loads((table.schema.metadata or {})[_KEY])
            if header["version"] != _VERSION or not table.schema.equals(_SCHEMA):
                continue
            kept: Kept = {name: (stamp, []) for name, stamp in header["files"].items()}
            for row in table.to_pylist():
                if not _is_sound(row):
                    raise ValueError("an entry that no scan makes")
                kept[row["file"]][1].append(row)
            return kept
    return {}


def _keep(root: Path, kept: Kept) -> None:
    """Write the index, atomically, to the first place that can be written; to none if there is none."""
    header = {"version": _VERSION, "files": {name: stamp for name, (stamp, _) in kept.items()}}
    table = pa.Table.from_pylist([row for _, rows in kept.values() for row in rows], schema=_SCHEMA)
    table = table.replace_schema_metadata({_KEY: json.dumps(header).encode()})
    for place in _places(root):
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            with replaced(place) as part:  # several processes may build it at once
                pq.write_table(table, part, compression="zstd")
            return
        except OSError:
            continue
    LOGGER.warning("%s: the index of the frames cannot be kept: it is built again next time", root)
