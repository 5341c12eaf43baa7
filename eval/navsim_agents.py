"""NAVSIM's reactive traffic with all its quirks, so that its scores come out the same.

Vehicles that stand on a lane follow it by the intelligent driver model (Treiber et al., 2000) to the end of that one
lane, where they brake; they see only each other and the ego, ignore red lights, and are simulated around an ego whose
box is centred on its rear axle and comes one step late. Vehicles that cannot be put on a lane stand still or vanish
after the first step; those that the log shows later never come. Everybody else replays the log.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from swerve.eval.agent_kernels import drive
from swerve.eval.context import Context
from swerve.eval.thresholds import AGENT_RADIUS, HALF_LENGTH, HALF_WIDTH
from swerve.eval.traffic import Traffic
from swerve.scenes import ObjectClass


def navsim_agents(context: Context, states: Float[np.ndarray, "t 11"]) -> Traffic:
    """The traffic while the ego goes through simulated states; tracks are those of the context, in their order."""
    rails, logged = context.rails, context.traffic
    steps = len(states)
    vehicle = logged.classes == ObjectClass.VEHICLE
    poses, velocities = logged.poses.copy(), logged.velocities.copy()
    present = logged.present & ~vehicle
    present[0] = rails.current
    present[1:, rails.parked] = True
    poses[1:, rails.parked], velocities[1:, rails.parked] = poses[0, rails.parked], velocities[0, rails.parked]
    if len(rails.rows):
        nothing = np.zeros((steps, 0, 6)), np.zeros((steps, 0, 2)), np.zeros((steps, 0), bool)
        egos = _shifted_ego(states), np.hypot(states[:, 3], states[:, 4]), states[:, 2].copy()
        paths, start = (rails.points, rails.lengths, rails.starts), (rails.state, rails.boxes, rails.sizes)
        driven, speeds, here = drive(paths, *start, rails.targets, egos, rails.gates, nothing, AGENT_RADIUS, np.inf)
        directions = np.stack([np.cos(driven[..., 2]), np.sin(driven[..., 2])], axis=-1)
        poses[1:, rails.rows], present[1:, rails.rows] = driven[1:], here[1:]
        velocities[1:, rails.rows] = (speeds[..., None] * directions)[1:]
    return replace(logged, poses=poses, velocities=velocities, present=present)


def _shifted_ego(states: Float[np.ndarray, "t 11"]) -> Float[np.ndarray, "t 6"]:
    """The ego's boxes, centred on its rear axle."""
    halves = np.broadcast_to([HALF_LENGTH, HALF_WIDTH], (len(states), 2))
    return np.column_stack([states[:, :2], np.cos(states[:, 2]), np.sin(states[:, 2]), halves])
