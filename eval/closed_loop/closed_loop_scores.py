"""Scores of closed-loop rollouts: nuPlan's closed-loop score, computed from NAVSIM's sub-scores.

    score = NC * DAC * DDC * TLC * MP * (5 EP + 5 TTC + 4 SL + 2 HC) / 16

NC, DAC, DDC, TTC and HC are those of EPDMS over all steps of the rollout, without a human filter. TLC is 0 if the ego
enters a connector while its light is red; EPDMS counts being in it, which includes egos that entered on yellow, and
relies on the human filter. MP is 1 if the ego makes at least a fifth of the human's progress, else 0. EP is the ratio
of the two, at most 1, both at least 2 m; reversing by more than 2 m scores 0. SL is 1 minus the mean excess over the
speed limit in units of 2.23 m/s, at least 0; if the map has no limits it is left out with its weight. Bounds and
weights are those of nuplan-devkit (its evaluation_metrics, and
metric_aggregator/closed_loop_reactive_agents_weighted_average.yaml).
docs/closed_loop.md lists the differences from nuPlan.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Float

from swerve.eval.closed_loop.closed_loop_scene import ClosedLoopScene
from swerve.eval.closed_loop.rollout_kernels import first_light_run, limits_under
from swerve.eval.context.planar_geometry_kernels import project
from swerve.eval.scoring.reasons import Reason, reasons
from swerve.eval.scoring.score import Scores
from swerve.eval.scoring.score_kernels import ego_boxes
from swerve.eval.scoring.simulate import State
from swerve.eval.scoring.sub_scores import METRIC_NAMES, Metric, SubScores, compute_sub_scores, product_of
from swerve.eval.scoring.thresholds import STEP
from swerve.eval.traffic.traffic import ScoringTraffic, Traffic
from swerve.scenes.polyline import arc_lengths

MAKING_PROGRESS, SPEED_LIMIT = "making_progress", "speed_limit_compliance"
ROLLOUT_METRICS = (*METRIC_NAMES, MAKING_PROGRESS, SPEED_LIMIT)
# Progress is clipped from below at this many metres; reversing by more scores 0.
PROGRESS_THRESHOLD: Final = 2.0
MIN_PROGRESS: Final = 0.2
_ROUNDING: Final = 1e-9  # values this close to one need no reason
# A mean excess over the speed limit of this many m/s (5 mph) scores 0.
OVERSPEED: Final = 2.23
_WEIGHTS: Final = {
    METRIC_NAMES[Metric.EGO_PROGRESS]: 5.0,
    METRIC_NAMES[Metric.TIME_TO_COLLISION_WITHIN_BOUND]: 5.0,
    SPEED_LIMIT: 4.0,
    METRIC_NAMES[Metric.HISTORY_COMFORT]: 2.0,
}


@dataclass(frozen=True)
class ClosedLoopScores:
    """Scores of a rollout, and their causes.

    Attributes:
        metrics: sub-scores by name, see `ROLLOUT_METRICS`; `speed_limit_compliance` is NaN if no limit is known.
        score: of the whole, 0 to 1.
        reasons: causes of sub-scores below 1, see `reasons`, by time; those of the whole drive last.
        progress: metres along the route.
        human_progress: the same of the human.
    """

    metrics: Mapping[str, float]
    score: float
    reasons: tuple[Reason, ...]
    progress: float
    human_progress: float


def score_rollout(
    closed_loop_scene: ClosedLoopScene, states: Float[np.ndarray, "t 11"], traffic: Traffic
) -> ClosedLoopScores:
    """Score a whole rollout.

    Args:
        closed_loop_scene: see `build_closed_loop_scene`.
        states: the ego's at all steps of the scene.
        traffic: the other agents.
    """
    context = closed_loop_scene.context
    scoring_traffic = ScoringTraffic.of(traffic, context.lights, stopped=traffic.standing)
    sub_scores = _with_lights_run(
        compute_sub_scores(states[None], context.scoring_map, scoring_traffic, context.history), states, scoring_traffic
    )
    human_states = np.zeros_like(states)
    human_states[:, :3] = closed_loop_scene.human_poses_at(np.arange(len(states)))
    ego_progress, human_progress = (
        _progress(trajectory, context.scoring_map.centerline) for trajectory in (states, human_states)
    )
    share = progress_share(ego_progress, human_progress)
    over = _overspeed(closed_loop_scene, states)
    metrics = dict(zip(METRIC_NAMES, sub_scores.metrics[0].tolist(), strict=True))
    metrics[METRIC_NAMES[Metric.EGO_PROGRESS]] = share
    metrics[MAKING_PROGRESS] = float(share >= MIN_PROGRESS)
    metrics[SPEED_LIMIT] = float(np.maximum(1.0 - over.mean() / OVERSPEED, 0.0))
    why = _reasons(sub_scores, states, scoring_traffic) + _own_reasons(metrics, ego_progress, human_progress, over)
    in_time = tuple(sorted(why, key=lambda one: math.inf if one.seconds is None else one.seconds))
    return ClosedLoopScores(metrics, closed_loop_score(metrics), in_time, ego_progress, human_progress)


def closed_loop_score(metrics: Mapping[str, float]) -> float:
    """Compute the score of sub-scores, see the top of this module."""
    product = float(product_of(np.array([metrics[name] for name in METRIC_NAMES]))) * metrics[MAKING_PROGRESS]
    known = {name: weight for name, weight in _WEIGHTS.items() if not np.isnan(metrics[name])}
    return product * sum(weight * metrics[name] for name, weight in known.items()) / sum(known.values())


def progress_share(ego_progress: float, human_progress: float) -> float:
    """Compute EP: metres along the route over those of the human."""
    if ego_progress < -PROGRESS_THRESHOLD:
        return 0.0
    return min(max(ego_progress, PROGRESS_THRESHOLD) / max(human_progress, PROGRESS_THRESHOLD), 1.0)


def _with_lights_run(
    sub_scores: SubScores, states: Float[np.ndarray, "t 11"], scoring_traffic: ScoringTraffic
) -> SubScores:
    """Replace the sub-score of being in red connectors by that of entering them."""
    outlines = scoring_traffic.lights.polygons
    light = first_light_run(ego_boxes(states[None])[0], outlines.edges, outlines.starts, scoring_traffic.lights.active)
    metrics = sub_scores.metrics.copy()
    metrics[0, Metric.TRAFFIC_LIGHT_COMPLIANCE] = float(light[0] < 0)
    return replace(sub_scores, metrics=metrics, light=np.array([light], np.int64))


def _progress(states: Float[np.ndarray, "t 11"], centerline: Float[np.ndarray, "k 3"]) -> float:
    """Compute the metres along the centreline from the first box's centre to the last's; negative when reversing."""
    lengths = arc_lengths(centerline)
    first, last = ego_boxes(states[None])[0][[0, -1], :2]
    return float(project(centerline, lengths, *last)[0] - project(centerline, lengths, *first)[0])


def _overspeed(closed_loop_scene: ClosedLoopScene, states: Float[np.ndarray, "t 11"]) -> Float[np.ndarray, "t"]:
    """Compute the excess over the speed limit at each step; NaN if no lane has a limit."""
    if np.isnan(closed_loop_scene.speed_limits).all():
        return np.full(len(states), np.nan)
    surfaces = closed_loop_scene.context.scoring_map.surfaces
    ground = (surfaces.edges, surfaces.starts, surfaces.corner, surfaces.cells, surfaces.covered, surfaces.cell_starts)
    limits = limits_under(ego_boxes(states[None])[0], ground, closed_loop_scene.speed_limits)
    over: Float[np.ndarray, "t"] = np.maximum(
        np.hypot(states[:, State.VELOCITY], states[:, State.LATERAL_VELOCITY]) - limits, 0.0
    )
    return over


def _reasons(
    sub_scores: SubScores, states: Float[np.ndarray, "t 11"], scoring_traffic: ScoringTraffic
) -> tuple[Reason, ...]:
    """Return the scorer's reasons, without ego progress, which is not compared here."""
    nothing = np.zeros(len(Metric), bool)
    return reasons(
        Scores(
            sub_scores.metrics, sub_scores.metrics, nothing, sub_scores, sub_scores, states[None], (scoring_traffic,)
        ),
        0,
    )


def _own_reasons(
    metrics: Mapping[str, float], ego_progress: float, human_progress: float, over: Float[np.ndarray, "t"]
) -> tuple[Reason, ...]:
    texts = {
        METRIC_NAMES[
            Metric.EGO_PROGRESS
        ]: f"makes {ego_progress:.1f} m along the route, the human {human_progress:.1f} m",
        MAKING_PROGRESS: f"makes less than {MIN_PROGRESS:.0%} of the human's {human_progress:.1f} m along the route",
        SPEED_LIMIT: f"is up to {over.max():.1f} m/s too fast, {over.mean():.1f} m/s in the mean",
    }
    first = round(float((over > 0).argmax()) * STEP, 1)
    found = [
        Reason(name, metrics[name], False, None, text)
        for name, text in texts.items()
        if metrics[name] < 1.0 - _ROUNDING
    ]
    return tuple(replace(one, seconds=first) if one.metric == SPEED_LIMIT else one for one in found)
