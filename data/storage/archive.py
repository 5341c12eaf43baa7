"""Serialization of frozen dataclasses to one file: JSON tree and one block of arrays, without pickle.

The file is an npz (a zip that `numpy.load` opens) of two byte arrays. `tree` is JSON: `format`, `kind`, `version` and
`item`; dataclasses are objects by field, tuples lists, enums their names, floats that are not finite their names as
text, and an array is [dtype, shape, first byte in `block`]. `block` holds the arrays in C order, each at a multiple of
8 bytes. What a file says is checked against the type hints when it is read, down to dtype and rank of each array. A
field that the file lacks takes its default, if it has one.
"""

import io
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

import numpy as np
from jaxtyping import AbstractArray

from swerve.data.storage.checked_json import describe, parse_json
from swerve.data.storage.checked_npz import read_npz
from swerve.data.storage.files import write_atomically
from swerve.data.storage.stored_folder import open_file
from swerve.scenes import LogError, SwerveError
from swerve.scenes.printable import printable

FORMAT: Final = "swerve-archive"
_ALIGNMENT: Final = 8
_KINDS_OF_ARRAYS: Final = "biuf"
_DTYPE: Final = re.compile(r"b1|[iu][1248]|f[248]")
_INTEGERS: Final = 2**63
T = TypeVar("T")
# Takes a value of the tree, the block of arrays and the value's place in the tree.
Reader = Callable[[Any, bytearray, str], Any]


class _WrongError(Exception):
    """A value is not what the type says; the message begins with its place."""


def save_archive(path: str | Path, item: object, kind: str, version: int) -> None:
    """Write a dataclass atomically, with the same bytes for the same item.

    Args:
        path: path of the file.
        item: an instance of a dataclass whose fields are dataclasses, tuples, dicts by text, enums, numbers, text, None
            or arrays of numbers.
        kind: kind of the content, such as "log".
        version: format version; to be increased whenever fields or their meaning change.

    Raises:
        SwerveError: a value has an unsupported type, which the message names.
    """
    write_atomically(Path(path), to_bytes(item, kind, version))


def to_bytes(item: object, kind: str, version: int) -> bytes:
    """Serialize to the file's content, see `save_archive`."""
    block = bytearray()
    tree = {"format": FORMAT, "kind": kind, "version": version, "item": _tree(item, block, type(item).__name__)}
    text = json.dumps(tree, separators=(",", ":"), allow_nan=False).encode()
    packed = io.BytesIO()
    np.savez_compressed(packed, tree=np.frombuffer(text, np.uint8), block=np.frombuffer(block, np.uint8))
    return packed.getvalue()


def load_archive(path: str | Path, of: type[T], kind: str, version: int) -> T:
    """Read a file written by `save_archive`.

    Args:
        path: path of the file.
        of: dataclass of the content.
        kind: expected kind.
        version: expected format version.

    Raises:
        SwerveError: the file is missing, it is damaged, of another kind or version, or does not fit the dataclass.
    """
    path = Path(path)
    try:
        with open_file(path) as file:
            content = file.read()
    except OSError as error:
        raise SwerveError(f"{path}: cannot be read as an archive ({error})") from error
    return from_bytes(content, of, kind, version, str(path))


def from_bytes(content: bytes, of: type[T], kind: str, version: int, path: str) -> T:
    """Deserialize the result of `to_bytes`, see `load_archive`.

    Args:
        content: content of the file.
        of: see `load_archive`.
        kind: see `load_archive`.
        version: see `load_archive`.
        path: path of the file, for messages.
    """
    text, block = _read(content, path)
    try:
        tree = parse_json(text, path)
    except LogError as error:
        raise SwerveError(f"{path}: damaged, its tree {error.problem}. Create it again") from error
    if not isinstance(tree, dict) or tree.get("format") != FORMAT or tree.get("kind") != kind:
        found = tree.get("kind") if isinstance(tree, dict) and tree.get("kind") != kind else None
        raise SwerveError(
            f"{path}: is {printable(str(found))[:60] if found else 'something else'}, not a {kind} of Swerve"
        )
    if type(tree.get("version")) is not int or tree["version"] != version:
        stated = describe(tree.get("version"))
        raise SwerveError(f"{path}: {kind} of version {stated}, this is version {version}. Make it again")
    try:
        item: T = _reader(of)(tree.get("item"), block, of.__name__)  # type: ignore[arg-type]  # classes can be hashed
        return item
    except _WrongError as error:
        raise SwerveError(f"{path}: damaged {kind}: {error}. Create it again") from error


def _read(content: bytes, path: str) -> tuple[bytes, bytearray]:
    """Return the two parts of a file. The block is writable, since kernels are compiled for writable arrays."""
    try:
        parts = read_npz(content, path, ("tree", "block"))
    except LogError as error:
        raise SwerveError(f"{path}: cannot be read as an archive ({error.field} {error.problem})") from error
    return parts["tree"].tobytes(), bytearray(parts["block"].tobytes())


