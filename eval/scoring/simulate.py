"""Batched simulation of the ego: an LQR tracking controller and a kinematic bicycle model.

States have 11 columns, named by `State`: the rear axle's pose, velocity and acceleration in its own frame, steering
and turning. The formulas are those of NAVSIM's `PDMSimulator`; instead of dense pseudo-inverses, the velocity profile
uses one constant matrix and the curvature profile a tridiagonal system (the same least squares, written in the
profile's own values instead of its increments).
"""

from enum import IntEnum
from functools import lru_cache

import numpy as np
from jaxtyping import Float

from swerve.eval.scoring.simulate_kernels import simulate_batch
from swerve.eval.scoring.thresholds import ACCELERATION_PENALTY, STEP, STEPS


class State(IntEnum):
    """Columns of a simulated state."""

    X = 0
    Y = 1
    HEADING = 2
    VELOCITY = 3
    LATERAL_VELOCITY = 4
    ACCELERATION = 5
    LATERAL_ACCELERATION = 6
    STEERING = 7
    STEERING_RATE = 8
    YAW_RATE = 9
    YAW_ACCELERATION = 10


def simulate(initial: Float[np.ndarray, "11"], references: Float[np.ndarray, "n t 3"]) -> Float[np.ndarray, "n t 11"]:
    """Simulate the ego at 10 Hz while it tracks each reference.

    Args:
        initial: current state.
        references: poses (x, y, heading) of the rear axle at 41 steps, in the frame of `initial`; the first is now.

    Raises:
        ValueError: the references do not have 41 steps.
    """
    if references.shape[1] != STEPS:
        raise ValueError(f"references have {references.shape[1]} steps instead of {STEPS}")
    # Step lengths lose digits far from the origin, depending on where it is: the reference implementation computes them
    # in world coordinates, and so does this.
    states: Float[np.ndarray, "n t 11"] = simulate_batch(
        initial, np.ascontiguousarray(references), _velocity_smoother()
    )
    return states


@lru_cache(maxsize=1)
def _velocity_smoother() -> Float[np.ndarray, "40 40"]:
    """Return the matrix from the reference's displacements along its headings to its velocity profile.

    It minimises sum((dt v_i - s_i)^2) + penalty * |R a|^2, where a_i = (v_{i+1} - v_i) / dt. R is the reference
    implementation's: each of a_0..a_36 by itself, and a_38 - a_37 (differences everywhere were intended).
    """
    count = STEPS - 1
    accelerations = (np.eye(count, k=1) - np.eye(count))[:-1] / STEP
    penalised = np.concatenate([accelerations[: count - 3], accelerations[-1:] - accelerations[-2:-1]])
    normal = STEP**2 * np.eye(count) + ACCELERATION_PENALTY * penalised.T @ penalised
    return np.linalg.inv(normal) * STEP
