"""Cache of objects of stores on this machine's disk: bounded by bytes, shared by processes.

The folder is that of `SWERVE_CACHE` (by default ~/.cache/swerve/objects), its bound `SWERVE_CACHE_SIZE` (by default
50 GB). Files appear whole, by a rename, so that processes may fetch the same one at once, and one that is open stays
readable when it is removed. What was not used for the longest time is removed first.
"""

import fcntl
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from swerve.data.storage.files import PART, make_folder, replaced
from swerve.scenes import SwerveError

_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?)\s*(kB|MB|GB|TB)?")
_UNITS: Final = {None: 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}
_DEFAULT_SIZE: Final = "50 GB"
# Files that are not removed: they say what a folder of the cache is of.
KEPT: Final = ".store.json"
# A process looks for what to remove when it has added this share of the bound.
_LOOK: Final = 1 / 64
# Shares of the bound from which files are removed, and down to which: eight processes add an eighth until one looks.
_FULL: Final = 7 / 8
_KEEP: Final = 3 / 4
# Seconds without a write after which a file that is being fetched is one of a process that was killed.
_ABANDONED: Final = 86_400.0


@dataclass
class ObjectCache:
    """Files of a folder, of at most so many bytes together.

    With up to eight processes that add files, the bound is exceeded by no more than one file of each.

    Attributes:
        folder: of the files, in subfolders of any depth.
        size: bound in bytes.
    """

    folder: Path
    size: int
    _added: int = field(default=-1, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def path(self, path: Path, fetch: Callable[[Path], None]) -> Path:
        """Return a path of the folder after fetching it, if it is not there.

        It may be removed at any time after: open it at once, and call again where it is gone.

        Args:
            path: of the file, in the folder.
            fetch: writes the file to a path that it is given.
        """
        try:
            os.utime(path)
        except FileNotFoundError:
            make_folder(path.parent)
            with replaced(path) as beside:
                fetch(beside)
                added = beside.stat().st_size
            self._add(added)
        return path

    def _add(self, size: int) -> None:
        with self._lock:
            first = self._added < 0
            self._added = max(self._added, 0) + size
            if not first and self._added < self.size * _LOOK:
                return
            self._added = 0
        self.trim()

    def trim(self) -> None:
        """Remove what was not used for the longest time, if there is too much."""
        with open(self.folder / "lock", "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # who adds files waits for who removes them
            there = sorted(_files(self.folder))
            total = sum(size for _, size, _ in there)
            if total <= self.size * _FULL:
                return
            for _, size, path in there[:-1]:  # the newest is about to be read
                if total <= self.size * _KEEP:
                    return
                with suppress(FileNotFoundError):
                    os.unlink(path)
                total -= size


def _files(folder: Path) -> Iterator[tuple[float, int, str]]:
    """Yield time of last use, size and path of the files that may be removed."""
    for where, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            if name not in (KEPT, "lock"):
                with suppress(FileNotFoundError):
                    state = os.stat(path)
                    if name.endswith(PART) and time.time() - state.st_mtime < _ABANDONED:
                        continue
                    yield state.st_mtime, state.st_size, path


_OPEN: Final = dict[tuple[Path, int], ObjectCache]()


def object_cache() -> ObjectCache:
    """Return the cache of this user, or the one that the environment names.

    Raises:
        SwerveError: its size is no size.
    """
    named = os.environ.get("SWERVE_CACHE")
    folder = Path(named).absolute() if named else Path.home() / ".cache" / "swerve" / "objects"
    text = os.environ.get("SWERVE_CACHE_SIZE", _DEFAULT_SIZE)
    found = _SIZE.fullmatch(text.strip())
    if found is None or float(found[1]) <= 0:
        raise SwerveError(f"SWERVE_CACHE_SIZE: {text!r} is no size such as 200 GB")
    size = int(float(found[1]) * _UNITS[found[2]])
    return _OPEN.setdefault((folder, size), ObjectCache(folder, size))
