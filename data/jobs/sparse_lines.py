"""Choice of the lines of progress that are printed where no terminal shows a bar."""

from collections.abc import Hashable
from typing import Final

# Seconds from one line to the next: at least so many, and so many where the share has not reached a further tenth.
_LEAST_SECONDS: Final = 10.0
_MOST_SECONDS: Final = 60.0


class SparseLines:
    """Select lines: one at each further tenth of the work, and one a minute in between if what it says has changed.

    Args:
        at_once: whether the first is due at the start.
    """

    def __init__(self, at_once: bool = False) -> None:
        self._printed, self._tenth = -_LEAST_SECONDS if at_once else 0.0, -1
        self._said: Hashable = None

    def is_due(self, seconds: float, share: float, said: Hashable) -> bool:
        """Return whether a line is to be printed now, and count it as printed.

        Args:
            seconds: since the start.
            share: of the work that is done, 0 to 1.
            said: what the line says, without rates and times, which change while nothing happens.
        """
        waited, tenth = seconds - self._printed, int(10 * share + 1e-9)
        if waited < _LEAST_SECONDS or said == self._said or (tenth <= self._tenth and waited < _MOST_SECONDS):
            return False
        self._printed, self._tenth, self._said = seconds, tenth, said
        return True
