"""Scores of trajectories: one code path for a single trajectory and for large vocabularies."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from swerve.eval.context.scene_context import Context
from swerve.eval.scoring.simulate import simulate
from swerve.eval.scoring.sub_scores import (
    Metric,
    SubScores,
    compared_progress,
    compute_sub_scores,
    pdm_score,
    product_of,
)
from swerve.eval.scoring.thresholds import (
    EXTENDED_COMFORT_WEIGHT,
    HISTORY_COMFORT_WEIGHT,
    HISTORY_STEP_US,
    LANE_KEEPING_WEIGHT,
    POSE_INTERVAL,
    PROGRESS_WEIGHT,
    REFERENCE_STEPS,
    TTC_WEIGHT,
)
from swerve.eval.scoring.trajectories import references_of, resampled
from swerve.eval.traffic.policies import UNMOVED, Worlds, unmoved_world, worlds_for
from swerve.eval.traffic.policy import Policy
from swerve.eval.traffic.traffic_world import World
from swerve.scenes import SwerveError
from swerve.scenes.compilation import announce_compilation

Rivals = Literal["reference", "batch"]


@dataclass(frozen=True)
class Scores:
    """Scores of n trajectories, and their causes.

    Attributes:
        metrics: sub-scores after the human filter, columns as in `Metric`.
        raw: sub-scores before it.
        forgiven: metrics that the filter sets to 1, because the human's is 0.
        judgement: unfiltered sub-scores with what caused them.
        rival: the same of the PDM-Closed reference, in the traffic of each trajectory.
        states: the simulated states, see simulate.State.
        worlds: the agents, by whose rows the causes refer to tracks: one for all trajectories, or one each.
    """

    metrics: Float[np.ndarray, "n 8"]
    raw: Float[np.ndarray, "n 8"]
    forgiven: Bool[np.ndarray, "8"]
    judgement: SubScores
    rival: SubScores
    states: Float[np.ndarray, "n t 11"]
    worlds: Worlds

    def __len__(self) -> int:
        return len(self.metrics)

    @property
    def product(self) -> Float[np.ndarray, "n"]:
        """Return the product of the filtered multiplicative sub-scores."""
        return product_of(self.metrics)

    @property
    def pdm_score(self) -> Float[np.ndarray, "n"]:
        """Return EPDMS without extended comfort."""
        return pdm_score(self.metrics)

    @property
    def raw_pdm_score(self) -> Float[np.ndarray, "n"]:
        """Return the same of the unfiltered sub-scores, as in NAVSIM's column `pdm_score`."""
        return pdm_score(self.raw)

    def epdms(self, extended: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n"]:
        """Compute EPDMS with extended comfort (0 or 1; ignored where NaN)."""
        return epdms(self.metrics, extended)


def epdms(metrics: Float[np.ndarray, "*n 8"], extended: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Compute EPDMS of filtered sub-scores and extended comfort; where that is NaN, its weight is dropped."""
    weights = np.array([PROGRESS_WEIGHT, TTC_WEIGHT, LANE_KEEPING_WEIGHT, HISTORY_COMFORT_WEIGHT])
    extra = np.where(np.isnan(extended), 0.0, EXTENDED_COMFORT_WEIGHT)
    total = metrics[..., 4:] @ weights + np.nan_to_num(extended) * extra
    return np.asarray(product_of(metrics) * total / (weights.sum() + extra))


def score(
    context: Context,
    trajectories: Float[np.ndarray, "n k 3"],
    *,
    policy: Policy = "log-replay",
    rivals: Rivals = "reference",
    human_filter: bool = True,
    interval: float = POSE_INTERVAL,
) -> Scores:
    """Simulate and score trajectories.

    Args:
        context: the scene.
        trajectories: rear-axle poses (x, y, heading) relative to now, at interval, 2 interval, ..., 4 s or later.
        policy: traffic policy of the agents.
        rivals: compares progress with PDM-Closed alone ("reference"), as when NAVSIM scores one
            trajectory, or with the best of the batch as well ("batch").
        human_filter: whether to set metrics to 1 in which the human scores 0 (never in follow-up scenes).
        interval: seconds between poses.

    Raises:
        SwerveError: there are no trajectories, a pose is not finite, or they end before 4 s.
    """
    if policy in UNMOVED:
        measure = prepare_context(context, policy, human_filter)
        return score_by(measure, trajectories, rivals=rivals, interval=interval)
    announce_compilation()
    reference, states = simulate_all(context, trajectories, interval)
    worlds = worlds_for(policy, context, states)
    pairs = [
        compute_sub_scores(np.concatenate([reference, state[None]]), context.stage, world, context.history)
        for state, world in zip(states, worlds, strict=True)
    ]
    rival, judged = (SubScores.joined([pair.of(np.array([row])) for pair in pairs]) for row in (0, 1))
    forgiven = np.zeros(len(Metric), bool)
    if human_filter:
        forgiven = _human_failures(context, lambda human: worlds_for(policy, context, human)[0])
    return _compared(rival, judged, forgiven, rivals, states, worlds)


@dataclass(frozen=True)
class PreparedContext:
    """Everything that scores in a scene need and that does not depend on the trajectories.

    Attributes:
        context: the scene.
        world: the agents under a non-reactive policy.
        rival: sub-scores of the PDM-Closed reference, one row.
        forgiven: metrics that the human filter sets to 1.
    """

    context: Context
    world: World
    rival: SubScores
    forgiven: Bool[np.ndarray, "8"]


def prepare_context(context: Context, policy: Policy = "log-replay", human_filter: bool = True) -> PreparedContext:
    """Prepare a scene for scoring repeatedly, or in another process.

    Args:
        context: the scene.
        policy: non-reactive traffic policy, one of `UNMOVED`.
        human_filter: see `score`.

    Raises:
        ValueError: the policy is reactive.
    """
    if policy not in UNMOVED:
        raise ValueError(f"policy {policy} is reactive: it cannot be prepared without trajectories")
    announce_compilation()
    world = unmoved_world(policy, context)
    rival = compute_sub_scores(_simulated_reference(context), context.stage, world, context.history)
    forgiven = _human_failures(context, lambda _: world) if human_filter else np.zeros(len(Metric), bool)
    return PreparedContext(context, world, rival, forgiven)


def score_by(
    measure: PreparedContext,
    trajectories: Float[np.ndarray, "n k 3"],
    *,
    rivals: Rivals = "reference",
    interval: float = POSE_INTERVAL,
) -> Scores:
    """Score trajectories as `score` does, in a prepared context.

    Args:
        measure: the prepared context.
        trajectories: see `score`.
        rivals: see `score`.
        interval: see `score`.

    Raises:
        SwerveError: see `score`.
    """
    context = measure.context
    states = simulated(context, trajectories, interval)
    judged = compute_sub_scores(states, context.stage, measure.world, context.history)
    rival = measure.rival.of(np.zeros(len(states), int))
    return _compared(rival, judged, measure.forgiven, rivals, states, (measure.world,))


def simulate_all(
    context: Context, trajectories: Float[np.ndarray, "n k 3"], interval: float = POSE_INTERVAL
) -> tuple[Float[np.ndarray, "1 t 11"], Float[np.ndarray, "n t 11"]]:
    """Simulate the PDM-Closed reference, and the trajectories.

    Raises:
        SwerveError: see `score`.
    """
    return _simulated_reference(context), simulated(context, trajectories, interval)


def simulated(
    context: Context, trajectories: Float[np.ndarray, "n k 3"], interval: float = POSE_INTERVAL
) -> Float[np.ndarray, "n t 11"]:
    """Simulate trajectories.

    Raises:
        SwerveError: see `score`.
    """
    if not len(trajectories):
        raise SwerveError(f"scene {context.token}: no trajectories to score")
    if not np.isfinite(trajectories).all():
        bad = np.flatnonzero(~np.isfinite(trajectories).all(axis=(1, 2)))
        raise SwerveError(f"scene {context.token}: trajectories {bad[:5].tolist()} have poses that are not finite")
    try:
        references = references_of(trajectories, context.ego[:3], context.start_us, interval)
    except ValueError as error:
        raise SwerveError(f"scene {context.token}: {error}") from error
    return simulate(context.ego, references)


def _simulated_reference(context: Context) -> Float[np.ndarray, "1 t 11"]:
    times = context.start_us + HISTORY_STEP_US * np.arange(REFERENCE_STEPS)
    return simulate(context.ego, resampled(context.reference[None], times, context.start_us))


def _compared(
    rival: SubScores,
    judged: SubScores,
    forgiven: Bool[np.ndarray, "8"],
    rivals: Rivals,
    states: Float[np.ndarray, "n t 11"],
    worlds: Worlds,
) -> Scores:
    """Compare progress, apply the human filter, and assemble the scores."""
    best = np.maximum(rival.progress * rival.product, judged.progress * judged.product)
    if rivals == "batch":
        best = np.full_like(best, best.max(initial=0.0))
    raw = judged.metrics.copy()
    raw[:, Metric.EGO_PROGRESS] = compared_progress(judged.progress, best)
    return Scores(np.where(forgiven, 1.0, raw), raw, forgiven, judged, rival, states, worlds)


def _human_failures(
    context: Context, world_for: Callable[[Float[np.ndarray, "1 t 11"]], World]
) -> Bool[np.ndarray, "8"]:
    """Return the metrics in which the simulated human scores 0 (without history, so never in comfort)."""
    if context.human is None:
        return np.zeros(len(Metric), bool)
    states = simulate(context.ego, references_of(context.human[None], context.ego[:3], context.start_us))
    return compute_sub_scores(states, context.stage, world_for(states), None).metrics[0] == 0.0
