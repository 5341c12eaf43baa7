"""Measure how often intervals of correlations hold the truth: `python -m experiments.interval_coverage`.

In simulated worlds, planners come in families and scene groups in logs. A planner has two open-loop measures and a
closed-loop score, whose true values are correlated between families and within them; in a scene group, they are seen
with noise of the planner in its log and in the scene group. The truth is the correlation over all planners that the
world could have, in all its logs. In worlds that are bounded, values are squeezed into 0 to 1, as scores are.

A method is chosen in some worlds: the narrowest that covers r and differences of r in at least 93 % of the trials of
each. What it covers is reported for other worlds, of other shapes and effects.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from scipy.stats import t as students_t

from swerve.eval.study.cluster_bootstrap import (
    Clusters,
    Estimate,
    Resamples,
    clusters_of,
    difference_interval,
    draw_resamples,
    fisher_z,
    interval_of,
    pearson,
    resample,
)

TRIALS, RESAMPLES, LEAST = 1000, 300, 0.93
SHIPPED: Final = "families and logs, t, C / (C - 2)"
EARLIER: Final = "planners and logs, basic"
_QUANTILES = (0.025, 0.975)
_MANY_PLANNERS, _MANY_LOGS = 20000, 100


@dataclass(frozen=True)
class World:
    """A world of planners and logs.

    Attributes:
        families: number of planners of each family.
        logs: number of logs.
        groups: scene groups of each log.
        between: correlations of both measures with closed loop between families.
        within: the same within families.
        share: of the variance of planners that is between families.
        noise: of a planner in a log, and again in a scene group, in standard deviations of the planners.
        shared: noise of a planner in a log that measures and closed loop share.
        bounded: whether values are squeezed into 0 to 1.
    """

    families: tuple[int, ...]
    logs: int
    groups: int
    between: tuple[float, float]
    within: tuple[float, float]
    share: float
    noise: float
    shared: float = 0.0
    bounded: bool = False

    @property
    def name(self) -> str:
        """Return the world's shape in words."""
        kind = ", bounded" if self.bounded else ""
        return f"{len(self.families)} families of {np.mean(self.families):.0f}, {self.logs} logs{kind}"


CHOOSING: Final = (
    World((8,) * 7, 20, 2, (0.8, 0.6), (0.6, 0.5), 0.5, 0.3),
    World((12,) * 5, 10, 3, (0.9, 0.7), (0.3, 0.3), 0.6, 0.4),
    World((5,) * 10, 12, 1, (0.6, 0.3), (0.6, 0.3), 0.3, 0.4, shared=0.3),
    World((3, 9, 5, 7, 4, 8, 6), 15, 2, (0.85, 0.7), (0.5, 0.6), 0.6, 0.5, shared=0.2, bounded=True),
    World((10,) * 4, 30, 1, (0.5, 0.5), (0.8, 0.6), 0.4, 0.4),
    World((6,) * 15, 6, 2, (0.9, 0.6), (0.7, 0.7), 0.5, 0.4),
    World((4, 12, 8, 6, 10, 5, 11, 9, 7, 8, 3, 13), 20, 2, (0.95, 0.85), (0.9, 0.8), 0.7, 0.1),
)
# The first has the shape of the study in docs/study.md.
REPORTED: Final = (
    World((12, 23, 10, 16, 10, 16, 8), 20, 2, (0.9, 0.75), (0.8, 0.7), 0.6, 0.3, shared=0.2, bounded=True),
    World((7,) * 6, 16, 1, (0.7, 0.2), (0.4, 0.4), 0.5, 0.3),
    World((4, 16, 10, 6, 14, 8, 12, 10, 10), 8, 3, (0.95, 0.9), (0.7, 0.5), 0.4, 0.3, shared=0.3),
    World((20,) * 5, 40, 1, (0.8, 0.8), (0.8, 0.8), 0.1, 0.2),
    World((3,) * 14, 14, 2, (0.85, 0.6), (0.85, 0.6), 0.5, 0.3, bounded=True),
    World((9,) * 8, 11, 2, (0.2, 0.6), (0.5, 0.1), 0.7, 0.4),
)


