"""Cluster bootstrap of correlations over planners: families of planners and logs are drawn anew, whole and jointly.

Planners of one family resemble each other, and so do scene groups of one log: drawing single ones would count each
family and each log several times. With C clusters on the side that has fewer, the 95 % interval on Fisher's z is

    z +- t(0.975, C - 1) sqrt(C / (C - 2)) SE

The bootstrap gives the standard error SE alone, because quantiles of a few clusters' resamples are too close. t is
usual for C clusters (Cameron, Gelbach & Miller, 2008, Bootstrap-based improvements for inference with clustered
errors); the factor is that of a regression with two coefficients. `experiments/interval_coverage.py` chose it in
simulated worlds, and measures its coverage in others (docs/study.md).

The interval of a difference of two correlations follows from theirs and from the correlation of their resamples (Zou,
2007, Toward using confidence intervals to compare correlations).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy
from jaxtyping import Bool, Float, Int

Side = Literal["joint", "planners", "scene_groups"]
SIDES: tuple[Side, ...] = ("joint", "planners", "scene_groups")
_QUANTILE = 0.975
_CERTAIN = 1.0 - 1e-12  # artanh 1 is infinite
_ROUNDING = 1e-12  # relative to the largest value: smaller differences are rounding


@dataclass(frozen=True)
class Clusters:
    """Clusters that are drawn anew.

    Attributes:
        of_planners: each planner's cluster, numbered from 0 without gaps.
        of_scene_groups: the same of scene groups.
        planners: what clusters of planners are: "families", or "planners" where there is one family.
        scene_groups: what clusters of scene groups are: "logs", or "scene groups" where there is one log.
    """

    of_planners: Int[np.ndarray, "p"]
    of_scene_groups: Int[np.ndarray, "c"]
    planners: str
    scene_groups: str

    @property
    def counts(self) -> tuple[int, int]:
        """Return the numbers of clusters of planners and of scene groups."""
        return int(self.of_planners.max()) + 1, int(self.of_scene_groups.max()) + 1


@dataclass(frozen=True)
class Resamples:
    """Bootstrap resamples.

    Attributes:
        planner_weights: how often each planner was drawn.
        group_weights: weights of the scene groups, with sum 1.
        clusters: how many were drawn; of the side with fewer, if both were.
    """

    planner_weights: Float[np.ndarray, "b p"]
    group_weights: Float[np.ndarray, "b c"]
    clusters: int


@dataclass(frozen=True)
class Estimate:
    """A number and its 95 % interval; NaN if undefined."""

    value: float
    low: float
    high: float

    @property
    def excludes_zero(self) -> bool:
        """Return whether the interval is known and 0 is outside."""
        return bool(self.low > 0.0 or self.high < 0.0)


def clusters_of(families: Sequence[str], logs: Sequence[str]) -> Clusters:
    """Return families and logs as clusters; the members of a single one are clusters themselves."""
    of_planners, many_families = _numbered(families)
    of_scene_groups, many_logs = _numbered(logs)
    return Clusters(
        of_planners,
        of_scene_groups,
        "families" if many_families else "planners",
        "logs" if many_logs else "scene groups",
    )


def draw_resamples(clusters: Clusters, side: Side, count: int, seed: int) -> Resamples:
    """Draw clusters of planners, of scene groups, or of both, with replacement.

    Args:
        clusters: see `clusters_of`.
        side: what is drawn; the other side stays as it is.
        count: of resamples.
        seed: of the draw; the same for the same seed and clusters.
    """
    generator = np.random.Generator(np.random.Philox(key=[seed, SIDES.index(side)]))
    planners = np.ones((count, len(clusters.of_planners)))
    groups = np.ones((count, len(clusters.of_scene_groups)))
    drawn = list[int]()
    if side != "scene_groups":
        planners = _times(generator, clusters.of_planners, count)
        drawn.append(clusters.counts[0])
    if side != "planners":
        groups = _times(generator, clusters.of_scene_groups, count)
        drawn.append(clusters.counts[1])
    return Resamples(planners, groups / groups.sum(axis=1, keepdims=True), min(drawn))


def resample(values: Float[np.ndarray, "p c"], drawn: Resamples) -> Float[np.ndarray, "b p"]:
    """Compute means of the planners over the scene groups of each resample."""
    means: Float[np.ndarray, "b p"] = drawn.group_weights @ values.T
    return means


def resampled_means(
    values: Float[np.ndarray, "c"], clusters: Clusters, count: int, seed: int
) -> Float[np.ndarray, "b"]:
    """Compute means over the scene groups of each resample of `draw_resamples`, without a weight for each of them.

    Args:
        values: of the scene groups.
        clusters: see `clusters_of`; those of scene groups are drawn.
        count: of resamples.
        seed: of the draw.
    """
    total = clusters.counts[1]
    sizes = np.bincount(clusters.of_scene_groups, minlength=total)
    sums = np.bincount(clusters.of_scene_groups, values, minlength=total)
    generator = np.random.Generator(np.random.Philox(key=[seed, SIDES.index("scene_groups")]))
    drawn = generator.multinomial(total, np.full(total, 1.0 / total), size=count).astype(float)
    means: Float[np.ndarray, "b"] = (drawn @ sums) / (drawn @ sizes)
    return means


def interval_of(value: float, samples: Float[np.ndarray, "b"], clusters: int) -> Estimate:
    """Compute a correlation's interval; see the module. Unknown with fewer than three clusters.

    Args:
        value: r of the study.
        samples: r of each resample; undefined ones, NaN, are left out.
        clusters: that were drawn, see `Resamples`.
    """
    z = fisher_z(samples)
    known = z[np.isfinite(z)]
    if len(known) < 2 or clusters < 3 or not np.isfinite(value):
        return Estimate(value, float("nan"), float("nan"))
    half = half_width(clusters) * known.std(ddof=1)
    center = float(fisher_z(np.array([value]))[0])
    return Estimate(value, float(np.tanh(center - half)), float(np.tanh(center + half)))


def mean_interval_of(value: float, samples: Float[np.ndarray, "b"], clusters: int) -> Estimate:
    """Compute the interval of a mean: value +- t(0.975, C - 1) sqrt(C / (C - 1)) SE, with C clusters.

    SE is the standard deviation of the resamples, which is too small by the root: with clusters of one size this is
    Student's interval of their means. Unknown with fewer than three clusters.

    Args:
        value: mean over all scene groups.
        samples: the mean of each resample.
        clusters: that were drawn, see `Resamples`.
    """
    if clusters < 3:
        return Estimate(value, float("nan"), float("nan"))
    half = float(_student_t(clusters - 1) * np.sqrt(clusters / (clusters - 1)) * samples.std())
    return Estimate(value, value - half, value + half)


def half_width(clusters: int) -> float:
    """Return half the width of an interval in standard errors."""
    return float(_student_t(clusters - 1) * np.sqrt(clusters / (clusters - 2)))


def _student_t(degrees: int) -> float:
    """Return the 0.975 quantile of Student's t. scipy.special has it too, and loads in a tenth of scipy.stats' time."""
    return float(scipy.special.stdtrit(degrees, _QUANTILE))


def difference_interval(
    first: Estimate, second: Estimate, samples: Float[np.ndarray, "b"], other_samples: Float[np.ndarray, "b"]
) -> Estimate:
    """Compute the first correlation minus the second, and its interval.

    Args:
        first: a correlation and its interval.
        second: the other one.
        samples: the first one's resamples.
        other_samples: the second one's, the same resamples.
    """
    value = first.value - second.value
    z, other = fisher_z(samples), fisher_z(other_samples)
    known = np.isfinite(z) & np.isfinite(other)
    if known.sum() < 2 or not np.isfinite([first.low, second.low]).all():
        return Estimate(value, float("nan"), float("nan"))
    shared = _shared(z[known], other[known])
    below = _hypotenuse(first.value - first.low, second.high - second.value, shared)
    above = _hypotenuse(first.high - first.value, second.value - second.low, shared)
    return Estimate(value, value - below, value + above)


def fisher_z(r: Float[np.ndarray, "*b"]) -> Float[np.ndarray, "*b"]:
    """Compute artanh r, finite for r = 1."""
    return np.asarray(np.arctanh(np.clip(r, -_CERTAIN, _CERTAIN)))


def pearson(
    x: Float[np.ndarray, "*b p"], y: Float[np.ndarray, "*b p"], weights: Float[np.ndarray, "*b p"] | None = None
) -> Float[np.ndarray, "*b"]:
    """Compute Pearson's r along the last axis, weighted; NaN if one side does not vary."""
    weights = np.ones(x.shape) if weights is None else weights
    (x, varied_x), (y, varied_y) = _centred(x, weights), _centred(y, weights)
    scale = np.sqrt((weights * x**2).sum(axis=-1) * (weights * y**2).sum(axis=-1))
    product = (weights * x * y).sum(axis=-1)
    ratio = np.divide(product, scale, out=np.full_like(scale, np.nan), where=varied_x & varied_y)
    return np.asarray(np.clip(ratio, -1.0, 1.0))


