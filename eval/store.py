"""Contexts on disk, see `swerve.data.archive`. Nothing is pickled."""

from pathlib import Path
from typing import Final

from swerve.data.archive import load_archive, save_archive
from swerve.eval.context import Context

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
