"""Any planner, driven worse: slower or faster, beside its path, late, and with a trembling hand.

A disturbed plan has forty poses, 0.1 s apart, interpolated linearly between the planner's, as the scorer does it. What
moves the car sideways, or along its path, grows with the distance driven, so that a car that stands keeps standing.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy.interpolate import CubicSpline

from swerve.eval.scoring.thresholds import STEP, STEPS
from swerve.planners.baselines.parameter_checks import check_numbers
from swerve.scenes import keyed_generator
from swerve.scenes.planning import Observation, Planner, Trajectory
from swerve.scenes.polyline import arc_lengths

# A shift is built up over this distance (m), or over half of the way if that is longer; noise, over this one.
_SHIFT_RAMP, _NOISE_RAMP = 10.0, 5.0
_KNOTS = 5


@dataclass(frozen=True)
class Disturbed:
    """A planner whose plans are changed: first their speed, then their place, then their time, then noise is added.

    Attributes:
        planner: any.
        pace: factor of the distance driven by each moment, on the same path; beyond its end straight on.
        shift: metres to the left of the path, built up smoothly.
        delay: seconds for which the car goes straight on at its speed before it begins to follow the plan; asked anew
            sooner than that, it never does.
        noise_across: standard deviation of a smooth sideways error at 1, 2, 3, 4 s, metres.
        noise_along: the same of an error along the path; it never makes the car drive backwards.
        noise_seed: the error depends on this, the scene's token and the moment alone.
    """

    planner: Planner
    pace: float = 1.0
    shift: float = 0.0
    delay: float = 0.0
    noise_across: float = 0.0
    noise_along: float = 0.0
    noise_seed: int = 0

    def __post_init__(self) -> None:
        check_numbers(self, not_negative=("pace", "delay", "noise_across", "noise_along"))

    @property
    def cameras(self) -> Any:  # noqa: ANN401
        """The planner's."""
        return getattr(self.planner, "cameras", None)

    @property
    def privileged(self) -> bool:
        """The planner's."""
        return bool(getattr(self.planner, "privileged", False))

    def plan(self, observation: Observation) -> Trajectory:
        """The planner's plan, disturbed."""
        poses = with_origin(self.planner.plan(observation))
        if self.pace != 1.0:
            poses = at_distances(poses, self.pace * arc_lengths(poses))
        if self.shift:
            driven = arc_lengths(poses)
            poses = beside(poses, self.shift * smoothstep(driven / max(_SHIFT_RAMP, driven[-1] / 2)))
        if self.delay:
            poses = delayed(poses, math.hypot(*observation.history.velocity[-1]), self.delay)
        if self.noise_across or self.noise_along:
            across, along = smooth_noise(self.noise_seed, observation.token, observation.time_us)
            driven = arc_lengths(poses)
            moving = smoothstep(driven / _NOISE_RAMP)
            poses = at_distances(poses, pushed(driven, self.noise_along * along * moving))
            poses = beside(poses, self.noise_across * across * moving)
        return Trajectory(poses[1:], STEP)


def with_origin(trajectory: Trajectory) -> Float[np.ndarray, "41 3"]:
    """Poses at 0, 0.1, ..., 4 s; headings unwrapped."""
    poses = np.concatenate([np.zeros((1, 3)), trajectory.poses])
    poses[:, 2] = np.unwrap(poses[:, 2])
    known = np.arange(len(poses)) * trajectory.interval
    times = np.arange(STEPS) * STEP
    return np.stack([np.interp(times, known, column) for column in poses.T], axis=1)


def at_distances(poses: Float[np.ndarray, "t 3"], distances: Float[np.ndarray, "q"]) -> Float[np.ndarray, "q 3"]:
    """Poses after so many metres along the path, straight on beyond its end."""
    lengths = arc_lengths(poses)
    moved = np.concatenate([[True], np.diff(lengths) > 0])
    out = np.stack([np.interp(distances, lengths[moved], column[moved]) for column in poses.T], axis=1)
    rest = np.maximum(distances - lengths[-1], 0.0)
    out[:, 0] += rest * np.cos(out[:, 2])
    out[:, 1] += rest * np.sin(out[:, 2])
    return out


def beside(poses: Float[np.ndarray, "t 3"], offsets: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t 3"]:
    """Poses moved to their left, and turned by the angle at which the offset grows along the path."""
    driven = arc_lengths(poses)
    steps = np.diff(driven)
    slopes = np.divide(np.diff(offsets), steps, out=np.zeros(len(steps)), where=steps > 1e-6)
    out = poses.copy()
    out[:, 0] -= offsets * np.sin(poses[:, 2])
    out[:, 1] += offsets * np.cos(poses[:, 2])
    out[1:, 2] += np.arctan(slopes)
    return out


def delayed(poses: Float[np.ndarray, "t 3"], speed: float, delay: float) -> Float[np.ndarray, "t 3"]:
    """Straight on at `speed` for `delay` seconds; from there the same way, later."""
    times = np.arange(len(poses)) * STEP
    out = np.stack([np.interp(times - delay, times, column) for column in poses.T], axis=1)
    out[:, 0] += speed * np.minimum(times, delay)
    return out


def smoothstep(share: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t"]:
    """From 0 at 0 to 1 at 1 and beyond, flat at both ends."""
    share = np.clip(share, 0.0, 1.0)
    return share**2 * (3.0 - 2.0 * share)


def pushed(distances: Float[np.ndarray, "t"], errors: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t"]:
    """Distances with errors, held where they would shrink."""
    return np.maximum.accumulate(np.maximum(distances + errors, 0.0))


def smooth_noise(seed: int, token: str, time_us: int) -> tuple[Float[np.ndarray, "41"], Float[np.ndarray, "41"]]:
    """Two curves over 4 s that leave zero flat and have independent normal values at 1, 2, 3, 4 s."""
    knots = np.zeros((_KNOTS, 2))
    knots[1:] = keyed_generator(seed, token, time_us, "planner noise").normal(size=(_KNOTS - 1, 2))
    seconds = np.arange(STEPS) * STEP
    curves = CubicSpline(np.arange(_KNOTS), knots, bc_type=("clamped", "natural"))(seconds)
    return curves[:, 0], curves[:, 1]
