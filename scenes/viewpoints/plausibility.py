"""Plausibility test of smoothed motions."""

import numpy as np
from jaxtyping import Bool, Float

from swerve.scenes.vehicle import Vehicle
from swerve.scenes.viewpoints.bounds import KinematicLimits
from swerve.scenes.viewpoints.motion_smoother import Motion

# Limits beyond any human driving (tyres on dry asphalt hold 8 m/s2): larger values, or larger deviations from the
# measured boxes, are label errors.
_PLAUSIBLE = KinematicLimits(
    max_deceleration=9.0,
    max_acceleration=6.0,
    max_lateral_acceleration=8.0,
    max_longitudinal_jerk=20.0,
    max_jerk=30.0,
    yaw_rate=1.2,
    yaw_acceleration=4.0,
    steering=0.9,
)
_DEVIATION, _TURN = 0.5, 0.3


def plausible(motion: Motion, seconds: Float[np.ndarray, "t"], vehicle: Vehicle) -> Bool[np.ndarray, "*b"]:
    """Test whether motions stay near the measured boxes and within a human driver's limits; reversing is allowed.

    Args:
        motion: one or more motions over the same steps.
        seconds: times of the steps.
        vehicle: vehicle that sets the curvature limit.
    """
    demand = _PLAUSIBLE.max_ratios(np.abs(motion.speeds), motion.curvatures, seconds, vehicle).max(axis=0)
    near = (motion.position_residuals.max(axis=-1) <= _DEVIATION) & (
        np.abs(motion.heading_residuals).max(axis=-1) <= _TURN
    )
    return np.asarray(near & (demand <= 1.0))
