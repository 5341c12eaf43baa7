"""The package's own code: which it is, and compiled kernels that are older than it."""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

_ROOMS = ("scenes", "rasterizer", "viz", "data", "eval", "planners")
# Only files that say one of these have a part in compiled kernels: the kernels, and the tuples that they are given.
_COMPILED = (b"numba", b"NamedTuple")
_STAMP = "kernels.stamp"


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Eight letters that differ as soon as a line of Swerve does: what was made by other code is not gone on with."""
    return _digest(_modules())[:8]


def forget_stale_kernels() -> None:
    """Removes what numba compiled if any kernel has changed since.

    Numba looks at the file of the kernel alone, and would go on with what it inlined of others, or fail to read an
    index that names a class that is gone.
    """
    files = [path for path in _modules() if any(word in path.read_bytes() for word in _COMPILED)]
    stamp, digest = _folder("scenes") / "__pycache__" / _STAMP, _digest(files)
    # Where nothing can be written beside the code, numba keeps its cache elsewhere, by version of Python and numba.
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
