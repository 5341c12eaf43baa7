"""Timing of a job's stages."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Stopwatch:
    """Seconds by stage; a stage exists once it has been measured. Times of several threads are summed."""

    def __init__(self) -> None:
        self.seconds = dict[str, float]()
        self._lock = threading.Lock()

    @contextmanager
    def measure(self, stage: str, clock: Callable[[], float] = time.perf_counter) -> Iterator[None]:
        """Add the duration of the block to a stage, by a clock such as `time.thread_time`."""
        start = clock()
        try:
            yield
        finally:
            spent = clock() - start
            with self._lock:
                self.seconds[stage] = self.seconds.get(stage, 0.0) + spent

    def take(self) -> dict[str, float]:
        """Return the seconds since the last call, and reset them."""
        with self._lock:
            taken, self.seconds = self.seconds, {}
        return taken
