"""Digest of the package's source code, and removal of stale compiled kernels."""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

_ROOMS = ("scenes", "rasterizer", "viz", "data", "eval", "planners")
# Only files that contain one of these affect compiled kernels: kernels, and the named tuples that are passed to them.
_COMPILED = (b"numba", b"NamedTuple")
_STAMP = "kernels.stamp"


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Return eight characters that change with any line of the source code: results of other code are not resumed."""
    return _digest(_modules())[:8]


def forget_stale_kernels() -> None:
    """Remove numba's compilation cache if any kernel has changed since it was written.

    Numba checks the kernel's own file only; it would reuse outdated code inlined from other files, or fail to load an
    index that names a class that no longer exists.
    """
    files = [path for path in _modules() if any(word in path.read_bytes() for word in _COMPILED)]
    stamp, digest = _folder("scenes") / "__pycache__" / _STAMP, _digest(files)
    # Where the package folder is not writable, numba keeps its cache elsewhere, by version of Python and numba.
    with suppress(OSError):
        if not stamp.is_file() or stamp.read_text() != digest:
            for path in _compiled():
                path.unlink(missing_ok=True)
            stamp.parent.mkdir(exist_ok=True)
            stamp.write_text(digest)


def _digest(files: list[Path]) -> str:
    total = hashlib.blake2b(digest_size=16)
    for path in files:
        total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def _modules() -> list[Path]:
    return [path for room in _ROOMS for path in sorted(_folder(room).rglob("*.py"))]


def _compiled() -> Iterator[Path]:
    for room in _ROOMS:
        yield from _folder(room).rglob("*.nb[ci]")


def _folder(room: str) -> Path:
    spec = find_spec(f"swerve.{room}")
    assert spec is not None, "all rooms are installed together"
    assert spec.submodule_search_locations, "all rooms are packages"
    return Path(spec.submodule_search_locations[0])
