"""IDM agents on fixed paths, simulated step by step as the ego's motion becomes known.

An agent's motion at a step depends on the ego up to the previous step, so a rollout in parts equals the rollout in one
call.
"""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float

from swerve.eval.traffic.agent_paths import AgentPaths
from swerve.eval.traffic.idm_agent_kernels import begin, drive
from swerve.eval.traffic.path_buffer_kernels import bends_of
from swerve.eval.traffic.traffic import Traffic

Obstacles = tuple[Float[np.ndarray, "t o 6"], Float[np.ndarray, "t o 2"], Bool[np.ndarray, "t o"]]


@runtime_checkable
class ReactiveAgents(Protocol):
    """The other agents during one rollout."""

    def until(self, step: int, states: Float[np.ndarray, "t 11"]) -> Traffic:
        """Simulate up to `step`; return the traffic at all steps, of which those up to `step` are final.

        Args:
            step: at least that of earlier calls.
            states: the ego's motion, see simulate.State; rows before `step` are used, and must not change.
        """


class IdmAgents:
    """Vehicles that follow lanes by the intelligent driver model.

    Args:
        agent_paths: paths and initial states.
        steps: of the whole rollout.
        obstacles: boxes, velocities and presence of other leaders; None if there are none.
        radius: agents farther than this from the ego are removed permanently, metres.
        lookahead: look-ahead distance along an agent's path, metres.
        stop_at_end: whether an agent stops at the end of its path, or stays there with its reported speed unchanged.
    """

    def __init__(
        self,
        agent_paths: AgentPaths,
        steps: int,
        obstacles: Obstacles | None,
        radius: float,
        lookahead: float,
        stop_at_end: bool = False,
    ) -> None:
        nothing = np.zeros((steps, 0, 6)), np.zeros((steps, 0, 2)), np.zeros((steps, 0), bool)
        self._agent_paths, self._obstacles, self._radius, self._lookahead = (
            agent_paths,
            obstacles or nothing,
            radius,
            lookahead,
        )
        self._stop_at_end = stop_at_end
        self._paths = agent_paths.points, agent_paths.lengths, agent_paths.starts
        self._bends = bends_of(self._paths, agent_paths.boxes)
        self._motion, self._carried = begin(self._paths, agent_paths.state, agent_paths.boxes, steps)
        self._done = 1

    def until(
        self, step: int, boxes: Float[np.ndarray, "t 6"], states: Float[np.ndarray, "t 11"]
    ) -> tuple[Float[np.ndarray, "t k 3"], Float[np.ndarray, "t k 2"], Bool[np.ndarray, "t k"]]:
        """Simulate up to `step`; return poses, velocities and presence at all steps; later ones are undefined.

        Args:
            step: at least that of earlier calls.
            boxes: of the ego as the agents see it; rows before `step` are used.
            states: the ego's motion; likewise.
        """
        egos = boxes, np.hypot(states[:, 3], states[:, 4]), states[:, 2].copy()
        agent_paths, (poses, speeds, present) = self._agent_paths, self._motion
        scene = (
            self._paths,
            self._bends,
            agent_paths.sizes,
            agent_paths.targets,
            egos,
            agent_paths.gates,
            self._obstacles,
        )
        drive(
            self._motion, self._carried, *scene, self._radius, self._lookahead, self._stop_at_end, self._done, step + 1
        )
        self._done = max(self._done, step + 1)
        directions = np.stack([np.cos(poses[..., 2]), np.sin(poses[..., 2])], axis=-1)
        return poses, speeds[..., None] * directions, present
