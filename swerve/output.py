"""Check an output path before the work, and keep a result that cannot be written to it."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_type_hints

from swerve.options.shared import WRITES_FILE
from swerve.scenes.errors import SwerveError, WriteError


def check_output(options: Any) -> None:  # noqa: ANN401 the options class of any command
    """Check that OUT of a command, if it has one, can be made.

    Raises:
        SwerveError: it is of the wrong kind, or cannot be made.
    """
    out = getattr(options, "out", None)
    if isinstance(out, Path):
        hint = get_type_hints(type(options), include_extras=True)["out"]
        check_writable(out, is_file=WRITES_FILE in getattr(hint, "__metadata__", ()))


def check_writable(path: Path, is_file: bool) -> None:
    """Check that a file or folder can be written, without writing anything.

    Raises:
        SwerveError: it cannot; the message says why.
    """
    try:
        if path.is_dir() if is_file else path.exists() and not path.is_dir():
            raise SwerveError(f"OUT: {path} is a {'folder' if is_file else 'file'}: give another name")
        there = next(one for one in (path, *path.absolute().parents) if one.exists())
    except OSError as error:  # such as a name that is too long
        raise SwerveError(f"OUT: {path} cannot be made ({error.strerror})") from error
    if there.is_file() and not (is_file and there == path):
        raise SwerveError(f"OUT: {path} cannot be made: {there} is a file")
    place = there.parent if there.is_file() else there
    if not os.access(place, os.W_OK | os.X_OK) or place.absolute().parts[1:2] in (("proc",), ("sys",)):
        raise SwerveError(f"OUT: {path} cannot be made: {place} is not writable")


def write_output(path: Path, write: Callable[[Path], None]) -> None:
    """Write a result that took time to compute; where that fails, write it to a temporary folder.

    Args:
        path: file or folder.
        write: writes it to the path that it is given.

    Raises:
        WriteError: it was written elsewhere, which the message names, or nowhere.
    """
    try:
        write(path)
    except (OSError, SwerveError) as error:
        rescued = Path(tempfile.mkdtemp(prefix="swerve-")) / path.name
        try:
            write(rescued)
        except (OSError, SwerveError):
            raise WriteError(f"{path} cannot be written ({error})") from error
        raise WriteError(f"{path} cannot be written ({error}). The result is in {rescued}") from error
