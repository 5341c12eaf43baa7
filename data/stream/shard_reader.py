"""Random access to samples in shards, which are plain tar files."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Int

from swerve.data.dataset.sample_shape import HINT
from swerve.data.storage.tar_members import damaged, open_tar, tar_members
from swerve.data.stream.ranges import open_ranges
from swerve.scenes import SwerveError

_AGAIN: Final = "Run the job that made the set again"


@dataclass(frozen=True)
class StoredSample:
    """Location of a sample.

    Attributes:
        key: key of the sample.
        path: path of its shard.
        members: offset and size of each member, by the name after the key and a dot.
    """

    key: str
    path: Path
    members: dict[str, tuple[int, int]]

    def read(self, name: str) -> bytes:
        """Read the content of a member.

        Raises:
            SwerveError: there is no such member, or the shard is truncated.
        """
        if name not in self.members:
            raise SwerveError(f"{self.path}: sample {self.key} has no {name}; it has {', '.join(sorted(self.members))}")
        first, size = self.members[name]
        with open_tar(self.path, _AGAIN) as file:
            content = os.pread(file.fileno(), size, first)
        if len(content) < size:
            raise damaged(self.path, f"ends within {name} of sample {self.key}", HINT)
        return content


class ShardReader:
    """Reader of samples by index in the shards of one folder.

    Offsets that the manifest does not say are found once per shard, on first access, from the tar's headers: 12 us per
    member. They are cached, 8 bytes a sample. No file is kept open.

    Args:
        folder: folder of the shards.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._starts = folder, dict[str, Int[np.ndarray, "n"]]()
        self._ranges = open_ranges(folder)

    def sample(self, shard: str, number: int, key: str, offset: int = -1, end: int = -1) -> StoredSample:
        """Locate a sample of a shard.

        Args:
            shard: the shard's path in the folder.
            number: index of the sample in the shard.
            key: expected key.
            offset: of its first header in the shard, negative if unknown. Where it is, or the shard was written anew,
                all headers of the shard are read, once.
            end: offset of the next sample's first header; negative if it is the last, or unknown.

        Raises:
            SwerveError: the shard is missing or damaged, or another sample is at this index.
        """
        path = self._folder / shard
        if offset >= 0 and self._ranges is not None:
            alone = stored_sample(self._ranges.file(shard, offset, end), 0)
            if alone.key != key:
                raise SwerveError(f"{path}: should hold sample {key} but has {alone.key} in its place. {_AGAIN}")
            return alone
        if offset >= 0:
            there = _sample_at(path, offset)
            if there is not None and there.key == key:
                return there
        if shard not in self._starts:
            self._starts[shard] = sample_starts(path)
        starts = self._starts[shard]
        found = stored_sample(path, int(starts[number])) if number < len(starts) else None
        if found is None or found.key != key:
            held = f"sample {found.key} in its place" if found else f"{len(starts)} samples"
            raise SwerveError(f"{path}: should hold sample {key} but has {held}. Run the job that made the set again")
        return found


def _sample_at(path: Path, offset: int) -> StoredSample | None:
    """Return the sample at an offset; None if there is none."""
    try:
        return stored_sample(path, offset)
    except SwerveError:
        return None


def sample_starts(path: Path) -> Int[np.ndarray, "n"]:
    """Find the offset of each sample's first header; members of one sample are adjacent.

    Raises:
        SwerveError: the shard is missing or damaged.
    """
    starts, key = list[int](), ""
    with open_tar(path, _AGAIN) as file:
        for member in tar_members(file, path, 0, HINT):
            if member.key != key:
                starts.append(member.start)
                key = member.key
    return np.array(starts, np.int64)


def stored_sample(path: Path, start: int) -> StoredSample:
    """Locate the sample that begins at the offset.

    Raises:
        SwerveError: the shard is missing or damaged.
    """
    key, members = "", dict[str, tuple[int, int]]()
    with open_tar(path, _AGAIN) as file:
        for member in tar_members(file, path, start, HINT):
            if members and member.key != key:
                break
            key, _, name = member.name.partition(".")
            if name in members:
                raise damaged(path, f"sample {key} has two members {name}", HINT)
            members[name] = (member.first, member.size)
    return StoredSample(key, path, members)
