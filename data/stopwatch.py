"""Where the time of a job goes."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Seconds by stage; a stage is there once it has been measured. Those of several threads add up."""

    def __init__(self) -> None:
        self.seconds = dict[str, float]()
        self._lock = threading.Lock()

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Adds the time until the block ends to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            with self._lock:
                self.seconds[stage] = self.seconds.get(stage, 0.0) + spent

    def take(self) -> dict[str, float]:
        """The seconds since the last call."""
        with self._lock:
            taken, self.seconds = self.seconds, {}
        return taken
