"""Shards: WebDataset tar files whose bytes depend on the samples only (docs/formats.md)."""

import hashlib
import io
import json
import os
import tarfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np

from swerve.data.dataset.image_encoding import decode_depth, decode_image, decode_instance
from swerve.data.storage.files import PART, temporary_path
from swerve.scenes import Split, SwerveError

# Version of a sample's members (docs/formats.md). Must be increased whenever one or its meaning changes.
FORMAT: Final = 4

# Files of a set that may differ between runs: they hold times, paths of this machine, or nothing.
NOT_CONTENT = ("timing.json", "failures.json", "job.lock", "config.yaml")


@dataclass(frozen=True)
class Sample:
    """One training example, encoded.

    Attributes:
        key: unique in the whole set; without dots.
        split: split of the log.
        members: file contents by the name after the key and a dot, such as "front.jpg".
        row: row in the manifest.
    """

    key: str
    split: Split
    members: dict[str, bytes]
    row: dict[str, Any]


class ShardWriter:
    """Writer that streams samples into a shard's temporary file; `data.storage.files.commit` renames it when complete.

    Names, order, owners, modes and times inside the tar are fixed, so that equal samples give equal files.
    """

    def __init__(self, path: Path, split: Split) -> None:
        self._split, self._keys = split, set[str]()
        self._file = _HashedFile(temporary_path(path))
        self._tar = tarfile.open(  # type: ignore[call-overload]  # noqa: SIM115 it only writes, the stubs ask for more
            fileobj=self._file, mode="w", format=tarfile.GNU_FORMAT
        )

    def add(self, sample: Sample) -> None:
        """Append a sample.

        Raises:
            ValueError: the sample belongs to another split, or its key was used before.
        """
        if sample.split != self._split:
            raise ValueError(f"sample {sample.key} is of split {sample.split!r}, the shard of {self._split!r}")
        if sample.key in self._keys:
            raise ValueError(f"sample {sample.key} is in the shard already")
        self._keys.add(sample.key)
        for name in sorted(sample.members):
            entry = tarfile.TarInfo(f"{sample.key}.{name}")
            entry.size = len(sample.members[name])
            self._tar.addfile(entry, io.BytesIO(sample.members[name]))

    def finish(self) -> tuple[int, str]:
        """Close the archive and sync it to disk; return its size in bytes and its SHA-256."""
        self._tar.close()
        return self._file.finish()

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()


class _HashedFile:
    """File written sequentially and hashed on the fly."""

    def __init__(self, path: Path) -> None:
        self._file, self._hash, self._size = open(path, "wb"), hashlib.sha256(), 0  # noqa: SIM115

    def write(self, content: bytes) -> int:
        self._hash.update(content)
        self._size += len(content)
        return self._file.write(content)

    def tell(self) -> int:
        return self._size

    def finish(self) -> tuple[int, str]:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        return self._size, self._hash.hexdigest()

    def close(self) -> None:
        self._file.close()


def read_samples(folder: Path | str, split: Split, kinds: Collection[str] = ()) -> Iterator[dict[str, Any]]:
    """Yield the decoded samples of a split, shard by shard in the order of their names.

    Args:
        folder: folder of a set, written by `augment`.
        split: "train", "val" or "test".
        kinds: only viewpoints of these kinds; all if empty.

    Yields:
        "key"; "json", a dict; "npz", a dict of arrays; and every image by the name of its member, such as "front.jpg"
        or "front.depth.png", as an array. Photos and snapshots stay encoded (bytes).

    Raises:
        SwerveError: the folder holds no finished set, or a shard is damaged.
    """
    folder = Path(folder)
    if not (folder / "manifest.parquet").is_file():
        raise SwerveError(f"{folder}: no manifest.parquet: not a finished set. Run `swerve augment` to its end")
    for shard in sorted((folder / split).glob("*.tar")):
        for key, members in _read_shard(shard):
            if not kinds or json.loads(members["json"])["kind"] in kinds:
                yield {"key": key, **{name: _decode(name, content) for name, content in members.items()}}


def _read_shard(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield keys and members of a shard's samples; members of one sample are adjacent."""
    key, members = "", dict[str, bytes]()
    try:
        with tarfile.open(path, "r|") as tar:
            for entry in tar:
                owner, _, name = entry.name.partition(".")
                if owner != key and members:
                    yield key, members
                    members = {}
                content = tar.extractfile(entry)
                key, members[name] = owner, content.read() if content else b""
    except tarfile.TarError as error:
        raise SwerveError(f"{path}: damaged shard ({error}). Delete it and run the same job again") from error
    if members:
        yield key, members


def _decode(name: str, content: bytes) -> Any:  # noqa: ANN401 what it is depends on the name
    """Decode a member's content by its file extension."""
    if name == "json":
        return json.loads(content)
    if name == "npz":
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            return dict(arrays)
    if ".photo." in name or name.endswith(".npz"):
        return content
    if name.endswith(".depth.png"):
        return decode_depth(content)
    return decode_instance(content) if name.endswith(".instance.png") else decode_image(content)


def dataset_digest(folder: Path) -> str:
    """Compute SHA-256 over names and contents of a set's files: sets with equal digests are equal.

    Excluded are the files that hold times or paths of a machine: timing.json, failures.json, job.lock and
    config.yaml.
    """
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if path.name not in NOT_CONTENT and path.suffix != PART:
            total.update(f"{path.relative_to(folder).as_posix()}\n{file_digest(path)}\n".encode())
    return total.hexdigest()


def file_digest(path: Path) -> str:
    """Compute the SHA-256 of a file."""
    content = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            content.update(block)
    return content.hexdigest()
