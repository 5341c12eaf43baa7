"""Checks of options."""

from typing import Any

from swerve.scenes.errors import SwerveError


def check_range(option: str, value: float | int, low: float | int, high: float | int) -> None:
    """Check that an option's value lies in its range.

    Raises:
        SwerveError: it does not, or is NaN.
    """
    if not low <= value <= high:
        raise SwerveError(f"{option}: {value:g} must lie between {low:g} and {high:g}")


def check_list(name: str, values: Any) -> None:  # noqa: ANN401 what a user gave
    """Check that a list of names is no text, whose letters would be taken for names.

    Raises:
        SwerveError: it is.
    """
    if isinstance(values, str):
        raise SwerveError(f"{name}: {values!r} is one text, not a list, as in ({values!r},)")
