"""What a manoeuvre may ask of car and passengers."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from swerve.scenes.option_types import Angle
from swerve.scenes.vehicle import Vehicle


@dataclass(frozen=True)
class Bounds:
    """Limits of a motion. The defaults are nuPlan's comfort thresholds, by which NAVSIM scores.

    Attributes:
        brake: Largest deceleration, in m/s2.
        accelerate: Largest acceleration, in m/s2.
        side: Largest lateral acceleration, in m/s2.
        jerk_along: Largest longitudinal jerk, in m/s3.
        jerk: Largest magnitude of jerk, in m/s3.
        yaw_rate: Largest yaw rate, in rad/s.
        yaw_acceleration: Largest yaw acceleration, in rad/s2.
        steering: Largest steering angle, in degrees (in Python, radians). 35 degrees give a kerb-to-kerb turning
            circle of 12 m with a wheelbase of 3.1 m, the usual figure for such cars.
    """

    brake: float = 4.05
    accelerate: float = 2.40
    side: float = 4.89
    jerk_along: float = 4.13
    jerk: float = 8.37
    yaw_rate: float = 0.95
    yaw_acceleration: float = 1.93
    steering: Angle = math.radians(35.0)

    def curvature(self, vehicle: Vehicle) -> float:
        """The tightest bend of the rear axle's path, 1/m."""
        return float(np.tan(self.steering) / vehicle.wheelbase)

    def shares(
        self,
        speeds: Float[np.ndarray, "*c t"],
        curvatures: Float[np.ndarray, "*c t"],
        seconds: Float[np.ndarray, "t"],
        vehicle: Vehicle,
    ) -> Float[np.ndarray, "9 *c"]:
        """The largest share that motions take of each bound: up to 1 is feasible.

        Derivatives are differences between neighbouring steps. A car that backs up takes an infinite
        share of the last.
        """
        span = np.diff(seconds)
        side, yaw_rate = speeds**2 * curvatures, speeds * curvatures
        pull = np.diff(speeds, axis=-1) / span
        jerk = np.diff(pull, axis=-1) * 2 / (span[1:] + span[:-1])
        side_jerk = (side[..., 2:] - side[..., :-2]) / (span[1:] + span[:-1])
        shares = (
            pull / self.accelerate,
            -pull / self.brake,
            np.abs(side) / self.side,
            np.abs(jerk) / self.jerk_along,
            np.hypot(jerk, side_jerk) / self.jerk,
            np.abs(yaw_rate) / self.yaw_rate,
            np.abs(np.diff(yaw_rate, axis=-1) / span) / self.yaw_acceleration,
            np.abs(curvatures) / self.curvature(vehicle),
            np.where(speeds < -1e-3, np.inf, 0.0),
        )
        return np.stack([share.max(axis=-1, initial=0.0) for share in shares])
