"""Summary tables of an evaluation, computed from the records of its scene groups."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Float

from swerve.data.jobs import Failure, write_failures
from swerve.data.storage.files import remove_file, safe_name, to_json, write_atomically
from swerve.data.storage.parquet_file import ParquetFile
from swerve.eval.benchmark.evaluate.planner_differences import means_by, planner_differences
from swerve.eval.benchmark.evaluate.result_store import read_record
from swerve.eval.benchmark.evaluate.results import PROVENANCE, RESULTS, SCHEMA, groups_of, logs_of, scores_of
from swerve.eval.benchmark.evaluate.view_differences import PlannerViews, differences, group_scores
from swerve.eval.scoring.aggregate import COLUMNS, AggregatedScores, GroupTokens, aggregate_two_stage
from swerve.eval.scoring.score_tables import METRICS, two_stage_rows, write_rows
from swerve.eval.scoring.weighting import Weighting

SUMMARY, FAILURES, SCORES, REPORT = "summary.json", "failures.json", "scores", "index.html"
# Columns kept in memory of every scene.
_LIGHT = ["planner", "token", "log", "group_token", "frame", "index", *COLUMNS, "start_x", "start_y", "end_x", "end_y"]
_LIGHT += ["error", "plan_seconds"]


def remove_summary(folder: Path) -> None:
    """Remove an earlier run's summary: an evaluation that resumes has no scores yet."""
    for path in [folder / name for name in (RESULTS, PROVENANCE, SUMMARY, FAILURES, REPORT)]:
        remove_file(path)
    for path in (folder / SCORES).glob("*.csv*"):
        remove_file(path)


def write_summary(
    folder: Path, records: Sequence[Path], stamp: dict[str, Any], source_of: Callable[[str], str]
) -> tuple[dict[str, Any], list[Failure]]:
    """Write results.parquet, the scores of each planner, failures.json and, last of all, summary.json.

    Args:
        folder: of the evaluation.
        records: of all scene groups, in order; each has rows of all planners.
        stamp: content of provenance.json: the planners, their views, and the weighting.
        source_of: kind of the source of a log.

    Returns:
        the summary, and the planners' failures.
    """
    labels, weighting = list(stamp["planners"]), stamp["weighting"]
    light = _write_results(folder / RESULTS, records, labels, weighting)
    planners, tables, groups = {}, dict[str, AggregatedScores](), tuple[GroupTokens, ...]()
    for label in labels:
        rows = light.filter(pc.field("planner") == label)
        groups = groups_of(rows)
        table = aggregate_two_stage(scores_of(rows), groups, weighting)
        first = {token for group in groups for token in (group.now, group.before)}
        own = {**stamp, "planner": {"label": label, "spec": stamp["planners"][label]}}
        write_rows(folder / SCORES / f"{safe_name(label)}.csv", two_stage_rows(table, first), own)
        planners[label], tables[label] = _planner_summary(table, rows), table
    logs = logs_of(light, groups)
    failures = list(_failures(light))
    write_failures(folder, failures)
    write_atomically(folder / PROVENANCE, to_json(stamp))
    seen = {label: PlannerViews(**views) for label, views in stamp["views"].items()}
    found = differences(tables, groups, logs, seen)
    summary = {
        "scene_groups": len(records),
        "scenes": light.num_rows // len(labels),
        "planners": planners,
        "inactive_sub_scores": stamp["inactive_sub_scores"],
        "differences": [one.as_json() for one in found],
        **comparison_summary({label: group_scores(table, groups) for label, table in tables.items()}, logs, source_of),
    }
    write_atomically(folder / SUMMARY, to_json(summary))
    return summary, failures


def comparison_summary(
    scores: Mapping[str, Float[np.ndarray, "g"]], logs: Sequence[str], source_of: Callable[[str], str]
) -> dict[str, Any]:
    """Return the parts of the summary that compare planners, and scenes of different logs and sources."""
    means = {"by_log": means_by(scores, logs), "by_source": means_by(scores, [source_of(log) for log in logs])}
    return {
        "planner_differences": [one.as_json() for one in planner_differences(scores, logs)],
        **{
            name: {one.name: {"scene_groups": one.groups, "scores": dict(one.scores)} for one in found}
            for name, found in means.items()
        },
    }


def _write_results(path: Path, records: Sequence[Path], labels: Sequence[str], weighting: Weighting) -> pa.Table:
    """Write all records to one file, planners in the order of their labels; return the light columns."""
    light = []
    with ParquetFile(path, SCHEMA) as results:
        for record in records:
            rows = read_record(record)
            parts = [_weighed(rows.filter(pc.field("planner") == label), weighting) for label in labels]
            whole = pa.concat_tables(parts)
            results.add_table(whole)
            light.append(whole.select(_LIGHT))
    return pa.concat_tables(light)


def _weighed(rows: pa.Table, weighting: Weighting) -> pa.Table:
    """Return the rows of one planner in one scene group, with the weights of the given weighting."""
    groups: Sequence[GroupTokens] = groups_of(rows)
    weights = aggregate_two_stage(scores_of(rows), groups, weighting).weights
    return rows.set_column(rows.column_names.index("weight"), SCHEMA.field("weight"), pa.array(weights))


def _planner_summary(table: AggregatedScores, rows: pa.Table) -> dict[str, Any]:
    failed = np.array([bool(error) for error in rows["error"].to_pylist()])
    return {
        "score": table.score,
        **{
            stage: {"score": float(values[-1]), **dict(zip(METRICS, values[:-1].tolist(), strict=True))}
            for stage, values in (("stage_one", table.stage_one), ("stage_two", table.stage_two))
        },
        "effective_follow_ups": float(table.effective_sample_sizes.mean()),
        "failures": int(failed.sum()),
        "seconds_per_plan": float(np.mean(rows["plan_seconds"].to_numpy())),
    }


def _failures(rows: pa.Table) -> Iterator[Failure]:
    failed = rows.select(["log", "token", "planner", "error"]).filter(pc.field("error") != "")
    for row in failed.to_pylist():
        yield Failure(row["log"], row["token"], row["planner"], row["error"].splitlines()[-1], row["error"])
