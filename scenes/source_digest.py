"""Digest of the package's source code."""

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

_PACKAGES = ("scenes", "rasterizer", "viz", "data", "eval", "planners")


@lru_cache(maxsize=1)
def code_digest() -> str:
    """Return eight characters that change with any line of the source code: results of other code are not resumed."""
    return contents_digest(source_files())[:8]


def contents_digest(files: Sequence[Path]) -> str:
    """Return a digest of the files' names and contents, in hexadecimal."""
    total = hashlib.blake2b(digest_size=16)
    for path in files:
        total.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()


def source_files() -> list[Path]:
    """Return the Python files of all packages below the command line."""
    return [path for package in _PACKAGES for path in sorted(_folder(package).rglob("*.py"))]


def _folder(package: str) -> Path:
    spec = find_spec(f"swerve.{package}")
    assert spec is not None, "all packages are installed together"
    assert spec.submodule_search_locations, "a package has a folder"
    return Path(spec.submodule_search_locations[0])
