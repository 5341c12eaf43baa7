"""Arrow IPC files of 123D: a table per modality, its description packed in the schema's metadata.

A column's name begins with that of its file: `ego_state_se3.arrow` has `ego_state_se3.timestamp_us`.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds
from jaxtyping import Float, Int

from swerve.data.storage.msgpack import unpack
from swerve.scenes import LogError
from swerve.scenes.printable import first_line

_HINT = "py123d writes such files"


@dataclass(frozen=True)
class ArrowFile:
    """A table of 123D.

    Attributes:
        path: the file.
        table: its rows, mapped from the file.
        metadata: description of the modality.
    """

    path: Path
    table: pa.Table
    metadata: dict[str, Any]

    @property
    def key(self) -> str:
        """Name of the modality: that of the file."""
        return self.path.stem

    def has(self, name: str) -> bool:
        """Tell whether there is a column of this name, without the modality's."""
        return f"{self.key}.{name}" in self.table.column_names

    def column(self, name: str) -> pa.ChunkedArray:
        """Return a column.

        Raises:
            LogError: there is none.
        """
        if not self.has(name):
            raise LogError(self.path, f"{self.key}.{name}", "no such column", _HINT)
        return self.table[f"{self.key}.{name}"]

    def times_us(self) -> Int[np.ndarray, "t"]:
        """Return the times of the rows.

        Raises:
            LogError: one is missing, or times decrease.
        """
        column = self.column("timestamp_us")
        if column.null_count or not kinds.is_integer(column.type):
            raise LogError(self.path, f"{self.key}.timestamp_us", "has rows without a whole number")
        times: Int[np.ndarray, "t"] = column.to_numpy().astype(np.int64)
        if (np.diff(times) < 0).any():
            raise LogError(self.path, f"{self.key}.timestamp_us", "times decrease")
        return times

    def vectors(self, name: str, width: int) -> Float[np.ndarray, "t w"]:
        """Return a column of vectors of a width; NaN in rows without one.

        Raises:
            LogError: there is no such column, or it is of another kind.
        """
        column = self.column(name).combine_chunks()
        if not _holds_vectors(column.type, width):
            raise LogError(self.path, f"{self.key}.{name}", f"holds {column.type}, not {width} numbers a row")
        return _vectors_of(column, width)

    def nested(self, name: str, width: int = 0) -> tuple[Int[np.ndarray, "t"], Any]:
        """Return a column of lists: the number of items of each row, and the items of all rows.

        Items are arrays (n, w) if they are vectors of a width, else lists of Python values.

        Raises:
            LogError: there is no such column, or it is of another kind.
        """
        column = self.column(name).combine_chunks()
        if not kinds.is_list(column.type):
            raise LogError(self.path, f"{self.key}.{name}", f"holds {column.type}, not lists")
        counts = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False).astype(np.int64)
        items = column.flatten()
        if not width:
            return counts, items.to_pylist()
        if not _holds_vectors(items.type, width):
            raise LogError(self.path, f"{self.key}.{name}", f"holds lists of {items.type}, not of {width} numbers")
        return counts, _vectors_of(items, width)

    def nested_numbers(self, name: str) -> tuple[Int[np.ndarray, "t"], Int[np.ndarray, "n"]]:
        """Return a column of lists of whole numbers: the number of items of each row, and the items of all rows.

        Raises:
            LogError: there is no such column, or it is of another kind.
        """
        counts, items = self.nested(name)
        if not all(type(item) is int and abs(item) < 2**62 for item in items):
            raise LogError(self.path, f"{self.key}.{name}", "has an item that is not a whole number")
        return counts, np.array(items, np.int64)


def _holds_vectors(kind: Any, width: int) -> bool:  # noqa: ANN401 pyarrow has no types
    """Tell whether a type is of vectors of so many numbers."""
    own = kinds.is_fixed_size_list(kind) and kind.list_size == width
    return bool(own and (kinds.is_floating(kind.value_type) or kinds.is_integer(kind.value_type)))


def _vectors_of(items: Any, width: int) -> Float[np.ndarray, "n w"]:  # noqa: ANN401
    """Return vectors; NaN for those that are missing."""
    found = np.full((len(items), width), np.nan)
    valid = items.is_valid().to_numpy(zero_copy_only=False)
    flat = pc.fill_null(items.flatten().cast(pa.float64()), np.nan).to_numpy(zero_copy_only=False)
    found[valid] = flat.reshape(-1, width)
    return found


def read_arrow(path: Path) -> ArrowFile:
    """Open a table and read its description; its rows stay in the file until they are used.

    Raises:
        LogError: there is no such file, it is no complete Arrow file, or has no description.
    """
    try:
        with pa.memory_map(str(path)) as source:
            table = pa.ipc.open_file(source).read_all()
        # Validated, since damaged offsets and lengths would lead to reads outside the table's memory.
        table.validate(full=True)
        names = table.column_names
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = first_line(error)
        raise LogError(path, "file", f"is not a complete Arrow file ({reason})", _HINT) from error
    if len(set(names)) < len(names):
        raise LogError(path, "schema", "two columns have one name", _HINT)
    return ArrowFile(path, table, _metadata(path, table.schema))


def read_description(path: Path) -> dict[str, Any]:
    """Read the description of a table without its rows.

    Raises:
        LogError: see `read_arrow`.
    """
    try:
        with pa.memory_map(str(path)) as source:
            schema = pa.ipc.open_file(source).schema
    except (pa.ArrowException, OSError) as error:
        reason = first_line(error)
        raise LogError(path, "file", f"is not a complete Arrow file ({reason})", _HINT) from error
    return _metadata(path, schema)


def _metadata(path: Path, schema: pa.Schema) -> dict[str, Any]:
    packed = (schema.metadata or {}).get(b"metadata")
    if packed is None:
        raise LogError(path, "metadata", "the schema has none", _HINT)
    try:
        found = unpack(packed)
    except ValueError as error:
        raise LogError(path, "metadata", str(error)) from error
    if not isinstance(found, dict):
        raise LogError(path, "metadata", f"is {type(found).__name__}, not a map")
    return found
