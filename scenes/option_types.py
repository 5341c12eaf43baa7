"""Types of options that the command line and config files write in another way than Python does."""

import math
import re
from typing import Annotated, Any, Final, get_args

from tyro.conf import Suppress, arg
from tyro.constructors import PrimitiveConstructorSpec

_DEFAULT: Final = "default"

# On an option that holds other options: they are given without a prefix of its name.
FLAT: Any = arg(name="")

# On an option that few need: config files and Python state it, and help leaves it out.
RARE: Any = Suppress


def _angle(texts: list[str]) -> float:
    return math.radians(float(texts[0]))


def _angle_texts(angle: float) -> list[str]:
    return [f"{round(math.degrees(angle), 12):.15g}"]


def _size(texts: list[str]) -> tuple[int, int]:
    if not (match := re.fullmatch(r"(\d+)x(\d+)", texts[0])):
        raise ValueError(f"{texts[0]!r} must be WIDTHxHEIGHT in pixels, as in 960x560")
    return int(match[1]), int(match[2])


def _size_or_own(texts: list[str]) -> tuple[int, int] | None:
    if texts[0] == "own":
        return None
    try:
        return _size(texts)
    except ValueError as error:
        raise ValueError(f"{error}, or own") from error


def _size_texts(size: tuple[int, int] | None) -> list[str]:
    return ["own" if size is None else f"{size[0]}x{size[1]}"]


def or_default(values: Any) -> PrimitiveConstructorSpec[Any]:  # noqa: ANN401 a Literal
    """Return how one of several values is written, or `default` for None.

    Of a union, tyro lists None among the choices, and in an order that changes from run to run.
    """
    choices = (_DEFAULT, *get_args(values))

    def from_texts(texts: list[str]) -> Any:  # noqa: ANN401
        if texts[0] not in (*choices, "None"):  # null in config files of earlier versions
            raise ValueError(f"{texts[0]!r} must be one of {', '.join(choices)}")
        return texts[0] if texts[0] in get_args(values) else None

    return PrimitiveConstructorSpec(
        nargs=1,
        metavar=f"{{{','.join(choices)}}}",
        instance_from_str=from_texts,
        is_instance=lambda value: value is None or value in get_args(values),
        str_from_instance=lambda value: [_DEFAULT if value is None else value],
        choices=choices,
    )


# Radians; degrees on the command line and in config files.
Angle = Annotated[
    float, PrimitiveConstructorSpec(1, "DEGREES", _angle, lambda value: isinstance(value, float), _angle_texts)
]
# Width and height in pixels, as 960x560.
PictureSize = Annotated[
    tuple[int, int],
    PrimitiveConstructorSpec(1, "WIDTHxHEIGHT", _size, lambda value: isinstance(value, tuple), _size_texts),
]
# The same, or None, written `own`, for the cameras' own.
ImageSize = Annotated[
    tuple[int, int] | None,
    PrimitiveConstructorSpec(
        1, "WIDTHxHEIGHT|own", _size_or_own, lambda value: value is None or isinstance(value, tuple), _size_texts
    ),
]
