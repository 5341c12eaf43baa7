"""The edge where a stranger's planner is called: whatever it does, an answer comes back."""

import time
import traceback
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np

from swerve.scenes.planning import Observation, Planner, Trajectory

# No car gets farther in the time of a plan; numbers beyond it are a planner's fault and not a way to go.
_FARTHEST = 10_000.0


@dataclass(frozen=True)
class PlannerAnswer:
    """What a planner said to one observation.

    Attributes:
        plan: where to go; None if it failed.
        error: why it failed, with the traceback where it raised; empty if it did not.
        seconds: how long it took; in a batch, the mean.
    """

    plan: Trajectory | None
    error: str
    seconds: float


@runtime_checkable
class _BatchPlanner(Protocol):
    """A planner that declares `plan_batch`."""

    def plan_batch(self, observations: Sequence[Observation]) -> Sequence[Trajectory]:
        """A trajectory for each observation."""


def call_planner(planner: Planner, observations: Sequence[Observation]) -> list[PlannerAnswer]:
    """What a planner says to some observations, as a batch if it has `plan_batch`.

    A batch that fails is asked for again one by one, so that only the scenes that break the planner fail. Cameras and
    what only the simulator knows are copied for every call: a planner that writes to them spoils nobody's scores.
    """
    if isinstance(planner, _BatchPlanner):
        return _ask_batch(planner, observations)
    return [_ask_single(planner, observation) for observation in observations]


def _ask_single(planner: Planner, observation: Observation) -> PlannerAnswer:
    own = _own(observation)
    start = time.perf_counter()
    try:
        said = planner.plan(own)
    except (Exception, SystemExit) as error:  # Anything may come from a stranger's code; Ctrl-C goes through.
        return PlannerAnswer(None, _told(error), time.perf_counter() - start)
    return _checked(said, time.perf_counter() - start)


def _ask_batch(planner: _BatchPlanner, observations: Sequence[Observation]) -> list[PlannerAnswer]:
    own = [_own(observation) for observation in observations]
    start = time.perf_counter()
    try:
        said = list(planner.plan_batch(own))
        if len(said) != len(observations):
            raise ValueError(f"plan_batch gave {len(said)} answers to {len(observations)} observations")
    except (Exception, SystemExit) as error:  # As above.
        if len(observations) == 1:
            return [PlannerAnswer(None, _told(error), time.perf_counter() - start)]
        return [answer for observation in observations for answer in _ask_batch(planner, [observation])]
    seconds = (time.perf_counter() - start) / max(len(said), 1)
    return [_checked(one, seconds) for one in said]


def _own(observation: Observation) -> Observation:
    """The observation without an array that can be written to and is somebody else's, too."""
    cameras, privileged = deepcopy((observation.cameras, observation.privileged))
    return replace(observation, cameras=cameras, privileged=privileged)


def _told(error: BaseException) -> str:
    """The traceback, without the frame of this module."""
    inside = error.__traceback__.tb_next if error.__traceback__ else None
    return "".join(traceback.format_exception(type(error), error, inside)).strip()


def _checked(said: object, seconds: float) -> PlannerAnswer:
    """The answer, if it is a trajectory that can be driven."""
    if not isinstance(said, Trajectory):
        return PlannerAnswer(None, f"the planner gave {type(said).__name__} instead of Trajectory", seconds)
    try:
        poses = np.array(said.poses, dtype=float)
        if poses.ndim != 2 or poses.shape[1] != 3:
            return PlannerAnswer(None, f"poses have shape {poses.shape} instead of (k, 3)", seconds)
        plan = Trajectory(poses, float(said.interval))
    except Exception as error:  # Poses that are no numbers, or were changed after the trajectory was made.
        return PlannerAnswer(None, f"{type(error).__name__}: {error}", seconds)
    if np.abs(poses).max() > _FARTHEST:
        return PlannerAnswer(
            None, f"a pose is {np.abs(poses).max():.3g} m or rad away: farther than any car gets", seconds
        )
    return PlannerAnswer(plan, "", seconds)
