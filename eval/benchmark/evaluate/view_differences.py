"""Paired differences of a planner's scores between kinds of views, on the same scene groups."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float

from swerve.eval.benchmark.evaluate.planner_differences import resampled_interval
from swerve.eval.scoring.aggregate import COLUMNS, AggregatedScores, GroupTokens

SCORE = COLUMNS.index("score")


@dataclass(frozen=True)
class PlannerViews:
    """A planner evaluated with one kind of views.

    Attributes:
        planner: its label, the same for all kinds.
        kind: of the views.
    """

    planner: str
    kind: str


@dataclass(frozen=True)
class ViewDifference:
    """Difference of a planner's scores between two kinds of views; paired by scene group.

    Attributes:
        planner: its label.
        before: kind of the baseline views.
        after: kind of the compared views; all numbers are theirs minus the baseline's.
        score: difference of the combined score.
        interval: 95 % interval of it, logs drawn whole (see `resampled_interval`); NaN if unknown.
        stage_one: differences of the means of sub-scores and score, columns as in `COLUMNS`.
        stage_two: the same of stage two.
    """

    planner: str
    before: str
    after: str
    score: float
    interval: tuple[float, float]
    stage_one: Float[np.ndarray, "10"]
    stage_two: Float[np.ndarray, "10"]

    def as_json(self) -> dict[str, Any]:
        """Return the difference as stored in summary.json."""
        stages = {"stage_one": self.stage_one, "stage_two": self.stage_two}
        return {
            "planner": self.planner,
            "before": self.before,
            "after": self.after,
            "score": self.score,
            "interval": [None if np.isnan(end) else end for end in self.interval],
            **{stage: dict(zip(COLUMNS, values.tolist(), strict=True)) for stage, values in stages.items()},
        }


def differences(
    tables: Mapping[str, AggregatedScores],
    groups: tuple[GroupTokens, ...],
    logs: Sequence[str],
    seen: Mapping[str, PlannerViews],
) -> tuple[ViewDifference, ...]:
    """Compute the difference of every two kinds of views of a planner.

    Args:
        tables: weighted scores of each planner with each kind, by label.
        groups: the scene groups.
        logs: log of each scene group.
        seen: planner and kind of views by label; kinds in the order given.
    """
    return tuple(
        _difference(seen[one], seen[other], tables[one], tables[other], groups, logs)
        for one, other in combinations(seen, 2)
        if seen[one].planner == seen[other].planner
    )


def _difference(
    one: PlannerViews,
    other: PlannerViews,
    before: AggregatedScores,
    after: AggregatedScores,
    groups: tuple[GroupTokens, ...],
    logs: Sequence[str],
) -> ViewDifference:
    gains = group_scores(after, groups) - group_scores(before, groups)
    return ViewDifference(
        one.planner,
        one.kind,
        other.kind,
        after.score - before.score,
        resampled_interval(gains, logs),
        after.stage_one - before.stage_one,
        after.stage_two - before.stage_two,
    )


def group_scores(table: AggregatedScores, groups: tuple[GroupTokens, ...]) -> Float[np.ndarray, "g"]:
    """Compute by group the mean over both chains of stage one times weighted stage two; rows are in group order."""
    scores, weights, first, found = table.values[:, SCORE], table.weights, 0, []
    for group in groups:
        here = slice(first + 2, first + len(group.tokens))
        parts = (weights[here] * scores[here]).reshape(-1, 2).sum(axis=0) / weights[here].reshape(-1, 2).sum(axis=0)
        found.append(float((scores[first : first + 2] * parts).mean()))
        first += len(group.tokens)
    return np.array(found)
