"""Whether a smoothed motion can have been driven at all."""

import numpy as np
from jaxtyping import Bool, Float

from swerve.scenes.vehicle import Vehicle
from swerve.scenes.viewpoints.bounds import Bounds
from swerve.scenes.viewpoints.motion_smoother import Motion

# Harder than any driver drives (tyres on dry asphalt hold 8 m/s2): what exceeds it, or strays this far from the boxes
# that were seen, is an error of the labels.
_PLAUSIBLE = Bounds(
    brake=9.0, accelerate=6.0, side=8.0, jerk_along=20.0, jerk=30.0, yaw_rate=1.2, yaw_acceleration=4.0, steering=0.9
)
_DEVIATION, _TURN = 0.5, 0.3


def plausible(motion: Motion, seconds: Float[np.ndarray, "t"], vehicle: Vehicle) -> Bool[np.ndarray, "*b"]:
    """Whether motions stay near the boxes that were seen, and within what a driver can do; backwards too.

    Args:
        motion: one or more, over the same steps.
        seconds: times of the steps.
        vehicle: how tightly it can turn.
    """
    demand = _PLAUSIBLE.shares(np.abs(motion.speeds), motion.curvatures, seconds, vehicle).max(axis=0)
    near = (motion.deviations.max(axis=-1) <= _DEVIATION) & (np.abs(motion.turns).max(axis=-1) <= _TURN)
    return np.asarray(near & (demand <= 1.0))