def _tree(item: Any, block: bytearray, where: str) -> Any:  # noqa: ANN401 any value of a dataclass
    """Convert the item to JSON values; its arrays are appended to the block."""
    if item is None or isinstance(item, (bool, str)):
        return item
    if isinstance(item, Enum):
        return item.name
    if isinstance(item, (int, np.integer)) and abs(int(item)) < _INTEGERS:
        return int(item)
    if isinstance(item, (float, np.floating)):
        return float(item) if math.isfinite(item) else repr(float(item))
    if isinstance(item, np.ndarray):
        return _appended(item, block, where)
    if isinstance(item, tuple):
        return [_tree(value, block, f"{where}[{row}]") for row, value in enumerate(item)]
    if isinstance(item, Mapping) and all(isinstance(key, str) for key in item):
        return {key: _tree(value, block, f"{where}[{key!r}]") for key, value in item.items()}
    if is_dataclass(item) and not isinstance(item, type):
        return {one.name: _tree(getattr(item, one.name), block, f"{where}.{one.name}") for one in fields(item)}
    raise SwerveError(f"{where}: a {type(item).__name__} cannot be stored")


def _appended(array: np.ndarray, block: bytearray, where: str) -> list[Any]:
    if array.dtype.kind not in _KINDS_OF_ARRAYS:
        raise SwerveError(f"{where}: an array of {array.dtype} cannot be stored")
    block.extend(bytes(-len(block) % _ALIGNMENT))
    start, little = len(block), array.dtype.newbyteorder("<")
    block.extend(array.astype(little, copy=False).tobytes())
    return [little.str[1:], list(array.shape), start]


@cache
def _reader(hint: Any) -> Reader:  # noqa: ANN401 a type hint
    """Return the reader of a type's values."""
    origin, inner = get_origin(hint), get_args(hint)
    if is_dataclass(hint):
        return _dataclass_reader(hint)
    if isinstance(hint, type) and issubclass(hint, AbstractArray):
        return _array_reader(hint)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return _choice_reader({item.name: item for item in hint}, hint.__name__)
    if origin is Literal:
        return _choice_reader({item: item for item in inner}, str(hint))
    if origin is tuple:
        return _tuple_reader(inner)
    if origin in (dict, Mapping) and inner[0] is str:
        return _mapping_reader(inner[1])
    if origin in (Union, UnionType) and len(inner) == 2 and NoneType in inner:
        return _optional_reader(next(one for one in inner if one is not NoneType))
    if hint in (bool, int, str):
        return _scalar_reader(hint)
    return _number if hint is float else _unreadable_reader(hint)


def _dataclass_reader(of: Any) -> Reader:  # noqa: ANN401 a dataclass
    hints = get_type_hints(of)
    names = tuple(one.name for one in fields(of))
    known = frozenset(names)
    # Fields with a default may be newer than the file.
    needed = frozenset(one.name for one in fields(of) if one.default is one.default_factory is MISSING)
    axes = _named_axes(hints)
    # Dataclasses may contain unsupported types (a path), as long as they have no value.
    readers = dict[str, Reader]()

    def read(value: Any, block: bytearray, where: str) -> Any:  # noqa: ANN401
        if not isinstance(value, dict) or not needed <= value.keys() <= known:
            raise _WrongError(f"{where} {_difference(value, needed, known)}")
        if not readers:
            readers.update({name: _reader(hints[name]) for name in names})
        parts = {name: readers[name](value[name], block, f"{where}.{name}") for name in names if name in value}
        _check_axes(parts, axes, where)
        try:
            return of(**parts)
        except ValueError as error:
            raise _WrongError(f"{where}: {error}") from error

    return read


def _named_axes(hints: Mapping[str, Any]) -> list[tuple[str, int, str]]:
    """Return field, axis and name of all axes of a dataclass's arrays whose sizes a name makes equal."""
    arrays = {name: hint for name, hint in hints.items() if isinstance(hint, type) and issubclass(hint, AbstractArray)}
    return [
        (name, axis, size)
        for name, hint in arrays.items()
        if not any(size.startswith(("*", "...")) for size in hint.dim_str.split())
        for axis, size in enumerate(hint.dim_str.split())
        if size.isidentifier() and not size.startswith("_")
    ]


def _check_axes(parts: Mapping[str, Any], axes: Sequence[tuple[str, int, str]], where: str) -> None:
    """Check that axes of one name are of one size.

    Raises:
        _WrongError: two differ.
    """
    sizes: dict[str, tuple[int, str]] = {}
    for name, axis, size in axes:
        if isinstance(parts.get(name), np.ndarray):
            own = parts[name].shape[axis]
            known, first = sizes.setdefault(size, (own, name))
            if own != known:
                raise _WrongError(f"{where}.{name} has {own} along axis {axis}, {first} has {known}")


