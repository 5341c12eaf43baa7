"""Parquet files that appear under their name only when they are complete."""

from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from swerve.data.storage.files import commit, temporary_path

_ROWS_PER_GROUP = 50_000
# Checksums of pages tell damage from data.
_OPTIONS: Final = {"compression": "zstd", "write_page_checksum": True}


def write_parquet(path: Path, table: pa.Table) -> None:
    """Write a table atomically."""
    pq.write_table(table, temporary_path(path), **_OPTIONS)
    commit(path)


class ParquetFile:
    """A Parquet file that is written in row groups, and renamed to its name when the `with` block ends without error.

    Args:
        path: of the file.
        schema: of its rows.
        before: called with the path of the complete file before it is renamed, such as for files that it implies.
    """

    def __init__(self, path: Path, schema: pa.Schema, before: Callable[[Path], None] | None = None) -> None:
        self._path, self._schema, self._rows, self._before = path, schema, list[dict[str, Any]](), before
        self._writer = pq.ParquetWriter(temporary_path(path), schema, **_OPTIONS)

    def add(self, rows: Iterable[dict[str, Any]]) -> None:
        """Append rows; they are written in groups of fifty thousand or more."""
        self._rows += rows
        if len(self._rows) >= _ROWS_PER_GROUP:
            self._flush()

    def add_table(self, table: pa.Table) -> None:
        """Append the rows of a table as a row group of their own."""
        self._flush()
        self._writer.write_table(table)

    def _flush(self) -> None:
        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, self._schema))
            self._rows.clear()

    def __enter__(self) -> "ParquetFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._flush()
        finally:
            self._writer.close()
        if kind is None:
            if self._before is not None:
                self._before(temporary_path(self._path))
            commit(self._path)
