"""Planar geometry for the scoring kernels: points, oriented boxes, polygons as sets of edges, polylines.

A polygon is its edges (x0, y0, x1, y1) of all its rings, holes included: even-odd counting then needs no order of
rings. A box is (x, y, cos, sin, half length, half width). Touching counts as intersecting; a point on an outline is
not inside, as in shapely's `contains`.
"""

import math

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def inside(edges, first, last, x, y):
    """Return whether (x, y) lies strictly inside the polygon edges[first:last]."""
    odd = False
    for e in range(first, last):
        x0, y0, x1, y1 = edges[e, 0], edges[e, 1], edges[e, 2], edges[e, 3]
        if (y0 > y) == (y1 > y):
            if y0 == y and y1 == y and min(x0, x1) <= x <= max(x0, x1):
                return False
            if (x0 == x and y0 == y) or (x1 == x and y1 == y):
                return False
            continue
        side = (x1 - x0) * (y - y0) - (y1 - y0) * (x - x0)
        if side == 0.0:
            return False
        if (side > 0.0) == (y1 > y0):
            odd = not odd
    return odd


@njit(cache=True, nogil=True)
def well_inside(edges, x, y, margin):
    """Return whether (x, y) lies inside the polygon with a margin from its outline, independent of rounding.

    The test is in coordinates relative to the point: products of large ones lose the digits that determine the side.
    """
    local = edges.copy()
    local[:, 0] -= x
    local[:, 1] -= y
    local[:, 2] -= x
    local[:, 3] -= y
    if not inside(local, np.int64(0), len(local), 0.0, 0.0):
        return False
    for e in range(len(local)):
        if point_segment_squared(0.0, 0.0, local[e, 0], local[e, 1], local[e, 2], local[e, 3]) <= margin * margin:
            return False
    return True


@njit(cache=True, nogil=True)
def boxes_touch(a, b):
    """Return whether two boxes intersect (separating axes; the second in the frame of the first, and the reverse)."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    cos, sin = abs(a[2] * b[2] + a[3] * b[3]), abs(a[2] * b[3] - a[3] * b[2])
    if abs(dx * a[2] + dy * a[3]) > a[4] + b[4] * cos + b[5] * sin:
        return False
    if abs(-dx * a[3] + dy * a[2]) > a[5] + b[4] * sin + b[5] * cos:
        return False
    if abs(dx * b[2] + dy * b[3]) > b[4] + a[4] * cos + a[5] * sin:
        return False
    return abs(-dx * b[3] + dy * b[2]) <= b[5] + a[4] * sin + a[5] * cos


@njit(cache=True, nogil=True)
def segment_touches_box(x0, y0, x1, y1, box):
    """Return whether a segment intersects a box, its interior included (clipping in the box's frame)."""
    ax, ay = x0 - box[0], y0 - box[1]
    bx, by = x1 - box[0], y1 - box[1]
    u0, v0 = ax * box[2] + ay * box[3], -ax * box[3] + ay * box[2]
    du, dv = bx * box[2] + by * box[3] - u0, -bx * box[3] + by * box[2] - v0
    low, high = 0.0, 1.0
    for axis in range(2):
        start, step, half = (u0, du, box[4]) if axis == 0 else (v0, dv, box[5])
        if step == 0.0:
            if abs(start) > half:
                return False
            continue
        t0, t1 = (-half - start) / step, (half - start) / step
        low, high = max(low, min(t0, t1)), min(high, max(t0, t1))
    return low <= high


@njit(cache=True, nogil=True)
def polygon_touches_box(edges, first, last, box):
    """Return whether a polygon intersects a box."""
    for e in range(first, last):
        if segment_touches_box(edges[e, 0], edges[e, 1], edges[e, 2], edges[e, 3], box):
            return True
    return inside(edges, first, last, box[0], box[1])


@njit(cache=True, nogil=True)
def box_corners(box, out):
    """Write the corners (4, 2) of a box: front left, rear left, rear right, front right."""
    for i in range(4):
        u = box[4] if i == 0 or i == 3 else -box[4]
        v = box[5] if i < 2 else -box[5]
        out[i, 0] = box[0] + u * box[2] - v * box[3]
        out[i, 1] = box[1] + u * box[3] + v * box[2]


@njit(cache=True, nogil=True)
def point_segment_squared(px, py, x0, y0, x1, y1):
    """Compute the squared distance between a point and a segment."""
    dx, dy = x1 - x0, y1 - y0
    length = dx * dx + dy * dy
    share = 0.0
    if length > 0.0:
        share = min(max(((px - x0) * dx + (py - y0) * dy) / length, 0.0), 1.0)
    ex, ey = px - x0 - share * dx, py - y0 - share * dy
    return ex * ex + ey * ey


@njit(cache=True, nogil=True)
def box_edges(box):
    """Return the edges (4, 4) of a box."""
    corners = np.empty((4, 2))
    box_corners(box, corners)
    edges = np.empty((4, 4))
    for i in range(4):
        edges[i, :2] = corners[i]
        edges[i, 2:] = corners[(i + 1) % 4]
    return edges


@njit(cache=True, nogil=True)
def polygon_box_distance(edges, first, last, box):
    """Compute the distance between a polygon and a box, 0 if they intersect."""
    if polygon_touches_box(edges, first, last, box):
        return 0.0
    sides = box_edges(box)
    best = np.inf
    for e in range(first, last):
        for i in range(4):
            best = min(
                best,
                point_segment_squared(edges[e, 0], edges[e, 1], sides[i, 0], sides[i, 1], sides[i, 2], sides[i, 3]),
                point_segment_squared(sides[i, 0], sides[i, 1], edges[e, 0], edges[e, 1], edges[e, 2], edges[e, 3]),
            )
    return math.sqrt(best)


@njit(cache=True, nogil=True)
def box_box_distance(a, b):
    """Compute the distance between two boxes, 0 if they intersect."""
    if boxes_touch(a, b):
        return 0.0
    return polygon_box_distance(box_edges(a), np.int64(0), np.int64(4), b)


@njit(cache=True, nogil=True)
def project(line, lengths, x, y):
    """Return the arc length of the polyline's nearest point, and the squared distance to it.

    Args:
        line: (n, 2 or more) vertices, at least one.
        lengths: (n) arc length at each.
        x: of the point.
        y: of the point.
    """
    best, along = (x - line[0, 0]) ** 2 + (y - line[0, 1]) ** 2, 0.0
    for i in range(len(line) - 1):
        x0, y0 = line[i, 0], line[i, 1]
        dx, dy = line[i + 1, 0] - x0, line[i + 1, 1] - y0
        squared = dx * dx + dy * dy
        if squared == 0.0:
            continue
        share = min(max(((x - x0) * dx + (y - y0) * dy) / squared, 0.0), 1.0)
        gap = (x - x0 - share * dx) ** 2 + (y - y0 - share * dy) ** 2
        if gap < best:
            best, along = gap, lengths[i] + share * math.sqrt(squared)
    return along, best
