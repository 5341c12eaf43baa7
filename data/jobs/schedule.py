"""Which part of which log is made next. Nothing that is made depends on it: every part has files of its own."""

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

# By log: the parts that earlier runs made, of how many the log has.
FinishedParts = Mapping[str, tuple[set[int], int]]


@dataclass(frozen=True)
class Task:
    """One part of a log."""

    log: str
    chunk: int


class Schedule:
    """Hands out parts of logs.

    How many parts a log has is known once it is loaded: its first part is handed out, and when its worker says how
    many there are, the others wait for any worker. A worker goes on with the log it holds; without work there it takes
    a fresh log, and last of all helps with the log that has most left, from its end.

    Args:
        logs: names of all logs, in the order to take them.
        finished: by log, the parts that earlier runs made, of how many.
    """

    def __init__(self, logs: Iterable[str], finished: FinishedParts) -> None:
        self._fresh = deque(log for log in logs if log not in finished)
        self._left = {
            log: deque(chunk for chunk in range(chunks) if chunk not in done)
            for log, (done, chunks) in finished.items()
        }

    def next(self, held: str | None) -> Task | None:
        """A task for a worker that holds the log `held`; None if there is none at present."""
        if held is not None and self._left.get(held):
            return Task(held, self._left[held].popleft())
        if self._fresh:
            return Task(self._fresh.popleft(), 0)
        most = max(self._left, key=lambda log: len(self._left[log]), default=None)
        return Task(most, self._left[most].pop()) if most is not None and self._left[most] else None

    def opened(self, log: str, chunks: int) -> None:
        """A worker loaded a log: its other parts may be taken."""
        if log not in self._left:
            self._left[log] = deque(range(1, chunks))

    def abandon(self, log: str) -> None:
        """A log cannot be loaded: none of its parts is handed out any more."""
        self._left[log] = deque()
