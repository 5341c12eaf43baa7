"""Says that numba compiles, which takes a while but happens only once after installation."""

import logging
from functools import lru_cache

from numba.core import event

LOGGER = logging.getLogger("swerve")


class _Announcer(event.Listener):
    """Reports the first compilation of a kernel of ours; kernels that come from numba's cache make no event."""

    def __init__(self) -> None:
        self.told = False

    def on_start(self, event: event.Event) -> None:
        if not self.told and event.data["dispatcher"].py_func.__module__.startswith("swerve."):
            self.told = True
            LOGGER.warning("compiling kernels: this takes about half a minute, and happens once after installation")

    def on_end(self, event: event.Event) -> None:
        """Nothing to say."""


@lru_cache(maxsize=1)
def announce_compilation() -> None:
    """From now on, the first kernel to be compiled in this process is announced in the log "swerve"."""
    event.register("numba:compile", _Announcer())
