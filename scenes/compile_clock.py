"""Time that each thread has spent compiling kernels; `swerve.scenes.compilation` adds to it.

This module imports no numba, so that those who only ask for the time need none.
"""

import threading
import time
from collections.abc import Callable

_LOCAL = threading.local()


def compile_seconds(clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the seconds that this thread has compiled so far, or waited for another process that did.

    Args:
        clock: `time.perf_counter`, or `time.thread_time` for the time of the CPU.
    """
    wall, cpu = getattr(_LOCAL, "seconds", (0.0, 0.0))
    return cpu if clock is time.thread_time else wall


def add_compile_seconds(wall: float, cpu: float) -> None:
    """Add to the time of this thread."""
    before = getattr(_LOCAL, "seconds", (0.0, 0.0))
    _LOCAL.seconds = (before[0] + wall, before[1] + cpu)
