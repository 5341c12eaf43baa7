"""How the others drive while a trajectory is scored."""

from typing import Literal

import numpy as np
from jaxtyping import Float

from swerve.eval.context import Context
from swerve.eval.lane_agents import lane_agents
from swerve.eval.navsim_agents import navsim_agents
from swerve.eval.thresholds import STEP
from swerve.eval.traffic import World, constant_velocity, without_contacts

Policy = Literal["log-replay", "constant-velocity", "navsim-reactive", "lane-following"]
Worlds = tuple[World, ...]


def worlds_for(policy: Policy, context: Context, states: Float[np.ndarray, "n t 11"]) -> Worlds:
    """The others, one world for all simulated trajectories, or one for each where they react to it.

    Args:
        policy: "log-replay" (tracks that touch the ego now are removed), "constant-velocity" (of vehicles; NAVSIM's for
            debugging), "navsim-reactive", or "lane-following" (not NAVSIM's, see lane_agents).
        context: the scene.
        states: simulated trajectories.
    """
    if policy == "log-replay":
        return (World.of(without_contacts(context.traffic, context.ego_box), context.lights),)
    if policy == "navsim-reactive":
        return tuple(World.of(navsim_agents(context, state), context.lights) for state in states)
    if policy == "lane-following":
        return tuple(World.of(lane_agents(context, state), context.lights) for state in states)
    return (World.of(constant_velocity(context.traffic, STEP), context.lights),)
