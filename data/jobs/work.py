"""Interface of jobs: opening a log and building one of its parts."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from swerve.data.jobs.failures import Failure
from swerve.data.jobs.stopwatch import Stopwatch

# Called with the token of the scene that begins, the number of items of the part so far, and the finished share of the
# part, from 0 to 1. Used for the progress bar, and to locate the failure if the worker dies.
ProgressCallback = Callable[[str, int, float], None]


@dataclass(frozen=True)
class PartResult:
    """Result of one part of a log.

    Attributes:
        count: number of items (samples, scenes, evaluations).
        failures: failed items, although the part's record is written.
    """

    count: int
    failures: tuple[Failure, ...] = ()


@runtime_checkable
class LogHandle(Protocol):
    """Loaded log in one worker. It is dropped before the next log is opened."""

    @property
    def chunks(self) -> int:
        """Number of parts of the log, one or more; the same in every run."""

    def make(self, chunk: int, report: ProgressCallback) -> PartResult:
        """Build one part and write it: its output first, then, atomically, its record.

        The output depends only on the log, the chunk and the work: neither on the worker nor on other parts.

        Raises:
            SwerveError: this part cannot be built; it is listed as a failure, and the job continues.
            OSError, WriteError: the folder cannot be written; the job ends.
        """


@runtime_checkable
class JobSpec(Protocol):
    """Job description that every worker receives once: a frozen, picklable dataclass of paths, options and handles.

    Expensive objects shared by all logs (a planner, a model) belong in a `functools.cached_property` of the work:
    created on first use, once in each worker.
    """

    def open(self, log: str, watch: Stopwatch) -> LogHandle:
        """Load a log and the objects shared by its parts.

        Args:
            log: name of the log.
            watch: timer of the worker's stages; keep it for `make`.

        Raises:
            SwerveError: no part of the log can be built; it is listed as a failure, and the other logs continue.
        """
