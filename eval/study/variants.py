"""Pseudo-simulation and its variants, from stored scores of scenes: arrays of planners x scene groups.

The standard recipe is NAVSIM's, and equal to aggregate.two_stage. Every other recipe changes one parameter of it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from swerve.eval.scoring.thresholds import PROXIMITY_VARIANCE, UNIFORM_BELOW
from swerve.eval.study.measures import Formula, frame_scores, gates, quality
from swerve.eval.study.study_records import Study
from swerve.scenes.transforms import wrap_angle

Rule = Literal["product", "mean", "only stage one", "only stage two", "gates and quality apart"]
FrameScore = Callable[..., Float[np.ndarray, "..."]]
RULES: tuple[Rule, ...] = ("product", "mean", "only stage one", "only stage two", "gates and quality apart")
VARIANCES = (0.01, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
NEAREST = (1, 3, 5)
DENSITIES = (0.5, 0.25)


@dataclass(frozen=True)
class Kernel:
    """Weight of a follow-up scene by the distance of its start from the end of the stage-one plan.

    Attributes:
        variance: of the Gaussian over the distance, m2; inf for equal weights.
        nearest: number of nearest scenes that count; None for all.
        heading: standard deviation of a Gaussian factor over the difference of headings, rad; None for none.
        speed: the same over the difference of speeds, m/s. These two extend NAVSIM: a plan with a low final speed is
            then scored by scenes with a low initial speed.
        fallback: whether weights are uniform where they add up to less than 1e-8, as in NAVSIM; otherwise the weights
            are normalised in the log domain.
    """

    variance: float = PROXIMITY_VARIANCE
    nearest: int | None = None
    heading: float | None = None
    speed: float | None = None
    fallback: bool = True


@dataclass(frozen=True)
class Recipe:
    """A method to compute one score per scene group.

    Attributes:
        kernel: of the follow-up scenes.
        rule: aggregation of both stages. "gates and quality apart" multiplies the stages' multiplicative sub-scores (of
            stage two, their weighted mean) and averages the stages' weighted sub-scores.
        formula: of a scene's score.
        kept: follow-up pairs that are used; None for all.
        human_filter: whether the human filter applies to stage one, as in NAVSIM; it never applies to stage two.
    """

    kernel: Kernel = field(default_factory=Kernel)
    rule: Rule = "product"
    formula: Formula = "full"
    kept: Bool[np.ndarray, "c k"] | None = None
    human_filter: bool = True

    def restricted_to(self, kept: Bool[np.ndarray, "c k"]) -> "Recipe":
        """Return the recipe restricted to these follow-up pairs."""
        return replace(self, kept=kept)


@dataclass(frozen=True)
class Offsets:
    """Squared differences of the ends of stage-one plans and the starts of follow-up scenes, planner x group x pair.

    Attributes:
        distance: m2.
        heading: rad2.
        speed: m2/s2.
    """

    distance: Float[np.ndarray, "p c k 2"]
    heading: Float[np.ndarray, "p c k 2"]
    speed: Float[np.ndarray, "p c k 2"]


def offsets_of(study: Study) -> Offsets:
    """Compute the offsets of all plans from all follow-up scenes."""
    ends, starts = study.ends[:, :, None], study.starts[None]
    distance = (ends[..., 0] - starts[..., 0]) ** 2 + (ends[..., 1] - starts[..., 1]) ** 2
    heading = wrap_angle(ends[..., 2] - starts[..., 2]) ** 2
    return Offsets(distance, heading, (ends[..., 3] - starts[..., 3]) ** 2)


def pseudo_simulation(study: Study, offsets: Offsets, recipe: Recipe) -> Float[np.ndarray, "p c"]:
    """Compute the score of each planner in each scene group, the mean of its two chains."""
    present = study.present if recipe.kept is None else study.present & recipe.kept
    weights = weights_of(offsets, present, recipe.kernel)
    comfort_one = np.repeat(study.comfort_one[..., None], 2, axis=-1)
    comfort_two = np.repeat(study.comfort_two[..., None], 2, axis=-1)
    stage_one = study.stage_one if recipe.human_filter else study.stage_one_raw

    def both(score: FrameScore) -> tuple[Float[np.ndarray, "p c 2"], Float[np.ndarray, "p c 2"]]:
        two = score(study.stage_two, comfort_two, recipe.formula)
        return score(stage_one, comfort_one, recipe.formula), (weights * two).sum(axis=2)

    if recipe.rule == "gates and quality apart":
        (gate_one, gate_two), (good_one, good_two) = both(gates), both(quality)
        product: Float[np.ndarray, "p c"] = (gate_one * gate_two * (good_one + good_two) / 2.0).mean(axis=-1)
        return product
    one, two = both(frame_scores)
    joined = {"product": one * two, "mean": (one + two) / 2.0, "only stage one": one, "only stage two": two}
    scores: Float[np.ndarray, "p c"] = joined[recipe.rule].mean(axis=-1)
    return scores


def weights_of(offsets: Offsets, present: Bool[np.ndarray, "c k"], kernel: Kernel) -> Float[np.ndarray, "p c k 2"]:
    """Compute weights of follow-up scenes, with sum 1 in each scene group and chain."""
    counted = np.broadcast_to(present[None, :, :, None], offsets.distance.shape)
    if kernel.nearest is not None:
        order = np.argsort(np.where(counted, offsets.distance, np.inf), axis=2, kind="stable")
        counted = counted & (np.argsort(order, axis=2, kind="stable") < kernel.nearest)
    logs = -offsets.distance / (2.0 * kernel.variance)
    for squared, deviation in ((offsets.heading, kernel.heading), (offsets.speed, kernel.speed)):
        if deviation is not None:
            logs = logs - squared / (2.0 * deviation**2)
    logs = np.where(counted, logs, -np.inf)
    if not kernel.fallback:
        weights = np.exp(logs - logs.max(axis=2, keepdims=True))
        shares: Float[np.ndarray, "p c k 2"] = weights / weights.sum(axis=2, keepdims=True)
        return shares
    weights = np.exp(logs)
    far = ~(weights.sum(axis=2, keepdims=True) > UNIFORM_BELOW)
    weights = np.where(far, counted.astype(float), weights)
    fallen_back: Float[np.ndarray, "p c k 2"] = weights / weights.sum(axis=2, keepdims=True)
    return fallen_back


def out_of_reach(offsets: Offsets, present: Bool[np.ndarray, "c k"]) -> Bool[np.ndarray, "p c 2"]:
    """Return where NAVSIM's weights fall back to uniform ones, because no follow-up scene is near the plan's end."""
    logs = np.where(present[None, :, :, None], -offsets.distance / (2.0 * PROXIMITY_VARIANCE), -np.inf)
    return np.asarray(~(np.exp(logs).sum(axis=2) > UNIFORM_BELOW))


def effective_counts(weights: Float[np.ndarray, "p c k 2"]) -> Float[np.ndarray, "p c 2"]:
    """Compute the effective number of follow-up scenes: 1 / sum of squared weights."""
    return np.asarray(1.0 / (weights**2).sum(axis=2))


def subset(present: Bool[np.ndarray, "c k"], density: float, generator: np.random.Generator) -> Bool[np.ndarray, "c k"]:
    """Select a random share of each scene group's follow-up pairs, rounded, at least one."""
    wanted = np.maximum(np.rint(density * present.sum(axis=1)), 1)
    keys = np.where(present, generator.random(present.shape), np.inf)
    chosen: Bool[np.ndarray, "c k"] = present & (np.argsort(np.argsort(keys, axis=1), axis=1) < wanted[:, None])
    return chosen