def ranks(
    values: Float[np.ndarray, "*b p"], weights: Float[np.ndarray, "*b p"] | None = None
) -> Float[np.ndarray, "*b p"]:
    """Compute ranks along the last axis, from 1; ties share their mean rank.

    Args:
        values: numbers.
        weights: how often each value counts; whole numbers. A value that counts twice ties with itself.
    """
    weights = np.ones(values.shape) if weights is None else weights
    order = np.argsort(values, axis=-1, kind="stable")
    ordered, counts = (np.take_along_axis(one, order, axis=-1) for one in (values, weights))
    edge = np.ones((*values.shape[:-1], 1), bool)
    steps = ordered[..., 1:] != ordered[..., :-1]
    reached = np.cumsum(counts, axis=-1)
    first = np.where(np.concatenate([edge, steps], axis=-1), reached - counts, 0.0)
    last = np.where(np.concatenate([steps, edge], axis=-1), reached, reached[..., -1:])
    first = np.maximum.accumulate(first, axis=-1)
    last = np.minimum.accumulate(last[..., ::-1], axis=-1)[..., ::-1]
    ranked = np.empty(values.shape)
    np.put_along_axis(ranked, order, (first + last + 1.0) / 2.0, axis=-1)
    return ranked


def without_family_means(values: Float[np.ndarray, "*b p"], family: Int[np.ndarray, "p"]) -> Float[np.ndarray, "*b p"]:
    """Subtract the mean of each planner's family; 0 if only rounding is left."""
    belongs = (family[:, None] == np.arange(int(family.max()) + 1)).astype(float)
    rest = values - (values @ belongs / belongs.sum(axis=0))[..., family]
    return np.where(np.abs(rest) > _ROUNDING * np.abs(values).max(axis=-1, keepdims=True), rest, 0.0)


