"""Contexts on disk, see `swerve.data.storage.archive`. Nothing is pickled."""

from pathlib import Path
from typing import Final

from swerve.data.storage.archive import from_bytes, load_archive, save_archive, to_bytes
from swerve.eval.context.scene_context import Context

# To be raised whenever a context's fields or their meaning change: old files are then refused, not misread.
VERSION: Final = 3
_KIND: Final = "context"


def save_context(context: Context, path: str | Path) -> None:
    """Writes a context; the file appears whole or not at all."""
    save_archive(path, context, _KIND, VERSION)


def load_context(path: str | Path) -> Context:
    """Reads a context.

    Raises:
        SwerveError: there is no such file, it is not a context, damaged, or of another version.
    """
    return load_archive(path, Context, _KIND, VERSION)


def context_to_bytes(context: Context) -> bytes:
    """A context as `save_context` writes it."""
    return to_bytes(context, _KIND, VERSION)


def context_from_bytes(content: bytes, path: str) -> Context:
    """A context of `context_to_bytes`; `path` says where it lies.

    Raises:
        SwerveError: see `load_context`.
    """
    return from_bytes(content, Context, _KIND, VERSION, path)
