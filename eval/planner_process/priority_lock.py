"""Lock whose urgent owners come before the others that wait."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class PriorityLock:
    """A lock that one thread owns at a time; it is not reentrant."""

    def __init__(self) -> None:
        self._changed, self._owned, self._urgent = threading.Condition(), False, 0

    @contextmanager
    def acquired(self, urgent: bool = False) -> Iterator[None]:
        """Own the lock.

        Args:
            urgent: whether before those that wait and are not urgent.
        """
        with self._changed:
            self._urgent += urgent
            try:
                self._changed.wait_for(lambda: not self._owned and (urgent or not self._urgent))
                self._owned = True
            finally:
                self._urgent -= urgent
        try:
            yield
        finally:
            with self._changed:
                self._owned = False
                self._changed.notify_all()

    @property
    def free(self) -> bool:
        """Return whether no thread owns the lock, and none that is urgent waits for it."""
        return not self._owned and not self._urgent
