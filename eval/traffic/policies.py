"""Traffic policies: motion of the other agents while a trajectory is scored."""

import numpy as np
from jaxtyping import Float

from swerve.eval.context.scene_context import Context
from swerve.eval.scoring.thresholds import STEP
from swerve.eval.traffic.idm_agents import ReactiveAgents
from swerve.eval.traffic.lane_following_agents import LaneAgents, lane_agents
from swerve.eval.traffic.navsim_agents import NavsimAgents, navsim_agents
from swerve.eval.traffic.policy import Policy
from swerve.eval.traffic.traffic_world import Traffic, World, constant_velocity, without_contacts

# Policies without reaction to the ego.
UNMOVED = ("log-replay", "constant-velocity")
Worlds = tuple[World, ...]


def others_for(policy: Policy, context: Context) -> ReactiveAgents:
    """Create the agents of one rollout, in which the ego's motion becomes known step by step.

    Args:
        policy: see `worlds_for`.
        context: the scene; its steps are the rollout's.
    """
    if policy == "navsim-reactive":
        return NavsimAgents(context)
    if policy == "lane-following":
        return LaneAgents(context)
    return _Unmoved(_unmoved(policy, context))


def worlds_for(policy: Policy, context: Context, states: Float[np.ndarray, "n t 11"]) -> Worlds:
    """Return the agents' traffic, shared by all simulated trajectories, or one for each if the agents react.

    Args:
        policy: "log-replay" (tracks that touch the ego initially are removed), "constant-velocity" (of vehicles;
            NAVSIM's for debugging), "navsim-reactive", or "lane-following" (not NAVSIM's, see lane_following_agents).
        context: the scene.
        states: simulated trajectories.
    """
    if policy == "navsim-reactive":
        return tuple(World.of(navsim_agents(context, state), context.lights) for state in states)
    if policy == "lane-following":
        return tuple(World.of(lane_agents(context, state), context.lights) for state in states)
    return (unmoved_world(policy, context),)


def unmoved_world(policy: Policy, context: Context) -> World:
    """Return the agents under a policy of `UNMOVED`."""
    return World.of(_unmoved(policy, context), context.lights)


def _unmoved(policy: Policy, context: Context) -> Traffic:
    if policy == "log-replay":
        return without_contacts(context.traffic, context.ego_box)
    return constant_velocity(context.traffic, STEP)


class _Unmoved:
    """Agents that do not react to the ego."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic

    def until(self, step: int, states: Float[np.ndarray, "t 11"]) -> Traffic:
        """Return the traffic, see `ReactiveAgents.until`."""
        return self._traffic