def navsim_recipe(formula: Formula = "full") -> Recipe:
    """Return NAVSIM's recipe."""
    return Recipe(formula=formula)


def recipes(formula: Formula) -> dict[str, dict[str, Recipe]]:
    """Return the deterministic variants, by varied parameter and name."""
    base = navsim_recipe(formula)
    shipped, stable = Kernel(), Kernel(fallback=False)

    def of(kernel: Kernel) -> Recipe:
        return replace(base, kernel=kernel)

    return {
        "weights": {"navsim-exact": of(shipped), "stable": of(stable)},
        "variance, navsim-exact": {
            **{f"{variance:g} m2": of(Kernel(variance)) for variance in VARIANCES},
            "equal weights": of(Kernel(np.inf)),
        },
        "variance, stable": {f"{variance:g} m2": of(Kernel(variance, fallback=False)) for variance in VARIANCES},
        "nearest": {f"{count} nearest": of(Kernel(np.inf, nearest=count)) for count in NEAREST},
        "nearest, Gaussian": {f"{count} nearest": of(Kernel(nearest=count, fallback=False)) for count in NEAREST[1:]},
        "heading and speed": {
            "heading, 10 deg": of(Kernel(heading=np.deg2rad(10.0), fallback=False)),
            "speed, 1 m/s": of(Kernel(speed=1.0, fallback=False)),
            "both": of(Kernel(heading=np.deg2rad(10.0), speed=1.0, fallback=False)),
            "both, 1 m2": of(Kernel(1.0, heading=np.deg2rad(10.0), speed=1.0, fallback=False)),
        },
        "aggregation": {rule: replace(base, rule=rule) for rule in RULES},
    }
