"""What a job of one's own says to the machinery: how a log is opened, and how one of its parts is made."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from swerve.data.jobs.failures import Failure
from swerve.data.jobs.stopwatch import Stopwatch

# Called with the token of the scene that begins, how many things of the part are made so far, and the share of the part
# that is done, from 0 to 1. It moves the bar, and tells where it was if the worker dies.
ProgressCallback = Callable[[str, int, float], None]


@dataclass(frozen=True)
class Made:
    """What became of one part of a log.

    Attributes:
        count: how many samples, scenes, evaluations it gave: what the job's noun counts.
        failures: what of it could not be made, though its record is written.
    """

    count: int
    failures: tuple[Failure, ...] = ()


@runtime_checkable
class OpenLog(Protocol):
    """A loaded log, in one worker. It is dropped before the next log is opened."""

    @property
    def chunks(self) -> int:
        """Parts that the log is made in, one or more; the same in every run."""

    def make(self, chunk: int, report: ProgressCallback) -> Made:
        """Makes one part and writes it: its output first, then, at once and whole, what says that it is finished.

        What it writes depends on the log, the chunk and the work alone: neither on the worker nor on other parts.

        Raises:
            SwerveError: this part cannot be made; it is listed as a failure, and the rest goes on.
            OSError: the folder cannot be written; the job ends.
        """


@runtime_checkable
class Work(Protocol):
    """What every worker is told once: a frozen dataclass of paths, options and light handles, which are pickled.

    What a worker needs for all logs and is dear to make (a planner, a model) belongs in a `functools.cached_property`
    of the work: it is made where it is first used, once in each worker.
    """

    def open(self, log: str, watch: Stopwatch) -> OpenLog:
        """Loads a log and what is made of it once.

        Args:
            log: its name.
            watch: measures the stages of the worker; keep it for `make`.

        Raises:
            SwerveError: no part of the log can be made; it is listed as a failure, and the other logs go on.
        """
