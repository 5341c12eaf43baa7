"""Files of scoring contexts, see `swerve.data.storage.archive`. Nothing is pickled."""

from pathlib import Path
from typing import Final

from swerve.data.storage.archive import from_bytes, load_archive, save_archive, to_bytes
from swerve.eval.context.check_context import context_problems
from swerve.eval.context.scene_context import Context
from swerve.scenes import LogError

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


def context_to_bytes(context: Context) -> bytes:
    """Serialize a context as `save_context` does."""
    return to_bytes(context, _KIND, VERSION)


def context_from_bytes(content: bytes, path: str) -> Context:
    """Deserialize a context of `context_to_bytes`; `path` is named in errors.

    Raises:
        SwerveError: see `load_context`.
    """
    return _checked(from_bytes(content, Context, _KIND, VERSION, path), path)


def _checked(context: Context, path: str) -> Context:
    """Return the context.

    Raises:
        LogError: an index leads out of its array, a number is not finite, or a name is none.
    """
    for field, problem in context_problems(context):
        raise LogError(path, f"damaged context: {field}", problem, "Create it again")
    return context
