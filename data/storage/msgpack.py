"""MessagePack without extensions: numbers, texts, bytes, lists and maps, and NumPy arrays as maps (msgpack-numpy).

Specification: github.com/msgpack/msgpack/blob/master/spec.md. Lengths are believed only as far as there are bytes.
"""

import math
import re
import struct
from collections.abc import Callable
from typing import Any, Final

import numpy as np

# Levels of lists and maps.
_DEEPEST: Final = 32
_ARRAY: Final = b"__ndarray__"
# NumPy would evaluate other texts as Python literals.
_DTYPE: Final = re.compile(r"[<>=|]?[fiub]\d{1,2}")
_FIXED: Final = {
    **{0xCA: ">f", 0xCB: ">d", 0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q"},
    **{0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q"},
}
_CONSTANTS: Final = {0xC0: None, 0xC2: False, 0xC3: True}
# Formats of the length by the first byte, and what follows it.
_LENGTHS: Final = {
    **{0xC4: (">B", "bytes"), 0xC5: (">H", "bytes"), 0xC6: (">I", "bytes")},
    **{0xD9: (">B", "text"), 0xDA: (">H", "text"), 0xDB: (">I", "text")},
    **{0xDC: (">H", "list"), 0xDD: (">I", "list"), 0xDE: (">H", "map"), 0xDF: (">I", "map")},
}
_INTEGERS: Final = ((0xCC, 0, 2**8), (0xCD, 0, 2**16), (0xCE, 0, 2**32), (0xCF, 0, 2**64))
_NEGATIVES: Final = ((0xD0, 2**7), (0xD1, 2**15), (0xD2, 2**31), (0xD3, 2**63))


def unpack(packed: bytes) -> Any:  # noqa: ANN401 what was packed
    """Return the value of a whole message; maps that stand for arrays become arrays.

    Raises:
        ValueError: it is no message, is cut off, has an extension type, or is nested more than 32 levels deep.
    """
    try:
        value, end = _value(packed, 0, 0)
    except (struct.error, IndexError, UnicodeDecodeError, TypeError) as error:
        raise ValueError(f"no complete MessagePack message ({error})") from error
    if end != len(packed):
        raise ValueError(f"{len(packed) - end} bytes follow the MessagePack message")
    return value


def pack(value: Any) -> bytes:  # noqa: ANN401 see the raised error
    """Return the message of a value: None, booleans, numbers, texts, bytes, lists, tuples, maps and arrays.

    Raises:
        TypeError: it is, or holds, anything else.
    """
    if isinstance(value, np.ndarray):
        return pack({_ARRAY: True, b"dtype": value.dtype.str, b"shape": list(value.shape), b"data": value.tobytes()})
    for kind, packer in _PACKERS.items():
        if isinstance(value, kind):
            return packer(value)
    raise TypeError(f"{type(value).__name__} has no form in MessagePack")


def _value(packed: bytes, at: int, depth: int) -> tuple[Any, int]:
    """Return the value that begins at a byte, and the byte after it."""
    if depth > _DEEPEST:
        raise ValueError(f"nested more than {_DEEPEST} levels deep")
    first = packed[at]
    if first <= 0x7F or first >= 0xE0:
        return (first if first <= 0x7F else first - 256), at + 1
    if first in _CONSTANTS:
        return _CONSTANTS[first], at + 1
    if first in _FIXED:
        return struct.unpack_from(_FIXED[first], packed, at + 1)[0], at + 1 + struct.calcsize(_FIXED[first])
    if first in _LENGTHS:
        form, kind = _LENGTHS[first]
        return _sized(packed, at + 1 + struct.calcsize(form), struct.unpack_from(form, packed, at + 1)[0], kind, depth)
    if first < 0xC0:
        kind = "map" if first < 0x90 else "list" if first < 0xA0 else "text"
        return _sized(packed, at + 1, first & (0x1F if kind == "text" else 0x0F), kind, depth)
    raise ValueError(f"byte {at} is {first:#x}: extensions are not read")


def _sized(packed: bytes, at: int, length: int, kind: str, depth: int) -> tuple[Any, int]:
    if length > len(packed) - at:
        raise ValueError(f"no complete MessagePack message: {length} follow byte {at} of {len(packed)}")
    if kind in ("bytes", "text"):
        content = packed[at : at + length]
        return (content if kind == "bytes" else content.decode()), at + length
    items = []
    for _ in range(length * (2 if kind == "map" else 1)):
        item, at = _value(packed, at, depth + 1)
        items.append(item)
    if kind == "list":
        return items, at
    found = dict(zip(items[::2], items[1::2], strict=True))
    return (_array(found) if _ARRAY in found else found), at


def _array(found: dict[Any, Any]) -> np.ndarray:
    """Return the array that a map stands for; its data type is one of numbers."""
    dtype, shape, data = (found.get(key) for key in (b"dtype", b"shape", b"data"))
    if not isinstance(dtype, str) or not isinstance(shape, list) or not isinstance(data, bytes):
        raise ValueError("an array lacks its dtype, shape or data")
    if not _DTYPE.fullmatch(dtype):
        raise ValueError(f"an array is of {dtype[:20]!r}, not of numbers")
    kind = np.dtype(dtype)
    whole = all(type(size) is int and size >= 0 for size in shape)
    if not whole or math.prod(shape) * kind.itemsize != len(data):
        raise ValueError(f"an array of {dtype} and shape {shape} has {len(data)} bytes")
    return np.frombuffer(data, kind).reshape(shape)


def _integer(value: int) -> bytes:
    value = int(value)
    if -32 <= value < 128:
        return bytes([value % 256])
    for first, low, high in _INTEGERS:
        if low <= value < high:
            return bytes([first]) + struct.pack(_FIXED[first], value)
    for first, low in _NEGATIVES:
        if -low <= value < 0:
            return bytes([first]) + struct.pack(_FIXED[first], value)
    raise TypeError(f"{value} is beyond 64 bits")


def _with_length(length: int, kind: str) -> bytes:
    """Return the shortest of the general forms of a length."""
    for first, (form, of) in _LENGTHS.items():
        if of == kind and length < 256 ** struct.calcsize(form):
            return bytes([first]) + struct.pack(form, length)
    raise TypeError(f"a {kind} of {length} is too long")


def _text(value: str) -> bytes:
    content = value.encode()
    short = bytes([0xA0 | len(content)]) if len(content) < 32 else _with_length(len(content), "text")
    return short + content


def _list(value: list[Any] | tuple[Any, ...]) -> bytes:
    short = bytes([0x90 | len(value)]) if len(value) < 16 else _with_length(len(value), "list")
    return short + b"".join(map(pack, value))


def _map(value: dict[Any, Any]) -> bytes:
    short = bytes([0x80 | len(value)]) if len(value) < 16 else _with_length(len(value), "map")
    return short + b"".join(pack(key) + pack(item) for key, item in value.items())


_PACKERS: Final[dict[Any, Callable[[Any], bytes]]] = {
    type(None): lambda _: b"\xc0",
    (bool, np.bool_): lambda value: b"\xc3" if value else b"\xc2",
    (int, np.integer): _integer,
    (float, np.floating): lambda value: b"\xcb" + struct.pack(">d", value),
    str: _text,
    bytes: lambda value: _with_length(len(value), "bytes") + value,
    (list, tuple): _list,
    dict: _map,
}
