"""Driven path as a smooth reference line with height and tilt."""

from dataclasses import dataclass

import numpy as np
import scipy
from jaxtyping import Float, Int

from swerve.scenes.viewpoints.motion_smoother import Motion

_SPACING = 0.25
# The smoothed motion does not follow its headings exactly: at a standstill it creeps by up to 1.5 cm. The difference is
# spread over this many metres of path, so that a car that drives along it makes no jump.
_SPREAD = 10.0
# Straight extension of the path before its first and after its last point, metres, so that offset points stay on it.
RUN_OUT = 30.0


@dataclass(frozen=True)
class PathPoints:
    """Points on a driven path.

    Attributes:
        positions: metres.
        headings: radians, continuous.
        curvatures: 1/m, left positive.
        curvature_slopes: derivative of the curvature along the path, 1/m2.
        up: unit normals of the ground.
    """

    positions: Float[np.ndarray, "*q 3"]
    headings: Float[np.ndarray, "*q"]
    curvatures: Float[np.ndarray, "*q"]
    curvature_slopes: Float[np.ndarray, "*q"]
    up: Float[np.ndarray, "*q 3"]


@dataclass(frozen=True)
class DrivenPath:
    """Path with nodes every quarter of a metre, and the schedule on which it was driven.

    Headings are a cubic spline in arc length with continuous curvature; positions are their integral, plus what the
    motion is off it, spread over 10 m. So a metre of arc length is a metre of way (within 0.3 %), along the heading. A
    pause is one point; the path of a car that never moved is a straight line through it.

    Attributes:
        start: arc length of the first node (negative: the straight extension).
        nodes: the nodes.
        tangents: change of the nodes' positions in the plane per metre.
        arc_lengths: arc length at each of the log's steps, not decreasing.
    """

    start: float
    nodes: PathPoints
    tangents: Float[np.ndarray, "k 2"]
    arc_lengths: Float[np.ndarray, "t"]

    @classmethod
    def of(
        cls,
        motion: Motion,
        seconds: Float[np.ndarray, "t"],
        heights: Float[np.ndarray, "t"],
        up: Float[np.ndarray, "t 3"],
    ) -> "DrivenPath":
        """Build the path of a motion; reversing is ignored (arc length never decreases)."""
        schedule = _schedule(motion, seconds)
        knots = np.unique(np.floor(schedule / 0.1), return_index=True)[1]
        along = np.arange(-RUN_OUT, schedule[-1] + RUN_OUT, _SPACING)
        headings, curvatures, slopes = _bends(schedule[knots], motion.headings[knots], motion.curvatures[knots], along)
        points, tangents = _points(schedule[knots], motion.positions[knots], along, headings, curvatures)
        normals = np.stack([np.interp(along, schedule, up[:, axis]) for axis in range(3)], axis=-1)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        climb = -(normals[:, 0] * np.cos(headings) + normals[:, 1] * np.sin(headings)) / normals[:, 2]
        height = np.interp(along, schedule, heights) + climb * (along - np.clip(along, 0.0, schedule[-1]))
        positions = np.concatenate([points, height[:, None]], axis=1)
        nodes = PathPoints(positions, headings, curvatures, slopes, normals)
        return cls(float(along[0]), nodes, tangents, schedule)

    def at(self, along: Float[np.ndarray, "*q"]) -> PathPoints:
        """Interpolate points at arc lengths."""
        nodes = self.nodes
        place = np.clip((along - self.start) / _SPACING, 0.0, len(nodes.headings) - 1.001)
        row = place.astype(np.int64)
        share = place - row
        flat = _cubic(nodes.positions[:, :2], self.tangents, row, share)
        height = _linear(nodes.positions[:, 2], row, share)
        return PathPoints(
            np.concatenate([flat, height[..., None]], axis=-1),
            _cubic(nodes.headings[:, None], nodes.curvatures[:, None], row, share)[..., 0],
            _cubic_slope(nodes.headings, nodes.curvatures, row, share),
            _linear(nodes.curvature_slopes, row, share),
            _linear(nodes.up, row, share[..., None]),
        )

    def ahead(self, along: float, distance: float) -> Float[np.ndarray, "n 2"]:
        """Return the driven path from an arc length on, for `distance` metres or to the end of the log."""
        end = max(min(along + distance, float(self.arc_lengths[-1])), along)
        return self.at(np.linspace(along, end, 41)).positions[:, :2]


