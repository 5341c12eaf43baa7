"""Messages of commands that a signal ends."""

from collections.abc import Iterator
from contextlib import contextmanager

STOPPED = "Stopped."
_RESUMABLE = "Stopped. Give the same command again to resume."
_messages = [STOPPED]


def stop_message() -> str:
    """Return the line that Ctrl-C ends the command with now."""
    return _messages[-1]


@contextmanager
def resumable() -> Iterator[None]:
    """Say, where Ctrl-C ends the command within the block, that the same command resumes."""
    _messages.append(_RESUMABLE)
    try:
        yield
    finally:
        _messages.pop()
