"""Index of a set: what a training reads of the manifest, in a file that is mapped into memory.

The file is an uncompressed Arrow IPC file. Rows are those of the manifest in its order, grouped by split, in batches of
65,536 of one split each. The schema's metadata say what is the same for many rows (`Contents`), and which manifest the
index is of; each batch's metadata hold the CRC-32 of its columns, which is compared when the batch is first used.
"""

import hashlib
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from jaxtyping import Int

from swerve.data.storage.files import commit, temporary_path

INDEX: Final = "index.arrow"
VERSION: Final = 1
BATCH_ROWS: Final = 65_536
CONTENTS, CONTENTS_DIGEST = b"contents", b"contents_sha256"
SCHEMA: Final = pa.schema(
    [
        pa.field(name, kind, nullable=False)
        for name, kind in (
            ("part", pa.int8()),
            ("key", pa.string()),
            ("shard", pa.int32()),
            ("number", pa.int32()),
            ("offset", pa.int64()),
            ("end", pa.int64()),
            ("weight", pa.float64()),
        )
    ]
)
_COLUMNS: Final = ("key", "shard", "kind", "photos", "weight", "offset")
_FOOTER_TAIL: Final = 8


@dataclass(frozen=True)
class SplitContents:
    """Statements of an index about a split.

    Attributes:
        rows: number of samples.
        batches: number of their batches, which follow those of the splits before.
        digest: SHA-256 over the keys, one on a line.
        logs: names of the logs, sorted.
        shards: paths of the shards in the set; the column "shard" counts in them.
    """

    rows: int
    batches: int
    digest: str
    logs: tuple[str, ...]
    shards: tuple[str, ...]


@dataclass(frozen=True)
class Contents:
    """Statements of an index about all rows.

    Attributes:
        version: of the format.
        manifest: size and digest of the manifest's footer, see `manifest_stamp`.
        parts: names of parts, see `part_name`; the column "part" counts in them.
        splits: in the order in which they are in the manifest.
    """

    version: int
    manifest: dict[str, Any]
    parts: tuple[str, ...]
    splits: dict[str, SplitContents]


class KeyDigest:
    """SHA-256 over keys, one on a line, which are added some at a time: a copy of all would take memory."""

    def __init__(self) -> None:
        self._total, self._empty = hashlib.sha256(), True

    def add(self, keys: pa.Array | pa.ChunkedArray) -> None:
        """Add keys."""
        for first in range(0, len(keys), BATCH_ROWS):
            some = pa.concat_arrays(_chunks(keys.slice(first, BATCH_ROWS)))
            lines = pc.binary_join(pa.ListArray.from_arrays([0, len(some)], some), "\n")[0].as_buffer()
            self._total.update(b"" if self._empty else b"\n")
            self._total.update(lines)
            self._empty = False

    def hexdigest(self) -> str:
        """Return the digest of all keys so far."""
        return self._total.hexdigest()


