"""What an evaluation remembers of a case: the rows of its planners, and which planners those were."""

import json
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from swerve.data.files import commit, part_of
from swerve.data.jobs import part_stem
from swerve.eval.pseudo.results import SCHEMA

# Key of the file's own notes: identities of its planners, by label.
_PLANNERS = b"swerve.planners"


def record_path(folder: Path, log: str, chunk: int) -> Path:
    """Where the record of a case lies."""
    return folder / "records" / f"{part_stem(log, chunk)}.parquet"


def recorded_planners(path: Path) -> dict[str, str]:
    """Identities of the planners in a record, by label; none where there is no record."""
    if not path.is_file():
        return {}
    return json.loads((pq.read_schema(path).metadata or {}).get(_PLANNERS, b"{}"))


def add_to_record(path: Path, rows: pa.Table, planners: Mapping[str, str]) -> None:
    """Writes rows of some planners beside those of others; what the record had of these planners before goes.

    Args:
        path: of the record, which may not be there yet.
        rows: columns as in `results.SCHEMA`.
        planners: identities by label.
    """
    known = recorded_planners(path)
    if path.is_file():
        before = pq.read_table(path, schema=SCHEMA)
        rows = pa.concat_tables([before.filter(~pc.field("planner").isin(list(planners))), rows])
    notes = {_PLANNERS: json.dumps({**known, **planners}).encode()}
    pq.write_table(rows.replace_schema_metadata(notes), part_of(path), compression="zstd")
    commit(path)
