"""Scores of trajectories: one code path for a single trajectory and for large vocabularies."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from swerve.eval.context.scene_context import Context
from swerve.eval.scoring.scores_html import scores_html
from swerve.eval.scoring.simulate import simulate
from swerve.eval.scoring.sub_scores import (
    METRIC_NAMES,
    WEIGHTED,
    WEIGHTS,
    Metric,
    SubScores,
    compared_progress,
    compute_sub_scores,
    pdm_score,
    product_of,
)
from swerve.eval.scoring.thresholds import (
    EXTENDED_COMFORT_WEIGHT,
    HISTORY_STEP_US,
    POSE_INTERVAL,
    REFERENCE_STEPS,
)
from swerve.eval.scoring.trajectories import references_of, resampled
from swerve.eval.traffic.policies import NON_REACTIVE, ScoringTraffics, non_reactive_traffic, scoring_traffic_for
from swerve.eval.traffic.policy import Policy
from swerve.eval.traffic.traffic import ScoringTraffic
from swerve.scenes import SwerveError
from swerve.scenes.compilation import announce_compilation

ProgressReference = Literal["reference", "batch"]


@dataclass(frozen=True)
class Scores:
    """Scores of n trajectories, and their causes.

    Attributes:
        metrics: sub-scores after the human filter, columns as in `Metric`.
        raw: sub-scores before it.
        human_filtered: metrics that the filter sets to 1, because the human's is 0.
        sub_scores: unfiltered sub-scores with what caused them.
        reference_sub_scores: the same of the PDM-Closed reference, in the traffic of each trajectory.
        states: the simulated states, see simulate.State.
        scoring_traffic: the agents, by whose rows the causes refer to tracks: one for all trajectories, or one each.
    """

    metrics: Float[np.ndarray, "n 8"]
    raw: Float[np.ndarray, "n 8"]
    human_filtered: Bool[np.ndarray, "8"]
    sub_scores: SubScores
    reference_sub_scores: SubScores
    states: Float[np.ndarray, "n t 11"]
    scoring_traffic: ScoringTraffics

    def __len__(self) -> int:
        return len(self.metrics)

    def _repr_html_(self) -> str:
        """Return a table, for notebooks."""
        return scores_html(METRIC_NAMES, self.metrics, self.pdm_score)

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
    extra = np.where(np.isnan(extended), 0.0, EXTENDED_COMFORT_WEIGHT)
    total = metrics[..., WEIGHTED] @ WEIGHTS + np.nan_to_num(extended) * extra
    return np.asarray(product_of(metrics) * total / (WEIGHTS.sum() + extra))


def score(
    context: Context,
    trajectories: Float[np.ndarray, "n k 3"],
    *,
    policy: Policy = "log-replay",
    progress_reference: ProgressReference = "reference",
    human_filter: bool = True,
    interval: float = POSE_INTERVAL,
) -> Scores:
    """Simulate and score trajectories.

    Args:
        context: the scene.
        trajectories: rear-axle poses (x, y, heading) relative to now, at interval, 2 interval, ..., 4 s or later.
        policy: traffic policy of the agents.
        progress_reference: compares progress with PDM-Closed alone ("reference"), as when NAVSIM scores one
            trajectory, or with the best of the batch as well ("batch").
        human_filter: whether to set metrics to 1 in which the human scores 0 (never in follow-up scenes).
        interval: seconds between poses.

    Raises:
        SwerveError: there are no trajectories, a pose is not finite, or they end before 4 s.
    """
    if policy in NON_REACTIVE:
        prepared = prepare_context(context, policy, human_filter)
        return score_prepared(prepared, trajectories, progress_reference=progress_reference, interval=interval)
    announce_compilation()
    reference, states = simulate_all(context, trajectories, interval)
    scoring_traffic = scoring_traffic_for(policy, context, states)
    pairs = [
        compute_sub_scores(
            np.concatenate([reference, state[None]]), context.scoring_map, scoring_traffic, context.history
        )
        for state, scoring_traffic in zip(states, scoring_traffic, strict=True)
    ]
    reference_sub_scores, sub_scores = (
        SubScores.concatenate([pair.of(np.array([row])) for pair in pairs]) for row in (0, 1)
    )
    human_filtered = np.zeros(len(Metric), bool)
    if human_filter:
        human_filtered = _human_failures(context, lambda human: scoring_traffic_for(policy, context, human)[0])
    return _compared(reference_sub_scores, sub_scores, human_filtered, progress_reference, states, scoring_traffic)


@dataclass(frozen=True)
class PreparedContext:
    """Inputs of the scores in a scene that do not depend on the trajectories.

    Attributes:
        context: the scene.
        scoring_traffic: the agents under a non-reactive policy.
        reference_sub_scores: sub-scores of the PDM-Closed reference, one row.
        human_filtered: metrics that the human filter sets to 1.
    """

    context: Context
    scoring_traffic: ScoringTraffic
    reference_sub_scores: SubScores
    human_filtered: Bool[np.ndarray, "8"]


def prepare_context(context: Context, policy: Policy = "log-replay", human_filter: bool = True) -> PreparedContext:
    """Prepare a scene for scoring repeatedly, or in another process.

    Args:
        context: the scene.
        policy: non-reactive traffic policy, one of `NON_REACTIVE`.
        human_filter: see `score`.

    Raises:
        ValueError: the policy is reactive.
    """
    if policy not in NON_REACTIVE:
        raise ValueError(f"policy {policy} is reactive: it cannot be prepared without trajectories")
    announce_compilation()
    scoring_traffic = non_reactive_traffic(policy, context)
    reference_sub_scores = compute_sub_scores(
        _simulated_reference(context), context.scoring_map, scoring_traffic, context.history
    )
    human_filtered = (
        _human_failures(context, lambda _: scoring_traffic) if human_filter else np.zeros(len(Metric), bool)
    )
    return PreparedContext(context, scoring_traffic, reference_sub_scores, human_filtered)


def score_prepared(
    prepared: PreparedContext,
    trajectories: Float[np.ndarray, "n k 3"],
    *,
    progress_reference: ProgressReference = "reference",
    interval: float = POSE_INTERVAL,
) -> Scores:
    """Score trajectories as `score` does, in a prepared context.

    Args:
        prepared: the prepared context.
        trajectories: see `score`.
        progress_reference: see `score`.
        interval: see `score`.

    Raises:
        SwerveError: see `score`.
    """
    context = prepared.context
    states = simulated(context, trajectories, interval)
    sub_scores = compute_sub_scores(states, context.scoring_map, prepared.scoring_traffic, context.history)
    reference_sub_scores = prepared.reference_sub_scores.of(np.zeros(len(states), int))
    return _compared(
        reference_sub_scores,
        sub_scores,
        prepared.human_filtered,
        progress_reference,
        states,
        (prepared.scoring_traffic,),
    )


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
    reference_sub_scores: SubScores,
    sub_scores: SubScores,
    human_filtered: Bool[np.ndarray, "8"],
    progress_reference: ProgressReference,
    states: Float[np.ndarray, "n t 11"],
    scoring_traffic: ScoringTraffics,
) -> Scores:
    """Compare progress, apply the human filter, and assemble the scores."""
    best = np.maximum(
        reference_sub_scores.progress * reference_sub_scores.product, sub_scores.progress * sub_scores.product
    )
    if progress_reference == "batch":
        best = np.full_like(best, best.max(initial=0.0))
    raw = sub_scores.metrics.copy()
    raw[:, Metric.EGO_PROGRESS] = compared_progress(sub_scores.progress, best)
    return Scores(
        np.where(human_filtered, 1.0, raw),
        raw,
        human_filtered,
        sub_scores,
        reference_sub_scores,
        states,
        scoring_traffic,
    )


def _human_failures(
    context: Context, traffic_for: Callable[[Float[np.ndarray, "1 t 11"]], ScoringTraffic]
) -> Bool[np.ndarray, "8"]:
    """Return the metrics in which the simulated human scores 0 (without history, so never in comfort)."""
    if context.human is None:
        return np.zeros(len(Metric), bool)
    states = simulate(context.ego, references_of(context.human[None], context.ego[:3], context.start_us))
    failed: Bool[np.ndarray, "8"] = (
        compute_sub_scores(states, context.scoring_map, traffic_for(states), None).metrics[0] == 0.0
    )
    return failed
