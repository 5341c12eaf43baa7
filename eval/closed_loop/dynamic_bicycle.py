"""A car with tyre slip and slow actuators: a second simulation for closed loop, independent of NAVSIM's."""

from dataclasses import dataclass

import numpy as np
import scipy
from jaxtyping import Float

from swerve.eval.closed_loop.dynamic_bicycle_kernels import RATE, SingleTrack, integrate
from swerve.eval.scoring.thresholds import STEP
from swerve.scenes.transforms import wrap_angle
from swerve.scenes.vehicle import Vehicle

# Seconds that the path and the speed of a plan are looked ahead, and acceleration per metre behind it, 1/s2.
_PATH_PREVIEW, _SPEED_PREVIEW, _CATCH_UP = 0.8, 0.5, 0.5
# Least distance of the point that is pursued, metres: a nearer one makes a slow car swerve to what it is beside.
_LEAST_PREVIEW = 4.0


@dataclass(frozen=True)
class DynamicBicycle:
    """A dynamic single-track model that tracks trajectories by feedback.

    Lateral and yaw motion follow from the slip angles of both axles (Rajamani, Vehicle Dynamics and Control, ch. 2)
    by Pacejka's magic formula; longitudinal force takes from lateral force by the friction circle. Below 3 m/s the
    car gradually rolls without slip. The yaw inertia is mass * front * rear, a usual approximation (MacInnis et al.,
    SAE 970951, find 1.03 times this for cars). Load transfer, roll and the road's slope are left out.

    Attributes:
        vehicle: dimensions.
        front_share: of the weight on the front axle.
        front_stiffness: cornering stiffness of the front axle over its load, per radian.
        rear_stiffness: the same of the rear axle; the larger one makes the car understeer, by 1.2 degrees per g.
        shape: shape factor C of the magic formula.
        friction: largest tyre force over the load; dry asphalt.
        drive_limit: largest acceleration, m/s2.
        brake_limit: largest deceleration, m/s2.
        throttle_lag: time constant of acceleration, seconds.
        brake_lag: time constant of deceleration, seconds.
        steering_lag: time constant of the steering angle, seconds.
        steering_limit: largest angle of the front wheels, radians.
        steering_rate_limit: its largest rate, rad/s.
    """

    vehicle: Vehicle
    front_share: float = 0.55
    front_stiffness: float = 12.0
    rear_stiffness: float = 16.0
    shape: float = 1.3
    friction: float = 0.9
    drive_limit: float = 3.5
    brake_limit: float = 8.0
    throttle_lag: float = 0.3
    brake_lag: float = 0.15
    steering_lag: float = 0.15
    steering_limit: float = 0.6
    steering_rate_limit: float = 0.6

    def follow(
        self, initial: Float[np.ndarray, "11"], plan: Float[np.ndarray, "p 3"], interval: float, steps: int
    ) -> Float[np.ndarray, "s 11"]:
        """Return the states at 10 Hz while the car tracks a plan, the first of which is `initial`.

        Args:
            initial: state, columns as in `simulate.State`.
            plan: poses (x, y, heading) of the rear axle relative to the start, the first one `interval` s after it.
            interval: seconds between the poses.
            steps: how many of 0.1 s; not beyond the plan.
        """
        gains = np.array([_SPEED_PREVIEW, _CATCH_UP])
        origin = initial.copy()
        origin[:2] = 0.0
        world = plan[:, :2] @ _rotation(initial[2]).T
        references = _references(world, plan[:, 2] + initial[2], initial, interval, steps)
        states: Float[np.ndarray, "s 11"] = integrate(origin, references, self._parameters(), gains)
        states[:, :2] += initial[:2]
        states[:, 2] = wrap_angle(states[:, 2])
        return states

    def _parameters(self) -> SingleTrack:
        wheelbase = self.vehicle.wheelbase
        return SingleTrack(
            front=(1.0 - self.front_share) * wheelbase,
            rear=self.front_share * wheelbase,
            front_stiffness=self.front_stiffness,
            rear_stiffness=self.rear_stiffness,
            shape=self.shape,
            friction=self.friction,
            drive_limit=self.drive_limit,
            brake_limit=self.brake_limit,
            throttle_lag=self.throttle_lag,
            brake_lag=self.brake_lag,
            steering_lag=self.steering_lag,
            steering_limit=self.steering_limit,
            steering_rate_limit=self.steering_rate_limit,
        )


def _references(
    points: Float[np.ndarray, "p 2"],
    headings: Float[np.ndarray, "p"],
    initial: Float[np.ndarray, "11"],
    interval: float,
    steps: int,
) -> Float[np.ndarray, "n 6"]:
    """Return `commands`' reference at every integration step.

    The plan is a cubic spline through the start and its positions that begins with the car's velocity.
    """
    times = interval * np.arange(len(points) + 1)
    start = _rotation(initial[2]) @ initial[3:5]
    path = scipy.interpolate.CubicSpline(times, np.vstack([np.zeros(2), points]), bc_type=((1, start), "not-a-knot"))
    turned = np.unwrap(np.concatenate([initial[2:3], headings]))

    at = np.arange(round(steps * STEP * RATE)) / RATE
    later = np.minimum(at + _SPEED_PREVIEW, times[-1])
    heading = np.interp(later, times, turned)
    speed = np.maximum((path(later, 1) * np.column_stack([np.cos(heading), np.sin(heading)])).sum(axis=1), 0.0)
    return np.column_stack([path(at), np.interp(at, times, turned), _previewed(path, turned[-1], at), speed])


def _previewed(
    path: "scipy.interpolate.CubicSpline", last_heading: float, at: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "n 2"]:
    """Return the points of a plan that are pursued at some times: a preview time ahead, 4 m or more along the plan.

    Beyond its end the plan is extended straight.
    """
    times = np.linspace(0.0, path.x[-1], round(path.x[-1] * 50) + 1)
    points = path(times)
    covered = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
    here, ahead = np.interp(at, times, covered), np.interp(at + _PATH_PREVIEW, times, covered)
    wanted = here + np.maximum(ahead - here, _LEAST_PREVIEW)
    reached = np.interp(wanted, covered, times)
    beyond = np.maximum(wanted - covered[-1], 0.0)[:, None]
    result: Float[np.ndarray, "n 2"] = path(reached) + beyond * [np.cos(last_heading), np.sin(last_heading)]
    return result


def _rotation(heading: float) -> Float[np.ndarray, "2 2"]:
    cos, sin = np.cos(heading), np.sin(heading)
    return np.array([[cos, -sin], [sin, cos]])
