"""Order in which parts of logs are processed. The output does not depend on it: every part has its own files."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from swerve.data.jobs.execution import Owns

# By log: the parts finished by earlier runs, and their total number.
FinishedParts = Mapping[str, tuple[set[int], int]]


@dataclass(frozen=True)
class Task:
    """One part of a log."""

    log: str
    chunk: int


class Schedule:
    """Queue of parts of logs.

    The number of a log's parts is known once it is loaded: its first part is handed out, and when its worker reports
    the number of parts, the others become available to any worker. A worker continues with the log it holds; without
    parts left there it takes a new log, and finally helps with the log that has most parts left, from its end.

    Args:
        logs: names of all logs, in the order to take them.
        finished: by log, the parts finished by earlier runs, and their total number.
        owns: says which parts this run makes; all if None.
        runs: number of runs that share the parts: among that many of a log's first, each run has one if it has any.
    """

    def __init__(self, logs: Iterable[str], finished: FinishedParts, owns: Owns | None = None, runs: int = 1) -> None:
        self._owns: Owns = owns or (lambda log, chunk: True)
        firsts = {log: next((c for c in range(runs) if self._owns(log, c)), None) for log in logs}
        self._fresh = deque((log, c) for log, c in firsts.items() if c is not None and log not in finished)
        self._left = {
            log: deque(chunk for chunk in range(chunks) if chunk not in done and self._owns(log, chunk))
            for log, (done, chunks) in finished.items()
        }
        self.shares = {
            log: (len(self.owned(log, chunks)), len([c for c in self.owned(log, chunks) if c in done]))
            for log, (done, chunks) in finished.items()
        }
        self.logs = len({*(log for log, _ in self._fresh), *(log for log, (all_, _) in self.shares.items() if all_)})

    def owned(self, log: str, chunks: int) -> list[int]:
        """Return the parts of a log that this run makes, of so many."""
        return [chunk for chunk in range(chunks) if self._owns(log, chunk)]

    def next(self, held: str | None) -> Task | None:
        """Return a task for a worker that holds the log `held`; None if there is none at present."""
        if held is not None and self._left.get(held):
            return Task(held, self._left[held].popleft())
        if self._fresh:
            return Task(*self._fresh.popleft())
        most = max(self._left, key=lambda log: len(self._left[log]), default=None)
        return Task(most, self._left[most].pop()) if most is not None and self._left[most] else None

    @property
    def has_next(self) -> bool:
        """Return whether there is a task at present."""
        return bool(self._fresh) or any(self._left.values())

    def opened(self, log: str, chunks: int) -> None:
        """Register a loaded log: its other parts become available."""
        if log not in self._left:
            self._left[log] = deque(self.owned(log, chunks)[1:])

    def abandon(self, log: str) -> None:
        """Drop all parts of a log that cannot be loaded."""
        self._left[log] = deque()
