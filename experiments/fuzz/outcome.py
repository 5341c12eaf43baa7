"""Outcomes of cases and their classes."""

import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from swerve.scenes import LogError, SwerveError

CLEAN, VALID = "clean error", "accepted and valid"
UNCLEAR, RAW, INVALID = "unclear error", "raw error", "accepted and invalid"
MEMORY, TIME, CRASH = "memory", "time", "crash"
CLASSES: Final = (CLEAN, VALID, UNCLEAR, RAW, INVALID, MEMORY, TIME, CRASH)
GOOD: Final = (CLEAN, VALID)
_LONGEST: Final = 1500


@dataclass(frozen=True)
class Outcome:
    """Outcome of one case.

    Attributes:
        case: number of the case.
        kind: one of `CLASSES`.
        changed: the file that was changed.
        told: the message, and for raw errors where it was raised.
    """

    case: int
    kind: str
    changed: str
    told: str = ""


def judged(case: int, changed: str, folder: Path, error: BaseException | None) -> Outcome:
    """Return the outcome of a reader's exception, or of none.

    A clean error is a SwerveError of one line without control characters, that begins with a path in the case's folder
    and says more than that.
    """
    if error is None:
        return Outcome(case, VALID, changed)
    told = str(error)
    if isinstance(error, SwerveError):
        field = error.field if isinstance(error, LogError) else told.partition(": ")[2]
        clear = str(folder) in told and field and told.isprintable() and len(told) <= _LONGEST
        return Outcome(case, CLEAN if clear else UNCLEAR, changed, told[:_LONGEST])
    kind = {AssertionError: INVALID, MemoryError: MEMORY}.get(type(error), RAW)
    return Outcome(case, kind, changed, f"{type(error).__name__}: {told[:200]} {_place(error)}")


def _place(error: BaseException) -> str:
    """Return the last lines of the traceback that are not of a library."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "site-packages" not in frame.filename and "/lib/python" not in frame.filename]
    return " <- ".join(f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in reversed(own[-4:]))