def _difference(value: Any, needed: frozenset[str], known: frozenset[str]) -> str:  # noqa: ANN401
    if not isinstance(value, dict):
        return f"is {describe(value)}, not an object"
    missing, strange = sorted(needed - value.keys()), sorted(value.keys() - known)
    return f"lacks {missing[0]!r}" if missing else f"has an unknown {describe(strange[0])}"


def _array_reader(hint: Any) -> Reader:  # noqa: ANN401 a jaxtyping array
    axes = hint.dim_str.split()
    rank = None if any(axis.startswith(("*", "...")) for axis in axes) else len(axes)
    sizes = {axis: int(size) for axis, size in enumerate(axes) if size.isdecimal() and rank is not None}
    accepted = dict[str, bool]()

    def read(value: Any, block: bytearray, where: str) -> np.ndarray:  # noqa: ANN401
        try:
            name, shape, start = value
            _check_place(name, shape, start)
            if name not in accepted:
                accepted[name] = isinstance(np.zeros([sizes.get(axis, 1) for axis in range(len(shape))], name), hint)
            array = np.frombuffer(block, "<" + name, math.prod(shape), start).reshape(shape)
        except (TypeError, ValueError, OverflowError) as error:
            raise _WrongError(f"{where} is no array ({error})") from error
        fits = accepted[name] and rank in (None, array.ndim) and array.shape == tuple(shape)
        if not fits or any(array.shape[axis] != size for axis, size in sizes.items()):
            raise _WrongError(f"{where} is an array of {name} and shape {list(array.shape)}, not {hint.__name__}")
        if name == "b1" and (array.view(np.uint8) > 1).any():
            raise _WrongError(f"{where} has a boolean that is neither true nor false")
        return array

    return read


def _check_place(name: Any, shape: Any, start: Any) -> None:  # noqa: ANN401 whatever JSON holds
    """Check type, shape and place of an array before anything is made of them.

    Raises:
        ValueError: one of them is not as `_appended` writes it.
    """
    if type(name) is not str or not _DTYPE.fullmatch(name):
        raise ValueError(f"its type is {describe(name)}")
    if type(shape) is not list or not all(type(size) is int and 0 <= size < _INTEGERS for size in shape):
        raise ValueError(f"its shape is {describe(shape)}")
    if type(start) is not int or not 0 <= start < _INTEGERS or start % _ALIGNMENT:
        raise ValueError(f"it begins at {describe(start)}")


def _choice_reader(choices: Mapping[Any, Any], kind: str) -> Reader:
    def read(value: Any, _: bytearray, where: str) -> Any:  # noqa: ANN401
        if not isinstance(value, str) or value not in choices:
            raise _WrongError(f"{where} is {describe(value)}, not of {kind}")
        return choices[value]

    return read


def _tuple_reader(inner: tuple[Any, ...]) -> Reader:
    endless = len(inner) == 2 and inner[1] is Ellipsis
    readers = [_reader(hint) for hint in inner if hint is not Ellipsis]

    def read(value: Any, block: bytearray, where: str) -> tuple[Any, ...]:  # noqa: ANN401
        if not isinstance(value, list) or not (endless or len(value) == len(readers)):
            raise _WrongError(f"{where} is {describe(value)}, not a list{'' if endless else f' of {len(readers)}'}")
        each = readers * len(value) if endless else readers
        pairs = zip(each, value, strict=True)
        return tuple(reader(item, block, f"{where}[{row}]") for row, (reader, item) in enumerate(pairs))

    return read


def _mapping_reader(hint: Any) -> Reader:  # noqa: ANN401
    reader = _reader(hint)

    def read(value: Any, block: bytearray, where: str) -> dict[str, Any]:  # noqa: ANN401
        if not isinstance(value, dict):
            raise _WrongError(f"{where} is {describe(value)}, not an object")
        return {key: reader(item, block, f"{where}[{printable(key)!r}]") for key, item in value.items()}

    return read


def _optional_reader(hint: Any) -> Reader:  # noqa: ANN401
    reader = _reader(hint)
    return lambda value, block, where: None if value is None else reader(value, block, where)


def _scalar_reader(kind: type) -> Reader:
    def read(value: Any, _: bytearray, where: str) -> Any:  # noqa: ANN401
        if type(value) is not kind or (isinstance(value, int) and abs(value) >= _INTEGERS):
            raise _WrongError(f"{where} is {describe(value)}, not {kind.__name__}")
        return value

    return read


def _number(value: Any, _: bytearray, where: str) -> float:  # noqa: ANN401
    if type(value) is float or (type(value) is int and abs(value) < _INTEGERS):
        return float(value)
    if isinstance(value, str) and value in ("nan", "inf", "-inf"):
        return float(value)
    raise _WrongError(f"{where} is {describe(value)}, not a number")


def _unreadable_reader(hint: Any) -> Reader:  # noqa: ANN401
    def read(_: Any, __: bytearray, where: str) -> Any:  # noqa: ANN401
        raise _WrongError(f"{where} is of type {hint}, which no file holds")

    return read
