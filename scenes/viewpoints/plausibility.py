"""Plausibility test of smoothed motions."""

import numpy as np
from jaxtyping import Bool, Float

from swerve.scenes.vehicle import Vehicle
from swerve.scenes.viewpoints.bounds import KinematicLimits
from swerve.scenes.viewpoints.motion_smoother import Motion

# Limits beyond any human driving (tyres on dry asphalt hold 8 m/s2): larger values, or larger deviations from the
# measured boxes, are label errors.
_PLAUSIBLE = KinematicLimits(
    brake=9.0, accelerate=6.0, side=8.0, jerk_along=20.0, jerk=30.0, yaw_rate=1.2, yaw_acceleration=4.0, steering=0.9
)
_DEVIATION, _TURN = 0.5, 0.3


def plausible(motion: Motion, seconds: Float[np.ndarray, "t"], vehicle: Vehicle) -> Bool[np.ndarray, "*b"]:
    """Test whether motions stay near the measured boxes and within a human driver's limits; reversing is allowed.

    Args:
        motion: one or more motions over the same steps.
        seconds: times of the steps.
        vehicle: vehicle that sets the curvature limit.
    """
    demand = _PLAUSIBLE.shares(np.abs(motion.speeds), motion.curvatures, seconds, vehicle).max(axis=0)
    near = (motion.deviations.max(axis=-1) <= _DEVIATION) & (np.abs(motion.turns).max(axis=-1) <= _TURN)
    return np.asarray(near & (demand <= 1.0))
