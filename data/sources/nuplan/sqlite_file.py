"""Reading of untrusted SQLite files: read-only, and every column's type is checked."""

import re
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from swerve.scenes import LogError

# Views in place of nuPlan's tables, and tables with generated columns.
_COMPUTED = """
    SELECT name FROM sqlite_master WHERE type = 'view' AND name IN (
        'log', 'ego_pose', 'camera', 'image', 'lidar', 'lidar_pc', 'lidar_box', 'track', 'category', 'scene',
        'scenario_tag', 'traffic_light_status', 'meta')
    UNION SELECT tables.name FROM sqlite_master AS tables, pragma_table_xinfo(tables.name) AS columns
    WHERE tables.type = 'table' AND columns.hidden IN (2, 3)
"""


@contextmanager
def opened(path: Path) -> Iterator[sqlite3.Connection]:
    """Open an SQLite file for reading; nothing is written beside it.

    A file whose tables compute their values (views in place of nuPlan's tables, generated columns) is refused: a small
    one could ask for any amount of memory.

    Raises:
        LogError: the file is missing, not a readable SQLite file, here or in the block, or computes values.
    """
    if not path.is_file():
        raise LogError(path, "file", "no such file")
    try:
        connection = sqlite3.connect(f"file:{quote(str(path.absolute()))}?mode=ro&immutable=1", uri=True)
        try:
            connection.execute("PRAGMA trusted_schema = OFF")
            if found := connection.execute(_COMPUTED).fetchone():
                raise LogError(path, str(found[0])[:80], "computes its values, which no nuPlan file does")
            yield connection
        finally:
            connection.close()
    except (sqlite3.Error, UnicodeError, OverflowError, MemoryError) as error:
        problem = f"is not a readable SQLite file ({error})"
        raise LogError(path, "file", problem, "The download may be incomplete") from error


Convert = Callable[[Sequence[Any]], Any]


def read_columns(
    path: Path, columns: Mapping[str, Convert], clauses: str, parameters: Sequence[Any] = ()
) -> dict[str, Any]:
    """Read columns of a query: converted values by column name, without its table.

    Args:
        path: the SQLite file.
        columns: by name (`table.column`, with `AS other` where two have one name), the function that converts all
            values: `tokens`, `numbers`, ...
        clauses: the rest of the query from FROM on.
        parameters: values of its question marks.

    Raises:
        LogError: the file is damaged, a table or column is missing, or a value has another type.
    """
    with opened(path) as connection:
        rows = connection.execute(f"SELECT {', '.join(columns)} {clauses}", parameters).fetchall()
    found = {}
    for index, (name, convert) in enumerate(columns.items()):
        try:
            found[re.split(r"\.| AS ", name)[-1]] = convert([row[index] for row in rows])
        except (TypeError, ValueError, OverflowError) as error:
            raise LogError(path, name, f"has a value of another type ({error})") from error
    return found


def tokens(values: Sequence[Any]) -> tuple[str, ...]:
    """Convert BLOBs to hexadecimal texts."""
    return tuple(bytes.hex(value) for value in values)


def optional_tokens(values: Sequence[Any]) -> tuple[str, ...]:
    """Convert BLOBs to hexadecimal texts; NULL to an empty one."""
    return tuple("" if value is None else bytes.hex(value) for value in values)


def texts(values: Sequence[Any]) -> tuple[str, ...]:
    """Return texts; NULL as an empty one."""
    return tuple("" if value is None else str(value) for value in values)


def blobs(values: Sequence[Any]) -> tuple[bytes, ...]:
    """Return BLOBs as they are."""
    if not set(map(type, values)) <= {bytes}:
        raise TypeError("not a BLOB")
    return tuple(values)


def integers(values: Sequence[Any]) -> np.ndarray:
    """Convert integers, none of which may be NULL."""
    if not set(map(type, values)) <= {int}:
        raise TypeError("not an integer")
    return np.array(values, dtype=np.int64)


def numbers(values: Sequence[Any]) -> np.ndarray:
    """Convert finite numbers, none of which may be NULL."""
    converted = numbers_or_nan(values)
    if not np.isfinite(converted).all():
        raise ValueError("NULL or not finite")
    return converted


def numbers_or_nan(values: Sequence[Any]) -> np.ndarray:
    """Convert numbers; NULL to NaN."""
    if not set(map(type, values)) <= {int, float, type(None)}:
        raise TypeError("not a number")
    return np.array(values, dtype=np.float64)