@dataclass(frozen=True)
class Coverage:
    """Coverage of a method in a world.

    Attributes:
        correlation: share of the trials whose interval of r holds the truth.
        difference: the same of the difference of both measures' r.
        width: mean width of the interval of r.
    """

    correlation: float
    difference: float
    width: float


@dataclass(frozen=True)
class _Trial:
    """r of both measures with closed loop in a trial, and their resamples."""

    values: tuple[float, float]
    samples: tuple[Float[np.ndarray, "b"], Float[np.ndarray, "b"]]
    clusters: int


def coverages(world: World, trials: int = TRIALS, seed: int = 0) -> dict[str, Coverage]:
    """Return the coverage of every method in a world."""
    generator = np.random.Generator(np.random.Philox(key=[seed, world.logs * 100 + len(world.families)]))
    truth = truths(world, generator)
    made = [intervals(world, generator, seed * trials + trial) for trial in range(trials)]
    return {
        name: Coverage(
            float(np.mean([_holds(one[name][0], truth[0]) for one in made])),
            float(np.mean([_holds(one[name][1], truth[0] - truth[1]) for one in made])),
            float(np.mean([one[name][0].high - one[name][0].low for one in made])),
        )
        for name in made[0]
    }


def truths(world: World, generator: np.random.Generator) -> tuple[float, float]:
    """Return r of both measures over many planners, each of a family of its own, in many logs."""
    many = replace(world, families=(1,) * _MANY_PLANNERS, logs=_MANY_LOGS, groups=1)
    first, second, closed = (values.mean(axis=1) for values in simulated(many, generator))
    return float(pearson(first, closed)), float(pearson(second, closed))


def simulated(world: World, generator: np.random.Generator) -> list[Float[np.ndarray, "p c"]]:
    """Return both measures and the closed-loop score, of planners x scene groups."""
    family, log = _rows(world)
    count = len(family)
    between = _correlated(generator, world.between, len(world.families))
    within = _correlated(generator, world.within, count)
    shared = world.shared * generator.normal(size=(count, world.logs))[:, log]
    found = []
    for ours, own in zip(between, within, strict=True):
        true = np.sqrt(world.share) * ours[family] + np.sqrt(1.0 - world.share) * own
        noise = generator.normal(size=(count, world.logs))[:, log] + generator.normal(size=(count, len(log)))
        values = true[:, None] + world.noise * noise + shared
        found.append(1.0 / (1.0 + np.exp(-2.0 * values - 0.5)) if world.bounded else values)
    return found


def intervals(world: World, generator: np.random.Generator, seed: int) -> dict[str, tuple[Estimate, Estimate]]:
    """Return the intervals of r of the first measure, and of its difference to the second, of a trial by method."""
    values = simulated(world, generator)
    family, log = _rows(world)
    whole = clusters_of([f"{one}" for one in family], [f"{one}" for one in log])
    single = Clusters(np.arange(len(family)), whole.of_scene_groups, "planners", "logs")
    loose, tight = (_trial(values, draw_resamples(clusters, "joint", RESAMPLES, seed)) for clusters in (single, whole))
    count = tight.clusters
    return {
        EARLIER: _basic(loose),
        "families and logs, basic": _basic(tight),
        "families and logs, percentiles": _percentiles(tight),
        "families and logs, t": _students(tight, 1.0),
        "families and logs, t, C / (C - 1)": _students(tight, float(np.sqrt(count / (count - 1)))),
        SHIPPED: _shipped(tight),
    }


def _trial(values: Sequence[Float[np.ndarray, "p c"]], drawn: Resamples) -> _Trial:
    first, second, closed = (resample(one, drawn) for one in values)
    x, other, y = (one.mean(axis=1) for one in values)
    weights = drawn.planner_weights
    samples = pearson(first, closed, weights), pearson(second, closed, weights)
    return _Trial((float(pearson(x, y)), float(pearson(other, y))), samples, drawn.clusters)


def _shipped(trial: _Trial) -> tuple[Estimate, Estimate]:
    first, second = (
        interval_of(value, samples, trial.clusters) for value, samples in zip(trial.values, trial.samples, strict=True)
    )
    return first, difference_interval(first, second, *trial.samples)


