"""Outputs at a URL: a job writes to a scratch folder of this machine, whose files are copied to a store one by one.

A file is copied as soon as it is complete (`files.commit`), in the order in which the job completes them: a shard, then
its record. A job that is resumed, on whatever machine, first copies what the store has to its scratch folder: records
and tables; of shards, which no job reads again, only the sizes. So jobs need not know of stores.

A scratch folder belongs to one run. It is removed when the run ends, and by the next run of this machine where it was
killed.
"""

import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from swerve.data.storage.files import PART, UPLOADERS, make_folder, uploader_of
from swerve.data.storage.fsspec_store import open_store
from swerve.data.storage.scratch import hold_scratch, make_scratch
from swerve.data.storage.store import Store, StoredObject, StoreError, checked_name, local_of, url_of
from swerve.scenes import SwerveError
from swerve.scenes.errors import WriteError

LEASE: Final = ".lease"
# A job's description: put where there is none, so that of two jobs that begin in one folder one goes on.
_DESCRIPTION: Final = "job.json"
_STATE: Final = ".state.json"
# Seconds between two copies of a run's state.
_STATE_PERIOD: Final = 15.0
_RECORDS: Final = ("records", "sources")
# Folders of large files that a job writes and does not read.
_BULK: Final = ("scene_groups", "static")
_AT_ONCE: Final = 32


@dataclass(frozen=True)
class Attachment:
    """Scratch folder and store, for workers that upload files too.

    Attributes:
        folder: the scratch folder.
        url: of the store.
    """

    folder: Path
    url: str


class Mirror:
    """Scratch folder of an output in a store.

    Attributes:
        folder: the scratch folder.
        store: the store.

    Args:
        folder: see above.
        store: see above.
        uploads_at_once: whether files are copied as soon as they are complete; otherwise only by `upload_missing`.
    """

    def __init__(self, folder: Path, store: Store, uploads_at_once: bool = True) -> None:
        self.folder, self.store, self._uploads_at_once = folder, store, uploads_at_once
        self._versions, self._uploaded_bulk, self._told = dict[str, str](), list[Path](), dict[str, float]()
        self._lock = threading.Lock()

    @property
    def _journal(self) -> Path:
        return self.folder.parent / "journal"

    def pull(self, only_names: Sequence[str] = ()) -> None:
        """Copy what the store has and this folder has not; of shards, and of these folders, names and sizes only.

        Raises:
            StoreError: the store does not answer.
            SwerveError: it holds a name that is no file's.
        """
        own = self._uploaded()
        new = [one for one in self.store.list() if self._is_new(one, own)]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for one, _ in zip(new, pool.map(lambda one: self._fetch(one, only_names), new), strict=True):
                self._versions[one.name] = one.version

    def _is_new(self, found: StoredObject, own: dict[str, tuple[int, int]]) -> bool:
        checked_name(self.store.url, found.name)
        if found.name.endswith((LEASE, PART)) or self._versions.get(found.name) == found.version:
            return False
        path = self.folder / found.name
        return found.name not in own or own[found.name][0] != found.size or not path.is_file()

    def _fetch(self, found: StoredObject, only_names: Sequence[str]) -> None:
        path = self.folder / found.name
        if _is_bulk(found.name) or not {*only_names}.isdisjoint(PurePosixPath(found.name).parts[:-1]):
            make_folder(path.parent)
            _make_placeholder(path, found.size)
        else:
            self.store.get(found.name, path, found.size)
        self._note(found.name, path)

    def upload(self, path: Path) -> None:
        """Copy a file that is complete.

        Raises:
            StoreError: it cannot be copied.
            SwerveError: another job has begun in this folder meanwhile.
        """
        name = path.relative_to(self.folder).as_posix()
        if not self._uploads_at_once or not self._is_due(name):
            return
        self._put(name, path)
        if _is_bulk(name):
            with self._lock:
                self._uploaded_bulk.append(path)
        elif PurePosixPath(name).parts[0] in _RECORDS or "/records/" in name:
            self._free()

    def _put(self, name: str, path: Path) -> None:
        if PurePosixPath(name).name == _DESCRIPTION and name not in self._versions and name not in self._uploaded():
            if not self.store.create(name, path.read_bytes()):
                raise SwerveError(f"{self.folder}: another job has begun in this folder meanwhile: choose another")
        else:
            self.store.put(name, path)
        self._note(name, path)

    def _free(self) -> None:
        """Free the space of shards that are in the store, and whose record is written."""
        with self._lock:
            done, self._uploaded_bulk = self._uploaded_bulk, []
        for path in done:
            _make_placeholder(path, path.stat().st_size)
            self._note(path.relative_to(self.folder).as_posix(), path)

    def _is_due(self, name: str) -> bool:
        """Test whether a file is the output's; states of runs only from time to time."""
        if name.endswith((PART, ".lock")):
            return False
        now = time.monotonic()
        if name.endswith(_STATE) and now - self._told.get(name, -_STATE_PERIOD) < _STATE_PERIOD:
            return False
        self._told[name] = now
        return True

    def remove(self, path: Path) -> None:
        """Remove the copy of a file.

        Raises:
            StoreError: it cannot be removed.
        """
        if self._uploads_at_once:
            name = path.relative_to(self.folder).as_posix()
            self.store.delete(name)
            self._versions.pop(name, None)

    def upload_missing(self) -> None:
        """Copy every file that is not in the store as it is here: records after shards, tables last.

        Raises:
            StoreError: it cannot be copied.
        """
        there, paths = self._uploaded(), [path for path in self.folder.rglob("*") if path.is_file()]
        for path in sorted(paths, key=self._order):
            name, state = path.relative_to(self.folder).as_posix(), path.stat()
            if (
                not _is_placeholder(name, state)
                and not name.endswith((PART, ".lock"))
                and there.get(name) != _mark(state)
            ):
                self._put(name, path)
        if not self._uploads_at_once:
            here = {path.relative_to(self.folder).as_posix() for path in paths}
            for name in [name for name in there if name not in here]:
                self.store.delete(name)

    def _order(self, path: Path) -> tuple[int, int]:
        parts = path.relative_to(self.folder).parts
        last = 2 if len(parts) == 1 else 1 if parts[0] in _RECORDS else 0
        return (-1 if parts[-1] == _DESCRIPTION else last), path.stat().st_mtime_ns

    def _note(self, name: str, path: Path) -> None:
        """Note, for all processes, that the store has a file as it is here."""
        size, time_ns = _mark(path.stat())
        with open(self._journal, "a") as journal:
            journal.write(f"{size} {time_ns} {name}\n")

    def _uploaded(self) -> dict[str, tuple[int, int]]:
        if not self._journal.is_file():
            return {}
        lines = (line.split(" ", 2) for line in self._journal.read_text().splitlines())
        return {name: (int(size), int(time_ns)) for size, time_ns, name in lines}


