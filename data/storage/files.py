"""Atomic file writes, safe against being killed at any time."""

import hashlib
import json
import os
import platform
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

from swerve.scenes.errors import SwerveError, WriteError

PART = ".part"
_LONGEST_NAME = 120
# See `temporary_path`.
_TEMPORARY: Final = re.compile(r"(\.[^.]*-[0-9]+)?" + re.escape(PART) + "$")


@runtime_checkable
class Uploader(Protocol):
    """Copies the complete files of a folder elsewhere, see `swerve.data.storage.mirror`."""

    def upload(self, path: Path) -> None:
        """Copy a file that is complete.

        Raises:
            OSError: it cannot be copied.
        """

    def remove(self, path: Path) -> None:
        """Remove the copy of a file that was removed.

        Raises:
            OSError: it cannot be removed.
        """


# Folders of this process whose files are copied to a store as soon as they are complete. Usually none.
UPLOADERS: Final = dict[Path, Uploader]()


def uploader_of(path: Path) -> Uploader | None:
    """Return who copies the files of the folder that a path lies in; None for most."""
    if not UPLOADERS:
        return None
    whole = path.absolute()
    return next((one for folder, one in UPLOADERS.items() if whole.is_relative_to(folder)), None)


def upload(path: Path) -> None:
    """Copy a file to the store of its folder, if it has one: one that grows, and is complete for now.

    Raises:
        OSError: it cannot be copied.
    """
    if uploader := uploader_of(path):
        uploader.upload(path.absolute())


def remove_file(path: Path, missing_ok: bool = True) -> None:
    """Remove a file, and its copy in a store where its folder has one.

    Raises:
        OSError: it cannot be removed, or is missing and that is not allowed.
    """
    path.unlink(missing_ok=missing_ok)
    if uploader := uploader_of(path):
        uploader.remove(path.absolute())


def make_folder(path: Path) -> None:
    """Create a folder and its parents, where missing.

    Raises:
        SwerveError: the folder cannot be created.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SwerveError(f"{path}: this folder cannot be created ({error.strerror}). Choose another") from error


@contextmanager
def os_errors_as_swerve_errors(folder: Path) -> Iterator[None]:
    """Convert OSErrors in a set's folder to one error with a remedy.

    Raises:
        WriteError: replaces any OSError.
    """
    try:
        yield
    except OSError as error:
        raise WriteError(unwritable_message(folder, error)) from error


def unwritable_message(folder: Path, error: OSError) -> str:
    """Return the message for an OSError in a set's folder."""
    return f"{folder} cannot be written ({error}). Fix the cause and run the same command again"


def to_json(content: Any) -> bytes:  # noqa: ANN401 anything that JSON can hold
    """Serialize JSON deterministically: sorted keys, no NaN; halves of surrogate pairs become question marks."""
    text = json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
    return text.encode("utf-8", "replace") + b"\n"


def write_atomically(path: Path, content: bytes) -> None:
    """Write to a temporary name beside `path`, sync to disk, then rename; a file that cannot be written is removed.

    Of several processes that write a file at once, the last one's is kept, whole.
    """
    _write_synced(temporary_path(path), content)
    commit(path)


def _write_synced(path: Path, content: bytes) -> None:
    try:
        with open(path, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        with suppress(OSError):  # a full disk stays so, where half a file is left
            path.unlink()
        raise


def write_file(path: Path, content: bytes) -> None:
    """Write a file atomically, in a folder that is made where it is missing."""
    make_folder(path.parent)
    write_atomically(path, content)


def commit(path: Path) -> None:
    """Rename the finished temporary file of `path`; the folder's entry is synced to disk too."""
    os.replace(temporary_path(path), path)
    handle = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
    upload(path)


def temporary_path(path: Path) -> Path:
    """Return the temporary name of a file that this process is writing.

    Workers that outlive a lost cluster may be writing the same file, in processes and on machines of their own.
    """
    return path.with_name(f"{path.name}.{_writer()}{PART}")


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """Give a name to write a file of a cache to: it becomes the file in the end, and is removed after an error.

    Of several threads and processes that write a file at once, the last one's is kept, whole. In contrast to `commit`,
    nothing is synced to disk or uploaded.
    """
    beside = path.with_name(f"{path.name}.{_writer()}-{threading.get_ident()}{PART}")
    try:
        yield beside
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)


def _writer() -> str:
    return f"{safe_name(platform.node())}-{os.getpid()}"


def is_temporary(name: str) -> bool:
    """Return whether a name is one that `temporary_path` or `replaced` gives."""
    found = _TEMPORARY.search(name)
    return found is not None and found[1] is not None


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of a folder, without its subfolders, that killed processes left.

    Their names are never used again. Nobody else may be writing to the folder.
    """
    for path in folder.glob("*" + PART):
        if is_temporary(path.name):
            path.unlink(missing_ok=True)


def final_name(name: str) -> str:
    """Return the name that a file gets when it is complete, of its name or its temporary name."""
    return _TEMPORARY.sub("", name)


def file_version(path: Path) -> tuple[int, ...]:
    """Return what changes with a file's content, for caches of what was read; empty if there is no such file."""
    try:
        state = path.stat()
    except OSError:
        return ()
    return state.st_mtime_ns, state.st_size, state.st_ino


def file_digest(path: Path) -> str:
    """Compute the SHA-256 of a file."""
    content = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            content.update(block)
    return content.hexdigest()


def safe_name(name: str) -> str:
    """Replace characters that are not allowed in file names and WebDataset keys: dots, slashes, blanks.

    Of names of more than 120 characters the end is replaced by a digest of the whole, since files' names have 255.
    """
    plain = re.sub(r"[^A-Za-z0-9_-]", "_", name)
    if len(plain) <= _LONGEST_NAME:
        return plain
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{plain[: _LONGEST_NAME - 17]}-{digest[:16]}"
