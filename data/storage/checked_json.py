"""Untrusted JSON: parsed within stated limits, and compared with the shape that its reader expects.

A shape is a function of a value and its place that raises `ShapeError`; the functions below make them. So every reader
states its format once, and whatever passes can be used without further checks of type, sign or size.
"""

import gzip
import json
import re
import zlib
from collections.abc import Callable, Collection, Mapping
from contextlib import nullcontext
from itertools import chain
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np

from swerve.data.storage.stored_folder import open_file
from swerve.scenes import LogError
from swerve.scenes.printable import name_problem, printable

# Levels of lists and objects in a document; Swerve's own files have at most ten.
DEEPEST: Final = 64
# Bytes of a document, unpacked where it is compressed.
LARGEST: Final = 2**28
# Bytes looked at together, to count levels.
_CHUNK: Final = 2**24
# Numbers of positions, sizes and times in seconds lie below; whole numbers fit 64 bits.
_FARTHEST: Final = 1e12
_INTEGERS: Final = 2**62
_LEVEL: Final = np.zeros(256, np.int8)
_LEVEL[[ord("["), ord("{")]], _LEVEL[[ord("]"), ord("}")]] = 1, -1
_IS_BRACKET: Final = _LEVEL != 0
_IS_BRACKET[ord('"')] = True
_SURROGATE: Final = re.compile(rb"\\u[dD][89a-fA-F]")
_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}")
_CONTAINERS: Final = {dict: "an object", list: "a list"}


class ShapeError(Exception):
    """A value is not what a shape says.

    Attributes:
        place: of the value in the document, such as "frames[3].ego".
        problem: the end of a sentence that begins with the place.
    """

    def __init__(self, place: str, problem: str) -> None:
        super().__init__(f"{place}: {problem}")
        self.place, self.problem = place, problem


Shape = Callable[[Any, str], None]


def read_json(path: Path, shape: Shape | None = None, hint: str = "", constants: bool = False) -> Any:  # noqa: ANN401 what the shape says
    """Read a JSON file; one whose name ends in .gz is unpacked.

    Args:
        path: the file.
        shape: of the document; any if None.
        hint: remedy, for the message.
        constants: see `parse_json`.

    Raises:
        LogError: the file cannot be read, is no JSON within the limits of `parse_json`, or of another shape.
    """
    try:
        with open_file(path) as file, gzip.open(file) if path.suffix == ".gz" else nullcontext(file) as stream:
            content = stream.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise LogError(path, "file", f"cannot be read ({_reason(error)})", hint) from error
    return parse_json(content, path, shape, hint, constants)


def parse_json(
    content: bytes | str,
    where: str | Path,
    shape: Shape | None = None,
    hint: str = "",
    constants: bool = False,
) -> Any:  # noqa: ANN401 what the shape says
    """Parse JSON.

    Args:
        content: UTF-8 or text.
        where: file, for the message.
        shape: of the document; any if None.
        hint: remedy, for the message.
        constants: whether NaN and Infinity are left to the caller's own checks, which name their place.

    Raises:
        LogError: it is no JSON, longer than 256 MiB, deeper than 64 levels, has NaN, Infinity or half of a surrogate
            pair; or it is of another shape, whose place is the field of the message.
    """
    try:
        document = _parsed(content, constants)
    except (ValueError, RecursionError) as error:
        raise LogError(where, "file", f"is not JSON that can be read ({_reason(error)})", hint) from error
    if shape is not None:
        check_shape(document, shape, where, hint)
    return document


def check_shape(value: object, shape: Shape, where: str | Path, hint: str = "") -> None:
    """Compare a value with a shape.

    Raises:
        LogError: it differs; the place is the field of the message.
    """
    try:
        shape(value, "")
    except ShapeError as error:
        raise LogError(where, error.place.removeprefix(".") or "document", error.problem, hint) from error


