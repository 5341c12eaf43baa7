"""Log message for numba's just-in-time compilation, which takes a while and happens once after installation."""

import logging
from functools import lru_cache

from numba.core import event

LOGGER = logging.getLogger("swerve")


class _Announcer(event.Listener):
    """Listener that logs the first kernel compilation of the package; kernels from numba's cache emit no event."""

    def __init__(self) -> None:
        self.told = False

    def on_start(self, event: event.Event) -> None:
        if not self.told and event.data["dispatcher"].py_func.__module__.startswith("swerve."):
            self.told = True
            LOGGER.warning("compiling kernels: this takes about half a minute, and happens once after installation")

    def on_end(self, event: event.Event) -> None:
        """Do nothing: only the start of a compilation is logged."""


@lru_cache(maxsize=1)
def announce_compilation() -> None:
    """Log a message to "swerve" when the first kernel is compiled in this process."""
    event.register("numba:compile", _Announcer())
