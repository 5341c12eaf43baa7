"""Checks of options."""

from numbers import Integral, Real
from typing import Any

from swerve.scenes.errors import SwerveError


def check_range(option: str, value: float | int, low: float | int, high: float | int) -> None:
    """Check that an option's value lies in its range.

    Raises:
        SwerveError: it does not, or is no number.
    """
    if not isinstance(value, Real):
        raise SwerveError(f"{option}: {value!r} is not a number")
    if not low <= value <= high:
        raise SwerveError(f"{option}: {value} must lie between {low:g} and {high:g}")


def check_list(name: str, values: Any) -> None:  # noqa: ANN401 what a user gave
    """Check that a list of names is no text, whose letters would be taken for names.

    Raises:
        SwerveError: it is.
    """
    if isinstance(values, str):
        raise SwerveError(f"{name}: {values!r} is one text, not a list, as in ({values!r},)")


def check_size(size: Any, limit: int) -> None:  # noqa: ANN401 what a user gave
    """Check that a size is (width, height) in whole pixels, up to a limit.

    Raises:
        SwerveError: it is not.
    """
    sides = size if isinstance(size, (tuple, list)) else ()
    if len(sides) != 2 or not all(isinstance(side, Integral) and not isinstance(side, bool) for side in sides):
        raise SwerveError(f"size: {size!r} is not (width, height) in whole pixels, as in (960, 560)")
    if not all(0 < side <= limit for side in sides):
        raise SwerveError(f"size: {sides[0]}x{sides[1]} must be 1 to {limit} pixels each way")
