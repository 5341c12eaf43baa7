"""Reading of a set's index, mapped into memory: opening it takes no time for its rows, but for a byte of each.

What is read is checked when it is: a batch against its checksums and bounds, once.
"""

import hashlib
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from jaxtyping import Int8

from swerve.data.dataset.read_manifest import MANIFEST, SHARD
from swerve.data.dataset.set_index import (
    BATCH_ROWS,
    CONTENTS,
    CONTENTS_DIGEST,
    INDEX,
    SCHEMA,
    VERSION,
    SplitContents,
    checksums,
    manifest_stamp,
)
from swerve.data.storage.checked_json import anything, fields, integer, list_of, mapping_of, parse_json, text
from swerve.data.storage.stored_folder import is_fetched
from swerve.scenes import SwerveError
from swerve.scenes.notices import say_once
from swerve.scenes.printable import first_line, printable

_COUNT: Final = integer(0)
_SPLIT: Final = fields(
    {"rows": _COUNT, "batches": _COUNT, "digest": text, "logs": list_of(text), "shards": list_of(text)}
)
_CONTENTS: Final = fields(
    {"version": integer(), "manifest": anything, "parts": list_of(text), "splits": mapping_of(_SPLIT)}
)
_ERRORS: Final = (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError, SwerveError)


class SplitIndex:
    """Index of one split, mapped into memory.

    Attributes:
        contents: what it says of the split; no samples if the set has none of it.
        splits: names of the set's splits.
        parts: names of parts.
        codes: of each sample's part, in `parts`.

    Args:
        path: of the index.
        split: name of the split.

    Raises:
        ArrowException, OSError, ValueError, SwerveError, ...: it is damaged, or of another manifest than the one
            beside it.
    """

    def __init__(self, path: Path, split: str) -> None:
        self._path, self._split = path, split
        with pa.memory_map(str(path)) as mapped:
            reader = pa.ipc.open_file(mapped)
            found = _contents(reader.schema, path)
            if found["manifest"] != manifest_stamp(path.parent / MANIFEST):
                raise ValueError(f"it is of another {MANIFEST} than the one beside it")
            self.splits, self.parts = tuple(found["splits"]), tuple(found["parts"])
            self.contents = _split(found, split)
            names = list(found["splits"])
            before = names[: names.index(split)] if split in names else []
            first = sum(found["splits"][name]["batches"] for name in before)
            numbers = range(first, first + self.contents.batches)
            self._batches = [_with_sums(*reader.get_batch_with_custom_metadata(number)) for number in numbers]
        self._checked = set[int]()
        self.codes: Int8[np.ndarray, "n"] = self._codes()

    def _codes(self) -> Int8[np.ndarray, "n"]:
        """Return the codes of all samples' parts; that batches have the right rows is checked, too.

        Raises:
            ValueError: they have not, or codes are not those that were written.
        """
        rows, found = self.contents.rows, [np.zeros(0, np.int8)]
        for number, (batch, sums) in enumerate(self._batches):
            batch.validate()
            if batch.num_rows != min(rows - number * BATCH_ROWS, BATCH_ROWS):
                raise ValueError(f"batch {number} of split {self._split} has {batch.num_rows} rows")
            _compare(batch, sums, "part")
            found.append(batch.column("part").to_numpy())
        codes = np.concatenate(found)
        if len(codes) != rows or (rows and not 0 <= codes.min() <= codes.max() < len(self.parts)):
            raise ValueError(f"split {self._split}: parts are missing or not known")
        return codes

    def where(self, row: int) -> tuple[str, int, str, int, int]:
        """Return shard, index in the shard, key, offset and end in the shard of a sample.

        Raises:
            SwerveError: the index is damaged there.
        """
        batch, place = self._at(row)
        own = {name: batch.column(name)[place].as_py() for name in ("shard", "number", "key", "offset", "end")}
        return self.contents.shards[own["shard"]], own["number"], own["key"], own["offset"], own["end"]

    def weight(self, row: int) -> float:
        """Return the importance weight of a sample.

        Raises:
            SwerveError: see `where`.
        """
        batch, place = self._at(row)
        return float(batch.column("weight")[place].as_py())

    def keys(self) -> pa.ChunkedArray:
        """Return the keys of all samples.

        Raises:
            SwerveError: see `where`.
        """
        chunks = [self._batch(number).column("key") for number in range(len(self._batches))]
        return pa.chunked_array(chunks, pa.string())

    def _at(self, row: int) -> tuple[pa.RecordBatch, int]:
        if not 0 <= row < self.contents.rows:
            raise IndexError(row)
        number, place = divmod(row, BATCH_ROWS)
        return self._batch(number), place

    def _batch(self, number: int) -> pa.RecordBatch:
        """Return a batch, which is checked when it is first used."""
        batch, sums = self._batches[number]
        if number not in self._checked:
            try:
                self._check(batch, sums)
            except _ERRORS as error:
                told = f"batch {number} of split {self._split} is damaged ({_reason(error)})"
                raise SwerveError(f"{self._path}: rows: {told}. Remove the file: the manifest does too") from error
            self._checked.add(number)
        return batch

    def _check(self, batch: pa.RecordBatch, sums: dict[bytes, bytes]) -> None:
        """Check a batch against its checksums and bounds.

        Raises:
            ArrowException, ValueError: something is wrong.
        """
        # Offsets of keys first: damaged ones would lead to reads outside the file.
        batch.validate(full=True)
        _compare(batch, sums, *SCHEMA.names)
        weights = batch.column("weight").to_numpy()
        shards, numbers = batch.column("shard").to_numpy(), batch.column("number").to_numpy()
        if not (np.isfinite(weights) & (weights >= 0)).all():
            raise ValueError("a weight is negative or not finite")
        if shards.min() < 0 or shards.max() >= len(self.contents.shards) or numbers.min() < 0:
            raise ValueError("a shard is not known")


