"""Arguments that several commands take."""

import re
from typing import cast

from swerve.eval.benchmark.build_options import VIEW_KINDS, ViewKind, check_kinds
from swerve.scenes import SwerveError


def words(text: str) -> tuple[str, ...]:
    """Those between commas."""
    return tuple(word.strip() for word in text.split(",") if word.strip())


def image_size(text: str) -> tuple[int, int]:
    """Width and height.

    Raises:
        SwerveError: it is not in this form.
    """
    if not (match := re.fullmatch(r"(\d+)x(\d+)", text)):
        raise SwerveError(f"size: {text!r} must be WIDTHxHEIGHT in pixels, as in 960x560")
    return int(match[1]), int(match[2])


def view_kinds(text: str) -> tuple[ViewKind, ...]:
    """Kinds of views between commas; `none` for none, `both` for rasters and splats.

    Raises:
        SwerveError: one is not known, or is there twice.
    """
    if text == "none":
        return ()
    if text == "both":
        return ("raster", "splat")
    kinds = words(text)
    check_kinds(kinds)
    return cast(tuple[ViewKind, ...], kinds)


def one_kind(text: str) -> ViewKind:
    """A kind of views.

    Raises:
        SwerveError: it is not known, or there is not one.
    """
    kinds = view_kinds(text)
    if len(kinds) != 1:
        raise SwerveError(f"views: {text!r} must be one of {', '.join(VIEW_KINDS)}")
    return kinds[0]
