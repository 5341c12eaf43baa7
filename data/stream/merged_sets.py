"""Several sets read as one: their samples one after the other."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from swerve.data.storage.stored_folder import local_folder
from swerve.data.stream.catalogue import Catalogue, read_catalogue
from swerve.data.stream.part import PARTS
from swerve.data.stream.shard_reader import ShardReader
from swerve.data.stream.stored_raster_renderer import StoredRasterRenderer
from swerve.scenes import Split, SwerveError


@dataclass(frozen=True)
class OpenedSet:
    """One set of a stream: what is in it, and its readers."""

    catalogue: Catalogue
    reader: ShardReader
    drawer: StoredRasterRenderer


class MergedSets:
    """The samples of one split of several sets, in the order of the sets and of their manifests.

    Args:
        folders: finished sets, each once.
        split: of the samples.

    Raises:
        SwerveError: no folder is given or one twice, a set is not finished or damaged, or has no samples of the split.
    """

    def __init__(self, folders: Sequence[Path], split: Split) -> None:
        folders = [local_folder(folder) for folder in folders]
        if not folders or len({folder.resolve() for folder in folders}) < len(folders):
            raise SwerveError("a stream reads one or more sets, each once")
        self.folders = tuple(folders)
        self._sets = [
            OpenedSet(read_catalogue(folder, split), ShardReader(folder), StoredRasterRenderer(folder))
            for folder in folders
        ]
        catalogues = [one.catalogue for one in self._sets]
        self._firsts = np.cumsum([0, *(len(one) for one in catalogues)])
        self.logs = frozenset[str]().union(*(one.logs for one in catalogues))

    @property
    def parts(self) -> dict[str, Int[np.ndarray, "_"]]:
        """Return the rows of each part's samples."""
        if len(self._sets) == 1:
            return self._sets[0].catalogue.parts
        pairs = list(zip(self._sets, self._firsts, strict=False))
        return {part: np.concatenate([one.catalogue.parts[part] + first for one, first in pairs]) for part in PARTS}

    @property
    def digest(self) -> str:
        """Return a digest over the keys of all sets in their order; of a single set its own."""
        digests = [one.catalogue.digest for one in self._sets]
        return digests[0] if len(digests) == 1 else hashlib.sha256("\n".join(digests).encode()).hexdigest()

    def weights(self, rows: Sequence[int]) -> Float[np.ndarray, "n"]:
        """Return the importance weights of samples."""
        places = [self.where(row) for row in rows]
        return np.array([self._sets[number].catalogue.weight(place) for number, place in places], np.float64)

    def where(self, row: int) -> tuple[int, int]:
        """Return the number of a row's set, and its row there."""
        number = int(np.searchsorted(self._firsts, row, side="right")) - 1
        return number, row - int(self._firsts[number])

    def __getitem__(self, number: int) -> OpenedSet:
        """Return a set."""
        return self._sets[number]
