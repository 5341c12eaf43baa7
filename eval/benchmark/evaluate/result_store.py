"""What an evaluation remembers of a case: the rows of its planners, and which planners those were."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from swerve.data.jobs import part_stem
from swerve.data.storage.files import commit, part_of
from swerve.eval.benchmark.evaluate.results import SCHEMA
from swerve.scenes import SwerveError

# Key of the file's own notes: identities of its planners, by label.
_PLANNERS = b"swerve.planners"


def record_path(folder: Path, log: str, chunk: int) -> Path:
    """Where the record of a case lies."""
    return folder / "records" / f"{part_stem(log, chunk)}.parquet"


def recorded_planners(path: Path) -> dict[str, str]:
    """Identities of the planners in a record, by label; none where there is no record.

    Raises:
        SwerveError: it is damaged.
    """
    if not path.is_file():
        return {}
    with _told(path):
        return json.loads((pq.read_schema(path).metadata or {}).get(_PLANNERS, b"{}"))


def add_to_record(path: Path, rows: pa.Table, planners: Mapping[str, str]) -> None:
    """Writes rows of some planners beside those of others; what the record had of these planners before goes.

    Args:
        path: of the record, which may not be there yet.
        rows: columns as in `results.SCHEMA`.
        planners: identities by label.

    Raises:
        SwerveError: the record that is there is damaged.
    """
    known = recorded_planners(path)
    if path.is_file():
        before = read_record(path)
        rows = pa.concat_tables([before.filter(~pc.field("planner").isin(list(planners))), rows])
    notes = {_PLANNERS: json.dumps({**known, **planners}).encode()}
    pq.write_table(rows.replace_schema_metadata(notes), part_of(path), compression="zstd")
    commit(path)


def read_record(path: Path) -> pa.Table:
    """The rows of all planners in a record, columns as in `results.SCHEMA`.

    Raises:
        SwerveError: it is missing or damaged.
    """
    with _told(path):
        return pq.read_table(path, schema=SCHEMA)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    """Says which record is damaged, and what to do."""
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        first = str(error).partition("\n")[0]
        raise SwerveError(
            f"{path}: damaged ({first}). Remove it and run the same command again: it evaluates this case anew"
        ) from error
