"""Catalogue of a set's samples by part."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float, Int

from swerve.data.dataset.read_manifest import MANIFEST, read_manifest
from swerve.data.stream.part import PARTS
from swerve.scenes import Split, SwerveError

# Keys that are joined at a time.
_TOGETHER = 65_536
_COLUMNS = ("key", "shard", "kind", "photos", "split", "log", "weight", "offset")
_ENCODED = ("shard", "kind", "split", "log")


@dataclass(frozen=True)
class Catalogue:
    """Samples of one split, in the order of the manifest.

    Attributes:
        folder: folder of the set.
        keys: keys of the samples.
        shards: path of each sample's shard in the folder.
        indices_in_shard: index of each sample in its shard.
        offsets: offset of each sample's first header in its shard; negative where the set does not say.
        ends: offset of the next sample's first header; negative for the last of a shard.
        weights: importance weight of each sample, see the manifest.
        parts: row indices of each part's samples.
        logs: names of the samples' logs.
        digest: SHA-256 over the keys in their order.
    """

    folder: Path
    keys: pa.Array
    shards: pa.DictionaryArray
    indices_in_shard: Int[np.ndarray, "n"]
    offsets: Int[np.ndarray, "n"]
    ends: Int[np.ndarray, "n"]
    weights: Float[np.ndarray, "n"]
    parts: dict[str, Int[np.ndarray, "_"]]
    logs: frozenset[str]
    digest: str

    def where(self, row: int) -> tuple[str, int, str, int, int]:
        """Return shard, index in the shard, key, offset and end in the shard of a sample."""
        place = int(self.indices_in_shard[row]), self.keys[row].as_py(), int(self.offsets[row])
        return self.shards[row].as_py(), *place, int(self.ends[row])


def read_catalogue(folder: Path, split: Split) -> Catalogue:
    """Read the catalogue of a finished set.

    Raises:
        SwerveError: the set is not finished, its manifest is damaged, or the split is empty.
    """
    table = read_manifest(folder, _COLUMNS, _ENCODED)
    splits = pc.unique(table["split"]).to_pylist()
    if splits != [split]:
        table = table.filter(pc.equal(table["split"], split))
    table = table.combine_chunks()
    if not len(table):
        there = ", ".join(splits) or "none"
        raise SwerveError(f"{folder}: no samples of split {split!r}; there are of {there}. Choose one with --split")
    keys, shards = table["key"].combine_chunks(), table["shard"].combine_chunks()
    codes = shards.indices.to_numpy()
    # Rows of a shard are contiguous, in the order of its samples.
    begins = np.append(True, codes[1:] != codes[:-1])
    rows = np.arange(len(table))
    digest = _digest(keys)
    logs = frozenset(pc.unique(table["log"]).to_pylist())
    indices, weights = rows - np.maximum.accumulate(np.where(begins, rows, 0)), table["weight"].to_numpy()
    if not (np.isfinite(weights) & (weights >= 0)).all():
        raise SwerveError(
            f"{folder}/{MANIFEST}: weight: is negative or not finite. Run the job that made the set again"
        )
    offsets = table["offset"].to_numpy()
    ends = np.where(np.append(begins[1:], True), -1, np.append(offsets[1:], -1))
    return Catalogue(folder, keys, shards, indices, offsets, ends, weights, _parts(table), logs, digest)


def _parts(table: pa.Table) -> dict[str, Int[np.ndarray, "_"]]:
    kinds, photos = table["kind"].combine_chunks(), table["photos"].to_numpy() > 0
    codes, names = kinds.indices.to_numpy(), kinds.dictionary.to_pylist()
    masks = {name: codes == code for code, name in enumerate(names)}
    nothing = np.zeros(len(codes), bool)
    logged = masks.pop("logged", nothing)
    masks |= {"paired": logged & photos, "raster_only": logged & ~photos}
    return {part: np.flatnonzero(masks.get(part, nothing)) for part in PARTS}


def _digest(keys: pa.Array) -> str:
    """Compute the SHA-256 over the keys, one on a line; some at a time, since a copy of all would take memory."""
    total = hashlib.sha256()
    for first in range(0, len(keys), _TOGETHER):
        some = pa.concat_arrays([keys.slice(first, _TOGETHER)])
        lines = pc.binary_join(pa.ListArray.from_arrays([0, len(some)], some), "\n")[0].as_buffer()
        total.update(b"\n" * (first > 0))
        total.update(lines)
    return total.hexdigest()
