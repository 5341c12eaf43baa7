"""Random access to samples in shards, which are plain tar files."""

import os
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Int

from swerve.scenes import SwerveError

_BLOCK = tarfile.BLOCKSIZE


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
        with _opened(self.path) as file:
            content = os.pread(file.fileno(), size, first)
        if len(content) < size:
            raise _damaged(self.path, f"ends within {name} of sample {self.key}")
        return content


class ShardReader:
    """Reader of samples by index in the shards of one folder.

    Sample offsets are found once per shard, on first access, from the tar's headers: 12 us per member. They are cached,
    8 bytes a sample. No file is kept open.

    Args:
        folder: folder of the shards.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._starts = folder, dict[str, Int[np.ndarray, "n"]]()

    def sample(self, shard: str, number: int, key: str) -> StoredSample:
        """Locate a sample of a shard.

        Args:
            shard: the shard's path in the folder.
            number: index of the sample in the shard.
            key: expected key.

        Raises:
            SwerveError: the shard is missing or damaged, or another sample is at this index.
        """
        path = self._folder / shard
        if shard not in self._starts:
            self._starts[shard] = _sample_starts(path)
        starts = self._starts[shard]
        found = _stored(path, int(starts[number])) if number < len(starts) else None
        if found is None or found.key != key:
            held = f"sample {found.key} in its place" if found else f"{len(starts)} samples"
            raise SwerveError(f"{path}: should hold sample {key} but has {held}. Run the job that made the set again")
        return found


@dataclass(frozen=True)
class _Entry:
    """Tar member: offset of its header, its name, and its content."""

    start: int
    name: str
    first: int
    size: int

    @property
    def key(self) -> str:
        return self.name.partition(".")[0]


def _sample_starts(path: Path) -> Int[np.ndarray, "n"]:
    """Find the offset of each sample's first header."""
    starts, key = list[int](), ""
    with _opened(path) as file:
        for entry in _entries(file, path, 0):
            if entry.key != key:
                starts.append(entry.start)
                key = entry.key
    return np.array(starts, np.int64)


def _stored(path: Path, start: int) -> StoredSample:
    """Locate the sample that begins at the offset."""
    key, members = "", dict[str, tuple[int, int]]()
    with _opened(path) as file:
        for entry in _entries(file, path, start):
            if members and entry.key != key:
                break
            key, _, name = entry.name.partition(".")
            members[name] = (entry.first, entry.size)
    return StoredSample(key, path, members)


def _entries(file: BinaryIO, path: Path, start: int) -> Iterator[_Entry]:
    """Yield the members from a header on; GNU headers for names of more than 100 bytes are joined."""
    at, long_name = start, ""
    while (header := _header(file, path, at)) is not None:
        first = at + _BLOCK
        if header.type == tarfile.GNUTYPE_LONGNAME:
            long_name = os.pread(file.fileno(), header.size, first).rstrip(b"\0").decode()
        else:
            yield _Entry(start, long_name or header.name, first, header.size)
            long_name = ""
        at = first + -(-header.size // _BLOCK) * _BLOCK
        start = start if long_name else at


def _header(file: BinaryIO, path: Path, at: int) -> tarfile.TarInfo | None:
    """Read the header at the offset; None at the archive's end."""
    block = os.pread(file.fileno(), _BLOCK, at)
    if len(block) < _BLOCK:
        raise _damaged(path, f"ends at byte {at + len(block)}, within a sample or before its end mark")
    if not block.strip(b"\0"):
        return None
    try:
        return tarfile.TarInfo.frombuf(block, tarfile.ENCODING, "surrogateescape")
    except tarfile.HeaderError as error:
        raise _damaged(path, f"no header at byte {at}: {error}") from error


def _opened(path: Path) -> BinaryIO:
    try:
        return open(path, "rb")
    except OSError as error:
        raise SwerveError(f"{path}: cannot be read ({error.strerror}). Run the job that made the set again") from error


def _damaged(path: Path, why: str) -> SwerveError:
    return SwerveError(f"{path}: damaged shard ({why}). Delete it and run the same job again")
