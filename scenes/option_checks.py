"""Checks of options."""

from swerve.scenes.errors import SwerveError


def check_range(option: str, value: float | int, low: float | int, high: float | int) -> None:
    """Check that an option's value lies in its range.

    Raises:
        SwerveError: it does not, or is NaN.
    """
    if not low <= value <= high:
        raise SwerveError(f"{option}: {value:g} must lie between {low:g} and {high:g}")
