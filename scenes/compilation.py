"""Numba's just-in-time compilation: told by group of kernels, timed, and done by one process for all.

Kernels are compiled once after installation, into the folder of `swerve.scenes.kernel_cache`.
"""

import fcntl
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, BinaryIO

from numba.core import event
from numba.core.caching import Cache

from swerve.scenes.compile_clock import add_compile_seconds

LOGGER = logging.getLogger("swerve")
# Groups of kernels, by the packages that they are in; of several that fit the last counts.
GROUPS = {
    "swerve.scenes": "lenses",
    "swerve.rasterizer": "rasters",
    "swerve.rasterizer.splats": "splats",
    "swerve.data.dataset": "image formats",
    "swerve.data.sources": "map formats",
    "swerve.data.sources.town": "generated towns",
    "swerve.data.sources.town.photos": "synthetic photos",
    "swerve.data.splats": "fits of splats",
    "swerve.eval.context": "scoring contexts",
    "swerve.eval.traffic": "reactive traffic",
    "swerve.eval.scoring": "scores",
    "swerve.eval.closed_loop": "closed loop",
}
# Called with the name of a group when a kernel of it begins to compile.
Tell = Callable[[str], None]


def announce_compilation() -> None:
    """Time the compilation of kernels in this process, share it with others, and log each group that compiles."""
    _listener()


def tell_compilation(tell: Tell) -> None:
    """Call a function for each group that compiles, with an empty name when it is done, instead of logging it."""
    _listener().tell = tell


def group_of(module: str) -> str:
    """Return the group of a kernel's module; empty for modules of others."""
    fitting = [name for package, name in GROUPS.items() if module.startswith(f"{package}.")]
    return fitting[-1] if fitting else ""


class _Listener(event.Listener):
    """Listener for compilations of this package; kernels from numba's cache emit no event."""

    def __init__(self) -> None:
        self.tell: Tell = self._log
        self._local, self._logged = threading.local(), set[str]()

    def on_start(self, event: event.Event) -> None:
        """Tell the group, and start the clock, when no other kernel of this thread is compiling."""
        depth = getattr(self._local, "depth", 0)
        self._local.depth = depth + 1
        if not depth:
            self._local.start = (time.perf_counter(), time.thread_time())
            if group := group_of(event.data["dispatcher"].py_func.__module__):
                self.tell(group)

    def on_end(self, event: event.Event) -> None:
        """Book the time of the outermost kernel."""
        self._local.depth -= 1
        if not self._local.depth:
            wall, cpu = self._local.start
            add_compile_seconds(time.perf_counter() - wall, time.thread_time() - cpu)
            self.tell("")

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Book the time of the block, too, unless a kernel is compiling, whose time includes it."""
        start = time.perf_counter()
        yield
        if not getattr(self._local, "depth", 0):
            add_compile_seconds(time.perf_counter() - start, 0.0)

    def _log(self, group: str) -> None:
        if group and group not in self._logged:
            self._logged.add(group)
            LOGGER.warning(f"compiling kernels, once after installation: {group}")


@lru_cache(maxsize=1)
def _listener() -> _Listener:
    """Return the listener of this process, registered when it is first asked for."""
    listener = _Listener()
    event.register("numba:compile", listener)
    _share_compilation(listener)
    return listener


def _share_compilation(listener: _Listener) -> None:
    """Let a process that needs a kernel wait for another that is compiling it, and load what that one wrote.

    Numba's cache lets processes that start together all compile the same kernels. Here the first takes a lock on the
    kernel's file, and keeps it until the kernel is written. Kernels call each other without circles, so that processes
    do not wait for each other; the lock of a process that dies is released by the operating system.
    """
    cache: Any = Cache
    load, save = cache.load_overload, cache.save_overload
    locks = dict[str, BinaryIO]()

    def load_overload(self: Any, sig: Any, target_context: Any) -> Any:  # noqa: ANN401 numba's
        found = load(self, sig, target_context)
        if found is not None or not group_of(self._py_func.__module__):
            return found
        path = f"{self._cache_path}/{self._impl.filename_base}.lock"
        if path not in locks and (lock := _opened(Path(path))):
            with listener.waiting():
                _wait_for(lock)
            locks[path] = lock
            if (found := load(self, sig, target_context)) is not None:
                locks.pop(path).close()
        return found

    def save_overload(self: Any, sig: Any, data: Any) -> None:  # noqa: ANN401
        save(self, sig, data)
        if lock := locks.pop(f"{self._cache_path}/{self._impl.filename_base}.lock", None):
            lock.close()

    cache.load_overload, cache.save_overload = load_overload, save_overload


def _wait_for(lock: BinaryIO) -> None:
    """Wait for a file's lock; on file systems without locks each process compiles for itself."""
    with suppress(OSError):
        fcntl.flock(lock, fcntl.LOCK_EX)


def _opened(path: Path) -> BinaryIO | None:
    """Open a lock file; None where it cannot be written: then each process compiles for itself."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return open(path, "ab")
    except OSError:
        return None
