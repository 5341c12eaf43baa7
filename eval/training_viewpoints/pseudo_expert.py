"""Pseudo-expert targets: the best of many trajectories by exact score."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Float32

from swerve.data.dataset.targets import interpolate_poses_at
from swerve.data.dataset.viewpoint_maker import EXPERT_RATE, ExpertTarget
from swerve.eval.context.pdm_closed import idm_trajectory
from swerve.eval.context.scene_context import Context
from swerve.eval.scoring.score import PreparedContext, Scores, prepare_context, score_prepared
from swerve.eval.scoring.sub_scores import METRIC_NAMES
from swerve.eval.scoring.thresholds import DEFAULT_SPEED_LIMIT, LATERAL_OFFSETS, SPEED_SHARES, STEPS
from swerve.eval.scoring.trajectories import to_ego
from swerve.scenes.transforms import relative_poses
from swerve.scenes.viewpoints import Viewpoint

# Poses of a candidate: 5 s at 10 Hz.
_STEPS: Final = 50
# Arcs from the current state: constant acceleration until standstill, m/s2, and constant curvature, 1/m.
_ACCELERATIONS: Final = (0.0, -1.0, 1.0, -2.0, 2.0, -0.5, 0.5, -3.0, -4.0, -6.0)
_HARDEST, _TIGHTEST = 6.0, 0.15
_CURVATURES: Final = (0.0, 0.005, -0.005, 0.01, -0.01, 0.02, -0.02, 0.04, -0.04, 0.08, -0.08, 0.15, -0.15)


@dataclass(frozen=True)
class Candidates:
    """Trajectories among which the best is chosen.

    Attributes:
        poses: (x, y, heading) in the ego frame at 0.1, 0.2, ..., 5 s.
        sources: "pdm_closed", "route" or "anchor" of each.
    """

    poses: Float32[np.ndarray, "n 50 3"]
    sources: tuple[str, ...]


def pseudo_expert(viewpoint: Viewpoint, context: Context) -> ExpertTarget:
    """Return the best candidate by EPDMS without extended comfort under log replay, as `score` computes it.

    Candidates are scored as they are stored, in float32. Of equals the first wins: PDM-Closed's proposal, then its
    proposals by their own (a share of the speed limit at a lateral offset each), then the arcs, gentle ones first.
    Progress is compared with PDM-Closed's, as when one trajectory is scored.

    Args:
        viewpoint: whose target is scored too.
        context: of the viewpoint.
    """
    found, prepared = candidates_of(context), prepare_context(context)
    scores = score_poses(prepared, found.poses)
    best = int(np.argmax(scores.pdm_score))
    return ExpertTarget(
        poses=found.poses[best],
        source=found.sources[best],
        index=best,
        candidates=len(found.poses),
        score=float(scores.pdm_score[best]),
        metrics={name: float(value) for name, value in zip(METRIC_NAMES, scores.metrics[best], strict=True)},
        target_score=_target_score(viewpoint, prepared),
    )


def candidates_of(context: Context) -> Candidates:
    """Return PDM-Closed's proposal, drives along the route, and arcs from the current state."""
    inputs, origin = context.privileged_input, context.ego[:3]
    limit = inputs.speed_limit or DEFAULT_SPEED_LIMIT
    route = [
        idm_trajectory(inputs, limit * share, offset) for offset in LATERAL_OFFSETS for share in reversed(SPEED_SHARES)
    ]
    world = np.stack([context.reference, *route])[:, 1:]
    arcs = arcs_from(float(context.ego[3]))
    sources = ("pdm_closed", *["route"] * len(route), *["anchor"] * len(arcs))
    return Candidates(np.concatenate([to_ego(world, origin), arcs]).astype(np.float32), sources)


def arcs_from(speed: float) -> Float[np.ndarray, "a 50 3"]:
    """Return arcs of constant curvature, driven with constant acceleration from a speed (m/s) until standstill.

    Gentle ones come first: in order of |acceleration| / 6 m/s2 + |curvature| / 0.15 1/m.
    """
    seconds = np.arange(1, _STEPS + 1) / EXPERT_RATE
    pull, bend = (one.ravel() for one in np.meshgrid(_ACCELERATIONS, _CURVATURES, indexing="ij"))
    order = np.argsort(np.abs(pull) / _HARDEST + np.abs(bend) / _TIGHTEST, kind="stable")
    pull, bend = pull[order], bend[order]
    start = max(speed, 0.0)
    until = np.where(pull < 0, np.minimum(start / np.maximum(-pull, 1e-9), seconds[-1]), seconds[-1])
    time = np.minimum(seconds, until[:, None])
    way = start * time + pull[:, None] * time**2 / 2
    turn = bend[:, None] * way
    chord = np.sinc(turn / (2 * np.pi)) * way
    return np.stack([chord * np.cos(turn / 2), chord * np.sin(turn / 2), turn], axis=-1)


def score_poses(prepared: PreparedContext, poses: Float32[np.ndarray, "n k 3"]) -> Scores:
    """Score trajectories at 0.1, 0.2, ... s exactly."""
    return score_prepared(prepared, poses.astype(np.float64), interval=1.0 / EXPERT_RATE)


def _target_score(viewpoint: Viewpoint, prepared: PreparedContext) -> float | None:
    """Return the score of the viewpoint's own target as the sample stores it; None if there is none of 4 s."""
    scene = viewpoint.scene
    if not len(viewpoint.target):
        return None
    poses = np.concatenate([viewpoint.world_from_ego[None], viewpoint.target])
    times_us, seconds = scene.times_us[scene.history :], np.arange(1, STEPS) / EXPERT_RATE
    found, valid = interpolate_poses_at(times_us, poses, times_us[0], seconds)
    if not valid.all():
        return None
    target = relative_poses(viewpoint.world_from_ego, found).astype(np.float32)
    return float(score_poses(prepared, target[None]).pdm_score[0])