def _students(trial: _Trial, factor: float) -> tuple[Estimate, Estimate]:
    """Return z +- t SE times a factor; the difference's interval follows from both."""
    half = factor * float(students_t.ppf(_QUANTILES[1], trial.clusters - 1))
    both = []
    for value, samples in zip(trial.values, trial.samples, strict=True):
        z, error = float(np.arctanh(value)), float(np.nanstd(fisher_z(samples), ddof=1))
        both.append(Estimate(value, float(np.tanh(z - half * error)), float(np.tanh(z + half * error))))
    return both[0], difference_interval(both[0], both[1], *trial.samples)


def _basic(trial: _Trial) -> tuple[Estimate, Estimate]:
    """Return basic bootstrap intervals, of r on Fisher's z."""
    z = float(np.arctanh(trial.values[0]))
    low, high = np.nanquantile(fisher_z(trial.samples[0]), _QUANTILES)
    gap, below, above = _gap(trial)
    r = Estimate(trial.values[0], float(np.tanh(2 * z - high)), float(np.tanh(2 * z - low)))
    return r, Estimate(gap, 2 * gap - above, 2 * gap - below)


def _percentiles(trial: _Trial) -> tuple[Estimate, Estimate]:
    low, high = np.nanquantile(trial.samples[0], _QUANTILES)
    return Estimate(trial.values[0], float(low), float(high)), Estimate(*_gap(trial))


def _gap(trial: _Trial) -> tuple[float, float, float]:
    """Return the difference of both r, and quantiles of its resamples."""
    low, high = np.nanquantile(trial.samples[0] - trial.samples[1], _QUANTILES)
    return trial.values[0] - trial.values[1], float(low), float(high)


def _rows(world: World) -> tuple[Int[np.ndarray, "p"], Int[np.ndarray, "c"]]:
    """Return each planner's family and each scene group's log."""
    return np.repeat(np.arange(len(world.families)), world.families), np.repeat(np.arange(world.logs), world.groups)


def _correlated(
    generator: np.random.Generator, correlations: tuple[float, float], count: int
) -> tuple[Float[np.ndarray, "n"], ...]:
    """Return two normal variables with these correlations with a third, and the third."""
    third = generator.normal(size=count)
    ours = (r * third + np.sqrt(1.0 - r**2) * generator.normal(size=count) for r in correlations)
    return (*ours, third)


def _holds(estimate: Estimate, truth: float) -> bool:
    return estimate.low <= truth <= estimate.high


def chosen(found: Sequence[Mapping[str, Coverage]]) -> str:
    """Return the narrowest method that covers enough in every world.

    Raises:
        ValueError: none does.
    """
    good = [
        name for name in found[0] if all(min(one[name].correlation, one[name].difference) >= LEAST for one in found)
    ]
    if not good:
        raise ValueError(f"no method covers {LEAST:.0%} in every world")
    return min(good, key=lambda name: float(np.mean([one[name].width for one in found])))


def table() -> list[str]:
    """Return the table of the documentation: coverage in the worlds for choosing, and in the others."""
    choosing, reported = ([coverages(world) for world in worlds] for worlds in (CHOOSING, REPORTED))
    best = chosen(choosing)
    head = ["coverage of r, of differences", f"worst of {len(CHOOSING)} worlds for choosing"]
    lines = [_row([*head, *(world.name for world in REPORTED)]), "|---" * (len(head) + len(REPORTED)) + "|"]
    for name in choosing[0]:
        worst = [min(getattr(one[name], side) for one in choosing) for side in ("correlation", "difference")]
        cells = [f"{worst[0]:.2f}, {worst[1]:.2f}"]
        cells += [f"{one[name].correlation:.2f}, {one[name].difference:.2f}" for one in reported]
        lines.append(_row([f"**{name}**" if name == best else name, *cells]))
    return [*lines, "", f"{TRIALS} trials a world, {RESAMPLES} resamples a trial. In bold: the method chosen."]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    print("\n".join(table()))
