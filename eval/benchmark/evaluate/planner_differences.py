"""Comparisons of planners on the same scenes: paired differences with intervals, and means by log and by source."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from typing import Any, Final

import numpy as np
from jaxtyping import Float

from swerve.eval.study.cluster_bootstrap import clusters_of, mean_interval_of, resampled_means

# With fewer scene groups than this, intervals and ranks say little.
FEW_GROUPS: Final = 10
_RESAMPLES, _SEED = 2000, 0


# Scores that are this near are equal: plans that are the same to rounding differ by less.
SAME: Final = 1e-6


@dataclass(frozen=True)
class PlannerDifference:
    """Difference of the scores of two planners, paired by scene group.

    Attributes:
        first: label of the planner with the higher score.
        second: label of the other one.
        score: the first one's score minus the second one's.
        low: lower end of the 95 % interval of it; NaN if there are fewer than three clusters.
        high: upper end.
        better: number of scene groups in which the first one's score is higher, by more than `SAME`.
        worse: number of those in which it is lower, likewise.
        groups: number of scene groups.
        clusters: number of what is drawn.
        drawn: what is drawn: "logs", or "scene groups" if all are of one log.
    """

    first: str
    second: str
    score: float
    low: float
    high: float
    better: int
    worse: int
    groups: int
    clusters: int
    drawn: str

    @property
    def is_certain(self) -> bool:
        """Return whether the interval is known and 0 is outside."""
        return bool(self.low > 0.0 or self.high < 0.0)

    def as_json(self) -> dict[str, Any]:
        """Return the difference as stored in summary.json; unknown ends are null."""
        numbers = asdict(self)
        return {name: None if value != value else value for name, value in numbers.items()}


@dataclass(frozen=True)
class Means:
    """Mean scores over the scene groups that have something in common.

    Attributes:
        name: of the log or source.
        groups: number of scene groups.
        scores: mean score by planner.
    """

    name: str
    groups: int
    scores: Mapping[str, float]


def planner_differences(
    scores: Mapping[str, Float[np.ndarray, "g"]], logs: Sequence[str]
) -> tuple[PlannerDifference, ...]:
    """Compute the difference of every two planners.

    Logs are drawn whole, with replacement, and the same ones for both planners: scene groups of one log resemble each
    other, and what is hard for one planner often is for the other. See `cluster_bootstrap.mean_interval_of`.

    Args:
        scores: scores of the scene groups by label of the planner, in the same order.
        logs: log of each scene group.
    """
    clusters = clusters_of([""] * len(logs), logs)
    count = clusters.counts[1]
    found = []
    for one, other in combinations(sorted(scores, key=lambda label: -float(scores[label].mean())), 2):
        gains = scores[one] - scores[other]
        samples = resampled_means(gains, clusters, _RESAMPLES, _SEED)
        estimate = mean_interval_of(float(gains.mean()), samples, count)
        found.append(
            PlannerDifference(
                one,
                other,
                estimate.value,
                estimate.low,
                estimate.high,
                int((gains > SAME).sum()),
                int((gains < -SAME).sum()),
                len(gains),
                count,
                clusters.scene_groups,
            )
        )
    return tuple(found)


def resampled_interval(scores: Float[np.ndarray, "g"], logs: Sequence[str]) -> tuple[float, float]:
    """Compute the 95 % interval of a mean score, logs drawn whole; NaN with fewer than three.

    Args:
        scores: of scenes or scene groups.
        logs: log of each.
    """
    clusters = clusters_of([""] * len(logs), logs)
    samples = resampled_means(scores, clusters, _RESAMPLES, _SEED)
    estimate = mean_interval_of(float(scores.mean()), samples, clusters.counts[1])
    return estimate.low, estimate.high


def means_by(scores: Mapping[str, Float[np.ndarray, "g"]], names: Sequence[str]) -> tuple[Means, ...]:
    """Compute each planner's mean score over the scene groups of each name, in the order of the first of each."""
    rows_of = dict[str, list[int]]()
    for row, name in enumerate(names):
        rows_of.setdefault(name, []).append(row)
    return tuple(
        Means(name, len(rows), {label: float(values[rows].mean()) for label, values in scores.items()})
        for name, rows in rows_of.items()
    )
