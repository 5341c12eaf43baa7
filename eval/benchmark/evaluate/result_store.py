"""The record of one scene group in an evaluation: result rows by planner, and the planners' identities."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from swerve.data.jobs import record_path
from swerve.data.storage.parquet_file import write_parquet
from swerve.eval.benchmark.evaluate.results import SCHEMA
from swerve.scenes import SwerveError

# Key of the Parquet metadata: identities of the planners, by label.
_PLANNERS = b"swerve.planners"


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
        planners: dict[str, str] = json.loads((pq.read_schema(path).metadata or {}).get(_PLANNERS, b"{}"))
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
    with _record_errors(path):
        return pq.read_table(path, schema=schema)


@contextmanager
def _record_errors(path: Path) -> Iterator[None]:
    """Name the damaged record and the remedy in errors."""
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        first = str(error).partition("\n")[0]
        raise SwerveError(
            f"{path}: damaged ({first}). Remove it and run the same command again to evaluate this scene group"
        ) from error
