"""Smoothing of noisy boxes into vehicle motion: iterated Kalman smoother over the kinematic bicycle model."""

from dataclasses import dataclass, fields

import numpy as np
import scipy
from jaxtyping import Bool, Float, Int

from swerve.scenes.transforms import wrap_angle

# States of the smoother: x, y, heading of the rear axle; speed; acceleration along the heading; curvature.
_X, _Y, _HEADING, _SPEED, _ACCELERATION, _CURVATURE = range(6)
# Process noise, as white noise per sqrt(s): jerk along the heading and across it in m/s3, and, at low speed where
# steering is the limit, change of curvature in 1/(m s).
_JERK, _SIDE_JERK, _STEERING = 1.5, 1.5, 0.1
_Belief = tuple[Float[np.ndarray, "n 6"], Float[np.ndarray, "n 6 6"]]
_FIRST_SPREAD = np.array([1.0, 1.0, 0.3, 3.0, 2.0, 0.1])
_PASSES = 3


@dataclass(frozen=True)
class Motion:
    """Motion of a car without slip: its rear axle moves along its heading, whatever the boxes say.

    Attributes:
        positions: rear axle, world frame, metres.
        headings: radians, continuous (not wrapped).
        speeds: m/s along the heading, negative in reverse.
        accelerations: m/s2 along the heading.
        curvatures: 1/m, left positive.
        position_residuals: distance in metres between the measured point and the smoothed one; 0 where there is no
            measurement.
        heading_residuals: measured heading minus the smoothed one, radians; 0 where there is no measurement.
    """

    positions: Float[np.ndarray, "*b t 2"]
    headings: Float[np.ndarray, "*b t"]
    speeds: Float[np.ndarray, "*b t"]
    accelerations: Float[np.ndarray, "*b t"]
    curvatures: Float[np.ndarray, "*b t"]
    position_residuals: Float[np.ndarray, "*b t"]
    heading_residuals: Float[np.ndarray, "*b t"]

    @property
    def yaw_rates(self) -> Float[np.ndarray, "*b t"]:
        """Yaw rates, rad/s, counter-clockwise."""
        rates: Float[np.ndarray, "*b t"] = self.speeds * self.curvatures
        return rates

    def of(self, row: int) -> "Motion":
        """Return one car of a batch."""
        return Motion(*(getattr(self, field.name)[row] for field in fields(self)))

    def at(self, times: slice) -> "Motion":
        """Return the given steps of one car."""
        return Motion(*(getattr(self, field.name)[times] for field in fields(self)))

    def over(self, times: slice) -> "Motion":
        """The given steps of a batch."""
        return Motion(*(getattr(self, field.name)[:, times] for field in fields(self)))

    def resampled(self, seconds: Float[np.ndarray, "t"], query: Float[np.ndarray, "q"]) -> "Motion":
        """Resample one car at other times: states by cubics with the motion's own rates as slopes, the rest linearly.

        Args:
            seconds: times of the motion's steps, increasing; two or more.
            query: times within them.
        """
        ahead = np.stack([np.cos(self.headings), np.sin(self.headings)], axis=-1)
        linear = (self.accelerations, self.curvatures, self.position_residuals, self.heading_residuals)
        return Motion(
            scipy.interpolate.CubicHermiteSpline(seconds, self.positions, self.speeds[:, None] * ahead)(query),
            scipy.interpolate.CubicHermiteSpline(seconds, self.headings, self.yaw_rates)(query),
            scipy.interpolate.CubicHermiteSpline(seconds, self.speeds, self.accelerations)(query),
            *(np.interp(query, seconds, values) for values in linear),
        )


def smooth_motion(
    times_us: Int[np.ndarray, "t"],
    points: Float[np.ndarray, "n t 2"],
    headings: Float[np.ndarray, "n t"],
    valid: Bool[np.ndarray, "n t"],
    rear_axle_offsets: Float[np.ndarray, "n"],
    point_noise: float,
    heading_noise: float,
) -> Motion:
    """Estimate the most likely motions of cars on a kinematic bicycle model, given noisy boxes.

    Gauss-Newton over the whole track, each pass a Kalman filter and a Rauch-Tung-Striebel smoother linearised about
    the pass before (Bell, "The iterated Kalman smoother as a Gauss-Newton method", SIAM J. Optim. 4(3), 1994). Steps
    before a track's first box and after its last repeat the first and the last state.

    Args:
        times_us: timestamps.
        points: a measured point of each car, `rear_axle_offsets` ahead of its rear axle.
        headings: measured, radians; wrapped or not.
        valid: steps with a measurement; at least one of each car.
        rear_axle_offsets: distance from the rear axle to the measured point, metres.
        point_noise: standard deviation of the points along each axis, metres.
        heading_noise: standard deviation of the headings, radians.
    """
    steps = _own_steps(valid)
    row = np.arange(len(points))[:, None]
    seconds = (times_us[steps] - times_us[0]) * 1e-6
    spans = np.diff(seconds, axis=1)
    measured = valid[row, steps] & np.concatenate([np.ones((len(points), 1), bool), spans > 0], axis=1)
    boxes = np.concatenate([points, headings[..., None]], axis=-1)[row, steps]
    noise = np.diag([point_noise**2, point_noise**2, heading_noise**2])
    states = None
    for _ in range(_PASSES):
        states = _smooth_once(states, spans, boxes, measured, rear_axle_offsets, noise)
    assert states is not None
    return _motion(states[row, _back(steps, len(times_us))], points, headings, valid, rear_axle_offsets)


