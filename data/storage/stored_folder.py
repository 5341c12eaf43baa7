"""Inputs at a URL: a folder of this machine's cache, into which files of a store come when they are read.

`local_folder` makes the folder with the files of the first level (tables, descriptions); others come when a reader
finds that they are missing (`open_file`), and go when the cache is full.
"""

import hashlib
import json
import re
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, Final

from swerve.data.storage.files import make_folder, to_json, write_atomically
from swerve.data.storage.fsspec_store import open_store
from swerve.data.storage.object_cache import KEPT, object_cache
from swerve.data.storage.store import Store, StoreError, checked_name, local_of, url_of
from swerve.scenes import SwerveError

# Objects of the first level that say nothing.
_LEFT: Final = ("job.lock", ".lease")
# Files of the first level that change without the others.
_TOLD: Final = ("timing.json", "config.yaml", "failures.json")
# Ranges of tar files, by the file's name.
_RANGES: Final = ".ranges"
_RANGE: Final = re.compile(r"\.ranges/(.+)/(\d+)-(\d*)")
_END_MARK: Final = bytes(1024)
# Times that a file is fetched which another process removes at once.
_TRIES: Final = 5


@dataclass(frozen=True)
class StoredFolder:
    """Folder of the cache with files of a store.

    Attributes:
        folder: in the cache.
        store: the store.
    """

    folder: Path
    store: Store

    def fetch(self, name: str, size: int | None = None) -> Path:
        """Return the path of an object, after copying it if it is not there.

        Raises:
            FileNotFoundError: there is none.
            StoreError: the store does not answer.
        """
        if found := _RANGE.fullmatch(name):
            return self.fetch_range(found[1], int(found[2]), int(found[3] or -1))
        self._check(name)
        return object_cache().path(self.folder / name, lambda path: self.store.get(name, path, size))

    def fetch_range(self, name: str, start: int, end: int) -> Path:
        """Return the path of a tar file with some members of one in the store.

        Args:
            name: of the tar file.
            start: first byte of the first of the members.
            end: after the last byte; the end of the file if negative.

        Raises:
            FileNotFoundError: there is no such object.
            StoreError: the store does not answer.
        """

        def fetch(path: Path) -> None:
            path.write_bytes(self.store.read(name, start, end if end >= 0 else None) + _END_MARK)

        self._check(name)
        return object_cache().path(self.folder / _RANGES / name / f"{start}-{end if end >= 0 else ''}", fetch)

    def _check(self, name: str) -> None:
        """Check that an object becomes a file of the folder, and not one that says which store the folder is of.

        Raises:
            SwerveError: it does not.
        """
        if checked_name(self.store.url, name).rpartition("/")[2] == KEPT:
            raise SwerveError(f"{self.store.url}: holds an object {name!r:.80}, a name of Swerve's cache: move it away")


def local_folder(folder: str | Path) -> Path:
    """Return a folder whose files can be read here: the folder itself, or one of the cache if it is a URL's.

    Raises:
        SwerveError: there is nothing at the URL, or the store does not answer.
    """
    url = url_of(folder)
    if url is None:
        return local_of(folder)
    store, name = open_store(url), url.rpartition("/")[2]
    try:
        first = [one for one in store.list(deep=False) if not one.name.endswith(_LEFT)]
        for one in first:
            checked_name(url, one.name)
        if not first:
            raise SwerveError(f"{url}: holds no file: nothing is there, or it is not finished")
        versions = {one.name: one.version for one in first if one.name not in _TOLD}
        # Another content of the tables is another folder: files of an earlier one are never taken for the new one's.
        digest = hashlib.sha256("\n".join([url, *map(str, sorted(versions.items()))]).encode()).hexdigest()
        own = object_cache().folder / digest[:24] / name
        make_folder(own)
        write_atomically(own / KEPT, to_json({"url": url, "versions": versions}))
        for one in first:
            if one.name in _TOLD:
                (own / one.name).unlink(missing_ok=True)
            StoredFolder(own, store).fetch(one.name, one.size)
    except StoreError as error:
        raise SwerveError(f"{error}. Try again later") from error
    return own


@lru_cache(maxsize=64)
def _opened(folder: Path, url: str) -> StoredFolder:
    return StoredFolder(folder, open_store(url))


def stored_folder(folder: Path) -> StoredFolder | None:
    """Return the store's folder that a folder of the cache is of; None for others."""
    path = folder / KEPT
    if not path.is_file():
        return None
    return _opened(folder, json.loads(path.read_bytes())["url"])  # written by this program, in the user's own cache


def is_fetched(path: Path) -> bool:
    """Copy a missing file from the store that its folder is of; return whether it is there now.

    Raises:
        StoreError: the store does not answer.
    """
    for parent in path.absolute().parents:
        if (found := stored_folder(parent)) is not None:
            with suppress(FileNotFoundError):
                found.fetch(path.absolute().relative_to(parent).as_posix())
                return True
            return False
    return False


def open_file(path: Path) -> BinaryIO:
    """Open a file to read, after copying it from the store that its folder is of, if it is missing.

    Raises:
        OSError: it is missing, or cannot be read.
    """
    for _ in range(_TRIES):
        try:
            return open(path, "rb")
        except FileNotFoundError:
            if not is_fetched(path):
                raise
    return open(path, "rb")


def source_files(url: str) -> Path:
    """Return the path of a file, or of a folder with all its files, after copying it from a store to the cache.

    Args:
        url: of an object, or of a folder that takes at most half of the cache.

    Raises:
        SwerveError: there is nothing, it is too large, or the store does not answer.
    """
    plain = url_of(url) or url
    above, name = plain.rsplit("/", 1)
    try:
        store = open_store(above)
        one = store.info(name)
        found = [one] if one else list(store.list(name))
        if not found:
            raise SwerveError(f"{url}: no such file or folder")
        size, cache = sum(each.size for each in found), object_cache()
        if size > cache.size / 2:
            raise SwerveError(
                f"{url}: its {size / 1e9:.1f} GB are more than half of the cache. Set SWERVE_CACHE_SIZE, name a "
                "smaller folder, or copy it to a disk"
            )
        digest = hashlib.sha256("\n".join([plain, *(f"{each.name} {each.version}" for each in found)]).encode())
        own = StoredFolder(cache.folder / digest.hexdigest()[:24], store)
        with ThreadPoolExecutor(32) as pool:
            for _ in pool.map(lambda each: own.fetch(each.name, each.size), found):
                pass
    except StoreError as error:
        raise SwerveError(f"{error}. Try again later") from error
    return own.folder / name


def fetch_folder(folder: Path) -> None:
    """Copy all files of a folder from the store that it is of; nothing happens for others.

    Raises:
        SwerveError: the store does not answer.
    """
    for parent in folder.absolute().parents:
        if (found := stored_folder(parent)) is not None:
            name = folder.absolute().relative_to(parent).as_posix()
            try:
                with ThreadPoolExecutor(32) as pool:
                    for _ in pool.map(lambda one: found.fetch(one.name, one.size), list(found.store.list(name))):
                        pass
            except StoreError as error:
                raise SwerveError(f"{error}. Try again later") from error