def _chunks(array: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    return array.chunks if isinstance(array, pa.ChunkedArray) else [array]


def part_name(kind: str, photos: bool) -> str:
    """Return the name of the part of a batch that a sample can be used in."""
    if kind != "logged":
        return kind
    return "paired" if photos else "raster_only"


def manifest_stamp(path: Path) -> dict[str, Any]:
    """Return the size of a Parquet file and the SHA-256 of its footer, which states places and bounds of all columns.

    Raises:
        OSError: it cannot be read, or is too short.
    """
    size = path.stat().st_size
    with open(path, "rb") as file:
        file.seek(max(size - _FOOTER_TAIL, 0))
        tail = file.read()
        length = int.from_bytes(tail[:4], "little") + _FOOTER_TAIL
        file.seek(max(size - length, 0))
        return {"size": size, "footer_sha256": hashlib.sha256(file.read()).hexdigest()}


def write_index(manifest: Path, path: Path) -> None:
    """Write the index of a manifest, atomically, in memory that does not grow with it.

    Args:
        manifest: the manifest, possibly under a temporary name.
        path: of the index.
    """
    with pq.ParquetFile(manifest, memory_map=False) as file:
        survey = _Survey(file)
        contents = to_text(survey.contents(manifest_stamp(manifest)))
        metadata = {CONTENTS: contents, CONTENTS_DIGEST: hashlib.sha256(contents).hexdigest()}
        with pa.ipc.new_file(temporary_path(path), SCHEMA.with_metadata(metadata)) as out:
            for split in survey.splits:
                for batch in _batches(survey.tables(split)):
                    out.write_batch(batch, {name: str(crc) for name, crc in checksums(batch).items()})
    commit(path)


def to_text(contents: Contents) -> bytes:
    """Return contents as JSON; the order of the splits is kept."""
    return json.dumps(asdict(contents), ensure_ascii=False).encode("utf-8", "surrogatepass")


def checksums(batch: pa.RecordBatch, names: Sequence[str] = SCHEMA.names) -> dict[str, int]:
    """Compute the CRC-32 of columns, over their buffers one after another."""
    sums = dict[str, int]()
    for name in names:
        total = 0
        for buffer in batch.column(name).buffers():
            total = zlib.crc32(buffer, total) if buffer is not None else total
        sums[name] = total
    return sums


@dataclass
class _Split:
    """Digest of a split's keys, its logs, its shards in their order, and the row groups it is in."""

    rows: int = 0
    digest: KeyDigest = field(default_factory=KeyDigest)
    logs: set[str] = field(default_factory=set)
    shards: dict[str, int] = field(default_factory=dict)
    groups: list[int] = field(default_factory=list)

    def add(self, table: pa.Table, group: int) -> None:
        """Add the split's rows of a row group."""
        self.rows += len(table)
        self.digest.add(table["key"])
        self.logs.update(pc.unique(table["log"]).to_pylist())
        for shard in pc.unique(table["shard"]).to_pylist():
            self.shards.setdefault(shard, len(self.shards))
        self.groups.append(group)


class _Survey:
    """Splits and kinds of a manifest, which are known before the first row of its index.

    Attributes:
        splits: what was found of each split.
        kinds: of viewpoints, sorted.
    """

    def __init__(self, file: pq.ParquetFile) -> None:
        self._file, self.splits, kinds = file, dict[str, _Split](), set[str]()
        for group in range(file.num_row_groups):
            table = file.read_row_group(group, ["key", "shard", "split", "log", "kind"])
            kinds.update(pc.unique(table["kind"]).to_pylist())
            for split in pc.unique(table["split"]).to_pylist():
                own = table.filter(pc.equal(table["split"], split))
                self.splits.setdefault(split, _Split()).add(own, group)
        self.kinds = sorted(kinds)

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of parts that samples of these kinds can be of."""
        return tuple(dict.fromkeys(part_name(kind, photos) for kind in self.kinds for photos in (False, True)))

    def contents(self, stamp: dict[str, Any]) -> Contents:
        """Return what the index says of all rows."""
        splits = {
            name: SplitContents(
                rows=one.rows,
                batches=-(-one.rows // BATCH_ROWS),
                digest=one.digest.hexdigest(),
                logs=tuple(sorted(one.logs)),
                shards=tuple(one.shards),
            )
            for name, one in self.splits.items()
        }
        return Contents(VERSION, stamp, self.parts, splits)

    def tables(self, split: str) -> Iterator[pa.Table]:
        """Yield the rows of a split with the codes of shards and parts, a row group at a time."""
        found, names = self.splits[split], self.parts
        shards, kinds = pa.array(found.shards, pa.string()), pa.array(self.kinds, pa.string())
        pairs = [[names.index(part_name(kind, photos)) for photos in (False, True)] for kind in self.kinds]
        code_of: Int[np.ndarray, "k 2"] = np.array(pairs, np.int8)
        for group in found.groups:
            table = self._file.read_row_group(group, [*_COLUMNS, "split"])
            table = table.filter(pc.equal(table["split"], split))
            kind, photos = pc.index_in(table["kind"], kinds).to_numpy(), table["photos"].to_numpy() > 0
            arrays = {name: table[name] for name in ("key", "offset", "weight")}
            arrays |= {
                "shard": pc.index_in(table["shard"], shards),
                "part": pa.array(code_of[kind, photos.astype(int)]),
            }
            yield pa.table(arrays)


def _batches(tables: Iterator[pa.Table]) -> Iterator[pa.RecordBatch]:
    """Yield the batches of a split's index."""
    held, code, number = pa.table({}), -1, -1
    for table in tables:
        held = pa.concat_tables([held, table]) if len(held) else table
        while len(held) > BATCH_ROWS:  # one more is known: the end of the last sample is where the next begins
            batch, code, number = _batch(held.slice(0, BATCH_ROWS + 1), BATCH_ROWS, code, number)
            yield batch
            held = held.slice(BATCH_ROWS)
    if len(held):
        yield _batch(held, len(held), code, number)[0]


def _batch(table: pa.Table, rows: int, code: int, number: int) -> tuple[pa.RecordBatch, int, int]:
    """Return the batch of a table's first rows, and shard and number there of the last.

    Args:
        table: the rows, and the one after them if there is one.
        rows: their number.
        code: shard of the row before the first; -1 if there is none.
        number: of that row in its shard.
    """
    shards, offsets = table["shard"].to_numpy(), table["offset"].to_numpy()
    numbers, ends = places_in_shards(shards, offsets, code, number)
    columns = {name: table[name].slice(0, rows) for name in ("part", "key", "shard", "offset", "weight")}
    columns |= {"number": pa.array(numbers[:rows], pa.int32()), "end": pa.array(ends[:rows])}
    arrays = [pa.concat_arrays(_chunks(columns[one.name])) for one in SCHEMA]
    # Written and read, so that the buffers are those of the file, with nothing before the first value.
    message = pa.RecordBatch.from_arrays(arrays, schema=SCHEMA).serialize()
    batch = pa.ipc.read_record_batch(message, SCHEMA)
    return batch, int(shards[rows - 1]), int(numbers[rows - 1])


def places_in_shards(
    shards: Int[np.ndarray, "n"], offsets: Int[np.ndarray, "n"], code: int = -1, number: int = -1
) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"]]:
    """Return the index of each sample in its shard, and where the next sample begins there (negative for the last).

    Rows of a shard are contiguous, in the order of its samples.

    Args:
        shards: code of each row's shard.
        offsets: of each row's sample.
        code: shard of the row before the first; -1 if there is none.
        number: of that row in its shard.
    """
    rows, begins = np.arange(len(shards)), shards != np.append(code, shards[:-1])
    firsts = np.maximum.accumulate(np.where(begins, rows, -1 - number))
    ends = np.where(np.append(begins[1:], True), -1, np.append(offsets[1:], -1))
    return rows - firsts, ends
