"""Kinematic planners, which extrapolate the current motion."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from swerve.eval.scoring.thresholds import FRAMES, MAX_STEERING, POSE_INTERVAL, STEP, STEPS
from swerve.planners.baselines.parameter_checks import check_numbers
from swerve.scenes.planning import Observation, Trajectory

# NAVSIM's poses, and denser ones where speed changes, so that the tracker follows the change.
_COARSE = np.arange(1, FRAMES) * POSE_INTERVAL
_FINE = np.arange(1, STEPS) * STEP


@dataclass(frozen=True)
class Stationary:
    """Planner that stays at the current position."""

    cameras: ClassVar[tuple[str, ...]] = ()

    def plan(self, observation: Observation) -> Trajectory:
        """Return eight identical poses."""
        return Trajectory(np.zeros((len(_COARSE), 3)), POSE_INTERVAL)


@dataclass(frozen=True)
class ConstantVelocity:
    """Constant speed: straight, as NAVSIM's planner of this name, or with the current curvature.

    Attributes:
        factor: factor of the speed.
        turn: whether the curvature is kept as well.
    """

    cameras: ClassVar[tuple[str, ...]] = ()
    factor: float = 1.0
    turn: bool = False

    def __post_init__(self) -> None:
        check_numbers(self, positive=("factor",))

    def plan(self, observation: Observation) -> Trajectory:
        """Return eight poses at equal distances."""
        distances = _COARSE * speed_now(observation) * self.factor
        return Trajectory(arc(distances, _curvature(observation) if self.turn else 0.0), POSE_INTERVAL)


@dataclass(frozen=True)
class ConstantAcceleration:
    """Constant acceleration until standstill; it never reverses.

    Attributes:
        acceleration: m/s2 forward; None for the current one.
        turn: whether the curvature is kept as well.
    """

    cameras: ClassVar[tuple[str, ...]] = ()
    acceleration: float | None = None
    turn: bool = False

    def __post_init__(self) -> None:
        check_numbers(self)

    def plan(self, observation: Observation) -> Trajectory:
        """Return forty poses."""
        own = float(observation.history.acceleration[-1, 0])
        acceleration = own if self.acceleration is None else self.acceleration
        distances = distances_driven(speed_now(observation), acceleration, _FINE)
        return Trajectory(arc(distances, _curvature(observation) if self.turn else 0.0), STEP)


def speed_now(observation: Observation) -> float:
    """Return the current speed in m/s, including lateral velocity."""
    return math.hypot(*observation.history.velocity[-1])


def distances_driven(speed: float, acceleration: float, times: Float[np.ndarray, "k"]) -> Float[np.ndarray, "k"]:
    """Compute the distances in metres driven at constant acceleration until standstill."""
    if acceleration < 0:
        times = np.minimum(times, speed / -acceleration)
    return speed * times + 0.5 * acceleration * times**2


def arc(distances: Float[np.ndarray, "k"], curvature: float) -> Float[np.ndarray, "k 3"]:
    """Compute poses on the circle that leaves the origin along x."""
    turns = curvature * distances
    half = turns / 2
    chords = distances * np.sinc(half / np.pi)
    return np.stack([chords * np.cos(half), chords * np.sin(half), turns], axis=1)


def _curvature(observation: Observation) -> float:
    """Compute yaw rate over speed, clipped to the steering limit: at low speed the yaw rate is mostly noise."""
    most = math.tan(MAX_STEERING) / observation.vehicle.wheelbase
    rate, speed = float(observation.history.yaw_rate[-1]), speed_now(observation)
    return float(np.clip(rate / max(speed, 1e-3), -most, most))
