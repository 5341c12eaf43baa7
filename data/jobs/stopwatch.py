"""Timing of a job's stages."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from swerve.scenes.compile_clock import compile_seconds

# Stage of compiling kernels, in whatever stage it happens.
COMPILING = "compiling"


class Stopwatch:
    """Seconds by stage; a stage exists once it has been measured. Times of several threads are summed."""

    def __init__(self) -> None:
        self.seconds = dict[str, float]()
        self._lock, self._booked = threading.Lock(), threading.local()

    @contextmanager
    def measure(self, stage: str, clock: Callable[[], float] = time.perf_counter) -> Iterator[None]:
        """Add the duration of the block to a stage, by a clock such as `time.thread_time`.

        Compilation of kernels in the block is a stage of its own.
        """
        start, compiled = clock(), compile_seconds(clock)
        try:
            yield
        finally:
            now = compile_seconds(clock)
            self._book(stage, clock() - start - (now - compiled))
            # Of nested stages the inner one has booked its part.
            if (fresh := now - max(compiled, getattr(self._booked, "until", 0.0))) > 0.0:
                self._booked.until = now
                self._book(COMPILING, fresh)

    def _book(self, stage: str, spent: float) -> None:
        with self._lock:
            self.seconds[stage] = self.seconds.get(stage, 0.0) + spent

    def take(self) -> dict[str, float]:
        """Return the seconds since the last call, and reset them."""
        with self._lock:
            taken, self.seconds = self.seconds, {}
        return taken
