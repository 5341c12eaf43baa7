"""Fields of a protobuf message found by their positions, without parsing what is in them.

An index of a data set needs a name and a few numbers of every record. With the official classes each record would have
to be read whole, 2.6 MB of images; here the images are stepped over. https://protobuf.dev/programming-guides/encoding
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_SIZES: Final = {FIXED64: 8, FIXED32: 4}
_LONGEST_VARINT: Final = 10


@dataclass(frozen=True)
class Field:
    """A field of a message.

    Attributes:
        number: as in the .proto file.
        kind: VARINT, FIXED64, BYTES or FIXED32.
        start: offset of its content in the buffer.
        end: where that ends.
        value: of a VARINT.
    """

    number: int
    kind: int
    start: int
    end: int
    value: int = 0


def fields(data: memoryview, start: int, end: int) -> Iterator[Field]:
    """Yield the fields of the message between two offsets, in order.

    Raises:
        ValueError: the bytes are not a message: a field leads beyond the end, or is of no kind that exists.
    """
    at = start
    while at < end:
        key, at = _varint(data, at, end)
        number, kind = key >> 3, key & 7
        if kind == VARINT:
            value, after = _varint(data, at, end)
            yield Field(number, kind, at, after, value)
            at = after
            continue
        if kind == BYTES:
            size, at = _varint(data, at, end)
        elif kind in _SIZES:
            size = _SIZES[kind]
        else:
            raise ValueError(f"a field of kind {kind} at byte {at}")
        if not number or size > end - at:
            raise ValueError(f"field {number} at byte {at} has {size} bytes, where {end - at} are left")
        yield Field(number, kind, at, at + size)
        at += size


def number_of_floats(data: memoryview, message: Field, number: int) -> int:
    """Count the values of a repeated float of an embedded message, packed or not.

    Raises:
        ValueError: it is damaged.
    """
    return sum((one.end - one.start) // 4 for one in fields(data, message.start, message.end) if one.number == number)


def float_of(data: memoryview, message: Field, number: int, default: float) -> float:
    """Return a float of an embedded message: its last value, as protobuf does.

    Raises:
        ValueError: it is damaged.
    """
    found = default
    for one in fields(data, message.start, message.end):
        if one.number == number and one.kind == FIXED32:
            (found,) = struct.unpack_from("<f", data, one.start)
    return found


def _varint(data: memoryview, at: int, end: int) -> tuple[int, int]:
    """Return the integer of variable length at an offset, and where it ends."""
    value = 0
    for index in range(min(_LONGEST_VARINT, end - at)):
        byte = data[at + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value, at + index + 1
    raise ValueError(f"a number without an end at byte {at}")
