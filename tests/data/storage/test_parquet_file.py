"""Parquet files appear complete or not at all."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from swerve.data.storage import parquet_file
from swerve.data.storage.parquet_file import ParquetFile, write_parquet

SCHEMA = pa.schema([("number", pa.int64()), ("name", pa.string())])


def rows(first, count):
    return [{"number": number, "name": str(number)} for number in range(first, first + count)]


def test_rows_and_tables_keep_their_order(tmp_path, monkeypatch):
    monkeypatch.setattr(parquet_file, "_ROWS_PER_GROUP", 4)
    path = tmp_path / "rows.parquet"
    with ParquetFile(path, SCHEMA) as file:
        file.add(rows(0, 3))
        file.add(rows(3, 3))
        file.add(rows(6, 1))
        file.add_table(pa.Table.from_pylist(rows(7, 2), SCHEMA))
        file.add(rows(9, 1))
        assert not path.exists()
    assert pq.read_table(path).to_pylist() == rows(0, 10)
    groups = pq.ParquetFile(path)
    assert [groups.metadata.row_group(index).num_rows for index in range(groups.num_row_groups)] == [6, 1, 2, 1]


def test_a_file_without_rows_has_its_schema(tmp_path):
    with ParquetFile(tmp_path / "rows.parquet", SCHEMA):
        pass
    assert pq.read_table(tmp_path / "rows.parquet").schema == SCHEMA


def test_an_error_leaves_the_earlier_file(tmp_path):
    path = tmp_path / "rows.parquet"
    write_parquet(path, pa.Table.from_pylist(rows(0, 2), SCHEMA))
    with pytest.raises(KeyError):
        _fail_after_rows(path)
    assert pq.read_table(path).to_pylist() == rows(0, 2)


def _fail_after_rows(path):
    with ParquetFile(path, SCHEMA) as file:
        file.add(rows(5, 1))
        raise KeyError