def _with_sums(
    batch: pa.RecordBatch, metadata: pa.KeyValueMetadata | None
) -> tuple[pa.RecordBatch, dict[bytes, bytes]]:
    """Return a batch and the checksums of its columns, as its metadata say them."""
    return batch, dict(metadata.items()) if metadata is not None else {}


def _compare(batch: pa.RecordBatch, sums: dict[bytes, bytes], *names: str) -> None:
    """Check that columns are those that were written.

    Raises:
        ValueError: they are not.
    """
    for name, found in checksums(batch, names).items():
        if batch.column(name).null_count or sums.get(name.encode()) != str(found).encode():
            raise ValueError(f"{name} has another checksum")


def _contents(schema: pa.Schema, path: Path) -> dict[str, Any]:
    """Read what an index says of all rows.

    Raises:
        ValueError, LogError: it is damaged, or of another version.
    """
    metadata = schema.metadata or {}
    content = metadata.get(CONTENTS, b"")
    if schema.remove_metadata() != SCHEMA or any(one.metadata for one in schema):
        raise ValueError("it has other columns")
    if hashlib.sha256(content).hexdigest().encode() != metadata.get(CONTENTS_DIGEST):
        raise ValueError("what it says of all rows has another checksum")
    found: dict[str, Any] = parse_json(content, path, _CONTENTS)
    if found["version"] != VERSION:
        raise ValueError(f"it is of version {found['version']}")
    return found


def _split(found: dict[str, Any], split: str) -> SplitContents:
    """Return what an index says of a split.

    Raises:
        ValueError: a shard is not in the folder of the split.
    """
    own = found["splits"].get(split, {"rows": 0, "batches": 0, "digest": "", "logs": [], "shards": []})
    for shard in own["shards"]:
        if not SHARD.fullmatch(shard) or not shard.startswith(f"{split}/"):
            raise ValueError(f"{shard!r:.120} is no tar in the folder of split {split!r:.40}")
    if own["batches"] != -(-own["rows"] // BATCH_ROWS):
        raise ValueError(f"split {split} has {own['rows']} rows in {own['batches']} batches")
    return SplitContents(own["rows"], own["batches"], own["digest"], tuple(own["logs"]), tuple(own["shards"]))


def open_index(folder: Path, split: str) -> SplitIndex | None:
    """Open the index of a set's split; None if the set has none, or one that cannot be used, which a line says."""
    path = folder / INDEX
    if not (path.is_file() or is_fetched(path)) or not (folder / MANIFEST).is_file():
        return None
    try:
        return SplitIndex(path, split)
    except _ERRORS as error:
        say_once(f"{path}: not used ({_reason(error)}): {MANIFEST} is read in its place, which takes longer")
        return None


def _reason(error: BaseException) -> str:
    return printable(first_line(error))
