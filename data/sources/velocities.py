"""Velocities by finite differences."""

import numpy as np
from jaxtyping import Bool, Float, Int

from swerve.scenes.causal_motion import causal_rates


def causal_velocities(
    positions: Float[np.ndarray, "n t 3"], valid: Bool[np.ndarray, "n t"], times_us: Int[np.ndarray, "t"]
) -> Float[np.ndarray, "n t 2"]:
    """Compute velocities (x, y) in m/s at each step from the positions up to it, see `causal_rates`.

    A step without another at most 0.55 s before it has velocity zero, as have invalid steps.
    """
    return causal_rates(positions[..., :2], valid, times_us)[0]
