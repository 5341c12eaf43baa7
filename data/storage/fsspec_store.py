"""Stores through fsspec: S3, Google Cloud Storage, Azure, and the memory of this process."""

import errno
import os
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final, TypeVar

from swerve.data.storage.files import make_folder, replaced
from swerve.data.storage.store import Store, StoredObject, StoreError
from swerve.scenes import MissingExtraError, SwerveError

# Seconds before the second try of a request, each time twice as many up to the last, and longer or shorter by a half.
_FIRST_DELAY: Final = 0.1
_LAST_DELAY: Final = 8.0
# Environment variables: seconds for which a request is tried again, and for which an answer is waited for.
_PATIENCE: Final = "SWERVE_STORE_RETRY_SECONDS"
_PATIENCE_SECONDS: Final = 60.0
_INSTALL: Final = "pip install 'PATH[cloud]', where PATH is Swerve's folder"
# What trying again does not help.
_FINAL: Final = (FileNotFoundError, FileExistsError, PermissionError, IsADirectoryError, NotADirectoryError)
# Faults of a program, not answers of a store. AttributeError is not among them: libraries raise it where a connection
# was lost.
_FAULTS: Final = (TypeError, NameError, AssertionError, NotImplementedError, ImportError)
_FINAL_NUMBERS: Final = (errno.EINVAL, errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
_FINAL_NAMES: Final = ("NoCredentialsError", "PartialCredentialsError", "ParamValidationError")
# Packages that fsspec needs for a protocol.
_PACKAGES: Final = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs"}
# Those that the extra does not install.
_MORE: Final = ("gcsfs", "adlfs")
# This object's requests are tried again here: the layers below would each multiply the tries.
_S3: Final = {
    "use_listings_cache": False,
    "config_kwargs": {"retries": {"mode": "standard", "total_max_attempts": 1}, "connect_timeout": 10},
}
# Names of what stores say about an object.
_TIMES: Final = ("LastModified", "last_modified", "mtime", "created")
_VERSIONS: Final = ("ETag", "etag", "generation")
_READ_TIMEOUT: Final = "SWERVE_STORE_TIMEOUT"
T = TypeVar("T")


@dataclass(frozen=True)
class FsspecStore:
    """Store below a URL, see `swerve.data.storage.store.Store`.

    Attributes:
        url: of the folder, such as s3://bucket/sets/av2.
    """

    url: str

    def __post_init__(self) -> None:
        if not self._root.strip("/"):
            raise SwerveError(f"{self.url}: give a bucket and a folder, as in s3://bucket/sets/av2")
        self._files  # noqa: B018 a missing package is told at once

    @property
    def is_shared(self) -> bool:
        """Return whether other processes see the same objects."""
        return not self.url.startswith("memory:")

    @property
    def _root(self) -> str:
        return self.url.partition("://")[2]

    @cached_property
    def _files(self) -> Any:  # noqa: ANN401 an fsspec file system
        protocol = self.url.partition(":")[0]
        try:
            import fsspec

            kind = fsspec.get_filesystem_class(protocol)
        except ImportError as error:
            raise MissingExtraError(*_missing(protocol)) from error
        if protocol != "s3":
            # A lease that was put a moment ago must be in the next list.
            return kind(use_listings_cache=False)
        config = {**_S3["config_kwargs"], "read_timeout": _setting(_READ_TIMEOUT, 60.0)}  # type: ignore[dict-item]
        files = kind(**{**_S3, "config_kwargs": config})
        files.retries = 1
        return files

    def __getstate__(self) -> dict[str, str]:
        return {"url": self.url}  # connections stay behind

    def _full(self, name: str) -> str:
        return f"{self._root}/{name}" if name else self._root

    def _tried(self, name: str, ask: Callable[[], T]) -> T:
        """Send a request, and again where its failure may pass.

        Raises:
            FileNotFoundError, FileExistsError: as the store says.
            StoreError: it did not work; the message names the object.
        """
        end, delay = time.monotonic() + _setting(_PATIENCE, _PATIENCE_SECONDS), _FIRST_DELAY
        while True:
            try:
                return ask()
            except (FileNotFoundError, FileExistsError, *_FAULTS):
                raise
            except Exception as error:  # the libraries of stores raise many, which have no common base
                if time.monotonic() + delay > end or _is_final(error):
                    raise StoreError(f"{self.url}/{name}: {_reason(error)}") from error
            time.sleep(delay * random.uniform(0.5, 1.5))
            delay = min(2 * delay, _LAST_DELAY)

    def put(self, name: str, path: Path) -> None:
        """Put a file's content as an object, in place of an earlier one."""
        self._tried(name, lambda: self._files.put_file(str(path), self._full(name)))

    def write(self, name: str, content: bytes) -> None:
        """Put an object, in place of an earlier one."""
        self._tried(name, lambda: self._files.pipe_file(self._full(name), content))

    def create(self, name: str, content: bytes) -> bool:
        """Put an object where there is none; return whether the object is there now with this content."""
        try:
            self._tried(name, lambda: self._files.pipe_file(self._full(name), content, mode="create"))
        except FileExistsError:
            # Also where the answer to a try that succeeded was lost.
            return self.read(name) == content
        return True

    def get(self, name: str, path: Path, size: int | None = None) -> None:
        """Copy an object to a file, atomically, and check its size, which saves a request where it is known."""
        wanted = self._known(name).size if size is None else size
        make_folder(path.parent)

        def copy(beside: Path) -> None:
            self._files.get_file(self._full(name), str(beside))
            if (there := beside.stat().st_size) != wanted:
                raise StoreError(f"{there} of {wanted} bytes came")

        with replaced(path) as beside:
            self._tried(name, lambda: copy(beside))

    def read(self, name: str, start: int = 0, end: int | None = None) -> bytes:
        """Return the bytes of an object from `start` to `end`; to its end if None."""
        size = self._known(name).size if end is None else end

        def ask() -> bytes:
            if size <= start:
                return b""
            content = bytes(self._files.cat_file(self._full(name), start=start, end=size))
            if len(content) != size - start:
                raise StoreError(f"{len(content)} of {size - start} bytes came")
            return content

        return self._tried(name, ask)

    def _known(self, name: str) -> StoredObject:
        """Return what is known about an object.

        Raises:
            FileNotFoundError: there is none.
        """
        found = self.info(name)
        if found is None:
            raise FileNotFoundError(errno.ENOENT, "no such object", f"{self.url}/{name}")
        return found

    def info(self, name: str) -> StoredObject | None:
        """Return what is known about an object; None if there is none."""
        try:
            found = self._tried(name, lambda: self._files.info(self._full(name)))
        except FileNotFoundError:
            return None
        return self._stored(found) if found["type"] == "file" else None

    def list(self, prefix: str = "", deep: bool = True) -> Iterator[StoredObject]:
        """Yield the objects in the folder of this name, and in those below it if `deep`; sorted by name."""
        depth = None if deep else 1
        found = self._tried(prefix, lambda: self._files.find(self._full(prefix), maxdepth=depth, detail=True))
        for _, details in sorted(found.items()):
            if details["type"] == "file":
                stored = self._stored(details)
                # Azure's lists are deep, whatever is asked for.
                if deep or "/" not in stored.name.removeprefix(f"{prefix}/"):
                    yield stored

    def _stored(self, details: dict[str, Any]) -> StoredObject:
        name = details["name"].lstrip("/").removeprefix(f"{self._root.strip('/')}/")
        changed = next((details[key] for key in _TIMES if key in details), 0)
        seconds = changed.timestamp() if isinstance(changed, datetime) else _seconds(changed)
        tag = next((details[key] for key in _VERSIONS if key in details), seconds)
        return StoredObject(name, int(details["size"]), seconds, f"{tag} {details['size']}")

    def delete(self, name: str) -> None:
        """Delete an object; nothing happens if there is none."""
        try:
            self._tried(name, lambda: self._files.rm_file(self._full(name)))
        except FileNotFoundError:
            return


def _missing(protocol: str) -> tuple[str, str]:
    """Return the package that a protocol lacks, and how to install it."""
    package = _PACKAGES.get(protocol, "fsspec")
    return package, f"pip install {package}" if package in _MORE else _INSTALL


def _seconds(changed: object) -> float:
    """Return a time that is stated as a number or ISO text."""
    if isinstance(changed, str):
        return datetime.fromisoformat(changed.replace("Z", "+00:00")).timestamp()
    return float(changed) if isinstance(changed, (int, float)) else 0.0


def _setting(name: str, default: float) -> float:
    """Return the seconds that an environment variable states.

    Raises:
        SwerveError: it states none.
    """
    text = os.environ.get(name, "")
    try:
        seconds = float(text or default)
    except ValueError:
        seconds = -1.0
    if not 0.0 <= seconds < float("inf"):
        raise SwerveError(f"{name}: {text!r} is no number of seconds such as {default:g}")
    return seconds


def _is_final(error: Exception) -> bool:
    """Test whether trying again would not help."""
    number = getattr(error, "errno", None)
    return isinstance(error, _FINAL) or number in _FINAL_NUMBERS or type(error).__name__ in _FINAL_NAMES


def _reason(error: Exception) -> str:
    text = (str(error).splitlines() or [""])[0][:200]
    return text or type(error).__name__


def open_store(url: str) -> Store:
    """Open the store at a URL.

    Raises:
        MissingExtraError: fsspec, or its package for this protocol, is not installed.
        SwerveError: the URL names no bucket.
    """
    return FsspecStore(url)
