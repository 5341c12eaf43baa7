"""Pickles of plain data, numpy arrays, and objects of packages that need not be installed.

A pickle is a program for a small stack machine; this module writes the instructions (protocol 4, see the module
pickletools) without importing the classes. Arrays are written under the names that both versions of numpy have.
"""

import pickle
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

_SHORT: Final = 256
_INTEGERS: Final = (-(2**31), 2**31)
_FIXED: Final = {None: pickle.NONE, True: pickle.NEWTRUE, False: pickle.NEWFALSE}


@dataclass(frozen=True)
class PickledInstance:
    """Object of a class, made without calling its constructor.

    Attributes:
        module: of the class.
        name: of the class.
        attributes: values by name.
        slots: whether the class keeps them in `__slots__`.
    """

    module: str
    name: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    slots: bool = False


@dataclass(frozen=True)
class PickledEnum:
    """Member of an enumeration, which the pickle makes from its value."""

    module: str
    name: str
    value: int


def pickled(content: Any) -> bytes:  # noqa: ANN401 whatever a pickle can hold
    """Return the pickle of nested lists, tuples, dicts, texts, numbers, booleans, None, arrays and the above objects.

    Raises:
        TypeError: a value is of another type.
    """
    return pickle.PROTO + bytes([4]) + _value(content) + pickle.STOP


def _value(value: Any) -> bytes:  # noqa: ANN401
    if value is None or isinstance(value, bool):
        return _FIXED[value]
    for kind, write in _WRITERS.items():
        if isinstance(value, kind):
            return write(value)
    raise TypeError(f"cannot be written into a pickle: {type(value).__name__}")


def _global(module: str, name: str) -> bytes:
    return encode_text(module) + encode_text(name) + pickle.STACK_GLOBAL


def _instance(value: PickledInstance) -> bytes:
    attributes = _dict(value.attributes)
    state = pickle.MARK + pickle.NONE + attributes + pickle.TUPLE if value.slots else attributes
    return _global(value.module, value.name) + pickle.EMPTY_TUPLE + pickle.NEWOBJ + state + pickle.BUILD


def _enum(value: PickledEnum) -> bytes:
    return _global(value.module, value.name) + _tuple([value.value]) + pickle.REDUCE


def _array(array: np.ndarray) -> bytes:
    """Make an array as numpy's own pickles do: an empty one, then its version, shape, type, order and bytes."""
    code = f"U{array.dtype.itemsize // 4}" if array.dtype.kind == "U" else f"{array.dtype.kind}{array.dtype.itemsize}"
    if array.dtype.kind not in "Uif":
        raise TypeError(f"cannot be written into a pickle: array of {array.dtype}")
    values = np.ascontiguousarray(array, dtype=f"<{code}")
    arguments = pickle.MARK + _global("numpy", "ndarray") + _tuple([0]) + encode_bytes(b"b") + pickle.TUPLE
    empty = _global("numpy.core.multiarray", "_reconstruct") + arguments + pickle.REDUCE
    head = encode_integer(1) + _tuple(values.shape) + _dtype(code) + pickle.NEWFALSE
    return empty + pickle.MARK + head + encode_bytes(values.tobytes()) + pickle.TUPLE + pickle.BUILD


def _dtype(code: str) -> bytes:
    """Make a little-endian type. Texts state their size and alignment, numbers leave both to numpy."""
    size = (4 * int(code[1:]), 4, 8) if code[0] == "U" else (-1, -1, 0)
    made = _global("numpy", "dtype") + _tuple([code, False, True]) + pickle.REDUCE
    return made + _tuple([3, "<", None, None, None, *size]) + pickle.BUILD


def _dict(items: Mapping[str, Any]) -> bytes:
    pairs = b"".join(_value(key) + _value(value) for key, value in items.items())
    return pickle.EMPTY_DICT + pickle.MARK + pairs + pickle.SETITEMS


def _list(items: Iterable[Any]) -> bytes:
    return pickle.EMPTY_LIST + pickle.MARK + b"".join(map(_value, items)) + pickle.APPENDS


def _tuple(items: Iterable[Any]) -> bytes:
    return pickle.MARK + b"".join(map(_value, items)) + pickle.TUPLE


def encode_text(text: str) -> bytes:
    """Return the instructions that push a text."""
    encoded = text.encode()
    return pickle.BINUNICODE + struct.pack("<I", len(encoded)) + encoded


def encode_bytes(content: bytes) -> bytes:
    """Return the instructions that push bytes."""
    if len(content) < _SHORT:
        return pickle.SHORT_BINBYTES + bytes([len(content)]) + content
    return pickle.BINBYTES + struct.pack("<I", len(content)) + content


def encode_integer(number: int) -> bytes:
    """Return the instructions that push an integer of any size up to 255 bytes."""
    number = int(number)
    if _INTEGERS[0] <= number < _INTEGERS[1]:
        return pickle.BININT + struct.pack("<i", number)
    encoded = pickle.encode_long(number)
    return pickle.LONG1 + bytes([len(encoded)]) + encoded


def encode_float(number: float) -> bytes:
    """Return the instructions that push a float."""
    return pickle.BINFLOAT + struct.pack(">d", number)


_WRITERS: Final[Mapping[Any, Callable[[Any], bytes]]] = {
    PickledInstance: _instance,
    PickledEnum: _enum,
    np.ndarray: _array,
    str: encode_text,
    (int, np.integer): encode_integer,
    (float, np.floating): encode_float,
    Mapping: _dict,
    list: _list,
    tuple: _tuple,
}
