"""Files that are either whole or absent, whatever moment the process is killed at."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from swerve.scenes import SwerveError

PART = ".part"


def make_folder(path: Path) -> None:
    """Makes a folder and those above it, where they are not there.

    Raises:
        SwerveError: it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SwerveError(f"{path}: this folder cannot be made ({error.strerror}). Choose another") from error


@contextmanager
def told_where(folder: Path) -> Iterator[None]:
    """Inside, what the system refuses in the folder of a set becomes one error that says what to do.

    Raises:
        SwerveError: instead of any OSError.
    """
    try:
        yield
    except OSError as error:
        raise SwerveError(unwritable(folder, error)) from error


def unwritable(folder: Path, error: OSError) -> str:
    """What to tell when the system refuses something in the folder of a set."""
    return f"{folder} cannot be written ({error}). Mend it and run the same command again"


def to_json(content: Any) -> bytes:  # noqa: ANN401 anything that JSON can hold
    """JSON that depends on the content alone: sorted keys, no NaN."""
    return json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def write_atomically(path: Path, content: bytes) -> None:
    """Writes to a temporary name beside `path`, forces it to the disk, then renames it."""
    with open(part_of(path), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    commit(path)


def commit(path: Path) -> None:
    """Gives the finished temporary file of `path` its name; the folder's entry is forced to the disk too."""
    os.replace(part_of(path), path)
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def part_of(path: Path) -> Path:
    """Temporary name of a file that is being written."""
    return path.with_name(path.name + PART)


def safe_name(name: str) -> str:
    """The name as it may stand in a file name and in a WebDataset key: no dots, no slashes, no blanks."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)
