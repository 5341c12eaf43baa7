"""The record of one scene group in an evaluation: result rows by planner, and the planners' identities."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from swerve.data.dataset.read_manifest import read_parquet
from swerve.data.jobs import RECORDS, record_path
from swerve.data.storage.checked_json import mapping_of, parse_json, text
from swerve.data.storage.files import remove_file
from swerve.data.storage.parquet_file import write_parquet
from swerve.eval.benchmark.evaluate.results import SCHEMA
from swerve.scenes import SwerveError

# Key of the Parquet metadata: identities of the planners, by label.
_PLANNERS = b"swerve.planners"
_REMEDY: Final = "Remove it and run the same command again to evaluate this scene group"


def results_path(folder: Path, log: str, chunk: int) -> Path:
    """Return the path of the results of a part: a scene group, or a batch of scenes of one stage."""
    return record_path(folder, log, chunk, ".parquet")


def recorded_planners(path: Path) -> dict[str, str]:
    """Return the identities of the planners in a record, by label; empty if there is no record.

    Raises:
        SwerveError: it is damaged.
    """
    if not path.is_file():
        return {}
    with _record_errors(path):
        metadata = (pq.read_schema(path).metadata or {}).get(_PLANNERS, b"{}")
    planners: dict[str, str] = parse_json(metadata, path, mapping_of(text, text), _REMEDY)
    return planners


def add_to_record(path: Path, rows: pa.Table, planners: Mapping[str, str], schema: pa.Schema = SCHEMA) -> None:
    """Add rows of planners to a record, in place of earlier rows of the same planners.

    Args:
        path: of the record, which may not exist yet.
        rows: columns as in `schema`.
        planners: identities by label.
        schema: of the record.

    Raises:
        SwerveError: the existing record is damaged.
    """
    known = recorded_planners(path)
    if path.is_file():
        before = read_record(path, schema)
        rows = pa.concat_tables([before.filter(~pc.field("planner").isin(list(planners))), rows])
    metadata = {_PLANNERS: json.dumps({**known, **planners}).encode()}
    write_parquet(path, rows.replace_schema_metadata(metadata))


def read_record(path: Path, schema: pa.Schema = SCHEMA) -> pa.Table:
    """Read the rows of all planners in a record, columns as in `schema`.

    Raises:
        SwerveError: it is missing or damaged.
    """
    return read_parquet(path, schema, _REMEDY, nulls=True)


def remove_damaged_records(folder: Path, schema: pa.Schema) -> list[Path]:
    """Remove the records of a job that are damaged, which are made again; return them."""
    damaged = [path for path in sorted((folder / RECORDS).glob("*.parquet")) if not is_record(path, schema)]
    for path in damaged:
        remove_file(path)
    return damaged


def is_record(path: Path, schema: pa.Schema) -> bool:
    """Test whether a file is a record whose rows can be read, of planners that it names."""
    try:
        known, rows = recorded_planners(path), read_record(path, schema)
    except SwerveError:
        return False
    return set(rows["planner"].to_pylist()) <= set(known)


@contextmanager
def _record_errors(path: Path) -> Iterator[None]:
    """Name the damaged record and the remedy in errors."""
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        first = str(error).partition("\n")[0]
        raise SwerveError(f"{path}: damaged ({first}). {_REMEDY}") from error
