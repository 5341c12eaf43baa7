"""Scores as tables in NAVSIM's columns, written as CSV or Parquet."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float

from swerve.data.jobs.folder import CORE_PACKAGES, package_versions
from swerve.data.storage.files import commit, make_folder, os_errors_as_swerve_errors, temporary_path, write_atomically
from swerve.data.storage.parquet_file import write_parquet
from swerve.eval.scoring.aggregate import COLUMNS, AggregatedScores
from swerve.scenes import SwerveError

METRICS = COLUMNS[:-1]


def one_stage_rows(table: AggregatedScores) -> list[dict[str, Any]]:
    """Return a row per scene, then `average_all_frames`."""
    rows = [
        {"token": token, "valid": True, **_named(values)}
        for token, values in zip(table.tokens, table.values, strict=True)
    ]
    return [*rows, {"token": "average_all_frames", "valid": True, **_named(table.combined)}]


def two_stage_rows(table: AggregatedScores, stage_one: set[str]) -> list[dict[str, Any]]:
    """Return a row per scene, then the means of both stages, then the result, which repeats them."""
    rows = [
        _staged(token, values if token in stage_one else None, None if token in stage_one else values, values[-1])
        for token, values in zip(table.tokens, table.values, strict=True)
    ]
    one, two = table.stage_one, table.stage_two
    return [
        *rows,
        _staged("extended_pdm_score_stage_one", one, None, one[-1]),
        _staged("extended_pdm_score_stage_two", None, two, two[-1]),
        _staged("extended_pdm_score_combined", one, two, table.combined[-1]),
    ]


def provenance(traffic: str, weighting: str | None) -> dict[str, Any]:
    """Return the provenance of scores: scores of different provenance must not be compared.

    Args:
        traffic: traffic policy of the agents.
        weighting: of follow-up scenes; None in one stage.
    """
    return {
        "metric": "EPDMS as NAVSIM v2.2",
        "stages": 1 if weighting is None else 2,
        "traffic": traffic,
        "weighting": weighting,
        "packages": package_versions(CORE_PACKAGES),
    }


def write_rows(path: Path, rows: list[dict[str, Any]], stamp: dict[str, Any]) -> None:
    """Write rows atomically as .csv or .parquet, and the provenance as `NAME.provenance.json`.

    Raises:
        SwerveError: the name ends neither in .csv nor in .parquet, or the file cannot be written.
    """
    check_table_name(path)
    make_folder(path.parent)
    with os_errors_as_swerve_errors(path):
        if path.suffix == ".parquet":
            write_parquet(path, pa.Table.from_pylist(rows))
        else:
            _write_csv(temporary_path(path), rows)
            commit(path)
        stamped = path.with_name(f"{path.name}.provenance.json")
        write_atomically(stamped, (json.dumps(stamp, indent=1) + "\n").encode())


def check_table_name(path: Path) -> None:
    """Check the ending of a table's name.

    Raises:
        SwerveError: it is neither .csv nor .parquet.
    """
    if path.suffix not in (".csv", ".parquet"):
        raise SwerveError(f"{path}: scores are written as .csv or .parquet")


def _write_csv(path: Path, rows: list[dict[str, Any]]) -> None:
    with open(path, "w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["", *rows[0]])
        for index, row in enumerate(rows):
            writer.writerow([index, *("" if value is None else value for value in row.values())])


def _staged(
    token: str, one: Float[np.ndarray, "10"] | None, two: Float[np.ndarray, "10"] | None, total: float
) -> dict[str, Any]:
    row: dict[str, Any] = {"token": token, "valid": True}
    for suffix, values in (("stage_one", one), ("stage_two", two)):
        for index, name in enumerate(METRICS):
            row[f"{name}_{suffix}"] = None if values is None else _plain(values[index])
    return {**row, "score": _plain(total)}


def _named(values: Float[np.ndarray, "10"]) -> dict[str, float | None]:
    return {name: _plain(value) for name, value in zip(COLUMNS, values, strict=True)}


def _plain(value: float) -> float | None:
    return None if np.isnan(value) else float(value)