def _mark(state: os.stat_result) -> tuple[int, int]:
    return state.st_size, state.st_mtime_ns


def _is_bulk(name: str) -> bool:
    return name.endswith((".tar", ".arrow")) or PurePosixPath(name).parts[0] in _BULK


def _is_placeholder(name: str, state: os.stat_result) -> bool:
    """Test whether a file of a scratch folder has its size only, see `_make_placeholder`."""
    return _is_bulk(name) and state.st_size > 0 and state.st_blocks == 0


def _make_placeholder(path: Path, size: int) -> None:
    """Replace a file by one of the same size that takes no space; jobs check sizes."""
    with open(path, "wb") as file:
        file.truncate(size)


def mirror_of(folder: Path) -> Mirror | None:
    """Return the mirror that a folder of this process belongs to; None for folders of this machine."""
    found = uploader_of(folder)
    return found if isinstance(found, Mirror) else None


def refresh(folder: Path) -> None:
    """Copy what other runs have written to the store of a folder; nothing happens to a folder of this machine.

    Raises:
        StoreError: the store does not answer.
    """
    if mirror := mirror_of(folder):
        mirror.pull()


def attachments() -> tuple[Attachment, ...]:
    """Return what workers of this process need, for `attach`."""
    mirrors = (one for one in UPLOADERS.values() if isinstance(one, Mirror))
    return tuple(Attachment(mirror.folder, mirror.store.url) for mirror in mirrors)


_KEPT: Final = list[BinaryIO]()