def _own_steps(valid: Bool[np.ndarray, "n t"]) -> Int[np.ndarray, "n t"]:
    """Return the steps of each track from its first box on; its last box is repeated at the end."""
    count = valid.shape[1]
    first, last = valid.argmax(axis=1), count - 1 - valid[:, ::-1].argmax(axis=1)
    steps: Int[np.ndarray, "n t"] = np.minimum(first[:, None] + np.arange(count), last[:, None])
    return steps


def _back(steps: Int[np.ndarray, "n t"], count: int) -> Int[np.ndarray, "n t"]:
    """Return the index of each step in a track's own steps."""
    last = (steps[:, -1] - steps[:, 0])[:, None]
    back: Int[np.ndarray, "n t"] = np.clip(np.arange(count) - steps[:, :1], 0, last)
    return back


def _motion(
    states: Float[np.ndarray, "n t 6"],
    points: Float[np.ndarray, "n t 2"],
    headings: Float[np.ndarray, "n t"],
    valid: Bool[np.ndarray, "n t"],
    levers: Float[np.ndarray, "n"],
) -> Motion:
    ahead = np.stack([np.cos(states[..., _HEADING]), np.sin(states[..., _HEADING])], axis=-1)
    center = states[..., :2] + levers[:, None, None] * ahead
    return Motion(
        states[..., :2],
        states[..., _HEADING],
        states[..., _SPEED],
        states[..., _ACCELERATION],
        states[..., _CURVATURE],
        np.where(valid, np.linalg.norm(points - center, axis=-1), 0.0),
        np.where(valid, wrap_angle(headings - states[..., _HEADING]), 0.0),
    )


def _smooth_once(
    nominal: Float[np.ndarray, "n t 6"] | None,
    spans: Float[np.ndarray, "n t1"],
    boxes: Float[np.ndarray, "n t 3"],
    measured: Bool[np.ndarray, "n t"],
    levers: Float[np.ndarray, "n"],
    noise: Float[np.ndarray, "3 3"],
) -> Float[np.ndarray, "n t 6"]:
    """Run one forward filter and one backward smoother, linearised about `nominal`, or about the filter itself."""
    mean = _first_states(boxes, spans, measured, levers)
    spread = np.broadcast_to(np.diag(_FIRST_SPREAD**2), (len(mean), 6, 6))
    filtered: list[_Belief] = []
    predicted: list[_Belief] = []
    for step in range(boxes.shape[1]):
        if step:
            about = filtered[-1][0] if nominal is None else nominal[:, step - 1]
            mean, spread, gain = _predict(filtered[-1], about, spans[:, step - 1])
            predicted.append((mean, gain))
        about = mean if nominal is None else nominal[:, step]
        filtered.append(_correct(mean, spread, about, boxes[:, step], measured[:, step], levers, noise))
    states = [filtered[-1][0]]
    for (mean, _), (ahead, gain) in zip(filtered[-2::-1], predicted[::-1], strict=True):
        states.append(mean + (gain @ (states[-1] - ahead)[..., None])[..., 0])
    return np.stack(states[::-1], axis=1)


def _first_states(
    boxes: Float[np.ndarray, "n t 3"],
    spans: Float[np.ndarray, "n t1"],
    measured: Bool[np.ndarray, "n t"],
    levers: Float[np.ndarray, "n"],
) -> Float[np.ndarray, "n 6"]:
    """Initialise the states from the first box and the next measured one."""
    ahead = np.stack([np.cos(boxes[:, 0, 2]), np.sin(boxes[:, 0, 2])], axis=-1)
    states = np.zeros((len(boxes), 6))
    states[:, :2] = boxes[:, 0, :2] - levers[:, None] * ahead
    states[:, _HEADING] = boxes[:, 0, 2]
    if not spans.shape[1]:
        return states
    row, second = np.arange(len(boxes)), 1 + measured[:, 1:].argmax(axis=1)
    gap = np.maximum(np.cumsum(spans, axis=1)[row, second - 1], 1e-3)
    states[:, _SPEED] = ((boxes[row, second, :2] - boxes[:, 0, :2]) * ahead).sum(axis=1) / gap
    return states


