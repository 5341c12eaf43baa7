"""Stand-ins for what pickled bytes and numpy arrays refer to: arrays of numbers, text and objects, checked in size."""

import math
import re
from typing import Any, Final

import numpy as np

from swerve.data.storage.checked_npz import check_values

# Booleans, integers, floats, text of a fixed width, and Python objects.
_PLAIN: Final = re.compile(r"b1|[iu][1248]|f[248]|[SU]\d{1,7}|O8?")
_ORDERS: Final = ("<", ">", "=", "|")


class PickledDtype:
    """Stands for `numpy.dtype` in a pickle; `dtype` is the real one."""

    __slots__ = ("dtype",)

    def __init__(self, text: object, align: object = False, copy: object = False) -> None:
        if not isinstance(text, str) or not _PLAIN.fullmatch(text):
            raise ValueError(f"holds an array of {_told(text)}, not of plain numbers or text")
        self.dtype = np.dtype(text)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order, parts = state[1], state[2:5]
        if order not in _ORDERS or any(part is not None for part in parts):
            raise ValueError(f"holds an array of records {parts}, not of plain numbers or text")
        self.dtype = self.dtype.newbyteorder(order)


class PickledArray(np.ndarray):
    """An array whose contents come from a pickle. `numpy.asarray` makes it an ordinary one."""

    def __setstate__(self, state: Any) -> None:  # noqa: ANN401 whatever a file holds
        """Set shape, type and contents.

        Raises:
            ValueError: the contents are not as many as shape and type say.
        """
        _, shape, pickled, by_columns, contents = state
        filled = _filled(contents, pickled, shape, "F" if by_columns else "C")
        raw = list(filled.ravel()) if filled.dtype.hasobject else filled.tobytes()
        whole = 1, filled.shape, filled.dtype, False, raw
        super().__setstate__(whole)  # type: ignore[arg-type]  # numpy says numpy.bool, and takes ints only


class PickledArrayType:
    """Stands for the class `numpy.ndarray` in a pickle, which only names it."""

    def __new__(cls) -> "PickledArrayType":
        """Refuse.

        Raises:
            ValueError: always.
        """
        raise ValueError("makes an array without contents")

    def __setstate__(self, state: object) -> None:
        raise ValueError("changes the class of arrays")


def reconstruct(kind: object, shape: object, code: object) -> PickledArray:
    """Return an empty array that its state fills: numpy's `_reconstruct`.

    Raises:
        ValueError: the pickle asks for another class than `numpy.ndarray`.
    """
    if kind is not PickledArrayType:
        raise ValueError(f"makes an array of the class {_told(kind)}")
    return np.zeros(0, np.uint8).view(PickledArray)


def from_buffer(buffer: object, pickled: object, shape: object, order: object) -> PickledArray:
    """Return an array of the contents: numpy's `_frombuffer`, of protocol 5.

    Raises:
        ValueError: the contents are not as many as shape and type say.
    """
    return _filled(buffer, pickled, shape, "F" if order == "F" else "C").view(PickledArray)


def scalar(pickled: object, contents: object = b"") -> Any:  # noqa: ANN401 a number or text of numpy's
    """Return one number or text: numpy's `scalar`.

    Raises:
        ValueError: the contents are not those of one number.
    """
    return _filled(contents, pickled, (), "C")[()]


def _filled(contents: object, pickled: object, shape: object, order: str) -> np.ndarray:
    """Return an array of the contents, after comparing their number with shape and type."""
    sizes = shape if isinstance(shape, tuple) else (shape,)
    if not isinstance(pickled, PickledDtype) or not all(type(size) is int and size >= 0 for size in sizes):
        raise ValueError(f"holds an array of the shape {_told(shape)} and type {_told(pickled)}")
    dtype, count = pickled.dtype, math.prod(sizes)
    if dtype.hasobject:
        return _objects(contents, sizes, count, order)
    if not isinstance(contents, (bytes, bytearray)) or len(contents) != count * dtype.itemsize:
        raise ValueError(f"holds an array of {count} {dtype} with contents of another size")
    filled = np.frombuffer(bytes(contents) or b"\0" * 64, dtype, count)
    check_values(filled)
    return filled.reshape(sizes, order="F" if order == "F" else "C")


def _objects(contents: object, sizes: tuple[int, ...], count: int, order: str) -> np.ndarray:
    if not isinstance(contents, list) or len(contents) != count:
        raise ValueError(f"holds an array of {count} objects with another number of contents")
    array = np.empty(count, object)
    for index, item in enumerate(contents):
        array[index] = item
    return array.reshape(sizes, order="F" if order == "F" else "C")


def bytes_of(text: object = "", encoding: object = "latin1") -> bytes:
    """Return bytes as protocol 2 stores them, as text of Latin-1.

    Raises:
        ValueError: it is another encoding, or not text.
    """
    if not isinstance(text, str) or encoding != "latin1":
        raise ValueError(f"encodes text as {_told(encoding)}")
    return text.encode("latin1")


ARRAY_NAMES: Final = {
    ("_codecs", "encode"): bytes_of,
    ("__builtin__", "bytes"): bytes_of,
    ("numpy", "ndarray"): PickledArrayType,
    ("numpy", "dtype"): PickledDtype,
    **{
        (f"numpy.{core}.{module}", name): stand_in
        for core in ("core", "_core")
        for module, name, stand_in in (
            ("multiarray", "_reconstruct", reconstruct),
            ("multiarray", "scalar", scalar),
            ("numeric", "_frombuffer", from_buffer),
        )
    },
}


def _told(value: object) -> str:
    """Return a short text for a message; nested objects are not written out, as they can be of any length."""
    return repr(value[:40]) if isinstance(value, str) else f"a {type(value).__name__}"
