"""Boundaries of nuScenes' lanes, which are given as a polygon and a centreline; connectors have a centreline only."""

import numpy as np
import shapely
from jaxtyping import Float

from swerve.scenes.polyline import headings
from swerve.scenes.transforms import wrap_angle

Line = Float[np.ndarray, "_ 2"]

# Metres that a centreline may end inside of its polygon.
_REACH = 8.0
# Half the width of a connector where no lane leads to it or from it.
HALF_WIDTH = 1.75


def split_outline(polygon: shapely.Polygon, centerline: Float[np.ndarray, "n 2"]) -> tuple[Line, Line] | None:
    """Return the left and the right side of a lane's outline, in driving direction.

    The outline is cut at the edges that the centreline, extended at both ends, crosses nearest to its ends. None if
    there are no two such edges with a side between them.
    """
    ring = shapely.get_coordinates(shapely.geometry.polygon.orient(polygon).exterior)[:-1]
    edges = shapely.linestrings(np.stack([ring, np.roll(ring, -1, axis=0)], axis=1))
    crossed = np.flatnonzero(shapely.intersects(edges, shapely.LineString(_extended(centerline))))
    if not len(crossed):
        return None
    ends = shapely.points(centerline[[0, -1]])
    first, last = (int(crossed[np.argmin(shapely.distance(edges[crossed], end))]) for end in ends)
    # Counter-clockwise, the right side leads from the first edge to the last, the left side back.
    right, left = _chain(ring, first + 1, last), _chain(ring, last + 1, first)[::-1]
    return (left, right) if first != last and min(len(left), len(right)) > 1 else None


def offset_sides(centerline: Float[np.ndarray, "n 2"], first: float, last: float) -> tuple[Line, Line]:
    """Return the left and right side of a strip around a line, whose half width changes linearly from end to end."""
    after = headings(centerline)
    before = np.concatenate([after[:1], after[:-1]])
    middle = before + wrap_angle(after - before) / 2
    normal = np.stack([-np.sin(middle), np.cos(middle)], axis=1)
    offset = normal * np.linspace(first, last, len(centerline))[:, None]
    return centerline + offset, centerline - offset


def width_at(sides: tuple[Line, Line], end: int) -> float:
    """Return the distance between the sides at their first (0) or last (-1) points."""
    return float(np.linalg.norm(sides[0][end] - sides[1][end]))


def _extended(line: Float[np.ndarray, "n 2"]) -> Line:
    steps = line[[0, -1]] - line[[1, -2]]
    ends = line[[0, -1]] + _REACH * steps / np.linalg.norm(steps, axis=1, keepdims=True)
    return np.concatenate([ends[:1], line, ends[1:]])


def _chain(ring: Float[np.ndarray, "n 2"], first: int, last: int) -> Line:
    """Return the vertices of a ring from one to another, past its end if need be."""
    count = len(ring)
    chain: Line = ring[np.arange(first, first + (last - first) % count + 1) % count]
    return chain
