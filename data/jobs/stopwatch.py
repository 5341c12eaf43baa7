"""Where the time of a job goes."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopwatch:
    """Seconds by stage; a stage is there once it has been measured. Those of several threads add up."""

    def __init__(self) -> None:
        self.seconds = dict[str, float]()
        self._lock = threading.Lock()

    @contextmanager
    def measure(self, stage: str, clock: Callable[[], float] = time.perf_counter) -> Iterator[None]:
        """Adds the time until the block ends to a stage, as a clock such as `time.thread_time` tells it."""
        start = clock()
        try:
            yield
        finally:
            spent = clock() - start
            with self._lock:
                self.seconds[stage] = self.seconds.get(stage, 0.0) + spent

    def take(self) -> dict[str, float]:
        """The seconds since the last call."""
        with self._lock:
            taken, self.seconds = self.seconds, {}
        return taken
