"""Execution of jobs: number of processes, share of an array of runs, place of the workers."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from swerve.scenes import SwerveError

ProgressKind = Literal["bar", "json"]
# Whether a run makes a part of a log.
Owns = Callable[[str, int], bool]
_PART: Final = re.compile(r"(\d{1,6})/(\d{1,6})")
FINISH: Final = "finish"
LOCAL: Final = "local"
RAY: Final = "ray"
# Runs of an array take whole logs where there are this many logs for each.
_LOGS_PER_RUN: Final = 4


@dataclass(frozen=True)
class ArrayPart:
    """One run of an array of runs that share a job by its output folder alone.

    Attributes:
        number: of the run, 1 to `count`.
        count: number of runs.
    """

    number: int
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise SwerveError(f"--part {self}: the first number must lie in 1..{self.count}")

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    @property
    def stem(self) -> str:
        """Stem of the names of its files: "3-of-16"."""
        return f"{self.number}-of-{self.count}"

    def owns(self, logs: Sequence[str], single: bool = False) -> Owns:
        """Return the function that says which parts of the logs this run makes; it depends on the names alone.

        Runs take whole logs in turn where there are at least four logs for each, so that a log is read once; otherwise
        the parts of every log in turn, so that all runs have work.

        Args:
            logs: names of all logs, in the same order in all runs.
            single: whether every log has one part.
        """
        places = {log: place for place, log in enumerate(logs)}
        whole = single or len(logs) >= _LOGS_PER_RUN * self.count
        return lambda log, chunk: (places[log] + (0 if whole else chunk)) % self.count == self.number - 1


@dataclass(frozen=True)
class Resources:
    """CPUs and GPUs that a worker uses, and a cluster reserves for it.

    Attributes:
        cpus: threads that compute.
        gpus: GPUs.
    """

    cpus: int = 1
    gpus: int = 0


@dataclass(frozen=True)
class Execution:
    """Way to execute a job. The output does not depend on it.

    Attributes:
        workers: number of processes; one per usable core if None.
        part: the run of an array that this is; None for the whole job.
        finish: whether nothing is made, and what the runs of an array made is completed.
        progress: form of the progress on the console: a bar, or a line of JSON every two seconds.
        on: "local" for processes of this machine; "ray" or ray://HOST:PORT for a Ray cluster.
    """

    workers: int | None = None
    part: ArrayPart | None = None
    finish: bool = False
    progress: ProgressKind = "bar"
    on: str = LOCAL

    def __post_init__(self) -> None:
        if self.on not in (LOCAL, RAY) and not re.fullmatch(r"ray://[^/\s]+", self.on):
            raise SwerveError(f"--on {self.on}: give local, ray, or ray://HOST:PORT")
        if self.workers is not None and self.workers < 1:
            raise SwerveError(f"workers: {self.workers} must be 1 or more")

    @classmethod
    def of(cls, workers: "Workers") -> "Execution":
        """Return the execution by a number of worker processes; one that is given stays as it is."""
        return workers if isinstance(workers, Execution) else cls(workers)

    @classmethod
    def parse(cls, workers: int | None, part: str | None, progress: ProgressKind, on: str = LOCAL) -> "Execution":
        """Return the execution that options state; `part` is K/N, "finish" or None.

        Raises:
            SwerveError: it is none of them.
        """
        if part is None or part == FINISH:
            return cls(workers, None, part == FINISH, progress, on)
        found = _PART.fullmatch(part)
        if found is None:
            raise SwerveError(f"--part {part}: give K/N, such as 3/16 for the third of 16 runs, or finish")
        return cls(workers, ArrayPart(int(found[1]), int(found[2])), False, progress, on)


Workers = int | Execution | None


class PartsMissingError(SwerveError):
    """A job cannot be completed: parts are missing that no run of an array has made or tried."""


class ArrayPartDone(Exception):
    """The run of an array has made its part: there is no result of the whole job yet.

    Attributes:
        message: what was made, and what comes next.
        failures: number of failures.
        again: whether this run is to be started again when the others have come as far.
    """

    def __init__(self, message: str, failures: int, again: bool = False) -> None:
        super().__init__(message)
        self.message, self.failures, self.again = message, failures, again
