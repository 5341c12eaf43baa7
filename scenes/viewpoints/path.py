"""Driven path as a smooth reference line with height and tilt."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from swerve.scenes.viewpoints.motion_smoother import Motion

_SPACING = 0.5
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
    """Path with nodes every half metre, and the schedule on which it was driven.

    Between nodes, positions are cubic Hermite splines with the headings as slopes; a pause is one point; the path of a
    car that never moved is a straight line through it.

    Attributes:
        start: arc length of the first node (negative: the straight extension).
        nodes: the nodes.
        schedule: arc length at each of the log's steps, not decreasing.
    """

    start: float
    nodes: PathPoints
    schedule: Float[np.ndarray, "t"]

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
        first = int(np.searchsorted(along, 0.0))
        turns, bends = motion.headings[knots, None], motion.curvatures[knots, None]
        headings = _hermite(schedule[knots], turns, bends, along, np.zeros((2, 1)))[:, 0]
        slopes = np.concatenate([np.cos(turns), np.sin(turns)], axis=1)
        points = _hermite(schedule[knots], motion.positions[knots], slopes, along, slopes[[0, -1]])
        normals = np.stack([np.interp(along, schedule, up[:, axis]) for axis in range(3)], axis=-1)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        climb = -(normals[:, 0] * np.cos(headings) + normals[:, 1] * np.sin(headings)) / normals[:, 2]
        height = np.interp(along, schedule, heights) + climb * (along - np.clip(along, 0.0, schedule[-1]))
        curvatures = _slope_from(first, headings)
        positions = np.concatenate([points, height[:, None]], axis=1)
        nodes = PathPoints(positions, headings, curvatures, _slope_from(first, curvatures), normals)
        return cls(float(along[0]), nodes, schedule)

    def at(self, along: Float[np.ndarray, "*q"]) -> PathPoints:
        """Interpolate points at arc lengths."""
        nodes = self.nodes
        place = np.clip((along - self.start) / _SPACING, 0.0, len(nodes.headings) - 1.001)
        row = place.astype(np.int64)
        share = place - row
        ahead = np.stack([np.cos(nodes.headings), np.sin(nodes.headings)], axis=-1)
        flat = _cubic(nodes.positions[:, :2], ahead, row, share, _SPACING)
        height = _linear(nodes.positions[:, 2], row, share)
        return PathPoints(
            np.concatenate([flat, height[..., None]], axis=-1),
            _cubic(nodes.headings[:, None], nodes.curvatures[:, None], row, share, _SPACING)[..., 0],
            _linear(nodes.curvatures, row, share),
            _linear(nodes.curvature_slopes, row, share),
            _linear(nodes.up, row, share[..., None]),
        )

    def ahead(self, along: float, distance: float) -> Float[np.ndarray, "n 2"]:
        """Return the driven path from an arc length on, for `distance` metres or to the end of the log."""
        end = max(min(along + distance, float(self.schedule[-1])), along)
        return self.at(np.linspace(along, end, 41)).positions[:, :2]


def _schedule(motion: Motion, seconds: Float[np.ndarray, "t"]) -> Float[np.ndarray, "t"]:
    """Compute the distance driven forward since the first step, exact for constant jerk between steps."""
    span = np.diff(seconds)
    speeds, accelerations = motion.speeds, motion.accelerations
    step = span * (speeds[1:] + speeds[:-1]) / 2 - span**2 * np.diff(accelerations) / 12
    return np.concatenate([[0.0], np.cumsum(np.maximum(step, 0.0))])


def _slope_from(first: int, values: Float[np.ndarray, "k"]) -> Float[np.ndarray, "k"]:
    """Compute the derivative along the nodes; 0 before the log's first, so as not to mix in the extension."""
    return np.concatenate([np.zeros(first), np.gradient(values[first:], _SPACING)])


def _hermite(
    along: Float[np.ndarray, "k"],
    values: Float[np.ndarray, "k d"],
    slopes: Float[np.ndarray, "k d"],
    query: Float[np.ndarray, "q"],
    beyond: Float[np.ndarray, "2 d"],
) -> Float[np.ndarray, "q d"]:
    """Evaluate a cubic Hermite spline; beyond its end knots it is linear with slopes `beyond`."""
    inside = np.clip(query, along[0], along[-1])
    row = np.clip(np.searchsorted(along, inside, side="right") - 1, 0, max(len(along) - 2, 0))
    width = np.diff(along, append=along[-1] + 1.0)[row]
    values, slopes = np.concatenate([values, values[-1:]]), np.concatenate([slopes, slopes[-1:]])
    result = _cubic(values, slopes, row, (inside - along[row]) / width, width[:, None])
    return result + (query - inside)[:, None] * beyond[(query > inside).astype(int)]


def _cubic(
    values: Float[np.ndarray, "k d"],
    slopes: Float[np.ndarray, "k d"],
    row: Int[np.ndarray, "*q"],
    share: Float[np.ndarray, "*q"],
    width: Float[np.ndarray, "q 1"] | float,
) -> Float[np.ndarray, "*q d"]:
    """Interpolate between rows `row` and `row + 1` (cubic Hermite); slopes per metre, rows `width` metres apart."""
    u = share[..., None]
    low, high = values[row], values[row + 1]
    return (
        (1 + 2 * u) * (1 - u) ** 2 * low
        + u**2 * (3 - 2 * u) * high
        + (u * (1 - u) ** 2 * slopes[row] - u**2 * (1 - u) * slopes[row + 1]) * width
    )


def _linear(values: np.ndarray, row: np.ndarray, share: np.ndarray) -> np.ndarray:
    return (1 - share) * values[row] + share * values[row + 1]
