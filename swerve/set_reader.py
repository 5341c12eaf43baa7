"""Samples of a training set, read one by one from their rows of the manifest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from swerve.data.dataset.read_manifest import read_manifest
from swerve.data.stream.catalogue import Catalogue, read_catalogue
from swerve.data.stream.decoded_sample import DecodedSample, decode_sample
from swerve.data.stream.image_fit import ImageFit
from swerve.data.stream.shard_reader import ShardReader
from swerve.data.stream.stored_raster_renderer import StoredRasterRenderer
from swerve.scenes import SwerveError
from swerve.scenes.split import Split

_SPLITS: Final[tuple[Split, ...]] = ("train", "val", "test")


@dataclass(frozen=True)
class SetReader:
    """Samples of a finished set.

    Attributes:
        shards: the reader of the shards.
        drawer: of rasters that the set does not store.
        catalogues: places of the samples, by split; in the order train, val, test.
        row_of: row of each sample in its catalogue, by split and key.
    """

    shards: ShardReader
    drawer: StoredRasterRenderer
    catalogues: Mapping[Split, Catalogue]
    row_of: Mapping[Split, Mapping[str, int]]

    def sample(self, row: Mapping[str, Any]) -> DecodedSample:
        """Read a sample, given its row of the manifest."""
        where = self.catalogues[row["split"]].where(self.row_of[row["split"]][row["key"]])
        return decode_sample(self.shards.sample(*where), (), ImageFit((1, 1)), self.drawer)


def open_set(folder: Path, columns: Sequence[str]) -> tuple[SetReader, list[dict[str, Any]]]:
    """Open a finished set; return its reader and the rows of its manifest.

    Args:
        folder: the set.
        columns: of the manifest, beside "key", "shard" and "split".

    Raises:
        SwerveError: it is not finished, damaged or empty.
    """
    rows = read_manifest(folder, ("key", "shard", "split", *columns)).to_pylist()
    if not rows:
        raise SwerveError(f"{folder}: has no samples")
    there = {row["split"] for row in rows}
    catalogues = {split: read_catalogue(folder, split) for split in _SPLITS if split in there}
    row_of = {split: {key: row for row, key in enumerate(one.keys.to_pylist())} for split, one in catalogues.items()}
    return SetReader(ShardReader(folder), StoredRasterRenderer(folder), catalogues, row_of), rows
