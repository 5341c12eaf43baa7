"""Reactive traffic that does what NAVSIM's was meant to do; its scores are not NAVSIM's.

Vehicles that stand on a lane follow it and its successors by the intelligent driver model (Treiber et al., 2000) at
their lateral offset. They stop for red lights and stay behind whatever is on their way: the ego, each other, and
everybody that replays the log (pedestrians, bicycles, parked vehicles, and vehicles that the log shows later).
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from swerve.eval.agent_kernels import drive
from swerve.eval.context import Context
from swerve.eval.score_kernels import ego_boxes
from swerve.eval.thresholds import LANE_SIGHT
from swerve.eval.traffic import Traffic


def lane_agents(context: Context, states: Float[np.ndarray, "t 11"]) -> Traffic:
    """The traffic while the ego goes through simulated states; tracks are those of the context, in their order."""
    rails, logged = context.graph_rails, context.traffic
    if not len(rails.rows):
        return logged
    rest = np.setdiff1d(np.arange(len(logged.ids)), rails.rows)
    obstacles = logged.boxes[:, rest], logged.velocities[:, rest], logged.present[:, rest]
    egos = ego_boxes(states[None])[0], np.hypot(states[:, 3], states[:, 4]), states[:, 2].copy()
    paths, start = (rails.points, rails.lengths, rails.starts), (rails.state, rails.boxes, rails.sizes)
    driven, speeds, here = drive(paths, *start, rails.targets, egos, rails.gates, obstacles, np.inf, LANE_SIGHT)
    directions = np.stack([np.cos(driven[..., 2]), np.sin(driven[..., 2])], axis=-1)
    poses, velocities, present = logged.poses.copy(), logged.velocities.copy(), logged.present.copy()
    poses[1:, rails.rows], present[:, rails.rows] = driven[1:], here
    velocities[1:, rails.rows] = (speeds[..., None] * directions)[1:]
    return replace(logged, poses=poses, velocities=velocities, present=present)
