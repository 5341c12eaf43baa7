"""Files of scoring contexts, see `swerve.data.storage.archive`. Nothing is pickled."""

from pathlib import Path
from typing import Final

from swerve.data.storage.archive import load_archive, save_archive
from swerve.eval.context.check_context import raise_problems
from swerve.eval.context.scene_context import Context

# Raise whenever a context's fields or their meaning change: old files are then refused.
VERSION: Final = 4
_KIND: Final = "context"


def save_context(context: Context, path: str | Path) -> None:
    """Write a context atomically."""
    save_archive(path, context, _KIND, VERSION)


def load_context(path: str | Path) -> Context:
    """Read a context.

    Raises:
        SwerveError: there is no such file, it is not a context, damaged, or of another version.
    """
    return _checked(load_archive(path, Context, _KIND, VERSION), str(path))


def _checked(context: Context, path: str) -> Context:
    """Return the context.

    Raises:
        LogError: an index leads out of its array, a number is not finite, or a name is none.
    """
    raise_problems(context, path)
    return context
