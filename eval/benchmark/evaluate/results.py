"""The results table of an evaluation: a row per planner and scene, as Parquet."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from jaxtyping import Bool, Float

from swerve.data.dataset.read_manifest import read_parquet
from swerve.data.storage.checked_json import anything, describe, mapping_of, read_json
from swerve.eval.scoring.aggregate import (
    COLUMNS,
    GroupTokens,
    SceneScores,
    ScoredScenes,
    aggregate_two_stage,
    pair_scores,
)
from swerve.eval.scoring.reasons import Reason
from swerve.eval.scoring.simulate import State
from swerve.eval.scoring.sub_scores import METRIC_NAMES
from swerve.eval.scoring.weighting import Weighting
from swerve.scenes import SwerveError
from swerve.scenes.planning import Trajectory

RESULTS, PROVENANCE = "results.parquet", "provenance.json"
# Raise whenever columns of the results or keys of the provenance change: older evaluations are then refused.
RESULTS_VERSION: Final = 3
_FIRST: Final = "Run `swerve evaluate` first"
_REASON = pa.struct(
    {
        "metric": pa.string(),
        "value": pa.float64(),
        "human_filtered": pa.bool_(),
        "seconds": pa.float64(),
        "text": pa.string(),
    }
)
# docs/evaluate.md defines each column.
SCHEMA = pa.schema(
    {
        "planner": pa.string(),
        "token": pa.string(),
        "log": pa.string(),
        "group_token": pa.string(),
        "stage": pa.int8(),
        "frame": pa.string(),
        "index": pa.int32(),
        "time_us": pa.int64(),
        **dict.fromkeys(METRIC_NAMES, pa.float64()),
        **{f"raw_{name}": pa.float64() for name in METRIC_NAMES},
        **{f"human_filtered_{name}": pa.bool_() for name in METRIC_NAMES},
        "two_frame_extended_comfort": pa.float64(),
        "score": pa.float64(),
        "weight": pa.float64(),
        **dict.fromkeys(("start_x", "start_y", "start_heading", "end_x", "end_y"), pa.float64()),
        "plan": pa.list_(pa.float64()),
        "plan_interval": pa.float64(),
        "path": pa.list_(pa.float64()),
        "failed": pa.bool_(),
        "error": pa.string(),
        "plan_seconds": pa.float64(),
        "reasons": pa.list_(_REASON),
    }
)


@dataclass(frozen=True)
class SceneResults:
    """Results of one planner on some scenes, a row each.

    If the planner failed, there is no plan, all sub-scores are 0, the states are NaN, and the end is the start.

    Attributes:
        planner: its label.
        scenes: filtered sub-scores, simulated states, starts and planned ends.
        raw: sub-scores before the human filter, columns as in `Metric`.
        human_filtered: metrics that the human filter sets to 1.
        origins: initial ego poses (x, y, heading; rear axle, world)
        plans: planned trajectories; None if the planner failed.
        errors: error messages; empty if it did not fail.
        seconds: planning times; in batches, the mean over the batch.
        reasons: causes of sub-scores below 1.
    """

    planner: str
    scenes: ScoredScenes
    raw: Float[np.ndarray, "n 8"]
    human_filtered: Bool[np.ndarray, "n 8"]
    origins: Float[np.ndarray, "n 3"]
    plans: tuple[Trajectory | None, ...]
    errors: tuple[str, ...]
    seconds: Float[np.ndarray, "n"]
    reasons: tuple[tuple[Reason, ...], ...]


@dataclass(frozen=True)
class PlannerResult(SceneResults):
    """Results of one planner on one scene group; rows in the order of `group.tokens`.

    Attributes:
        group: tokens of the scene group's scenes.
    """

    group: GroupTokens


@dataclass(frozen=True)
class Results:
    """The results of an evaluation, as read from its folder.

    Attributes:
        table: a row per planner and scene, columns as in `SCHEMA`; a scene group's rows are consecutive.
        planners: labels, in the order given.
        groups: the scene groups.
        provenance: provenance of the scores, see `score_tables.provenance`; with `benchmark`, and `planners`: spec by
            label.
    """

    table: pa.Table
    planners: tuple[str, ...]
    groups: tuple[GroupTokens, ...]
    provenance: dict[str, Any]

    def of(self, planner: str) -> pa.Table:
        """Return the rows of one planner.

        Raises:
            SwerveError: there is none of this label.
        """
        if planner not in self.planners:
            raise SwerveError(f"no results of planner {planner!r}; there are: {', '.join(self.planners)}")
        return self.table.filter(pc.field("planner") == planner)

    def scores(self, planner: str) -> SceneScores:
        """Return the scores of one planner's scenes, for weighting them again with `aggregate_two_stage`.

        Raises:
            SwerveError: see `of`.
        """
        return scores_of(self.of(planner))


@dataclass(frozen=True)
class OneStageResults:
    """The results of an evaluation in one stage, as read from its folder.

    Attributes:
        table: a row per planner and scene, columns as in `SCHEMA`; each scene is a group of its own.
        planners: labels, in the order given.
        provenance: as in `Results`.
    """

    table: pa.Table
    planners: tuple[str, ...]
    provenance: dict[str, Any]

    def of(self, planner: str) -> pa.Table:
        """Return the rows of one planner."""
        return self.table.filter(pc.field("planner") == planner)


def scores_of(rows: pa.Table) -> SceneScores:
    """Return the scores in the rows of one planner."""
    return SceneScores(
        tuple(rows["token"].to_pylist()),
        _columns(rows, COLUMNS),
        _columns(rows, ("start_x", "start_y")),
        _columns(rows, ("end_x", "end_y")),
    )


def groups_of(rows: pa.Table) -> tuple[GroupTokens, ...]:
    """Return the scene groups in the rows of one planner, in order of appearance."""
    scene_groups: dict[str, dict[tuple[str, int], str]] = {}
    columns = (rows[name].to_pylist() for name in ("group_token", "frame", "index", "token"))
    for scene_group, chain, index, token in zip(*columns, strict=True):
        scene_groups.setdefault(scene_group, {})[chain, index] = token
    return tuple(
        GroupTokens(
            now=tokens["now", -1],
            before=tokens["before", -1],
            follow_ups=tuple((tokens["now", index], tokens["before", index]) for index in range(len(tokens) // 2 - 1)),
        )
        for tokens in scene_groups.values()
    )


def logs_of(rows: pa.Table, groups: Sequence[GroupTokens]) -> tuple[str, ...]:
    """Return the log of each scene group."""
    log_of = dict(zip(rows["token"].to_pylist(), rows["log"].to_pylist(), strict=True))
    return tuple(log_of[group.now] for group in groups)


def read_results(folder: Path) -> Results:
    """Read the results of an evaluation in two stages from its folder.

    Raises:
        SwerveError: there are none, the evaluation is not finished, in one stage, or of another version.
    """
    table, planners, provenance = _read(folder)
    if provenance.get("stages") == 1:
        raise SwerveError(f"{folder}: evaluation in one stage: it has no scene groups")
    try:
        groups = groups_of(table.filter(pc.field("planner") == planners[0]))
    except (ValueError, LookupError, TypeError, pa.ArrowException) as error:
        raise SwerveError(f"{folder / RESULTS}: rows: are not those of scene groups ({error!r:.100})") from error
    return Results(table, planners, groups, provenance)


def read_one_stage_results(folder: Path) -> OneStageResults:
    """Read the results of an evaluation in one stage from its folder.

    Raises:
        SwerveError: there are none, the evaluation is not finished, or it is of another version.
    """
    return OneStageResults(*_read(folder))


def _read(folder: Path) -> tuple[pa.Table, tuple[str, ...], dict[str, Any]]:
    """Read the table, the planners' labels and the provenance.

    Raises:
        SwerveError: there are none, or they are of another version.
    """
    try:
        provenance = read_json(folder / PROVENANCE, mapping_of(anything), _FIRST)
        version = provenance.get("version", 1)
        table = read_parquet(folder / RESULTS, SCHEMA, _FIRST, nulls=True) if version == RESULTS_VERSION else None
    except SwerveError as error:
        raise SwerveError(f"{folder}: no results of an evaluation ({error})") from error
    if table is None:
        raise SwerveError(
            f"{folder}: evaluation of version {describe(version)}, this is version {RESULTS_VERSION}. Evaluate "
            "again into another folder"
        )
    try:
        planners = tuple(pc.unique(table["planner"]).to_pylist())
    except (ValueError, LookupError, TypeError, pa.ArrowException) as error:
        raise SwerveError(f"{folder / RESULTS}: rows: are not those of scenes ({error!r:.100})") from error
    return table, planners, provenance


def result_rows(scene_groups: Sequence[PlannerResult], weighting: Weighting) -> pa.Table:
    """Return the rows of planners in scene groups, columns as in `SCHEMA`.

    Args:
        scene_groups: one or more.
        weighting: of the follow-up scenes, for the column `weight`.
    """
    return pa.concat_tables([_rows(scene_group, weighting) for scene_group in scene_groups])


def _rows(scene_group: PlannerResult, weighting: Weighting) -> pa.Table:
    group, scenes = scene_group.group, scene_group.scenes
    table = aggregate_two_stage(pair_scores(scenes, [group]), [group], weighting)
    count, pairs = len(scenes.tokens), len(group.pairs)
    columns = {
        **scene_columns(scene_group),
        "group_token": [group.now] * count,
        "stage": [1, 1] + [2] * (count - 2),
        "frame": ["now", "before"] * pairs,
        "index": np.repeat(np.arange(pairs) - 1, 2),
        "two_frame_extended_comfort": table.values[:, COLUMNS.index("two_frame_extended_comfort")],
        "score": table.values[:, COLUMNS.index("score")],
        "weight": table.weights,
    }
    return pa.Table.from_pydict(columns, schema=SCHEMA)


def scene_columns(results: SceneResults) -> dict[str, Any]:
    """Return the columns of `SCHEMA` that do not depend on other scenes."""
    scenes = results.scenes
    return {
        "planner": [results.planner] * len(scenes.tokens),
        "token": scenes.tokens,
        "log": scenes.logs,
        "time_us": scenes.times_us,
        **_named("", scenes.metrics),
        **_named("raw_", results.raw),
        **_named("human_filtered_", results.human_filtered),
        **dict(zip(("start_x", "start_y", "start_heading"), results.origins.T, strict=True)),
        **dict(zip(("end_x", "end_y"), scenes.ends.T, strict=True)),
        "plan": [[] if plan is None else plan.poses.ravel().astype(float) for plan in results.plans],
        "plan_interval": [None if plan is None else plan.interval for plan in results.plans],
        "path": [
            [] if plan is None else states[:, : State.HEADING + 1].ravel()
            for plan, states in zip(results.plans, scenes.states, strict=True)
        ],
        "failed": [plan is None for plan in results.plans],
        "error": results.errors,
        "plan_seconds": results.seconds,
        "reasons": [[asdict(reason) for reason in reasons] for reasons in results.reasons],
    }


def _named(prefix: str, values: Float[np.ndarray, "n 8"] | Bool[np.ndarray, "n 8"]) -> dict[str, np.ndarray]:
    return {prefix + name: column for name, column in zip(METRIC_NAMES, values.T, strict=True)}


def _columns(rows: pa.Table, names: Sequence[str]) -> np.ndarray:
    return np.column_stack([rows[name].to_numpy() for name in names])