def _schedule(motion: Motion, seconds: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t"]:
    """Compute the distance driven forward since the first step, exact for constant jerk between steps."""
    span = np.diff(seconds)
    speeds, accelerations = motion.speeds, motion.accelerations
    step = span * (speeds[1:] + speeds[:-1]) / 2 - span**2 * np.diff(accelerations) / 12
    return np.concatenate([[0.0], np.cumsum(np.maximum(step, 0.0))])


def _bends(
    schedule: Float[np.ndarray, "k"],
    headings: Float[np.ndarray, "k"],
    curvatures: Float[np.ndarray, "k"],
    along: Float[np.ndarray, "q"],
) -> tuple[Float[np.ndarray, "q"], Float[np.ndarray, "q"], Float[np.ndarray, "q"]]:
    """Compute headings, curvatures and their slopes at arc lengths.

    It is straight before the first and from the node after the last, up to which it keeps the last curvature.
    """
    if len(schedule) < 2:
        return np.full(len(along), headings[0]), np.zeros(len(along)), np.zeros(len(along))
    spline = scipy.interpolate.CubicSpline(schedule, headings, bc_type=((1, curvatures[0]), (1, curvatures[-1])))
    end = along[np.searchsorted(along, schedule[-1])]
    inside, known = (along >= schedule[0]) & (along <= end), np.clip(along, schedule[0], schedule[-1])
    past = np.clip(along, schedule[-1], end) - schedule[-1]
    return (
        spline(known) + curvatures[-1] * past,
        np.where(inside, spline(known, 1), 0.0),
        np.where(inside & (past == 0), spline(known, 2), 0.0),
    )


def _points(
    schedule: Float[np.ndarray, "k"],
    points: Float[np.ndarray, "k 2"],
    along: Float[np.ndarray, "q"],
    headings: Float[np.ndarray, "q"],
    curvatures: Float[np.ndarray, "q"],
) -> tuple[Float[np.ndarray, "q 2"], Float[np.ndarray, "q 2"]]:
    """Compute positions and tangents: the integral of the headings (Simpson), and what the points are off, spread."""
    middle = (headings[1:] + headings[:-1]) / 2 - _SPACING * np.diff(curvatures) / 8
    ahead, between = (np.stack([np.cos(one), np.sin(one)], axis=-1) for one in (headings, middle))
    steps = _SPACING * (ahead[:-1] + 4 * between + ahead[1:]) / 6
    way = np.concatenate([np.zeros((1, 2)), np.cumsum(steps, axis=0)])
    place = (schedule - along[0]) / _SPACING
    row = place.astype(np.int64)
    off = points - _cubic(way, ahead, row, place - row)
    if len(schedule) < 2:
        return way + off, ahead
    knots = np.linspace(schedule[0], schedule[-1], int(np.ceil((schedule[-1] - schedule[0]) / _SPREAD)) + 1)
    sampled = np.stack([np.interp(knots, schedule, off[:, axis]) for axis in range(2)], axis=-1)
    spread = scipy.interpolate.CubicSpline(knots, sampled, bc_type="clamped")
    inside = np.clip(along, knots[0], knots[-1])
    return way + spread(inside), ahead + np.where((inside == along)[:, None], spread(inside, 1), 0.0)


def _cubic(
    values: Float[np.ndarray, "k d"],
    slopes: Float[np.ndarray, "k d"],
    row: Int[np.ndarray, "*q"],
    share: Float[np.ndarray, "*q"],
) -> Float[np.ndarray, "*q d"]:
    """Interpolate between rows `row` and `row + 1` (cubic Hermite); slopes per metre."""
    u = share[..., None]
    low, high = values[row], values[row + 1]
    blended: Float[np.ndarray, "*q d"] = (
        (1 + 2 * u) * (1 - u) ** 2 * low
        + u**2 * (3 - 2 * u) * high
        + (u * (1 - u) ** 2 * slopes[row] - u**2 * (1 - u) * slopes[row + 1]) * _SPACING
    )
    return blended


def _cubic_slope(
    values: Float[np.ndarray, "k"],
    slopes: Float[np.ndarray, "k"],
    row: Int[np.ndarray, "*q"],
    u: Float[np.ndarray, "*q"],
) -> Float[np.ndarray, "*q"]:
    """Compute the derivative of `_cubic` per metre."""
    rise = 6 * u * (1 - u) * (values[row + 1] - values[row]) / _SPACING
    slope: Float[np.ndarray, "*q"] = rise + (1 - u) * (1 - 3 * u) * slopes[row] + u * (3 * u - 2) * slopes[row + 1]
    return slope


def _linear(values: np.ndarray, row: np.ndarray, share: np.ndarray) -> np.ndarray:
    blended: np.ndarray = (1 - share) * values[row] + share * values[row + 1]
    return blended