def _predict(
    belief: _Belief,
    about: Float[np.ndarray, "n 6"],
    span: Float[np.ndarray, "n"],
) -> tuple[Float[np.ndarray, "n 6"], Float[np.ndarray, "n 6 6"], Float[np.ndarray, "n 6 6"]]:
    """Predict mean and covariance one step ahead; return the smoother gain as well."""
    (mean, spread), (ahead, slope) = belief, _drive(about, span)
    mean = ahead + (slope @ (mean - about)[..., None])[..., 0]
    carried = slope @ spread
    spread_ahead = carried @ np.swapaxes(slope, 1, 2) + _driver_noise(about, span)
    gain = np.swapaxes(np.linalg.solve(spread_ahead, carried), 1, 2)
    return mean, spread_ahead, gain


def _drive(
    state: Float[np.ndarray, "n 6"], span: Float[np.ndarray, "n"]
) -> tuple[Float[np.ndarray, "n 6"], Float[np.ndarray, "n 6 6"]]:
    """Integrate the kinematic bicycle over `span` seconds (midpoint rule); return state and Jacobian."""
    _, _, heading, speed, acceleration, curvature = state.T
    distance = speed * span + acceleration * span**2 / 2
    middle = heading + curvature * distance / 2
    cos, sin = np.cos(middle), np.sin(middle)
    ahead = state.copy()
    ahead[:, _X] += distance * cos
    ahead[:, _Y] += distance * sin
    ahead[:, _HEADING] += curvature * distance
    ahead[:, _SPEED] += acceleration * span
    slope = np.broadcast_to(np.eye(6), (len(state), 6, 6)).copy()
    slope[:, _X, _HEADING], slope[:, _Y, _HEADING] = -distance * sin, distance * cos
    slope[:, _X, _CURVATURE], slope[:, _Y, _CURVATURE] = -(distance**2) * sin / 2, distance**2 * cos / 2
    slope[:, _HEADING, _CURVATURE] = distance
    for column, by_distance in ((_SPEED, span), (_ACCELERATION, span**2 / 2)):
        slope[:, _X, column] = (cos - distance * sin * curvature / 2) * by_distance
        slope[:, _Y, column] = (sin + distance * cos * curvature / 2) * by_distance
        slope[:, _HEADING, column] = curvature * by_distance
    slope[:, _SPEED, _ACCELERATION] = span
    return ahead, slope


def _driver_noise(state: Float[np.ndarray, "n 6"], span: Float[np.ndarray, "n"]) -> Float[np.ndarray, "n 6 6"]:
    """Return the process noise covariance of `span` seconds: white jerk along the heading, white curvature rate."""
    noise = np.zeros((len(state), 6, 6))
    noise[:, _SPEED, _SPEED] = _JERK**2 * span**3 / 3
    noise[:, _SPEED, _ACCELERATION] = noise[:, _ACCELERATION, _SPEED] = _JERK**2 * span**2 / 2
    noise[:, _ACCELERATION, _ACCELERATION] = _JERK**2 * span
    steering = np.minimum(_STEERING, _SIDE_JERK / np.maximum(state[:, _SPEED] ** 2, 1e-3))
    noise[:, _CURVATURE, _CURVATURE] = steering**2 * span
    # A small slip (1 mm, 0.06 degrees per sqrt(s)) keeps the matrix invertible.
    noise[:, [_X, _Y, _HEADING], [_X, _Y, _HEADING]] = 1e-6 * span[:, None]
    return noise


def _correct(
    mean: Float[np.ndarray, "n 6"],
    spread: Float[np.ndarray, "n 6 6"],
    about: Float[np.ndarray, "n 6"],
    box: Float[np.ndarray, "n 3"],
    measured: Bool[np.ndarray, "n"],
    levers: Float[np.ndarray, "n"],
    noise: Float[np.ndarray, "3 3"],
) -> tuple[Float[np.ndarray, "n 6"], Float[np.ndarray, "n 6 6"]]:
    """Update the state with a box; unchanged where there is no measurement."""
    cos, sin = np.cos(about[:, _HEADING]), np.sin(about[:, _HEADING])
    slope = np.broadcast_to(np.eye(3, 6), (len(mean), 3, 6)).copy()
    slope[:, _X, _HEADING], slope[:, _Y, _HEADING] = -levers * sin, levers * cos
    expected = about[:, :3] + levers[:, None] * np.stack([cos, sin, np.zeros_like(cos)], axis=-1)
    surprise = box - expected - (slope @ (mean - about)[..., None])[..., 0]
    surprise[:, 2] = wrap_angle(surprise[:, 2])
    seen = slope @ spread
    gain = np.swapaxes(np.linalg.solve(seen @ np.swapaxes(slope, 1, 2) + noise, seen), 1, 2)
    gain = gain * measured[:, None, None]
    left = spread - gain @ seen
    return mean + (gain @ surprise[..., None])[..., 0], (left + np.swapaxes(left, 1, 2)) / 2
