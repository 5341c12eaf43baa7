"""Lane-following reactive traffic: NAVSIM's reactive agents without their defects; scores differ from NAVSIM's.

Vehicles on a lane follow the lanes that they drive through in the log, and beyond it lanes chosen at random by seed and
track (see `lane_paths`), by the intelligent driver model (Treiber et al., 2000) at their lateral offset. They stop for
red lights and stay behind all leaders: the ego, each other, and agents that replay the log (pedestrians, bicycles,
parked vehicles, and vehicles that appear later). Vehicles at rest wait as long as in the log; vehicles at the end of
their path, where the map or the log ends, stop there.
"""

from dataclasses import replace

import numpy as np
from jaxtyping import Float

from swerve.eval.context.scene_context import Context
from swerve.eval.scoring.score_kernels import ego_boxes
from swerve.eval.scoring.thresholds import LANE_LOOKAHEAD
from swerve.eval.traffic.idm_agents import IdmAgents
from swerve.eval.traffic.traffic import Traffic


def lane_agents(context: Context, states: Float[np.ndarray, "t 11"]) -> Traffic:
    """Simulate the traffic around given ego states; tracks are those of the context, in their order."""
    return LaneAgents(context).until(len(states) - 1, states)


class LaneAgents:
    """Lane-following agents, simulated step by step; see `ReactiveAgents`."""

    def __init__(self, context: Context) -> None:
        agent_paths, logged = context.lane_following_paths, context.traffic
        rest = np.setdiff1d(np.arange(len(logged.ids)), agent_paths.rows)
        obstacles = logged.boxes[:, rest], logged.velocities[:, rest], logged.present[:, rest]
        self._rows, self._logged = agent_paths.rows, logged
        self._followers = IdmAgents(agent_paths, len(logged.poses), obstacles, np.inf, LANE_LOOKAHEAD, stop_at_end=True)

    def until(self, step: int, states: Float[np.ndarray, "t 11"]) -> Traffic:
        """Simulate up to `step`, see `ReactiveAgents.until`."""
        logged, rows = self._logged, self._rows
        driven, moving, here = self._followers.until(step, ego_boxes(states[None])[0], states)
        poses, velocities, present = logged.poses.copy(), logged.velocities.copy(), logged.present.copy()
        poses[1:, rows], velocities[1:, rows], present[:, rows] = driven[1:], moving[1:], here
        return replace(logged, poses=poses, velocities=velocities, present=present)
