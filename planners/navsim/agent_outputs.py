"""Trajectories of NAVSIM agents: many inputs as one batch where the agent allows it, and conversion to Swerve's."""

import math
from collections.abc import Sequence
from importlib import import_module
from typing import Any

import numpy as np

from swerve.planners.navsim.agent_types import Agent, AgentInput, AgentTrajectory
from swerve.planners.navsim.navsim_modules import AGENT, DATACLASSES
from swerve.scenes import SwerveError
from swerve.scenes.planning import Trajectory

# NAVSIM scores 4 s; the last pose of a shorter trajectory holds until then.
_HORIZON = 4.0


def compute_trajectories(agent: Agent, inputs: Sequence[AgentInput]) -> list[AgentTrajectory]:
    """Return the agent's NAVSIM trajectory of each input.

    An agent that leaves `compute_trajectory` as it is gets all inputs as one batch, others one by one. To be called
    within `navsim_modules`.

    Raises:
        SwerveError: the agent's predictions do not have the shape (b, n, 3); with one input they would.
    """
    inherited = import_module(AGENT).AbstractAgent.compute_trajectory
    if len(inputs) > 1 and type(agent).compute_trajectory is inherited:
        return _compute_batch(agent, inputs)
    return [agent.compute_trajectory(one) for one in inputs]


def _compute_batch(agent: Agent, inputs: Sequence[AgentInput]) -> list[AgentTrajectory]:
    """Return the trajectories of inputs whose features are stacked, as `compute_trajectory` does with one."""
    import torch

    agent.eval()
    features: list[dict[str, Any]] = []
    for one in inputs:
        own: dict[str, Any] = {}
        for builder in agent.get_feature_builders():
            own.update(builder.compute_features(one))
        features.append(own)
    with torch.no_grad():
        predictions = agent.forward({name: torch.stack([own[name] for own in features]) for name in features[0]})
    poses = predictions["trajectory"].numpy()
    if poses.ndim != 3 or len(poses) != len(inputs):
        raise SwerveError(f"the agent predicts poses of shape {poses.shape} for a batch of {len(inputs)}")
    made = import_module(DATACLASSES).Trajectory
    return [made(own, agent._trajectory_sampling) for own in poses]


def swerve_trajectory(trajectory: AgentTrajectory) -> Trajectory:
    """Convert a NAVSIM trajectory of any sampling; one that ends before 4 s stays at its last pose, as NAVSIM scores.

    Raises:
        SwerveError: a pose is not finite.
    """
    interval = float(trajectory.trajectory_sampling.interval_length)
    poses = np.asarray(trajectory.poses, dtype=np.float64)
    missing = math.ceil(_HORIZON / interval - 1e-6) - len(poses)
    if missing > 0:
        poses = np.concatenate([poses, np.repeat(poses[-1:], missing, axis=0)])
    return Trajectory(poses, interval)
