"""Correlations of measures of planners with their closed-loop score, with bootstrap intervals.

A planner's value is its mean over the scene groups. Drawn anew for the intervals (see cluster_bootstrap):

- "joint": families of planners and logs at once; the main one.
- "planners": families of planners alone; tests whether the population is large enough.
- "scene_groups": logs alone; tests whether the benchmark is large enough.

The attenuation of r by noise in few scene groups is not corrected. A resample in which a measure or the closed-loop
score is the same for all planners has no correlation and is left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from swerve.eval.study.cluster_bootstrap import (
    SIDES,
    Estimate,
    Resamples,
    Side,
    clusters_of,
    difference_interval,
    draw_resamples,
    interval_of,
    pearson,
    ranks,
    resample,
    without_family_means,
)

RESAMPLES = 2000


@dataclass(frozen=True)
class Agreement:
    """Agreement of a measure with closed loop.

    Attributes:
        pearson: r, by what is drawn anew.
        r2: r squared, which is R2 of a linear fit.
        spearman: of ranks.
        within: Pearson r after subtraction of each family's mean, joint interval; NaN if nothing varies.
        samples: r of each joint resample; measures of one study share their resamples, so differences are paired.
        rank_samples: the same of ranks.
        within_samples: the same within families.
    """

    pearson: Mapping[Side, Estimate]
    r2: Mapping[Side, Estimate]
    spearman: Mapping[Side, Estimate]
    within: Estimate
    samples: Float[np.ndarray, "b"]
    rank_samples: Float[np.ndarray, "b"]
    within_samples: Float[np.ndarray, "b"]


@dataclass(frozen=True)
class Difference:
    """Differences of two measures' agreement with closed loop, attributes as there: paired, joint intervals."""

    pearson: Estimate
    spearman: Estimate
    within: Estimate


@dataclass(frozen=True)
class _Sampled:
    """A quantity of the planners: of the study, and of resamples by what is drawn anew.

    Attributes:
        means: means over the scene groups.
        ordered: their ranks.
        within: the means less those of their families; of joint resamples alone.
    """

    means: tuple[Float[np.ndarray, "p"], Mapping[Side, Float[np.ndarray, "b p"]]]
    ordered: tuple[Float[np.ndarray, "p"], Mapping[Side, Float[np.ndarray, "b p"]]]
    within: tuple[Float[np.ndarray, "p"], Float[np.ndarray, "b p"]]


def agreements(
    measures: Mapping[str, Float[np.ndarray, "p c"]],
    closed: Float[np.ndarray, "p c"],
    families: Sequence[str],
    logs: Sequence[str],
    *,
    sides: Sequence[Side] = SIDES,
    count: int = RESAMPLES,
    seed: int = 0,
) -> dict[str, Agreement]:
    """Compute the agreement of each measure with the closed-loop score.

    Args:
        measures: by name, of planners x scene groups.
        closed: the closed-loop score of the same.
        families: of the planners.
        logs: of the scene groups.
        sides: what is drawn anew for the intervals; "joint" is always included.
        count: of resamples.
        seed: of the resamples; the same for the same seed, families and logs.
    """
    clusters = clusters_of(families, logs)
    wanted: tuple[Side, ...] = tuple(dict.fromkeys(("joint", *sides)))
    drawn = {side: draw_resamples(clusters, side, count, seed) for side in wanted}
    family = np.unique(np.array(families), return_inverse=True)[1]
    truth = _sampled(closed, drawn, family)
    return {name: _agreement(_sampled(values, drawn, family), truth, drawn) for name, values in measures.items()}


def difference(larger: Agreement, smaller: Agreement) -> Difference:
    """Compute the first agreement minus the second; both of one call of `agreements`."""
    return Difference(
        difference_interval(larger.pearson["joint"], smaller.pearson["joint"], larger.samples, smaller.samples),
        difference_interval(
            larger.spearman["joint"], smaller.spearman["joint"], larger.rank_samples, smaller.rank_samples
        ),
        difference_interval(larger.within, smaller.within, larger.within_samples, smaller.within_samples),
    )


def _sampled(
    values: Float[np.ndarray, "p c"], drawn: Mapping[Side, Resamples], family: Int[np.ndarray, "p"]
) -> _Sampled:
    means, resampled = values.mean(axis=1), {side: resample(values, one) for side, one in drawn.items()}
    ordered = {side: ranks(resampled[side], one.planner_weights) for side, one in drawn.items()}
    within = tuple(without_family_means(one, family) for one in (means, resampled["joint"]))
    return _Sampled((means, resampled), (ranks(means), ordered), (within[0], within[1]))


def _agreement(measure: _Sampled, truth: _Sampled, drawn: Mapping[Side, Resamples]) -> Agreement:
    linear, samples = _correlated(measure.means, truth.means, drawn)
    ordered, rank_samples = _correlated(measure.ordered, truth.ordered, drawn)
    (x, sampled_x), (y, sampled_y), joint = measure.within, truth.within, drawn["joint"]
    within_samples = pearson(sampled_x, sampled_y, joint.planner_weights)
    within = interval_of(float(pearson(x, y)), within_samples, joint.clusters)
    squared = {side: _squared(found) for side, found in linear.items()}
    return Agreement(linear, squared, ordered, within, samples, rank_samples, within_samples)


def _correlated(
    measure: tuple[Float[np.ndarray, "p"], Mapping[Side, Float[np.ndarray, "b p"]]],
    truth: tuple[Float[np.ndarray, "p"], Mapping[Side, Float[np.ndarray, "b p"]]],
    drawn: Mapping[Side, Resamples],
) -> tuple[dict[Side, Estimate], Float[np.ndarray, "b"]]:
    """Return the intervals of a correlation by what is drawn anew, and its joint resamples."""
    (x, sampled_x), (y, sampled_y) = measure, truth
    samples = {side: pearson(sampled_x[side], sampled_y[side], one.planner_weights) for side, one in drawn.items()}
    r = float(pearson(x, y))
    return {side: interval_of(r, samples[side], one.clusters) for side, one in drawn.items()}, samples["joint"]


def _squared(found: Estimate) -> Estimate:
    """Square the estimate; the interval contains 0 if that of r does."""
    ends = (found.low**2, found.high**2)
    return Estimate(found.value**2, 0.0 if found.low < 0.0 < found.high else min(ends), max(ends))
