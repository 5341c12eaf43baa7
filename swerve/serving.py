"""Commands that serve until Ctrl-C or SIGTERM."""

import logging
from collections.abc import Callable
from typing import Final

from swerve.eval.alpasim.server import Server

_TICK: Final = 5.0


def logging_to_terminal() -> None:
    """Print what services log, with the time."""
    logger = logging.getLogger("swerve.alpasim")
    if not logger.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False


def serve_until_stopped(server: Server, every_tick: Callable[[], None] | None = None) -> None:
    """Wait until a signal ends the command, or the server ended.

    Args:
        server: that runs.
        every_tick: is called every five seconds.
    """
    while not server.wait(_TICK):
        if every_tick is not None:
            every_tick()
