"""Where the time of a job goes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Seconds by stage; a stage is there once it has been measured."""

    def __init__(self) -> None:
        self.seconds = dict[str, float]()

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Adds the time until the block ends to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + time.perf_counter() - start

    def take(self) -> dict[str, float]:
        """The seconds since the last call."""
        taken, self.seconds = self.seconds, {}
        return taken
