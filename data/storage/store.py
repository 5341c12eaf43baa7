"""Stores of objects: what outputs and inputs at a URL need, and how one is opened.

An object is a name and bytes. A store puts a whole object at once: readers see the earlier object, or the new one, and
never a part. Nothing is renamed, and folders do not exist: a name may hold slashes.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

from swerve.scenes import SwerveError

# Protocols whose stores put an object whole, and list an object as soon as it was put.
_PROTOCOLS: Final = ("s3", "gs", "az", "memory")
_REFUSED: Final = ("http", "https", "ftp", "sftp", "ssh", "hdfs", "s3a", "gcs", "abfs", "abfss", "wasb", "r2")
_URL: Final = re.compile(r"([a-z][a-z0-9]+):/+(.*)", re.DOTALL)


class StoreError(OSError):
    """A store did not do what it was asked for, after several tries."""


@dataclass(frozen=True)
class StoredObject:
    """Object as a store describes it.

    Attributes:
        name: below the store's URL.
        size: bytes.
        seconds: time of its last change by the store's clock, since 1970.
        version: text that changes with the content.
    """

    name: str
    size: int
    seconds: float
    version: str


@runtime_checkable
class Store(Protocol):
    """Objects below a URL. Can be pickled, and used from many threads.

    All methods try again where a failure may pass (500, 503, timeouts, broken connections, short answers), and raise
    `StoreError` where it does not, FileNotFoundError where an object is missing.
    """

    @property
    def url(self) -> str:
        """Return the URL below which names are."""

    @property
    def is_shared(self) -> bool:
        """Return whether other processes see the same objects."""

    def put(self, name: str, path: Path) -> None:
        """Put a file's content as an object, in place of an earlier one."""

    def write(self, name: str, content: bytes) -> None:
        """Put an object, in place of an earlier one."""

    def create(self, name: str, content: bytes) -> bool:
        """Put an object where there is none; return whether the object is there now with this content.

        Of several that create one name at once, one succeeds.
        """

    def get(self, name: str, path: Path, size: int | None = None) -> None:
        """Copy an object to a file, atomically; `size` saves a request where it is known."""

    def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """Return the bytes of an object from `start` to `end`; to its end if None."""

    def info(self, name: str) -> StoredObject | None:
        """Return what is known about an object; None if there is none."""

    def list(self, prefix: str = "", deep: bool = True) -> Iterator[StoredObject]:
        """Yield the objects in the folder of this name, and in those below it if `deep`."""

    def delete(self, name: str) -> None:
        """Delete an object; nothing happens if there is none."""


def checked_name(url: str, name: str) -> str:
    """Return the name of an object, which is about to become a path of this machine.

    Raises:
        SwerveError: the path would lie outside of the folder, or could not be a file's.
    """
    if ".." in name.split("/") or name.startswith("/") or not name.rstrip("/") or not name.isprintable():
        raise SwerveError(f"{url}: holds an object {name!r:.80}, which can be no file of a folder: move it away")
    return name


def url_of(path: str | Path) -> str | None:
    """Return the URL of a store that a path or text states; None if it is a path of this machine.

    A `Path` has lost one of two slashes, which is found again here.

    Raises:
        SwerveError: it is a URL of something that is no store.
    """
    found = _URL.fullmatch(str(path))
    if found is None or found[1] not in (*_PROTOCOLS, *_REFUSED):
        return None  # also of sources, such as av2:/data
    if found[1] in _REFUSED:
        raise SwerveError(f"{path}: outputs and inputs are paths, or URLs of {', '.join(_PROTOCOLS)}, file")
    return f"{found[1]}://{found[2].rstrip('/')}"


def local_of(path: str | Path) -> Path:
    """Return the path that a path, or a URL file://PATH, states."""
    found = _URL.fullmatch(str(path))
    return Path("/" + found[2]) if found and found[1] == "file" else Path(path)
