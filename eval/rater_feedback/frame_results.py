"""Results of planners on rated WOD-E2E frames: tables by frame, means over frames and over scenario clusters."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from swerve.data.jobs import Failure, write_failures
from swerve.data.storage.files import commit, safe_name, temporary_path, to_json, write_atomically
from swerve.eval.benchmark.evaluate.evaluation_summary import SCORES, SUMMARY
from swerve.eval.benchmark.evaluate.planner_records import PlannerSpec
from swerve.eval.benchmark.evaluate.result_store import read_record
from swerve.eval.benchmark.evaluate.results import PROVENANCE, RESULTS
from swerve.eval.rater_feedback.cluster_scores import cluster_means
from swerve.eval.scoring.score_tables import write_rows

VERSION: Final = 1
METRICS: Final = ("rfs", "ade_3s", "ade_5s", "inside")
_HORIZON: Final = 5.0
RECORD: Final = pa.schema(
    {
        "planner": pa.string(),
        "frame": pa.string(),
        "sequence": pa.string(),
        "rfs": pa.float64(),
        "inside": pa.bool_(),
        "ade_3s": pa.float64(),
        "ade_5s": pa.float64(),
        "initial_speed": pa.float64(),
        "command": pa.string(),
        "horizon": pa.float64(),
        "x": pa.list_(pa.float64()),
        "y": pa.list_(pa.float64()),
        "error": pa.string(),
        "plan_seconds": pa.float64(),
    }
)
_SHOWN_COLUMNS: Final = ("rfs", "inside", "ade_3s", "ade_5s", "initial_speed", "command", "horizon", "error")


def write_results(
    folder: Path, records: Sequence[Path], entries: Sequence[PlannerSpec], clusters: Sequence[str] | None
) -> tuple[dict[str, Any], list[Failure]]:
    """Write results.parquet, scores/LABEL.csv, failures.json, provenance.json and, last of all, summary.json.

    Args:
        folder: of the evaluation.
        records: of the frames, with rows of all planners.
        entries: the planners.
        clusters: scenario cluster of each frame; None if they are not known.

    Returns:
        the summary, and the planners' failures.
    """
    labels = [entry.label for entry in entries]
    read = [read_record(path, RECORD) for path in records]
    names: Sequence[str | None] = clusters or [None] * len(read)
    tables = [
        table.append_column("cluster", pa.array([name] * table.num_rows, pa.string()))
        for table, name in zip(read, names, strict=True)
    ]
    rows = pa.concat_tables(tables).filter(pc.field("planner").isin(labels))
    pq.write_table(rows, temporary_path(folder / RESULTS), compression="zstd")
    commit(folder / RESULTS)
    stamp: dict[str, Any] = {
        "version": VERSION,
        "metric": "rfs",
        "planners": {entry.label: entry.spec for entry in entries},
        "identities": {entry.label: entry.identity for entry in entries},
    }
    by_label = {label: rows.filter(pc.field("planner") == label) for label in labels}
    summary: dict[str, Any] = {
        **{"metric": "rfs", "frames": len(records), "mean_over": "clusters" if clusters else "frames"},
        "planners": {label: planner_summary(own) for label, own in by_label.items()},
    }
    for label, own in by_label.items():
        told = {**stamp, "planner": {"label": label, "spec": stamp["planners"][label]}}
        write_rows(folder / SCORES / f"{safe_name(label)}.csv", csv_rows(own, summary["planners"][label]), told)
    failures = [failure for own in by_label.values() for failure in _failures(own)]
    write_failures(folder, failures)
    write_atomically(folder / PROVENANCE, to_json(stamp))
    write_atomically(folder / SUMMARY, to_json(summary))
    return summary, failures


def planner_summary(rows: pa.Table) -> dict[str, Any]:
    """Return the means of a planner: over frames, by cluster, and over clusters; its score is the last, if it exists.

    Displacement errors do not count frames in which the planner failed or the future is hidden; None where none counts.
    """
    values = np.column_stack([rows[name].cast(pa.float64()).to_numpy(zero_copy_only=False) for name in METRICS])
    names = rows["cluster"].to_pylist()
    over_frames = cluster_means(values, [""] * len(names))[1]
    found = {"frames": _named(over_frames)}
    by_cluster = {}
    if None not in names:
        means, over_clusters = cluster_means(values, names)
        found["clusters"] = _named(over_clusters)
        by_cluster = {name: {"frames": names.count(name), **_named(mean)} for name, mean in means.items()}
    horizons = rows["horizon"].to_numpy()
    return {
        "score": found.get("clusters", found["frames"])["rfs"],
        **{f"mean_over_{over}": means for over, means in found.items()},
        "by_cluster": by_cluster,
        "failures": sum(bool(error) for error in rows["error"].to_pylist()),
        "extended": int(((horizons > 0) & (horizons < _HORIZON - 1e-6)).sum()),
        "seconds_per_plan": float(np.mean(rows["plan_seconds"].to_numpy())),
    }


def csv_rows(rows: pa.Table, summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row for each frame, then those of the clusters and of the means."""
    columns = ("frame", "sequence", "cluster", *_SHOWN_COLUMNS)
    listed = [{name: row[name] for name in columns} for row in rows.select(columns).to_pylist()]
    for row in listed:
        row["error"] = row["error"].splitlines()[-1] if row["error"] else ""
    empty = dict.fromkeys(columns)
    for cluster, means in summary["by_cluster"].items():
        listed.append(
            {**empty, "frame": "mean_of_cluster", "cluster": cluster, **{name: means[name] for name in METRICS}}
        )
    for over in ("frames", "clusters"):
        if means := summary.get(f"mean_over_{over}"):
            listed.append({**empty, "frame": f"mean_over_{over}", **means})
    return listed


def _named(means: np.ndarray) -> dict[str, float | None]:
    return {name: None if np.isnan(mean) else float(mean) for name, mean in zip(METRICS, means, strict=True)}


def _failures(rows: pa.Table) -> list[Failure]:
    failed = rows.filter(pc.field("error") != "").select(["sequence", "frame", "planner", "error"]).to_pylist()
    return [
        Failure(row["sequence"], row["frame"], row["planner"], row["error"].splitlines()[-1], row["error"])
        for row in failed
    ]
