"""Headings and 10 Hz history of the ego from WOD-E2E's positions and velocities at 4 Hz."""

from typing import Final

import numpy as np
import scipy
from jaxtyping import Float

# Below this speed, m/s, the direction of a velocity is noise.
_MOVING: Final = 0.5


def headings(velocity: Float[np.ndarray, "t 2"], now: int) -> Float[np.ndarray, "t"]:
    """Return headings: the direction of travel of the rear axle; zero now, where the frame is defined.

    Where the car is slower than 0.5 m/s, the heading is that of the nearest time towards now at which it is faster, so
    that it is zero if the car stands until now.

    Args:
        velocity: x and y in the ego frame of now, m/s.
        now: index of the current time.
    """
    found = np.arctan2(velocity[:, 1], velocity[:, 0])
    moving = np.hypot(velocity[:, 0], velocity[:, 1]) >= _MOVING
    moving[now], found[now] = True, 0.0
    steps = np.arange(len(found))
    before = np.minimum.accumulate(np.where(moving, steps, len(found))[::-1])[::-1]
    after = np.maximum.accumulate(np.where(moving, steps, -1))
    turned = np.unwrap(found[np.where(steps <= now, before, after)])
    anchored: Float[np.ndarray, "t"] = turned - turned[now]  # unwrapping starts at the first step: may be a turn off
    return anchored


def resampled_history(
    seconds: Float[np.ndarray, "h"],
    known: Float[np.ndarray, "t"],
    positions: Float[np.ndarray, "t 2"],
    velocity: Float[np.ndarray, "t 2"],
    acceleration: Float[np.ndarray, "t 2"],
) -> tuple[Float[np.ndarray, "h 3"], Float[np.ndarray, "h 2"], Float[np.ndarray, "h 2"], Float[np.ndarray, "h"]]:
    """Return poses, velocity and acceleration in the ego frame of each time, and yaw rate, at times up to now.

    Positions are cubic between the known ones, with their velocities; the rest is linear.

    Args:
        seconds: times, from the first known one to now.
        known: times of the other arguments; the last is now, zero.
        positions: in the ego frame of now.
        velocity: likewise.
        acceleration: likewise.
    """
    turned = headings(velocity, len(known) - 1)
    yaw = np.interp(seconds, known, turned)
    poses = np.column_stack([scipy.interpolate.CubicHermiteSpline(known, positions, velocity)(seconds), yaw])
    cos, sin = np.cos(yaw), np.sin(yaw)
    own = []
    for vectors in (velocity, acceleration):
        x, y = (np.interp(seconds, known, column) for column in vectors.T)
        own.append(np.stack([cos * x + sin * y, cos * y - sin * x], axis=1))
    # Backward differences: the rate depends on no later time.
    rates = np.diff(turned, prepend=turned[:1]) / (known[1] - known[0])
    rates[0] = rates[1]
    return poses, own[0], own[1], np.interp(seconds, known, rates)
