"""Notices to the user, each said once in a run, whichever of its processes comes upon it first."""

import logging
from typing import Final

LOGGER = logging.getLogger("swerve")

# How notices begin, by which a job knows them among what its workers print.
MARK: Final = "note: "
_SAID = set[str]()


def say_once(text: str) -> None:
    """Log a notice, unless this process has."""
    if is_new(f"{MARK}{text}"):
        LOGGER.warning("%s%s", MARK, text)


def is_new(line: str) -> bool:
    """Return whether a line is to be shown: it is no notice, or one that this process has not shown yet."""
    if not line.startswith(MARK):
        return True
    new = line not in _SAID
    _SAID.add(line)
    return new
