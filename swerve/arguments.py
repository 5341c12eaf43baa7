"""Arguments that several commands take."""

import re

from swerve.scenes import SwerveError


def image_size(text: str) -> tuple[int, int]:
    """Width and height.

    Raises:
        SwerveError: it is not in this form.
    """
    if not (match := re.fullmatch(r"(\d+)x(\d+)", text)):
        raise SwerveError(f"size: {text!r} must be WIDTHxHEIGHT in pixels, as in 960x560")
    return int(match[1]), int(match[2])
