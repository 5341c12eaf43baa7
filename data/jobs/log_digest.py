"""Digest of a loaded log: everything that parts are computed from, and no path of a machine."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from pathlib import Path

import numpy as np

from swerve.scenes import Log


def log_digest(log: Log) -> str:
    """Compute a digest of the contents of a log; equal logs read from other places have equal digests.

    Of photos and sweeps it covers the times, poses and names of files, not their pixels and points, which are read on
    demand; see `sensor_digest`. The split is left out: folders' names may state it.
    """
    total = hashlib.blake2b(digest_size=16)
    for block in _blocks(replace(log, split=None)):
        total.update(len(block).to_bytes(8, "little"))
        total.update(block)
    return total.hexdigest()


def whole_log_digest(log: Log) -> str:
    """Compute a digest of the contents of a log whatever scenes of it are asked for, as by a split of NAVSIM."""
    return log_digest(replace(log, scene_times_us=None))


def sensor_digest(log: Log) -> str:
    """Compute a digest of the sizes of a log's photo and sweep files; missing ones count as such."""
    files = dict.fromkeys([*(photo.file for photo in log.photos), *(sweep.file for sweep in log.sweeps)])
    sizes = "\n".join(f"{file.name} {_size(file)}" for file in files)
    return hashlib.blake2b(sizes.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def _blocks(value: object) -> Iterator[bytes]:
    """Yield the content of a value as bytes, so that different values yield different sequences.

    Raises:
        TypeError: a value of a type that logs do not hold.
    """
    if is_dataclass(value):
        yield type(value).__name__.encode()
        for field in fields(value):
            yield from _blocks(getattr(value, field.name))
    elif isinstance(value, np.ndarray):
        plain = value if value.dtype != object else np.array([repr(one) for one in value.ravel()])
        yield f"{plain.dtype.str} {value.shape}".encode()
        yield np.ascontiguousarray(plain).tobytes()
    elif isinstance(value, (tuple, list)):
        yield f"{len(value)}".encode()
        for one in value:
            yield from _blocks(one)
    elif isinstance(value, Mapping):
        yield from _blocks(sorted(value.items()))
    else:
        yield _plain(value)


def _plain(value: object) -> bytes:
    if isinstance(value, Path):
        return value.name.encode("utf-8", "surrogateescape")
    if isinstance(value, Enum):
        return value.name.encode()
    if value is None or isinstance(value, (str, bytes, bool, int, float, np.generic)):
        return f"{type(value).__name__} {value!r}".encode("utf-8", "surrogatepass")
    if isinstance(value, Callable):  # type: ignore[arg-type]  # how a sweep's file is decoded
        return getattr(value, "__qualname__", type(value).__name__).encode()
    raise TypeError(f"a log with a {type(value).__name__}: its digest is not defined")


def _size(path: Path) -> int:
    """Return the bytes of a file; -1 if it is missing, which is its reader's error."""
    try:
        return path.stat().st_size
    except OSError:
        return -1