def _parsed(content: bytes | str, constants: bool) -> Any:  # noqa: ANN401
    raw = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    if len(raw) > LARGEST:
        raise ValueError(f"more than {LARGEST} bytes")
    if depth_of(raw) > DEEPEST:
        raise ValueError(f"nested more than {DEEPEST} levels deep")
    document = json.loads(raw.decode("utf-8-sig"), parse_constant=float if constants else _refuse)
    if _SURROGATE.search(raw):
        json.dumps(document, ensure_ascii=False).encode()
    return document


def depth_of(raw: bytes) -> int:
    """Return the greatest number of open lists and objects in a JSON text, without parsing it."""
    text = re.sub(rb"\\.", b"", raw) if b"\\" in raw else raw
    deepest = depth = quotes = 0
    for start in range(0, len(text), _CHUNK):
        part = np.frombuffer(text, np.uint8, min(_CHUNK, len(text) - start), start)
        kinds = part[_IS_BRACKET[part]]
        within = (quotes + np.cumsum(kinds == ord('"'))) % 2 == 1
        levels = depth + np.cumsum(np.where(within, 0, _LEVEL[kinds]))
        if len(kinds):
            deepest, depth = max(deepest, int(levels.max())), int(levels[-1])
            quotes = int(within[-1])
    return deepest


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not a number")


def _reason(error: BaseException) -> str:
    return printable(str(error))[:200] or type(error).__name__


def describe(value: object) -> str:
    """Return a short text of a value for a message; lists and objects are not written out."""
    if isinstance(value, (list, dict)):
        return f"{_CONTAINERS[type(value)]} of {len(value)}"
    if type(value) is int and abs(value) >= _INTEGERS:
        return "a whole number beyond 64 bits"
    return printable(repr(value[:60]) if isinstance(value, str) else repr(value))


def fail(place: str, wanted: str, value: object) -> NoReturn:
    """Raise the error of a value that is not what is wanted.

    Raises:
        ShapeError: always.
    """
    raise ShapeError(place, f"is {describe(value)}, not {wanted}")


def anything(_: Any, __: str) -> None:  # noqa: ANN401
    """Accept every value."""


def text(value: Any, place: str) -> None:  # noqa: ANN401
    """Accept a text of any characters; who shows it escapes it."""
    if type(value) is not str:
        fail(place, "a text", value)


def plain_name(value: Any, place: str) -> None:  # noqa: ANN401
    """Accept a name: see `swerve.scenes.printable.name_problem`."""
    if type(value) is not str:
        fail(place, "a text", value)
    if problem := name_problem(value):
        raise ShapeError(place, problem)


def file_name(value: Any, place: str) -> None:  # noqa: ANN401
    """Accept the name of a file or folder itself, and no path that could lead elsewhere."""
    plain_name(value, place)
    if not _FILE_NAME.fullmatch(value):
        raise ShapeError(place, f"is {describe(value)}, not the name of a file")


def identifier(value: Any, place: str) -> None:  # noqa: ANN401
    """Accept a name, or a whole number that serves as one."""
    if type(value) is int and abs(value) < _INTEGERS:
        return
    plain_name(value, place)


def flag(value: Any, place: str) -> None:  # noqa: ANN401
    """Accept true and false."""
    if type(value) is not bool:
        fail(place, "true or false", value)


def number(low: float = -_FARTHEST, high: float = _FARTHEST) -> Shape:
    """Accept numbers between two bounds, both included; no booleans, no texts."""

    def check(value: Any, place: str) -> None:  # noqa: ANN401
        if type(value) not in (int, float) or not low <= value <= high:
            fail(place, f"a number from {low:g} to {high:g}", value)

    return check


def integer(low: int = -_INTEGERS, high: int = _INTEGERS) -> Shape:
    """Accept whole numbers between two bounds, both included."""

    def check(value: Any, place: str) -> None:  # noqa: ANN401
        if type(value) is not int or not low <= value <= high:
            fail(place, "a whole number of 64 bits" if high == _INTEGERS else f"one of {low} to {high}", value)

    return check


def one_of(choices: Collection[Any]) -> Shape:
    """Accept these texts or numbers."""
    kinds = {type(choice) for choice in choices}

    def check(value: Any, place: str) -> None:  # noqa: ANN401
        if type(value) not in kinds or value not in choices:
            fail(place, f"one of {', '.join(map(str, list(choices)[:12]))}", value)

    return check


