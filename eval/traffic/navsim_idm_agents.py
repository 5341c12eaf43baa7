"""NAVSIM's reactive traffic, with its defects, to reproduce its scores.

Vehicles on a lane follow it by the intelligent driver model (Treiber et al., 2000) to the end of that one lane, where
they brake; they react only to each other and the ego, ignore red lights, and are simulated around an ego whose box is
centred on its rear axle and delayed by one step. Vehicles that cannot be assigned to a lane stay at rest or disappear
after the first step; those that appear later in the log are left out. A vehicle at rest is absent while a moving one,
or an earlier one at rest, overlaps it. All other agents replay the log.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from swerve.eval.context.scene_context import Context
from swerve.eval.scoring.thresholds import AGENT_RADIUS, HALF_LENGTH, HALF_WIDTH
from swerve.eval.traffic.idm_agents import IdmAgents
from swerve.eval.traffic.track_kernels import unobstructed
from swerve.eval.traffic.traffic import Traffic
from swerve.scenes import ObjectClass


def simulate_navsim_idm(context: Context, states: Float[np.ndarray, "t 11"]) -> Traffic:
    """Simulate the traffic around given ego states; tracks are those of the context, in their order."""
    return NavsimAgents(context).until(len(states) - 1, states)


class NavsimAgents:
    """NAVSIM's agents, simulated step by step; see `ReactiveAgents`."""

    def __init__(self, context: Context) -> None:
        agent_paths, logged = context.navsim_paths, context.traffic
        vehicle = logged.classes == ObjectClass.VEHICLE
        poses, velocities = logged.poses.copy(), logged.velocities.copy()
        present = logged.present & ~vehicle
        present[0] = agent_paths.current
        poses[1:, agent_paths.parked], velocities[1:, agent_paths.parked] = (
            poses[0, agent_paths.parked],
            velocities[0, agent_paths.parked],
        )
        self._rest = replace(logged, poses=poses, velocities=velocities, present=present)
        self._rows, self._parked, self._sizes = agent_paths.rows, agent_paths.parked, agent_paths.sizes
        self._parked_boxes = logged.boxes[0][agent_paths.parked] if logged.ids else np.zeros((0, 6))
        self._followers = IdmAgents(agent_paths, len(poses), None, AGENT_RADIUS, np.inf)

    def until(self, step: int, states: Float[np.ndarray, "t 11"]) -> Traffic:
        """Simulate up to `step`, see `ReactiveAgents.until`."""
        driven, moving, here = self._followers.until(step, _shifted_ego(states), states)
        poses, velocities, present = self._rest.poses.copy(), self._rest.velocities.copy(), self._rest.present.copy()
        poses[1:, self._rows], velocities[1:, self._rows] = driven[1:], moving[1:]
        present[1:, self._rows] = here[1:]
        present[1:, self._parked] = unobstructed(self._parked_boxes, driven, self._sizes, here)[1:]
        return replace(self._rest, poses=poses, velocities=velocities, present=present)


def _shifted_ego(states: Float[np.ndarray, "t 11"]) -> Float[np.ndarray, "t 6"]:
    """Return the ego's boxes, centred on its rear axle."""
    halves = np.broadcast_to([HALF_LENGTH, HALF_WIDTH], (len(states), 2))
    return np.column_stack([states[:, :2], np.cos(states[:, 2]), np.sin(states[:, 2]), halves])