def attach(attached: Sequence[Attachment]) -> None:
    """Upload files of these folders from this process, on the machine of the run or another.

    Raises:
        StoreError: the store does not answer.
    """
    for one in attached:
        if one.folder in UPLOADERS:
            continue
        store = open_store(one.url)
        mirror = Mirror(one.folder, store, uploads_at_once=store.is_shared)
        if not one.folder.is_dir():  # another machine
            make_folder(one.folder)
            _KEPT.append(hold_scratch(one.folder.parent))
            mirror.pull()
        UPLOADERS[one.folder] = mirror


@contextmanager
def output_folder(out: str | Path) -> Iterator[Path]:
    """Return the folder to write an output to: the folder itself, or the scratch folder of one at a URL.

    Everything is in the store when the block is left without an error; after an error, what was complete.

    Args:
        out: path, or URL of a store.

    Raises:
        WriteError: the store does not answer.
        SwerveError: see `open_store`.
    """
    url = url_of(out)
    if url is None:
        yield local_of(out)
        return
    folder = make_scratch(PurePosixPath(url).name)
    with hold_scratch(folder.parent), _told_as(folder, url):
        mirror = UPLOADERS[folder] = Mirror(folder, store := open_store(url), uploads_at_once=store.is_shared)
        try:
            mirror.pull()
            yield folder
            mirror.upload_missing()
        except StoreError as error:
            raise WriteError(f"{error}. Fix the cause and run the same command again") from error
        except WriteError:
            raise
        except BaseException:
            with suppress(OSError, SwerveError):
                mirror.upload_missing()
            raise
        finally:
            del UPLOADERS[folder]
            shutil.rmtree(folder.parent, ignore_errors=True)


# Stores of the folders that `snapshot` has returned.
_SNAPSHOTS: Final = dict[Path, Mirror]()


def reread(folder: Path, places: tuple[str, ...], ending: str) -> None:
    """Copy small files of a snapshot anew, and what was not there; nothing happens to a folder of this machine.

    Args:
        folder: the snapshot.
        places: how the names of the files begin.
        ending: how they end.

    Raises:
        StoreError: the store does not answer.
    """
    if mirror := _SNAPSHOTS.get(folder):
        for path in folder.rglob(f"*{ending}"):
            if path.relative_to(folder).as_posix().startswith(places):
                path.unlink()
        mirror.pull(only_names=_RECORDS)


@contextmanager
def snapshot(out: str | Path) -> Iterator[Path]:
    """Return a folder with what an output at a URL holds besides its parts, whose files take no space; to look at only.

    Args:
        out: path, or URL of a store.

    Raises:
        SwerveError: the store does not answer.
    """
    url = url_of(out)
    if url is None:
        yield local_of(out)
        return
    folder = make_scratch(PurePosixPath(url).name)
    with hold_scratch(folder.parent), _told_as(folder, url):
        try:
            mirror = Mirror(folder, open_store(url), uploads_at_once=False)
            mirror.pull(only_names=_RECORDS)
            _SNAPSHOTS[folder] = mirror
            yield folder
        except StoreError as error:
            raise SwerveError(f"{error}. Try again later") from error
        finally:
            _SNAPSHOTS.pop(folder, None)
            shutil.rmtree(folder.parent, ignore_errors=True)


@contextmanager
def _told_as(folder: Path, url: str) -> Iterator[None]:
    """Name the URL in errors, not the scratch folder."""
    try:
        yield
    except SwerveError as error:
        error.args = tuple(one.replace(str(folder), url) if isinstance(one, str) else one for one in error.args)
        raise


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Return the path of a file with its content, copied from the store where a scratch folder has its size alone.

    Raises:
        OSError: it is missing, or the store does not answer.
    """
    mirror = mirror_of(path)
    if mirror is None or not _is_placeholder(path.absolute().relative_to(mirror.folder).as_posix(), path.stat()):
        yield path
        return
    with tempfile.TemporaryDirectory(dir=mirror.folder.parent) as beside:
        copy = Path(beside) / path.name
        mirror.store.get(path.absolute().relative_to(mirror.folder).as_posix(), copy)
        yield copy


def shown(path: Path) -> str:
    """Return a path as text for people: that of a scratch folder as its URL."""
    mirror = mirror_of(path)
    return str(path) if mirror is None else str(path.absolute()).replace(str(mirror.folder), mirror.store.url)
