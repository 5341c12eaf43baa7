"""Calls of planners: exceptions and invalid outputs become recorded failures."""

import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np

from swerve.scenes.errors import SwerveError
from swerve.scenes.planning import FARTHEST_POSE, Observation, Planner, Trajectory
from swerve.scenes.printable import printable_lines


@dataclass(frozen=True)
class PlannerOutput:
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


class OutputPlanner(ABC):
    """A planner that calls another one elsewhere, and returns its outputs as `call_planner` does."""

    @abstractmethod
    def plan_outputs(self, observations: Sequence[Observation]) -> list[PlannerOutput]:
        """Return the output for each observation."""


def call_planner(planner: Planner, observations: Sequence[Observation]) -> list[PlannerOutput]:
    """Call a planner on observations, as a batch if it has `plan_batch`.

    If a batch fails, its observations are planned one by one, so that only the scenes that break the planner fail.
    Cameras and privileged inputs are copied for every call, so that a planner that modifies them affects no other.
    """
    if isinstance(planner, OutputPlanner):
        return planner.plan_outputs(observations)
    if isinstance(planner, _BatchPlanner):
        return _call_batch(planner, observations)
    return [_call_single(planner, observation) for observation in observations]


def call_observed(planner: Planner, observed: Sequence[Observation | PlannerOutput]) -> list[PlannerOutput]:
    """Call a planner on the scenes that have an observation; return the others, failures, as they are."""
    outputs = list[PlannerOutput]()
    if observations := [one for one in observed if isinstance(one, Observation)]:
        outputs = call_planner(planner, observations)
    rest = iter(outputs)
    return [one if isinstance(one, PlannerOutput) else next(rest) for one in observed]


def _call_single(planner: Planner, observation: Observation) -> PlannerOutput:
    own = _copied(observation)
    start = time.perf_counter()
    try:
        returned = planner.plan(own)
    except (Exception, SystemExit) as error:  # Planners may raise anything; KeyboardInterrupt propagates.
        return PlannerOutput(None, format_error(error), time.perf_counter() - start)
    return _checked(returned, time.perf_counter() - start)


def _call_batch(planner: _BatchPlanner, observations: Sequence[Observation]) -> list[PlannerOutput]:
    own = [_copied(observation) for observation in observations]
    start = time.perf_counter()
    try:
        returned = list(planner.plan_batch(own))
        if len(returned) != len(observations):
            raise ValueError(f"plan_batch returned {len(returned)} trajectories for {len(observations)} observations")
    except (Exception, SystemExit) as error:  # As above.
        if len(observations) == 1:
            return [PlannerOutput(None, format_error(error), time.perf_counter() - start)]
        return [output for observation in observations for output in _call_batch(planner, [observation])]
    seconds = (time.perf_counter() - start) / max(len(returned), 1)
    return [_checked(one, seconds) for one in returned]


def _copied(observation: Observation) -> Observation:
    """Copy the mutable arrays of an observation that are shared with others."""
    cameras, privileged = deepcopy((observation.cameras, observation.privileged))
    return replace(observation, cameras=cameras, privileged=privileged)


def format_error(error: BaseException) -> str:
    """Format the traceback of an error without the frame that caught it."""
    inside = error.__traceback__.tb_next if error.__traceback__ else None
    text = "".join(traceback.format_exception(type(error), error, inside)).strip()
    return printable_lines(text.replace(f"{SwerveError.__module__}.", ""))


def _checked(returned: object, seconds: float) -> PlannerOutput:
    """Validate a planner's return value."""
    if not isinstance(returned, Trajectory):
        problem = f"the planner returned {type(returned).__name__} instead of swerve.Trajectory(poses, interval)"
        return PlannerOutput(None, problem, seconds)
    try:
        poses = np.array(returned.poses, dtype=float)
        if poses.ndim != 2 or poses.shape[1] != 3:
            return PlannerOutput(None, f"poses have shape {poses.shape} instead of (k, 3)", seconds)
        plan = Trajectory(poses, float(returned.interval))
    except Exception as error:  # Poses that are not numeric, or that were changed after construction.
        return PlannerOutput(None, printable_lines(f"{type(error).__name__}: {error}"), seconds)
    if np.abs(poses).max() > FARTHEST_POSE:
        return PlannerOutput(
            None, f"a pose is {np.abs(poses).max():.3g} m or rad away: farther than any vehicle can drive", seconds
        )
    return PlannerOutput(plan, "", seconds)
