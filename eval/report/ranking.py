"""Ranking of planners: scores, their intervals, and the worst scene groups."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow.compute as pc
from jaxtyping import Float

from swerve.eval.benchmark.evaluate.planner_differences import resampled_interval
from swerve.eval.benchmark.evaluate.results import Results, logs_of
from swerve.eval.benchmark.evaluate.view_differences import SCORE, group_scores
from swerve.eval.scoring.aggregate import COLUMNS, AggregatedScores, GroupTokens, aggregate_two_stage
from swerve.eval.scoring.reasons import Reason
from swerve.eval.scoring.weighting import Weighting


@dataclass(frozen=True)
class PlannerRanking:
    """Scores of a planner on a benchmark.

    Attributes:
        label: the planner's.
        table: its weighted scores.
        scene_group_scores: score of each scene group, in the order of the groups.
        interval: 95 % interval of the score, logs drawn whole (see `resampled_interval`); NaN if unknown.
        stage_intervals: the same of the means of both stages, columns as in `COLUMNS`: lower and upper end.
        failures: number of scenes without a plan.
        scenes: number of scenes.
    """

    label: str
    table: AggregatedScores
    scene_group_scores: Float[np.ndarray, "g"]
    interval: tuple[float, float]
    stage_intervals: Float[np.ndarray, "2 10 2"]
    failures: int
    scenes: int

    @property
    def stages(self) -> Float[np.ndarray, "2 10"]:
        """Return the means of both stages, columns as in `COLUMNS`."""
        return np.stack([self.table.stage_one, self.table.stage_two])

    @property
    def score(self) -> float:
        """Return the combined score."""
        return self.table.score

    @property
    def effective(self) -> float:
        """Return the median effective number of follow-up scenes per stage-one scene."""
        return float(np.median(self.table.effective_sample_sizes))

    def worst(self, count: int) -> list[int]:
        """Return the rows of the groups with the lowest scores, lowest first; ties in order."""
        return [int(row) for row in np.argsort(self.scene_group_scores, kind="stable")[:count]]


@dataclass(frozen=True)
class SceneRow:
    """Result of one planner in one scene.

    Attributes:
        token: of the scene.
        follow_up: whether it belongs to the second stage.
        chain: 0 for current scenes, 1 for those 0.5 s before.
        values: columns as in `COLUMNS`.
        weight: of a follow-up scene within its chain; 1 in the first stage.
        start: rear axle (x, y, heading), world.
        end: planned position after 4 s (x, y), world; if the planner failed, the start.
        plan: planned poses (x, y, heading) in the ego frame; empty if the planner failed.
        interval: seconds between them; NaN if the planner failed.
        error: error message; empty if it did not fail.
        reasons: causes of sub-scores below 1.
    """

    token: str
    follow_up: bool
    chain: int
    values: Float[np.ndarray, "10"]
    weight: float
    start: Float[np.ndarray, "3"]
    end: Float[np.ndarray, "2"]
    plan: Float[np.ndarray, "k 3"]
    interval: float
    error: str
    reasons: tuple[Reason, ...]

    @property
    def score(self) -> float:
        """Return EPDMS of this scene."""
        return float(self.values[SCORE])

    @property
    def failed(self) -> bool:
        """Return whether there is no plan."""
        return not len(self.plan)


def rankings(results: Results, weighting: Weighting) -> list[PlannerRanking]:
    """Rank all planners, the best first."""
    found = [_ranking(results, label, weighting) for label in results.planners]
    return sorted(found, key=lambda ranking: -ranking.score)


def group_rows(results: Results, planner: str, group: GroupTokens) -> tuple[SceneRow, ...]:
    """Return a planner's rows in a scene group, in the order of the group's tokens."""
    table = results.of(planner).filter(pc.field("group_token") == group.now)
    rows = {row["token"]: scene_row(row) for row in table.to_pylist()}
    return tuple(rows[token] for token in group.tokens)


def chain_scores(rows: tuple[SceneRow, ...]) -> Float[np.ndarray, "2 2"]:
    """Compute by chain (now, before) the score of the first stage, and the weighted score of the second."""
    scores, weights = (np.array(column) for column in zip(*((row.score, row.weight) for row in rows), strict=True))
    weights, followed = weights[2:].reshape(-1, 2), scores[2:].reshape(-1, 2)
    return np.stack([scores[:2], (weights * followed).sum(axis=0) / weights.sum(axis=0)], axis=1)


def _ranking(results: Results, label: str, weighting: Weighting) -> PlannerRanking:
    table = aggregate_two_stage(results.scores(label), results.groups, weighting)
    scene_groups = group_scores(table, results.groups)
    failed = results.of(label)["failed"].to_numpy(zero_copy_only=False)
    logs = logs_of(results.table, results.groups)
    values = stage_values(table, results.groups)
    intervals = np.array([[resampled_interval(column, logs) for column in stage.T] for stage in values])
    interval = resampled_interval(scene_groups, logs)
    return PlannerRanking(label, table, scene_groups, interval, intervals, int(failed.sum()), len(failed))


def stage_values(table: AggregatedScores, groups: Sequence[GroupTokens]) -> Float[np.ndarray, "2 g 10"]:
    """Compute each group's values in both stages, means over its two chains, with follow-ups weighted.

    Their means over the groups are the table's `stage_one` and `stage_two`; rows are in group order.
    """
    first, found = 0, []
    for group in groups:
        here = slice(first, first + len(group.tokens))
        values, weights = table.values[here], table.weights[here][2:].reshape(-1, 2, 1)
        second = (weights * values[2:].reshape(-1, 2, len(COLUMNS))).sum(axis=0) / weights.sum(axis=0)
        found.append((values[:2].mean(axis=0), second.mean(axis=0)))
        first += len(group.tokens)
    return np.array(found).transpose(1, 0, 2)


def scene_row(row: dict[str, Any]) -> SceneRow:
    """Return a row of the results."""
    values = [row[name] for name in COLUMNS]
    return SceneRow(
        token=row["token"],
        follow_up=row["stage"] == 2,
        chain=int(row["frame"] == "before"),
        values=np.array([np.nan if value is None else value for value in values]),
        weight=row["weight"],
        start=np.array([row["start_x"], row["start_y"], row["start_heading"]]),
        end=np.array([row["end_x"], row["end_y"]]),
        plan=np.array(row["plan"], dtype=float).reshape(-1, 3),
        interval=float("nan") if row["plan_interval"] is None else row["plan_interval"],
        error=row["error"],
        reasons=tuple(Reason(**reason) for reason in row["reasons"]),
    )
