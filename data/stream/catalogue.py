"""Catalogue of a set's samples by part."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Int

from swerve.data.dataset.read_index import SplitIndex, open_index
from swerve.data.dataset.read_manifest import MANIFEST, read_manifest
from swerve.data.dataset.set_index import KeyDigest, part_name, places_in_shards
from swerve.data.stream.part import PARTS
from swerve.scenes import Split, SwerveError

_COLUMNS = ("key", "shard", "kind", "photos", "split", "log", "weight", "offset")
_ENCODED = ("shard", "kind", "split", "log")


@dataclass(frozen=True)
class Catalogue(ABC):
    """Samples of one split, in the order of the manifest.

    Attributes:
        folder: folder of the set.
        parts: row indices of each part's samples.
        logs: names of the samples' logs.
        digest: SHA-256 over the keys in their order.
    """

    folder: Path
    parts: dict[str, Int[np.ndarray, "_"]]
    logs: frozenset[str]
    digest: str

    @abstractmethod
    def __len__(self) -> int:
        """Return the number of samples."""

    @property
    @abstractmethod
    def keys(self) -> pa.Array | pa.ChunkedArray:
        """Keys of the samples."""

    @abstractmethod
    def where(self, row: int) -> tuple[str, int, str, int, int]:
        """Return shard, index in the shard, key, offset and end in the shard of a sample.

        The offset is negative where the set does not say; the end, where the next sample begins, for the last of a
        shard.
        """

    @abstractmethod
    def weight(self, row: int) -> float:
        """Return the importance weight of a sample, see the manifest."""


@dataclass(frozen=True)
class _ReadCatalogue(Catalogue):
    """Catalogue of a set without an index: columns of the manifest."""

    table: pa.Table
    numbers: Int[np.ndarray, "n"]
    ends: Int[np.ndarray, "n"]

    def __len__(self) -> int:
        return len(self.table)

    @property
    def keys(self) -> pa.ChunkedArray:
        return self.table["key"]

    def where(self, row: int) -> tuple[str, int, str, int, int]:
        shard, key, offset = (self.table[name][row].as_py() for name in ("shard", "key", "offset"))
        return shard, int(self.numbers[row]), key, offset, int(self.ends[row])

    def weight(self, row: int) -> float:
        return float(self.table["weight"][row].as_py())


@dataclass(frozen=True)
class _IndexedCatalogue(Catalogue):
    """Catalogue of a set with an index; another process maps the file anew."""

    split: Split
    index: SplitIndex

    def __len__(self) -> int:
        return self.index.contents.rows

    @property
    def keys(self) -> pa.ChunkedArray:
        return self.index.keys()

    def where(self, row: int) -> tuple[str, int, str, int, int]:
        return self.index.where(row)

    def weight(self, row: int) -> float:
        return self.index.weight(row)

    def __reduce__(self) -> tuple[Any, ...]:
        return _same_catalogue, (self.folder, self.split, self.digest)


def read_catalogue(folder: Path, split: Split) -> Catalogue:
    """Read the catalogue of a finished set: its index, or the manifest where there is none.

    Raises:
        SwerveError: the set is not finished, its manifest is damaged, or the split is empty.
    """
    index = open_index(folder, split)
    if index is None:
        return _read(folder, split)
    if not index.contents.rows:
        raise _no_samples(folder, split, index.splits)
    masks = {name: index.codes == code for code, name in enumerate(index.parts)}
    return _IndexedCatalogue(
        folder=folder,
        parts=_rows(masks, len(index.codes)),
        logs=frozenset(index.contents.logs),
        digest=index.contents.digest,
        split=split,
        index=index,
    )


def _same_catalogue(folder: Path, split: Split, digest: str) -> Catalogue:
    """Read a catalogue that another process has read.

    Raises:
        SwerveError: the set has changed since.
    """
    catalogue = read_catalogue(folder, split)
    if catalogue.digest != digest:
        raise SwerveError(f"{folder}: the set has changed since it was opened. Start again")
    return catalogue


def _read(folder: Path, split: Split) -> Catalogue:
    """Read the catalogue from the manifest."""
    table = read_manifest(folder, _COLUMNS, _ENCODED)
    splits = pc.unique(table["split"]).to_pylist()
    if splits != [split]:
        table = table.filter(pc.equal(table["split"], split))
    table = table.combine_chunks()
    if not len(table):
        raise _no_samples(folder, split, splits)
    weights = table["weight"].to_numpy()
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise SwerveError(
            f"{folder}/{MANIFEST}: weight: is negative or not finite. Run the job that made the set again"
        )
    codes, digest = table["shard"].combine_chunks().indices.to_numpy(), KeyDigest()
    digest.add(table["key"])
    numbers, ends = places_in_shards(codes, table["offset"].to_numpy())
    return _ReadCatalogue(
        folder=folder,
        parts=_parts(table),
        logs=frozenset(pc.unique(table["log"]).to_pylist()),
        digest=digest.hexdigest(),
        table=table.select(["key", "shard", "offset", "weight"]),
        numbers=numbers,
        ends=ends,
    )


def _no_samples(folder: Path, split: str, splits: list[str] | tuple[str, ...]) -> SwerveError:
    there = ", ".join(splits)
    if not there:
        return SwerveError(f"{folder}: has no samples. Its failures.json says why none was made")
    return SwerveError(f"{folder}: no samples of split {split!r}; there are of {there}. Choose one with --split")


def _parts(table: pa.Table) -> dict[str, Int[np.ndarray, "_"]]:
    kinds, photos = table["kind"].combine_chunks(), table["photos"].to_numpy() > 0
    codes = kinds.indices.to_numpy()
    masks = dict[str, Any]()
    for code, kind in enumerate(kinds.dictionary.to_pylist()):
        for some in (False, True):
            name = part_name(kind, some)
            masks[name] = masks.get(name, False) | ((codes == code) & (photos == some))
    return _rows(masks, len(codes))


def _rows(masks: dict[str, Any], count: int) -> dict[str, Int[np.ndarray, "_"]]:
    """Return the rows of each part, from a mask for each that there is."""
    return {part: np.flatnonzero(masks.get(part, np.zeros(count, bool))) for part in PARTS}