def optional(shape: Shape) -> Shape:
    """Accept null too."""
    return lambda value, place: None if value is None else shape(value, place)


def either(first: Shape, second: Shape) -> Shape:
    """Accept what one of two shapes accepts; the error is the second's."""

    def check(value: Any, place: str) -> None:  # noqa: ANN401
        try:
            first(value, place)
        except ShapeError:
            second(value, place)

    return check


def list_of(shape: Shape, least: int = 0, most: int | None = None) -> Shape:
    """Accept lists of a number of items of a shape."""

    def check(value: Any, place: str) -> None:  # noqa: ANN401
        if type(value) is not list:
            fail(place, "a list", value)
        if len(value) < least or (most is not None and len(value) > most):
            raise ShapeError(place, f"has {len(value)} items, not {_range(least, most)}")
        for index, item in enumerate(value):
            shape(item, f"{place}[{index}]")

    return check


def _range(least: int, most: int | None) -> str:
    if most is None:
        return f"{least} or more"
    return f"{least}" if least == most else f"{least} to {most}"


def row_of(*shapes: Shape) -> Shape:
    """Accept a list with one item of each shape."""

    def check(value: Any, place: str) -> None:  # noqa: ANN401
        if type(value) is not list or len(value) != len(shapes):
            fail(place, f"a list of {len(shapes)}", value)
        for index, (shape, item) in enumerate(zip(shapes, value, strict=True)):
            shape(item, f"{place}[{index}]")

    return check


def mapping_of(shape: Shape, key: Shape = plain_name) -> Shape:
    """Accept objects of any names, each with a value of the shape."""

    def check(value: Any, place: str) -> None:  # noqa: ANN401
        if type(value) is not dict:
            fail(place, "an object", value)
        for own, item in value.items():
            key(own, f"{place}: name")
            shape(item, f"{place}.{printable(own)}")

    return check


def fields(required: Mapping[str, Shape], possible: Mapping[str, Shape] | None = None) -> Shape:
    """Accept objects with all required fields; possible ones may be absent, others are not looked at."""
    more = possible or {}

    def check(value: Any, place: str) -> None:  # noqa: ANN401
        if type(value) is not dict:
            fail(place, "an object", value)
        for own, shape in required.items():
            if own not in value:
                raise ShapeError(f"{place}.{own}", "is missing")
            shape(value[own], f"{place}.{own}")
        for own, shape in more.items():
            if own in value:
                shape(value[own], f"{place}.{own}")

    return check


def array(*sizes: int | None, least: int = 0, bound: float = _FARTHEST) -> Shape:
    """Accept nested lists of finite numbers below a bound.

    Args:
        sizes: of each axis; None for any number of rows in the first.
        least: least number of rows.
        bound: of the numbers' absolute values.
    """

    def check(value: Any, place: str) -> None:  # noqa: ANN401
        if type(value) is not list:
            fail(place, "a list of numbers", value)
        if not value and sizes[0] in (None, 0) and not least:
            return
        found = _numbers(value, len(sizes))
        wanted = " x ".join("n" if size is None else str(size) for size in sizes)
        if found is None or any(size not in (None, own) for size, own in zip(sizes, found.shape, strict=True)):
            raise ShapeError(place, f"is not {wanted} numbers in lists")
        if len(found) < least:
            raise ShapeError(place, f"has {len(found)} rows, not {least} or more")
        if not (np.abs(found) < bound).all():
            raise ShapeError(place, f"has a number that is not finite or reaches {bound:g}")

    return check


def _numbers(value: list[Any], rank: int) -> np.ndarray | None:
    """Return nested lists as an array; None if they are not of that depth, or hold anything but numbers."""
    flat: Any = value
    for _ in range(rank - 1):
        if not all(type(item) is list for item in flat):
            return None
        flat = list(chain.from_iterable(flat))
    if not set(map(type, flat)) <= {int, float}:
        return None
    try:
        found = np.array(value, np.float64)
    except (ValueError, OverflowError):
        return None
    return found if found.ndim == rank else None
