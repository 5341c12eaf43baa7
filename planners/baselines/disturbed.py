"""Wrapper that degrades a planner: pace, lateral offset, delay and noise.

A disturbed trajectory has forty poses, 0.1 s apart, interpolated linearly between the planner's, as the scorer does.
Lateral and longitudinal errors grow with the distance driven, so that a stationary car stays stationary.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy
from jaxtyping import Float

from swerve.eval.scoring.thresholds import STEP, STEPS
from swerve.planners.baselines.parameter_checks import check_numbers
from swerve.scenes import keyed_generator
from swerve.scenes.planning import Observation, Planner, Trajectory
from swerve.scenes.polyline import arc_lengths

# Ramp of the lateral offset: this distance (m), or half of the path if that is longer; ramp of the noise.
_SHIFT_RAMP, _NOISE_RAMP = 10.0, 5.0
_KNOTS = 5


@dataclass(frozen=True)
class DisturbedPlanner:
    """Planner whose trajectories are modified: first pace, then lateral offset, then delay, then noise.

    Attributes:
        planner: wrapped planner.
        distance_factor: factor of the distance driven at each timestamp, on the same path; extended straight beyond its
            end.
        lateral_shift: lateral offset, metres to the left of the path, with a smooth ramp.
        delay: seconds for which the car continues straight at its speed before it follows the trajectory; with shorter
            replanning intervals, it never does.
        noise_across: standard deviation of a smooth lateral error at 1, 2, 3, 4 s, metres.
        noise_along: standard deviation of a smooth longitudinal error, which never causes reversing.
        noise_seed: random seed; the error depends only on it, the scene's token and the timestamp.
    """

    planner: Planner
    distance_factor: float = 1.0
    lateral_shift: float = 0.0
    delay: float = 0.0
    noise_across: float = 0.0
    noise_along: float = 0.0
    noise_seed: int = 0

    def __post_init__(self) -> None:
        check_numbers(self, not_negative=("distance_factor", "delay", "noise_across", "noise_along"))

    @property
    def cameras(self) -> Any:  # noqa: ANN401
        """Cameras of the planner."""
        return getattr(self.planner, "cameras", None)

    @property
    def privileged(self) -> bool:
        """Privileged flag of the planner."""
        return bool(getattr(self.planner, "privileged", False))

    @property
    def future_only(self) -> bool:
        """Future-only flag of the planner."""
        return bool(getattr(self.planner, "future_only", False))

    @property
    def recording(self) -> bool:
        """Recording flag of the planner."""
        return bool(getattr(self.planner, "recording", False))

    @property
    def route(self) -> bool:
        """Route flag of the planner."""
        return bool(getattr(self.planner, "route", False))

    def plan(self, observation: Observation) -> Trajectory:
        """Return the planner's trajectory with the disturbance."""
        poses = with_origin(self.planner.plan(observation))
        if self.distance_factor != 1.0:
            poses = interpolate_at_distances(poses, self.distance_factor * arc_lengths(poses))
        if self.lateral_shift:
            driven = arc_lengths(poses)
            poses = offset_laterally(poses, self.lateral_shift * smoothstep(driven / max(_SHIFT_RAMP, driven[-1] / 2)))
        if self.delay:
            poses = delay(poses, math.hypot(*observation.history.velocity[-1]), self.delay)
        if self.noise_across or self.noise_along:
            across, along = smooth_noise(self.noise_seed, observation.token, observation.time_us)
            driven = arc_lengths(poses)
            moving = smoothstep(driven / _NOISE_RAMP)
            poses = interpolate_at_distances(poses, perturb_distances(driven, self.noise_along * along * moving))
            poses = offset_laterally(poses, self.noise_across * across * moving)
        return Trajectory(poses[1:], STEP)


def with_origin(trajectory: Trajectory) -> Float[np.ndarray, "41 3"]:
    """Return poses at 0, 0.1, ..., 4 s; headings unwrapped."""
    poses = np.concatenate([np.zeros((1, 3)), trajectory.poses])
    poses[:, 2] = np.unwrap(poses[:, 2])
    known = np.arange(len(poses)) * trajectory.interval
    times = np.arange(STEPS) * STEP
    return np.stack([np.interp(times, known, column) for column in poses.T], axis=1)


def interpolate_at_distances(
    poses: Float[np.ndarray, "t 3"], distances: Float[np.ndarray, "q"]
) -> Float[np.ndarray, "q 3"]:
    """Interpolate poses at distances along the path, extended straight beyond its end."""
    lengths = arc_lengths(poses)
    moved = np.concatenate([[True], np.diff(lengths) > 0])
    out = np.stack([np.interp(distances, lengths[moved], column[moved]) for column in poses.T], axis=1)
    rest = np.maximum(distances - lengths[-1], 0.0)
    out[:, 0] += rest * np.cos(out[:, 2])
    out[:, 1] += rest * np.sin(out[:, 2])
    return out


def offset_laterally(poses: Float[np.ndarray, "t 3"], offsets: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t 3"]:
    """Offset poses to their left, and rotate them by the slope of the offset along the path."""
    driven = arc_lengths(poses)
    steps = np.diff(driven)
    slopes = np.divide(np.diff(offsets), steps, out=np.zeros(len(steps)), where=steps > 1e-6)
    out = poses.copy()
    out[:, 0] -= offsets * np.sin(poses[:, 2])
    out[:, 1] += offsets * np.cos(poses[:, 2])
    out[1:, 2] += np.arctan(slopes)
    return out


def delay(poses: Float[np.ndarray, "t 3"], speed: float, delay: float) -> Float[np.ndarray, "t 3"]:
    """Continue straight at `speed` for `delay` seconds, then follow the same path later."""
    times = np.arange(len(poses)) * STEP
    out = np.stack([np.interp(times - delay, times, column) for column in poses.T], axis=1)
    out[:, 0] += speed * np.minimum(times, delay)
    return out


def smoothstep(share: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t"]:
    """Evaluate smoothstep: from 0 at 0 to 1 at 1 and beyond, with zero slope at both ends."""
    share = np.clip(share, 0.0, 1.0)
    return share**2 * (3.0 - 2.0 * share)


def perturb_distances(distances: Float[np.ndarray, "t"], errors: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t"]:
    """Add errors to distances, held constant where they would decrease."""
    return np.maximum.accumulate(np.maximum(distances + errors, 0.0))


def smooth_noise(seed: int, token: str, time_us: int) -> tuple[Float[np.ndarray, "41"], Float[np.ndarray, "41"]]:
    """Sample two smooth curves over 4 s that start at zero with independent normal values at 1, 2, 3, 4 s."""
    knots = np.zeros((_KNOTS, 2))
    knots[1:] = keyed_generator(seed, token, time_us, "planner noise").normal(size=(_KNOTS - 1, 2))
    seconds = np.arange(STEPS) * STEP
    curves = scipy.interpolate.CubicSpline(np.arange(_KNOTS), knots, bc_type=("clamped", "natural"))(seconds)
    return curves[:, 0], curves[:, 1]
