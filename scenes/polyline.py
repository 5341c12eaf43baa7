"""Polylines: arc length, interpolation, and Frenet coordinates."""

from itertools import pairwise

import numpy as np
from jaxtyping import Float

from swerve.scenes.transforms import wrap_angle


def arc_lengths(points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n"]:
    """Return the distance in metres from the first point to each, along the line (in the xy plane)."""
    steps = points[1:, :2] - points[:-1, :2]
    return np.concatenate([[0.0], np.cumsum(np.sqrt(steps[:, 0] ** 2 + steps[:, 1] ** 2))])


def ring_edges(ring: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n 4"]:
    """Return the edges (x0, y0, x1, y1) of a ring that is not closed."""
    flat = ring[:, :2]
    return np.concatenate([flat, np.concatenate([flat[1:], flat[:1]])], axis=1)


def remove_duplicate_points(points: Float[np.ndarray, "n d"], tolerance: float = 1e-6) -> Float[np.ndarray, "m d"]:
    """Drop points closer than `tolerance` metres (in the xy plane) to their predecessor."""
    steps = np.linalg.norm(np.diff(points[:, :2], axis=0), axis=1)
    kept: Float[np.ndarray, "m d"] = points[np.concatenate([[True], steps > tolerance])[: len(points)]]
    return kept


def interpolate_at(points: Float[np.ndarray, "n d"], distances: Float[np.ndarray, "q"]) -> Float[np.ndarray, "q d"]:
    """Interpolate points at arc lengths; beyond the ends, return the end points."""
    along = arc_lengths(points)
    return np.stack([np.interp(distances, along, points[:, axis]) for axis in range(points.shape[1])], axis=-1)


def resample(points: Float[np.ndarray, "n d"], spacing: float) -> Float[np.ndarray, "m d"]:
    """Resample the line with equal steps of at most `spacing` metres; both ends are kept."""
    length = arc_lengths(points)[-1]
    steps = max(int(np.ceil(length / spacing)), 1)
    return interpolate_at(points, np.linspace(0.0, length, steps + 1))


def subdivide(points: Float[np.ndarray, "n d"], spacing: float) -> Float[np.ndarray, "m d"]:
    """Add points so that steps are at most `spacing` metres; all original points are kept."""
    length = arc_lengths(points)
    added = [np.linspace(a, b, int(np.ceil((b - a) / spacing)), endpoint=False) for a, b in pairwise(length)]
    return interpolate_at(points, np.concatenate([*added, length[-1:]]))


def headings(points: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n"]:
    """Return the direction in radians from each point to the next; the last repeats the one before."""
    steps = np.diff(points[:, :2], axis=0)
    angle = np.arctan2(steps[:, 1], steps[:, 0])
    return np.concatenate([angle, angle[-1:]]) if len(angle) else np.zeros(len(points))


def to_frenet(
    line: Float[np.ndarray, "n d"], points: Float[np.ndarray, "q 2"]
) -> tuple[Float[np.ndarray, "q"], Float[np.ndarray, "q"]]:
    """Compute Frenet coordinates: arc length of, and signed distance (left positive) to, the line's nearest point."""
    start, step = line[:-1, :2], np.diff(line[:, :2], axis=0)
    squared = np.maximum((step**2).sum(axis=1), 1e-18)
    offset = points[:, None] - start
    share = np.clip((offset * step).sum(axis=2) / squared, 0.0, 1.0)
    gap = offset - share[..., None] * step
    distance = np.linalg.norm(gap, axis=2)
    nearest = distance.argmin(axis=1)
    row = np.arange(len(points))
    along = arc_lengths(line)[:-1][nearest] + share[row, nearest] * np.sqrt(squared[nearest])
    cross = step[nearest, 0] * offset[row, nearest, 1] - step[nearest, 1] * offset[row, nearest, 0]
    return along, np.where(cross >= 0, 1.0, -1.0) * distance[row, nearest]


def from_frenet(
    line: Float[np.ndarray, "n d"], along: Float[np.ndarray, "q"], lateral: Float[np.ndarray, "q"]
) -> Float[np.ndarray, "q 2"]:
    """Invert `to_frenet`: return the points `lateral` metres left of the line at arc lengths `along`."""
    base = interpolate_at(line[:, :2], along)
    angle = heading_at(line, along)
    moved: Float[np.ndarray, "q 2"] = base + lateral[:, None] * np.stack([-np.sin(angle), np.cos(angle)], axis=-1)
    return moved


def heading_at(line: Float[np.ndarray, "n d"], along: Float[np.ndarray, "q"]) -> Float[np.ndarray, "q"]:
    """Return the line's direction at arc lengths, interpolated between the midpoints of its segments."""
    length = arc_lengths(line)
    middles = (length[:-1] + length[1:]) / 2
    angle = np.unwrap(headings(line)[:-1])
    return wrap_angle(np.interp(along, middles, angle))


def offset_line(line: Float[np.ndarray, "n d"], lateral: float) -> Float[np.ndarray, "n d"]:
    """Offset the line by `lateral` metres to its left, vertex by vertex (mitred; heights are kept)."""
    before = np.concatenate([headings(line)[:1], headings(line)[:-1]])
    after = headings(line)
    middle = before + wrap_angle(after - before) / 2
    mitre = np.maximum(np.cos(wrap_angle(after - before) / 2), 0.5)
    moved = line.copy()
    moved[:, 0] -= np.sin(middle) * lateral / mitre
    moved[:, 1] += np.cos(middle) * lateral / mitre
    return moved
