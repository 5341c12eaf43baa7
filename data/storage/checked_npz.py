"""Untrusted NumPy files: no length in them is believed before it is compared with the file's, nothing is unpickled.

`numpy.load` allocates what a header says before it reads on; here contents come first.
"""

import ast
import io
import math
import zipfile
import zlib
from collections.abc import Collection, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import numpy as np

from swerve.scenes import LogError
from swerve.scenes.printable import printable

# Bytes of a file's arrays together, unpacked; deflate packs 1032 bytes into one at most.
LARGEST: Final = 2**32
_DENSEST: Final = 1032
_MAGIC: Final = b"\x93NUMPY"
_LONGEST_HEADER: Final = 4096
_HEAD: Final = {(1, 0): 2, (2, 0): 4, (3, 0): 4}
_LAST_CHARACTER: Final = 0x10FFFF
_DAMAGE: Final = (
    *(OSError, EOFError, ValueError, KeyError, IndexError, RuntimeError, NotImplementedError, OverflowError),
    *(MemoryError, zlib.error, zipfile.BadZipFile),
)


def read_npz(content: bytes, where: str | Path, names: Collection[str] = (), hint: str = "") -> dict[str, np.ndarray]:
    """Return the arrays of an npz archive by name, writable.

    Args:
        content: of the file.
        where: file or member, for messages.
        names: arrays that it must have; only these are read. All if empty.
        hint: remedy, for messages.

    Raises:
        LogError: it is no such archive, damaged or encrypted, lacks an array, or unpacks to more than 4 GiB; or an
            array is not of numbers or text, or not as long as its header says.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = _members(archive, len(content))
            if missing := [name for name in names if name not in members]:
                raise LogError(where, missing[0], "there is no such array", hint)
            return {
                name: _named_array(archive.read(members[name]), where, name, hint) for name in (names or list(members))
            }
    except LogError:
        raise
    except _DAMAGE as error:
        reason = printable(str(error))[:200] or type(error).__name__
        raise LogError(where, "archive", f"is not an npz file that can be read ({reason})", hint) from error


def read_npy(path: Path) -> np.ndarray:
    """Return the array of an .npy file, writable.

    Raises:
        LogError: the file is missing or something else, or see `read_npz`.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise LogError(path, "file", f"cannot be read ({error.strerror})") from error
    return _named_array(content, path, "array", "")


def _members(archive: zipfile.ZipFile, size: int) -> dict[str, zipfile.ZipInfo]:
    """Return the archive's members by the array's name, after comparing what they say with the archive's size."""
    found: dict[str, zipfile.ZipInfo] = {}
    for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        if member.flag_bits & 1:
            raise ValueError(f"{name!r:.80} is encrypted")
        if name in found:
            raise ValueError(f"{name!r:.80} is there twice")
        found[name] = member
    total = sum(member.file_size for member in found.values())
    if total > min(LARGEST, _DENSEST * size):
        raise ValueError(f"says that {size} bytes unpack to {total}")
    return found


def _named_array(content: bytes, where: str | Path, name: str, hint: str) -> np.ndarray:
    try:
        return _array(content)
    except _DAMAGE as error:
        raise LogError(
            where, name, f"is not an array that can be read ({printable(str(error))[:200]})", hint
        ) from error


def _array(content: bytes) -> np.ndarray:
    """Return the array of a file in NumPy's format (numpy.lib.format), versions 1 to 3.

    Raises:
        ValueError: it is another file, of another type, or of another length than its header says.
    """
    header, start = _header(content)
    if not isinstance(header["descr"], str):
        raise ValueError("it is not an array of numbers or text")
    dtype, shape = _dtype(header["descr"]), header["shape"]
    if type(shape) is not tuple or not all(type(size) is int and size >= 0 for size in shape) or len(shape) > 32:
        raise ValueError("its shape is not made of whole numbers")
    if math.prod(shape) * dtype.itemsize != len(content) - start or math.prod(shape) > len(content):
        raise ValueError(f"{len(content) - start} bytes, of which its header makes {dtype} of shape {shape}"[:160])
    array = np.ndarray(shape, dtype, bytearray(content[start:]) or None, order="F" if header["fortran_order"] else "C")
    check_values(array)
    return array


def _header(content: bytes) -> tuple[dict[str, Any], int]:
    """Return the header's values, and where the array begins."""
    version = tuple(content[len(_MAGIC) : len(_MAGIC) + 2])
    if not content.startswith(_MAGIC) or version not in _HEAD:
        raise ValueError("it does not begin as a file of NumPy")
    first = len(_MAGIC) + 2 + _HEAD[version]
    size = int.from_bytes(content[len(_MAGIC) + 2 : first], "little")
    if size > min(_LONGEST_HEADER, len(content) - first):
        raise ValueError(f"a header of {size} bytes")
    header = _parsed(content[first : first + size].decode("latin1" if version < (3, 0) else "utf-8"))
    return header, first + size


@lru_cache(maxsize=4096)
def _parsed(text: str) -> dict[str, Any]:
    """Return the values of a header, which arrays of one type and shape have in common."""
    try:
        header = ast.literal_eval(text)
    except (SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError("its header is damaged") from error
    if not isinstance(header, dict) or not {"descr", "shape", "fortran_order"} <= set(header):
        raise ValueError("its header is damaged")
    return header


@lru_cache(maxsize=256)
def _dtype(described: str) -> np.dtype[Any]:
    """Return a type of numbers, booleans or text.

    Raises:
        ValueError: it is another one, of Python objects or records.
    """
    plain = described[:1] in "<>|=" and described[1:2] in set("biufSU")
    if not plain or not described[2:].isdecimal() or len(described) > 9:
        raise ValueError("it is not an array of numbers or text")
    try:
        return np.dtype(described)
    except TypeError as error:
        raise ValueError("it is not an array of numbers or text") from error


def check_values(array: np.ndarray) -> None:
    """Check bits that are no value of the type, which would fail where they are used.

    Raises:
        ValueError: a character beyond Unicode or half of a surrogate pair, or a boolean that is neither 0 nor 1.
    """
    if array.dtype.kind == "U" and array.size and array.dtype.itemsize:
        order = array.dtype.byteorder if array.dtype.byteorder in "<>" else "="
        codes = np.frombuffer(array.tobytes(), f"{order}u4")
        if ((codes > _LAST_CHARACTER) | ((codes >= 0xD800) & (codes < 0xE000))).any():
            raise ValueError("holds a character that is none")
    if array.dtype.kind == "b" and (np.frombuffer(array.tobytes(), np.uint8) > 1).any():
        raise ValueError("holds a boolean that is neither true nor false")


def encode_npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Encode arrays as an uncompressed .npz archive with fixed time stamps: equal arrays give equal bytes."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()
