"""Evaluations on disk, made of results in memory."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq

from swerve.eval.benchmark.evaluate.results import RESULTS_VERSION, Results


def only(results: Results, *labels: str) -> Results:
    """Return the results of some of the planners."""
    keep = [label in labels for label in results.table["planner"].to_pylist()]
    specs = {label: results.provenance["planners"][label] for label in labels}
    return replace(
        results,
        table=results.table.filter(keep),
        planners=labels,
        provenance={**results.provenance, "planners": specs},
    )


def write_evaluation(folder: Path, results: Results, **stamp: object) -> Path:
    """Write results as `swerve evaluate` does, with other values in the provenance; return the folder."""
    folder.mkdir(parents=True)
    pq.write_table(results.table, folder / "results.parquet")
    whole = {**results.provenance, "version": RESULTS_VERSION, "benchmark": {"name": "made", "digest": "d"}, **stamp}
    (folder / "provenance.json").write_text(json.dumps(whole))
    return folder