def _numbered(names: Sequence[str]) -> tuple[Int[np.ndarray, "n"], bool]:
    """Return each name's number, and whether there are several names; if not, all have numbers of their own."""
    found, numbers = np.unique(np.array(names), return_inverse=True)
    several = len(found) > 1
    return (numbers if several else np.arange(len(names))), several


def _times(generator: np.random.Generator, cluster: Int[np.ndarray, "n"], count: int) -> Float[np.ndarray, "b n"]:
    """Return how often each member is drawn when as many clusters are drawn as there are."""
    total = int(cluster.max()) + 1
    return generator.multinomial(total, np.full(total, 1.0 / total), size=count)[:, cluster].astype(float)


def _shared(x: Float[np.ndarray, "b"], y: Float[np.ndarray, "b"]) -> float:
    """Return the correlation of two estimates over the resamples; 0 if one does not vary."""
    r = float(pearson(x, y))
    return r if np.isfinite(r) else 0.0


def _hypotenuse(a: float, b: float, shared: float) -> float:
    """Return sqrt(a^2 + b^2 - 2 r a b): the half width of a difference, of those of its two correlated terms (Zou)."""
    return float(np.sqrt(max(a**2 + b**2 - 2.0 * shared * a * b, 0.0)))


def _centred(
    values: Float[np.ndarray, "*b p"], weights: Float[np.ndarray, "*b p"]
) -> tuple[Float[np.ndarray, "*b p"], Bool[np.ndarray, "*b"]]:
    """Subtract the weighted mean; also return whether values that count differ by more than rounding."""
    counts = weights > 0
    spread = np.where(counts, values, -np.inf).max(axis=-1) - np.where(counts, values, np.inf).min(axis=-1)
    varied = np.asarray(spread > _ROUNDING * np.abs(values).max(axis=-1))
    mean = (weights * values).sum(axis=-1, keepdims=True) / weights.sum(axis=-1, keepdims=True)
    return values - mean, varied
