"""Reading of many files in worker processes, before a job begins."""

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Final, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from swerve.data.jobs.main_guard import UNGUARDED, UNGUARDED_MESSAGE, refuse_import
from swerve.data.jobs.signals import end_with_parent, signals_blocked
from swerve.scenes import SwerveError

T = TypeVar("T")

# A process takes a second to start, in which pickles of so many bytes are read.
_BYTES_EACH: Final = 16 << 20
# Files that a process is given at once.
_AT_ONCE: Final = 8


@dataclass(frozen=True)
class FileReader:
    """Reads files in several processes, where they are large enough for it, and shows how far it is.

    Attributes:
        workers: most processes.
        console: where progress is shown; nowhere if None.
    """

    workers: int
    console: Console | None = None

    def __call__(self, read: Callable[[Path], T], files: Sequence[Path], noun: str) -> Iterator[T]:
        """Yield what a function returns for each file, in order.

        Args:
            read: the function; must be picklable.
            files: arguments.
            noun: name of the files in the progress.

        Raises:
            SwerveError: a process was killed, or the user's script lacks a main guard; or whatever the function raises.
            SystemExit: this process is a worker that is just importing the user's script.
        """
        size = min(self.workers, sum(_size(file) for file in files) // _BYTES_EACH)
        console = self.console or Console(quiet=True)
        columns = (TextColumn("reading {task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
            yield from bar.track(_mapped(read, files, size), len(files), description=noun)


def _size(file: Path) -> int:
    """Return the bytes of a file; none if it cannot be read, which is told by who reads it."""
    try:
        return file.stat().st_size
    except OSError:
        return 0


def _mapped(read: Callable[[Path], T], files: Sequence[Path], size: int) -> Iterator[T]:
    """Yield results, computed in a number of processes; in this one if it is below two."""
    if size < 2:
        yield from map(read, files)
        return
    refuse_import()
    others = multiprocessing.active_children()
    with ProcessPoolExecutor(size, multiprocessing.get_context("spawn"), end_with_parent) as pool:
        processes = list[BaseProcess]()
        try:
            with signals_blocked(signal.SIGINT, signal.SIGTERM):
                results = pool.map(read, files, chunksize=_AT_ONCE)
            processes += [one for one in multiprocessing.active_children() if one not in others]
            yield from results
        except BrokenProcessPool as error:
            pool.shutdown()  # exit codes are known when all have ended
            if any(one.exitcode == UNGUARDED for one in processes):
                raise SwerveError(UNGUARDED_MESSAGE) from None
            raise SwerveError(
                f"a process that read {files[0].parent} was killed: probably out of memory. Use fewer --workers"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)
