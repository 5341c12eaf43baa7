"""Contexts on disk: arrays in an npz file beside a JSON header with a version. Nothing is pickled."""

import io
import json
import zipfile
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Final, TypeVar, cast, get_origin, get_type_hints

import numpy as np

from swerve.data.files import write_atomically
from swerve.eval.context import Context
from swerve.scenes import SwerveError

# To be raised whenever a context's fields or their meaning change: old files are then refused, not misread.
VERSION: Final = 2
HEADER: Final = "header"
T = TypeVar("T")


def save_context(context: Context, path: str | Path) -> None:
    """Writes a context; the file appears whole or not at all."""
    arrays: dict[str, np.ndarray] = {}
    values: dict[str, Any] = {}
    _flatten(context, "", arrays, values)
    header = json.dumps({"format": "swerve-context", "version": VERSION, "values": values})
    arrays[HEADER] = np.frombuffer(header.encode(), np.uint8)
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays)  # type: ignore[arg-type]
    write_atomically(Path(path), packed.getvalue())


def load_context(path: str | Path) -> Context:
    """Reads a context.

    Raises:
        SwerveError: there is no such file, it is not a context, or of another version.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored.items())
        header = json.loads(bytes(arrays.pop(HEADER)))
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise SwerveError(f"{path}: cannot be read as a context ({error})") from error
    if header.get("format") != "swerve-context" or header.get("version") != VERSION:
        raise SwerveError(
            f"{path}: context of version {header.get('version')}, this is version {VERSION}. Build it again"
        )
    try:
        return _build(Context, "", arrays, header["values"])
    except KeyError as error:
        raise SwerveError(f"{path}: the context lacks {error}. Build it again") from error


def _flatten(item: object, prefix: str, arrays: dict[str, np.ndarray], values: dict[str, Any]) -> None:
    for field in fields(item):  # type: ignore[arg-type]
        value, name = getattr(item, field.name), prefix + field.name
        if is_dataclass(value):
            _flatten(value, name + ".", arrays, values)
        elif isinstance(value, np.ndarray):
            arrays[name] = value
        else:
            values[name] = list(value) if isinstance(value, tuple) else value


def _build(kind: type[T], prefix: str, arrays: dict[str, np.ndarray], values: dict[str, Any]) -> T:
    hints = get_type_hints(kind)
    parts: dict[str, Any] = {}
    for field in fields(kind):  # type: ignore[arg-type]
        name, hint = prefix + field.name, hints[field.name]
        if is_dataclass(hint):
            parts[field.name] = _build(cast(type, hint), name + ".", arrays, values)
        elif name in arrays:
            parts[field.name] = arrays[name]
        else:
            value = values[name]
            parts[field.name] = tuple(value) if get_origin(hint) is tuple else value
    return kind(**parts)
