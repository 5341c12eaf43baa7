"""Calls of planners: exceptions and invalid outputs become recorded failures."""

import time
import traceback
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np

from swerve.scenes.planning import Observation, Planner, Trajectory

# Limit on planned distances, metres: larger numbers count as a planner's failure.
_FARTHEST = 10_000.0


@dataclass(frozen=True)
class PlannerAnswer:
    """Output of a planner for one observation.

    Attributes:
        plan: the trajectory; None if the planner failed.
        error: error message, with the traceback if it raised; empty otherwise.
        seconds: duration of the call; in a batch, the mean.
    """

    plan: Trajectory | None
    error: str
    seconds: float


@runtime_checkable
class _BatchPlanner(Protocol):
    """A planner that declares `plan_batch`."""

    def plan_batch(self, observations: Sequence[Observation]) -> Sequence[Trajectory]:
        """Plan a trajectory for each observation."""


def call_planner(planner: Planner, observations: Sequence[Observation]) -> list[PlannerAnswer]:
    """Call a planner on observations, as a batch if it has `plan_batch`.

    If a batch fails, its observations are planned one by one, so that only the scenes that break the planner fail.
    Cameras and privileged inputs are copied for every call, so that a planner that modifies them affects no other.
    """
    if isinstance(planner, _BatchPlanner):
        return _ask_batch(planner, observations)
    return [_ask_single(planner, observation) for observation in observations]


def _ask_single(planner: Planner, observation: Observation) -> PlannerAnswer:
    own = _own(observation)
    start = time.perf_counter()
    try:
        said = planner.plan(own)
    except (Exception, SystemExit) as error:  # Planners may raise anything; KeyboardInterrupt propagates.
        return PlannerAnswer(None, _told(error), time.perf_counter() - start)
    return _checked(said, time.perf_counter() - start)


def _ask_batch(planner: _BatchPlanner, observations: Sequence[Observation]) -> list[PlannerAnswer]:
    own = [_own(observation) for observation in observations]
    start = time.perf_counter()
    try:
        said = list(planner.plan_batch(own))
        if len(said) != len(observations):
            raise ValueError(f"plan_batch returned {len(said)} trajectories for {len(observations)} observations")
    except (Exception, SystemExit) as error:  # As above.
        if len(observations) == 1:
            return [PlannerAnswer(None, _told(error), time.perf_counter() - start)]
        return [answer for observation in observations for answer in _ask_batch(planner, [observation])]
    seconds = (time.perf_counter() - start) / max(len(said), 1)
    return [_checked(one, seconds) for one in said]


def _own(observation: Observation) -> Observation:
    """Copy the mutable arrays of an observation that are shared with others."""
    cameras, privileged = deepcopy((observation.cameras, observation.privileged))
    return replace(observation, cameras=cameras, privileged=privileged)


def _told(error: BaseException) -> str:
    """Format the traceback without this module's own stack frame."""
    inside = error.__traceback__.tb_next if error.__traceback__ else None
    return "".join(traceback.format_exception(type(error), error, inside)).strip()


def _checked(said: object, seconds: float) -> PlannerAnswer:
    """Validate a planner's return value."""
    if not isinstance(said, Trajectory):
        return PlannerAnswer(None, f"the planner returned {type(said).__name__} instead of Trajectory", seconds)
    try:
        poses = np.array(said.poses, dtype=float)
        if poses.ndim != 2 or poses.shape[1] != 3:
            return PlannerAnswer(None, f"poses have shape {poses.shape} instead of (k, 3)", seconds)
        plan = Trajectory(poses, float(said.interval))
    except Exception as error:  # Poses that are not numeric, or that were changed after construction.
        return PlannerAnswer(None, f"{type(error).__name__}: {error}", seconds)
    if np.abs(poses).max() > _FARTHEST:
        return PlannerAnswer(
            None, f"a pose is {np.abs(poses).max():.3g} m or rad away: farther than any vehicle drives", seconds
        )
    return PlannerAnswer(plan, "", seconds)
