"""Rows of a JSON table too large to parse at once: where each one is, and a few of its texts.

A table is a list of objects. It is read in pieces of 16 MiB; braces outside of texts tell where objects begin and end.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from jaxtyping import Int

from swerve.data.storage.checked_json import Shape, parse_json
from swerve.scenes import LogError

_CHUNK: Final = 2**24
# Bytes of a row; those of nuScenes' large tables have some 500.
LONGEST: Final = 2**20
_SPACE: Final = b" \t\r\n"
_LEVEL: Final = np.zeros(256, np.int8)
_LEVEL[ord("{")], _LEVEL[ord("}")] = 1, -1
_IS_MARK: Final = _LEVEL != 0
_IS_MARK[ord('"')] = True
HINT: Final = "Unpack the metadata archive again"


@dataclass(frozen=True)
class TableRows:
    """Some consecutive rows of a table.

    Attributes:
        starts: offset of each row in the file, bytes.
        lengths: of each row, bytes.
        texts: values of the fields asked for, an array for each.
    """

    starts: Int[np.ndarray, "n"]
    lengths: Int[np.ndarray, "n"]
    texts: tuple[np.ndarray, ...]


def scan_table(path: Path, fields: Sequence[str]) -> Iterator[TableRows]:
    """Yield the rows of a table, in pieces, with the texts (32 characters at most) of some fields.

    Raises:
        LogError: the file cannot be read, is not a list of objects or is cut off, or a row has not each field once.
    """
    patterns = [re.compile(rb'"%s"\s*:\s*"([^"\\]{0,32})"' % field.encode()) for field in fields]
    offset, count, tail, around = 0, 0, b"", b""
    try:
        with open(path, "rb") as stream:
            while piece := stream.read(_CHUNK):
                text = tail + piece
                starts, ends = _objects(text, path, count)
                around = _between(text, starts, ends, around, path, count)
                if len(starts):
                    found = tuple(
                        _texts(pattern, text, starts, ends, field, path, count)
                        for pattern, field in zip(patterns, fields, strict=True)
                    )
                    yield TableRows(starts + offset, ends - starts, found)
                    count += len(starts)
                    offset, text = offset + int(ends[-1]), text[int(ends[-1]) :]
                tail = _checked_tail(text, path, count)
    except OSError as error:
        raise LogError(path, "file", f"cannot be read ({error.strerror})", HINT) from error
    if (around + tail).translate(None, _SPACE) != b"[]":
        raise LogError(path, f"row {count}", "is cut off, or the file is not a JSON list of objects", HINT)


def read_row(stream: BinaryIO, start: int, length: int, path: Path, shape: Shape) -> Any:  # noqa: ANN401 what the shape says
    """Read a row and compare it with its shape.

    Raises:
        LogError: it is no JSON, or of another shape.
    """
    stream.seek(start)
    return parse_json(stream.read(length), f"{path} at byte {start}", shape, HINT)


def _objects(text: bytes, path: Path, count: int) -> tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"]]:
    """Return start and end of the complete objects in a text that begins outside of them."""
    # Escaped quotes do not end a text; the replacement is as long.
    plain = re.sub(rb"\\.", b"__", text, flags=re.DOTALL) if b"\\" in text else text
    raw = np.frombuffer(plain, np.uint8)
    at = np.flatnonzero(_IS_MARK[raw])
    marks = raw[at]
    quotes = np.cumsum(marks == ord('"'))
    steps = np.where(quotes % 2 == 0, _LEVEL[marks], 0)
    level = np.cumsum(steps)
    if len(level) and level.min() < 0:
        raise LogError(path, f"row {count}", "has a brace too many", HINT)
    starts, ends = at[(steps == 1) & (level == 1)], at[(steps == -1) & (level == 0)] + 1
    return starts[: len(ends)], ends


def _between(text: bytes, starts: np.ndarray, ends: np.ndarray, before: bytes, path: Path, count: int) -> bytes:
    """Check that nothing but commas is between objects, and return the bytes before the first one of the file."""
    if not len(starts):
        return before
    gaps = [text[end:start] for end, start in zip([0, *ends[:-1].tolist()], starts.tolist(), strict=True)]
    separators = [gap.strip(_SPACE) for gap in gaps]
    if count == 0:
        before, separators = separators[0], separators[1:]
    if before != b"[" or any(separator != b"," for separator in separators):
        raise LogError(path, f"row {count}", "is not in a JSON list of objects", HINT)
    return before


def _texts(
    pattern: re.Pattern[bytes], text: bytes, starts: np.ndarray, ends: np.ndarray, field: str, path: Path, count: int
) -> np.ndarray:
    """Return a field's text of each object."""
    found = [(match.start(), match[1]) for match in pattern.finditer(text, 0, int(ends[-1]))]
    rows = np.searchsorted(starts, np.array([at for at, _ in found], np.int64), side="right") - 1
    often = np.bincount(rows, minlength=len(starts))
    if (often != 1).any():
        row = int(np.flatnonzero(often != 1)[0])
        problem = "is missing or longer than 32 characters" if often[row] == 0 else "occurs twice"
        raise LogError(path, f"row {count + row}: {field}", problem, HINT)
    return np.array([value for _, value in found], "S32")


def _checked_tail(tail: bytes, path: Path, count: int) -> bytes:
    if len(tail) > LONGEST:
        raise LogError(path, f"row {count}", f"is longer than {LONGEST} bytes", HINT)
    return tail
