"""Traffic policies: motion of the other agents while a trajectory is scored."""

import numpy as np
from jaxtyping import Float

from swerve.eval.context.scene_context import Context
from swerve.eval.scoring.thresholds import STEP
from swerve.eval.traffic.idm_agents import ReactiveAgents
from swerve.eval.traffic.lane_following_agents import LaneAgents, lane_agents
from swerve.eval.traffic.navsim_idm_agents import NavsimAgents, simulate_navsim_idm
from swerve.eval.traffic.policy import Policy
from swerve.eval.traffic.traffic import ScoringTraffic, Traffic, constant_velocity, without_contacts

# Policies without reaction to the ego.
NON_REACTIVE = ("log-replay", "constant-velocity")
ScoringTraffics = tuple[ScoringTraffic, ...]


def rollout_agents(policy: Policy, context: Context) -> ReactiveAgents:
    """Create the agents of one rollout, in which the ego's motion becomes known step by step.

    Args:
        policy: see `scoring_traffic_for`.
        context: the scene; its steps are the rollout's.
    """
    if policy == "navsim-reactive":
        return NavsimAgents(context)
    if policy == "lane-following":
        return LaneAgents(context)
    return _NonReactiveAgents(_non_reactive(policy, context))


def scoring_traffic_for(policy: Policy, context: Context, states: Float[np.ndarray, "n t 11"]) -> ScoringTraffics:
    """Return the agents' traffic, shared by all simulated trajectories, or one for each if the agents react.

    Args:
        policy: "log-replay" (tracks that touch the ego initially are removed), "constant-velocity" (of vehicles;
            NAVSIM's for debugging), "navsim-reactive", or "lane-following" (not NAVSIM's, see lane_following_agents).
        context: the scene.
        states: simulated trajectories.
    """
    if policy == "navsim-reactive":
        return tuple(ScoringTraffic.of(simulate_navsim_idm(context, state), context.lights) for state in states)
    if policy == "lane-following":
        return tuple(ScoringTraffic.of(lane_agents(context, state), context.lights) for state in states)
    return (non_reactive_traffic(policy, context),)


def non_reactive_traffic(policy: Policy, context: Context) -> ScoringTraffic:
    """Return the agents under a policy of `NON_REACTIVE`."""
    return ScoringTraffic.of(_non_reactive(policy, context), context.lights)


def _non_reactive(policy: Policy, context: Context) -> Traffic:
    if policy == "log-replay":
        return without_contacts(context.traffic, context.ego_box)
    return constant_velocity(context.traffic, STEP)


class _NonReactiveAgents:
    """Agents that do not react to the ego."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic

    def until(self, step: int, states: Float[np.ndarray, "t 11"]) -> Traffic:
        """Return the traffic, see `ReactiveAgents.until`."""
        return self._traffic
