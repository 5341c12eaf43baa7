"""Kinematic and comfort limits of manoeuvres."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from swerve.scenes.option_types import Angle
from swerve.scenes.vehicle import Vehicle

# Names of the ratios, in their order: fields of `KinematicLimits`, and whether the car backs up, which nothing relaxes.
BOUND_NAMES = (
    "max_acceleration", "max_deceleration", "max_lateral_acceleration", "max_longitudinal_jerk", "max_jerk", "yaw_rate",
    "yaw_acceleration", "steering", "reverse",
)  # fmt: skip
# Steps of poses that are shorter, metres, have no curvature; poses that go backwards faster, m/s, back up.
_LEAST_STEP, _BACKWARDS = 0.05, 0.02


@dataclass(frozen=True)
class KinematicLimits:
    """Limits of a motion. The defaults are nuPlan's comfort thresholds, used by NAVSIM.

    Attributes:
        max_deceleration: Largest deceleration, in m/s2.
        max_acceleration: Largest acceleration, in m/s2.
        max_lateral_acceleration: Largest lateral acceleration, in m/s2.
        max_longitudinal_jerk: Largest longitudinal jerk, in m/s3.
        max_jerk: Largest magnitude of jerk, in m/s3.
        yaw_rate: Largest yaw rate, in rad/s.
        yaw_acceleration: Largest yaw acceleration, in rad/s2.
        steering: Largest steering angle, in degrees (in Python, radians). 35 degrees give a kerb-to-kerb turning
            circle of 12 m with a wheelbase of 3.1 m, the usual figure for such cars.
    """

    max_deceleration: float = 4.05
    max_acceleration: float = 2.40
    max_lateral_acceleration: float = 4.89
    max_longitudinal_jerk: float = 4.13
    max_jerk: float = 8.37
    yaw_rate: float = 0.95
    yaw_acceleration: float = 1.93
    steering: Angle = math.radians(35.0)

    def curvature(self, vehicle: Vehicle) -> float:
        """Return the largest curvature of the rear axle's path, 1/m."""
        return float(np.tan(self.steering) / vehicle.wheelbase)

    def max_ratios(
        self,
        speeds: Float[np.ndarray, "*c t"],
        curvatures: Float[np.ndarray, "*c t"],
        seconds: Float[np.ndarray, "t"],
        vehicle: Vehicle,
    ) -> Float[np.ndarray, "9 *c"]:
        """Compute the largest ratio of motions to each bound: up to 1 is feasible.

        Derivatives are differences between neighbouring steps. Reversing gives an infinite ratio for the last bound.
        """
        span = np.diff(seconds)
        side, yaw_rate = speeds**2 * curvatures, speeds * curvatures
        acceleration = np.diff(speeds, axis=-1) / span
        jerk = np.diff(acceleration, axis=-1) * 2 / (span[1:] + span[:-1])
        side_jerk = (side[..., 2:] - side[..., :-2]) / (span[1:] + span[:-1])
        yaw_acceleration = np.diff(yaw_rate, axis=-1) / span
        backwards = speeds < -1e-3
        ratios = self._ratios_of(
            vehicle, acceleration, side, jerk, side_jerk, yaw_rate, yaw_acceleration, curvatures, backwards
        )
        return np.stack([ratio.max(axis=-1, initial=0.0) for ratio in ratios])

    def max_pose_ratios(
        self,
        positions: Float[np.ndarray, "*c t 2"],
        headings: Float[np.ndarray, "*c t"],
        seconds: Float[np.ndarray, "t"],
        vehicle: Vehicle,
    ) -> Float[np.ndarray, "9 *c"]:
        """Compute the largest ratio of poses to each bound, by finite differences of the poses alone.

        See `pose_ratios` for the arguments.
        """
        ratios = self.pose_ratios(positions, headings, seconds, vehicle)
        return np.stack([ratio.max(axis=-1, initial=0.0) for ratio in ratios])

    def pose_ratios(
        self,
        positions: Float[np.ndarray, "*c t 2"],
        headings: Float[np.ndarray, "*c t"],
        seconds: Float[np.ndarray, "t"],
        vehicle: Vehicle,
    ) -> tuple[Float[np.ndarray, "*c _"], ...]:
        """Compute the ratio to each bound at every step, in the order of `BOUND_NAMES`.

        Speed and yaw rate are differences of neighbouring poses, accelerations are differences of those, jerk of these.
        An error of e metres in a pose appears as up to 8 e / dt^3 in the jerk: at 0.1 s, float32 (half a spacing at
        64 m: 3.8e-6 m) adds 0.03 m/s3. Curvature is yaw rate over speed, on steps longer than 5 cm.

        Args:
            positions: rear axle, metres.
            headings: radians, continuous (not wrapped).
            seconds: times of the poses.
            vehicle: how tightly it can turn.
        """
        span = np.diff(seconds)
        gap = (span[1:] + span[:-1]) / 2
        steps, turns = _signed_steps(positions, headings), np.diff(headings, axis=-1)
        bends = np.divide(turns, steps, out=np.zeros_like(turns), where=np.abs(steps) > _LEAST_STEP)
        speeds, yaw_rate = steps / span, turns / span
        acceleration, side = np.diff(speeds, axis=-1) / gap, speeds * yaw_rate
        jerk = np.diff(acceleration, axis=-1) / span[1:-1]
        side_jerk = (side[..., 2:] - side[..., :-2]) / (gap[1:] + gap[:-1])
        yaw_acceleration = np.diff(yaw_rate, axis=-1) / gap
        backwards = speeds < -_BACKWARDS
        return self._ratios_of(
            vehicle, acceleration, side, jerk, side_jerk, yaw_rate, yaw_acceleration, bends, backwards
        )

    def _ratios_of(
        self,
        vehicle: Vehicle,
        acceleration: np.ndarray,
        side: np.ndarray,
        jerk: np.ndarray,
        side_jerk: np.ndarray,
        yaw_rate: np.ndarray,
        yaw_acceleration: np.ndarray,
        curvatures: np.ndarray,
        backwards: np.ndarray,
    ) -> tuple[np.ndarray, ...]:
        """Return the ratios of motion to the bounds at each step, in the order of `BOUND_NAMES`."""
        return (
            acceleration / self.max_acceleration,
            -acceleration / self.max_deceleration,
            np.abs(side) / self.max_lateral_acceleration,
            np.abs(jerk) / self.max_longitudinal_jerk,
            np.hypot(jerk, side_jerk) / self.max_jerk,
            np.abs(yaw_rate) / self.yaw_rate,
            np.abs(yaw_acceleration) / self.yaw_acceleration,
            np.abs(curvatures) / self.curvature(vehicle),
            np.where(backwards, np.inf, 0.0),
        )


def _signed_steps(
    positions: Float[np.ndarray, "*c t 2"], headings: Float[np.ndarray, "*c t"]
) -> Float[np.ndarray, "*c s"]:
    """Compute the distances between neighbouring poses, negative where they go backwards."""
    step = np.diff(positions, axis=-2)
    middle = (headings[..., 1:] + headings[..., :-1]) / 2
    forward = step[..., 0] * np.cos(middle) + step[..., 1] * np.sin(middle)
    signed: Float[np.ndarray, "*c s"] = np.copysign(np.hypot(step[..., 0], step[..., 1]), forward)
    return signed
