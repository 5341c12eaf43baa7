"""Shapes as sets of edges: intersection tests and distances.

A shape is (edges, bounds): edges (x0, y0, x1, y1) of two rings, first the four of a box, then those of an outline, and
the box around them (low x, low y, high x, high y). A shape without a box has four edges at infinity first.
"""

import math

import numpy as np
from numba import njit

from swerve.eval.context.planar_geometry_kernels import box_corners, point_segment_squared
from swerve.scenes.kernel_options import INTERNAL


@njit(cache=True, nogil=True)
def bounds_met(bounds, others, out):
    """Write the indices of others that the bounds intersect to `out`, in order; return their number."""
    low_x, low_y, high_x, high_y = bounds[0], bounds[1], bounds[2], bounds[3]
    count = 0
    for j in range(len(others)):
        beside = (others[j, 0] > high_x) | (others[j, 2] < low_x) | (others[j, 1] > high_y) | (others[j, 3] < low_y)
        out[count] = j
        count += not beside
    return count


@njit(cache=True, nogil=True)
def bounds_apart(bounds, others, j, gap):
    """Return whether bounds and the j-th of others, and so shapes in them, are more than a gap apart along an axis."""
    return (
        bounds[0] - others[j, 2] > gap
        or others[j, 0] - bounds[2] > gap
        or bounds[1] - others[j, 3] > gap
        or others[j, 1] - bounds[3] > gap
    )


@njit(cache=True, nogil=True)
def shapes_touch(a, b):
    """Return whether two shapes (edges, bounds) intersect."""
    if a[1][0] > b[1][2] or b[1][0] > a[1][2] or a[1][1] > b[1][3] or b[1][1] > a[1][3]:
        return False
    edges, others, bounds = a[0], b[0], b[1]
    for i in range(len(edges)):
        if (
            min(edges[i, 0], edges[i, 2]) > bounds[2]
            or max(edges[i, 0], edges[i, 2]) < bounds[0]
            or min(edges[i, 1], edges[i, 3]) > bounds[3]
            or max(edges[i, 1], edges[i, 3]) < bounds[1]
        ):
            continue
        for j in range(len(others)):
            if _edges_touch(edges, i, others, j):
                return True
    return _holds_part(a, b) or _holds_part(b, a)


@njit(cache=True, nogil=True)
def shapes_distance(a, b):
    """Compute the distance between two shapes (edges, bounds), 0 if they intersect."""
    if shapes_touch(a, b):
        return 0.0
    best = np.inf
    edges, others = a[0], b[0]
    for i in range(len(edges)):
        ax, ay, bx, by = edges[i, 0], edges[i, 1], edges[i, 2], edges[i, 3]
        for j in range(len(others)):
            px, py, qx, qy = others[j, 0], others[j, 1], others[j, 2], others[j, 3]
            gap_x = max(min(ax, bx) - max(px, qx), min(px, qx) - max(ax, bx), 0.0)
            gap_y = max(min(ay, by) - max(py, qy), min(py, qy) - max(ay, by), 0.0)
            if gap_x * gap_x + gap_y * gap_y < best:
                best = min(
                    best,
                    point_segment_squared(ax, ay, px, py, qx, qy),
                    point_segment_squared(bx, by, px, py, qx, qy),
                    point_segment_squared(px, py, ax, ay, bx, by),
                    point_segment_squared(qx, qy, ax, ay, bx, by),
                )
    return math.sqrt(best)


@njit(cache=True, nogil=True)
def bound(edges, first, last, out):
    """Write the bounding box (low x, low y, high x, high y) of edges."""
    out[0], out[1], out[2], out[3] = np.inf, np.inf, -np.inf, -np.inf
    for e in range(first, last):
        out[0], out[1] = min(out[0], edges[e, 0]), min(out[1], edges[e, 1])
        out[2], out[3] = max(out[2], edges[e, 0]), max(out[3], edges[e, 1])


@njit(cache=True, nogil=True)
def write_box(box, edges):
    """Write the four edges of a box, see planar_geometry_kernels."""
    corners = np.empty((4, 2))
    box_corners(box, corners)
    for i in range(4):
        edges[i, 0], edges[i, 1] = corners[i, 0], corners[i, 1]
        edges[i, 2], edges[i, 3] = corners[(i + 1) % 4, 0], corners[(i + 1) % 4, 1]


@njit(cache=True, nogil=True, **INTERNAL)
def _edges_touch(edges, i, others, j):
    ax, ay, bx, by = edges[i, 0], edges[i, 1], edges[i, 2], edges[i, 3]
    px, py, qx, qy = others[j, 0], others[j, 1], others[j, 2], others[j, 3]
    if min(ax, bx) > max(px, qx) or min(px, qx) > max(ax, bx) or min(ay, by) > max(py, qy) or min(py, qy) > max(ay, by):
        return False
    c = (bx - ax) * (py - ay) - (by - ay) * (px - ax)
    d = (bx - ax) * (qy - ay) - (by - ay) * (qx - ax)
    if (c > 0.0 and d > 0.0) or (c < 0.0 and d < 0.0):
        return False
    c = (qx - px) * (ay - py) - (qy - py) * (ax - px)
    d = (qx - px) * (by - py) - (qy - py) * (bx - px)
    return not ((c > 0.0 and d > 0.0) or (c < 0.0 and d < 0.0))


@njit(cache=True, nogil=True, **INTERNAL)
def _holds_part(a, b):
    """Return whether the box or outline of shape a contains the first corner of the box or outline of shape b."""
    edges, bounds = a
    for part in range(0, min(len(b[0]), 8), 4):
        x, y = b[0][part, 0], b[0][part, 1]
        inside = bounds[0] <= x <= bounds[2] and bounds[1] <= y <= bounds[3]
        if inside and (_turns(edges, np.int64(0), np.int64(4), x, y) or _turns(edges, np.int64(4), len(edges), x, y)):
            return True
    return False


@njit(cache=True, nogil=True, **INTERNAL)
def _turns(edges, first, last, x, y):
    """Return whether edges wind around a point (outlines may cross themselves)."""
    return winding_number(edges, first, last, x, y) != 0


@njit(cache=True, nogil=True)
def winding_number(edges, first, last, x, y):
    """Count how often edges wind around a point; anticlockwise turns are positive."""
    winding = 0
    for e in range(first, last):
        up = edges[e, 1] <= y < edges[e, 3]
        if up or edges[e, 3] <= y < edges[e, 1]:
            side = (edges[e, 2] - edges[e, 0]) * (y - edges[e, 1]) - (x - edges[e, 0]) * (edges[e, 3] - edges[e, 1])
            if up and side > 0.0:
                winding += 1
            elif not up and side < 0.0:
                winding -= 1
    return winding
