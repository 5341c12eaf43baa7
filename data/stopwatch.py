"""Where the time of a job goes."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

STAGES = ("loading", "viewpoints", "drawing", "encoding", "writing")


class Stopwatch:
    """Seconds by stage."""

    def __init__(self) -> None:
        self.seconds = dict.fromkeys(STAGES, 0.0)

    @contextmanager
    def measure(self, stage: str) -> Iterator[None]:
        """Adds the time until the block ends to a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[stage] += time.perf_counter() - start

    def take(self) -> dict[str, float]:
        """The seconds since the last call."""
        taken, self.seconds = self.seconds, dict.fromkeys(STAGES, 0.0)
        return taken
