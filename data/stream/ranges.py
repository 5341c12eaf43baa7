"""Samples of a set at a URL, fetched one by one where the set is larger than the cache of this machine."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from swerve.data.dataset.sample_shape import HINT
from swerve.data.storage.checked_json import fields, integer, read_json
from swerve.data.storage.object_cache import object_cache
from swerve.data.storage.store import StoreError
from swerve.data.storage.stored_folder import StoredFolder, stored_folder
from swerve.data.storage.tar_members import damaged
from swerve.scenes import LogError, SwerveError

_SUMMARY: Final = fields({"bytes": integer(0)})


@dataclass(frozen=True)
class SampleRanges:
    """Ranges of shards in a store, each of one sample.

    Attributes:
        folder: of the set.
    """

    folder: StoredFolder

    def file(self, shard: str, offset: int, end: int) -> Path:
        """Return the path of a tar file with one sample.

        Args:
            shard: the shard's path in the set.
            offset: of the sample's first header.
            end: of its last member; the shard's end if negative.

        Raises:
            SwerveError: the shard is missing, ends before, or the store does not answer.
        """
        path = self.folder.folder / shard
        try:
            return self.folder.fetch_range(shard, offset, end)
        except FileNotFoundError as error:
            raise damaged(path, "is missing", HINT) from error
        except StoreError as error:
            raise SwerveError(f"{error}. Start again to go on") from error


def open_ranges(folder: Path) -> SampleRanges | None:
    """Return how samples of a set are fetched; None if it is of this machine, or its shards fit into the cache."""
    found = stored_folder(folder)
    if found is None:
        return None
    try:
        size = read_json(folder / "summary.json", _SUMMARY)["bytes"]
    except LogError:  # such as contexts, which are small
        return None
    return SampleRanges(found) if size > object_cache().size / 2 else None
