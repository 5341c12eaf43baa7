"""Validation of planner parameters."""

import math
from dataclasses import fields
from typing import Any

from swerve.scenes import SwerveError


def check_numbers(planner: Any, positive: tuple[str, ...] = (), not_negative: tuple[str, ...] = ()) -> None:  # noqa: ANN401
    """Check that all numbers in a dataclass are finite, and some of them positive; None is allowed.

    Raises:
        SwerveError: names the first invalid field.
    """
    for field in fields(planner):
        value = getattr(planner, field.name)
        if isinstance(value, (int, float)):
            where = f"{type(planner).__name__}: {field.name} is {value}, it must be"
            if not math.isfinite(value):
                raise SwerveError(f"{where} finite")
            if field.name in positive and value <= 0:
                raise SwerveError(f"{where} above 0")
            if field.name in not_negative and value < 0:
                raise SwerveError(f"{where} 0 or more")
