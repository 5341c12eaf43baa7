"""Shards: WebDataset tar files whose bytes depend on the samples only (docs/formats.md)."""

import hashlib
import io
import os
import tarfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from swerve.data.dataset.image_encoding import decode_depth, decode_image, decode_instance
from swerve.data.dataset.read_manifest import shards_of
from swerve.data.dataset.sample_shape import HINT, SAMPLE_HEAD, read_details
from swerve.data.storage.checked_npz import read_npz
from swerve.data.storage.files import PART, file_digest, temporary_path
from swerve.data.storage.tar_members import damaged, open_tar, read_member, tar_members
from swerve.scenes import LogError, Split

# Files and folders of a set that may differ between runs: they hold times, paths of this machine, or nothing.
NOT_CONTENT = ("timing.json", "failures.json", "job.lock", "config.yaml", "runs", "sources")


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

    def add(self, sample: Sample) -> int:
        """Append a sample; return the offset of its first header in the shard.

        Raises:
            ValueError: the sample belongs to another split, or its key was used before.
        """
        if sample.split != self._split:
            raise ValueError(f"sample {sample.key} is of split {sample.split!r}, the shard of {self._split!r}")
        if sample.key in self._keys:
            raise ValueError(f"sample {sample.key} is in the shard already")
        self._keys.add(sample.key)
        offset: int = self._tar.offset
        for name in sorted(sample.members):
            entry = tarfile.TarInfo(f"{sample.key}.{name}")
            entry.size = len(sample.members[name])
            self._tar.addfile(entry, io.BytesIO(sample.members[name]))
        return offset

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
        SwerveError: the folder holds no finished set, or a shard is missing, damaged, of another format, or has other
            samples than the manifest says.
    """
    for shard, keys in shards_of(Path(folder), split):
        number = -1
        for number, (key, members) in enumerate(read_shard(shard)):
            if number >= len(keys) or key != keys[number]:
                raise damaged(shard, f"holds sample {key} as its number {number}, which the manifest does not", HINT)
            where = f"{shard}: {key}"
            if missing := {"json", "npz"} - set(members):
                raise damaged(shard, f"sample {key} has no {sorted(missing)[0]}", HINT)
            details = read_details(members["json"], shard, key, SAMPLE_HEAD)
            if not kinds or details["kind"] in kinds:
                decoded = {name: _decode(name, content, where) for name, content in members.items() if name != "json"}
                yield {"key": key, "json": details, **decoded}
        if number + 1 < len(keys):
            raise damaged(shard, f"holds {number + 1} samples, {len(keys)} are in the manifest", HINT)


def read_shard(path: Path) -> Iterator[tuple[str, dict[str, bytes]]]:
    """Yield keys and members of a shard's samples; members of one sample are adjacent.

    Raises:
        SwerveError: the shard is missing, damaged, or without a sample.
    """
    key = None
    with open_tar(path, HINT) as file:
        for key, own in groupby(tar_members(file, path, 0, HINT), lambda member: member.key):
            members = dict[str, bytes]()
            for member in own:
                name = member.name.partition(".")[2]
                if name in members:
                    raise damaged(path, f"sample {key} has two members {name}", HINT)
                members[name] = read_member(file, path, member, HINT)
            yield key, members
    if key is None:
        raise damaged(path, "has no sample", HINT)


def _decode(name: str, content: bytes, where: str) -> Any:  # noqa: ANN401 what it is depends on the name
    """Decode a member's content by its file extension.

    Raises:
        LogError: it is damaged.
    """
    if name == "npz":
        return read_npz(content, f"{where}.npz", hint=HINT)
    if ".photo." in name or name.endswith((".npz", ".txt")):
        return content
    decode = next((own for end, own in _DECODERS.items() if name.endswith(end)), decode_image)
    try:
        return decode(content)
    except ValueError as error:
        raise LogError(f"{where}.{name}", "image", f"is damaged ({error})", HINT) from error


_DECODERS: Final = {".depth.png": decode_depth, ".instance.png": decode_instance}


def dataset_digest(folder: str | Path) -> str:
    """Compute SHA-256 over names and contents of a set's files: sets with equal digests are equal.

    Excluded is what holds times or paths of a machine: timing.json, failures.json, job.lock, config.yaml, and the
    folders `runs` and `sources`.
    """
    folder = Path(folder)
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        if not {path.name, path.relative_to(folder).parts[0]} & {*NOT_CONTENT} and path.suffix != PART:
            total.update(f"{path.relative_to(folder).as_posix()}\n{file_digest(path)}\n".encode())
    return total.hexdigest()
