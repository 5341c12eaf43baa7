"""Lock whose urgent owners come before the others that wait."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class PriorityLock:
    """A lock that one thread holds at a time; it is not reentrant."""

    def __init__(self) -> None:
        self._changed, self._held, self._urgent = threading.Condition(), False, 0

    @contextmanager
    def urgently(self) -> Iterator[None]:
        """Hold the lock, before those that wait to hold it otherwise."""
        with self._changed:
            self._urgent += 1
            try:
                self._changed.wait_for(lambda: not self._held)
                self._held = True
            finally:
                self._urgent -= 1
        yield from self._until_done()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock."""
        with self._changed:
            self._changed.wait_for(lambda: not self._held and not self._urgent)
            self._held = True
        yield from self._until_done()

    @property
    def free(self) -> bool:
        """Return whether nobody holds the lock, or waits for it urgently."""
        return not self._held and not self._urgent

    def _until_done(self) -> Iterator[None]:
        try:
            yield
        finally:
            with self._changed:
                self._held = False
                self._changed.notify_all()
