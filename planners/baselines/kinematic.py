"""Planners that only carry on what the car does now."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from swerve.eval.scoring.thresholds import FRAMES, MAX_STEERING, POSE_INTERVAL, STEP, STEPS
from swerve.planners.baselines.parameter_checks import check_numbers
from swerve.scenes.planning import Observation, Trajectory

# NAVSIM's poses, and closer ones where speed changes, so that the tracker sees the change.
_COARSE = np.arange(1, FRAMES) * POSE_INTERVAL
_FINE = np.arange(1, STEPS) * STEP


@dataclass(frozen=True)
class Stationary:
    """Stands where it is, from now on."""

    cameras: ClassVar[tuple[str, ...]] = ()

    def plan(self, observation: Observation) -> Trajectory:
        """Eight times here."""
        return Trajectory(np.zeros((len(_COARSE), 3)), POSE_INTERVAL)


@dataclass(frozen=True)
class ConstantVelocity:
    """Keeps the speed: straight on, as NAVSIM's planner of this name, or in the curve that the car is in.

    Attributes:
        factor: of the speed.
        turn: whether the curvature is kept, too.
    """

    cameras: ClassVar[tuple[str, ...]] = ()
    factor: float = 1.0
    turn: bool = False

    def __post_init__(self) -> None:
        check_numbers(self, positive=("factor",))

    def plan(self, observation: Observation) -> Trajectory:
        """Eight poses at equal distances."""
        distances = _COARSE * speed_now(observation) * self.factor
        return Trajectory(arc(distances, _curvature(observation) if self.turn else 0.0), POSE_INTERVAL)


@dataclass(frozen=True)
class ConstantAcceleration:
    """Keeps the acceleration until the car stands; it never drives backwards.

    Attributes:
        acceleration: m/s2 forward; None for the car's own.
        turn: whether the curvature is kept, too.
    """

    cameras: ClassVar[tuple[str, ...]] = ()
    acceleration: float | None = None
    turn: bool = False

    def __post_init__(self) -> None:
        check_numbers(self)

    def plan(self, observation: Observation) -> Trajectory:
        """Forty poses."""
        own = float(observation.history.acceleration[-1, 0])
        acceleration = own if self.acceleration is None else self.acceleration
        distances = distances_driven(speed_now(observation), acceleration, _FINE)
        return Trajectory(arc(distances, _curvature(observation) if self.turn else 0.0), STEP)


def speed_now(observation: Observation) -> float:
    """m/s, whichever way the car slides."""
    return math.hypot(*observation.history.velocity[-1])


def distances_driven(speed: float, acceleration: float, times: Float[np.ndarray, "k"]) -> Float[np.ndarray, "k"]:
    """Metres driven at constant acceleration until the car stands."""
    if acceleration < 0:
        times = np.minimum(times, speed / -acceleration)
    return speed * times + 0.5 * acceleration * times**2


def arc(distances: Float[np.ndarray, "k"], curvature: float) -> Float[np.ndarray, "k 3"]:
    """Poses on the circle that leaves the origin along x."""
    turns = curvature * distances
    half = turns / 2
    chords = distances * np.sinc(half / np.pi)
    return np.stack([chords * np.cos(half), chords * np.sin(half), turns], axis=1)


def _curvature(observation: Observation) -> float:
    """Yaw rate over speed, as far as the steering goes: a slow car's yaw rate is mostly noise."""
    most = math.tan(MAX_STEERING) / observation.vehicle.wheelbase
    rate, speed = float(observation.history.yaw_rate[-1]), speed_now(observation)
    return float(np.clip(rate / max(speed, 1e-3), -most, most))
