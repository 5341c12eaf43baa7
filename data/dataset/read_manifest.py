"""Reading of a set's manifest: types, paths and order of its rows are checked before they are used."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from swerve.data.dataset.manifest import SCHEMA, UNKNOWN_OFFSET
from swerve.data.storage.mirror import mirror_of
from swerve.data.storage.stored_folder import is_fetched
from swerve.scenes import SwerveError
from swerve.scenes.printable import first_line, printable

MANIFEST: Final = "manifest.parquet"
SHARD: Final = re.compile(r"(train|val|test)/[A-Za-z0-9_-][A-Za-z0-9_.-]*\.tar")
# Rows of the largest set that is read; the manifest says how many it has before they are.
_MOST_ROWS: Final = 50_000_000
_OFFSET: Final = "offset"
_AGAIN: Final = "Run the job that made the set again"


def read_manifest(folder: Path, columns: Sequence[str], encoded: Sequence[str] = ()) -> pa.Table:
    """Read columns of a finished set's manifest.

    Args:
        folder: of the set.
        columns: their names; "shard" and "split" must be among them. Sets of before offsets were written have unknown
            ones.
        encoded: columns of few values, which are read as dictionaries: in a third of the time and memory.

    Raises:
        SwerveError: the set is not finished; or the manifest is damaged, of other types, lacks values, or names a shard
            that is not in a split's folder of the set.
    """
    path = folder / MANIFEST
    if not path.is_file() and not is_fetched(path):
        raise SwerveError(f"{folder}: {_why_no_set(folder)}")
    wanted = pa.schema([SCHEMA.field(name) for name in columns])
    older = _OFFSET in columns and not _has_column(path, _OFFSET)
    if older:
        wanted = wanted.remove(wanted.get_field_index(_OFFSET))
    table = read_parquet(path, wanted, _AGAIN, _MOST_ROWS, encoded=encoded)
    if older:
        table = table.append_column(SCHEMA.field(_OFFSET), pa.array([UNKNOWN_OFFSET] * len(table), pa.int64()))
    places = table.select(["shard", "split"]).group_by(["shard", "split"]).aggregate([])
    for shard, split in zip(places["shard"].to_pylist(), places["split"].to_pylist(), strict=True):
        if not SHARD.fullmatch(shard) or not shard.startswith(f"{split}/"):
            told = printable(f"{shard!r:.120} is no tar in the folder of split {split!r:.40}")
            raise SwerveError(f"{path}: shard: {told}. {_AGAIN}")
    return table


def _why_no_set(folder: Path) -> str:
    """Return why a folder is no finished set, and what to give or do instead."""
    if (folder.parent / MANIFEST).is_file():
        return f"not a set, but a part of one: give its folder, {folder.parent}"
    if not folder.exists() and mirror_of(folder) is None:
        return f"no such folder. A set is an output folder of swerve augment, with {MANIFEST}"
    return f"no {MANIFEST}: not a finished set. Run `swerve augment` to its end"


def _has_column(path: Path, name: str) -> bool:
    """Return whether a table has a column; damaged files have all, and are refused when they are read."""
    try:
        return name in pq.read_schema(path).names
    except (pa.ArrowException, OSError, ValueError):
        return True


def read_parquet(
    path: Path, schema: pa.Schema, hint: str, most: int = _MOST_ROWS, nulls: bool = False, encoded: Sequence[str] = ()
) -> pa.Table:
    """Read a Parquet file's columns of a schema.

    Args:
        path: the file.
        schema: names and types of the columns.
        hint: remedy, for messages.
        most: greatest number of rows.
        nulls: whether rows may lack values.
        encoded: text columns that are read as dictionaries.

    Raises:
        SwerveError: the file is missing or damaged, has more rows, or a column is missing, of another type or lacks a
            value that it needs.
    """
    try:
        if not path.is_file():
            is_fetched(path)
        reading = {"memory_map": False, "page_checksum_verification": True, "read_dictionary": [*encoded]}
        with pq.ParquetFile(path, **reading) as file:
            if file.metadata.num_rows > most:
                raise SwerveError(f"{path}: rows: says that it has {file.metadata.num_rows}. {hint}")
            there = file.schema_arrow
            for field in schema:
                found = _plain(there.field(field.name).type) if there.names.count(field.name) == 1 else "missing"
                if found != field.type:
                    raise SwerveError(f"{path}: {field.name}: is {found}, not {field.type}. {hint}")
            table = file.read(columns=schema.names)
        # Validated, since damaged offsets and lengths would lead to reads outside the table's memory.
        table.validate(full=True)
        table = table.unify_dictionaries()
        for field in schema:
            if table[field.name].null_count and not nulls:
                raise SwerveError(f"{path}: {field.name}: has a row without a value. {hint}")
        return table
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError, OverflowError, MemoryError) as error:
        reason = first_line(error)
        raise SwerveError(f"{path}: file: cannot be read as a table ({reason}). {hint}") from error


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return the type of values, of a column that may be a dictionary."""
    return kind.value_type if isinstance(kind, pa.DictionaryType) else kind


def shards_of(folder: Path, split: str) -> list[tuple[Path, list[str]]]:
    """Return the paths of a split's shards in the manifest's order, each with the keys of its samples.

    Raises:
        SwerveError: see `read_manifest`.
    """
    table = read_manifest(folder, ("key", "shard", "split"))
    table = table.filter(pc.equal(table["split"], split))
    keys: dict[str, list[str]] = {}
    for key, shard in zip(table["key"].to_pylist(), table["shard"].to_pylist(), strict=True):
        keys.setdefault(shard, []).append(key)
    return [(folder / shard, own) for shard, own in keys.items()]
