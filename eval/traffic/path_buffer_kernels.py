"""Strips of road along paths, with the outline of GEOS's buffers with flat caps.

Round joins have 16 segments per quarter, and inner joins that are too tight follow GEOS's rules, because the choice of
leaders and their distances depend on it. The corners at a path's vertices do not depend on the ends of a strip, except
the first and the last one in it: they are computed once, by `bends_of`.
"""

import math

import numpy as np
from numba import njit

from swerve.eval.context.planar_geometry_kernels import point_segment_squared
from swerve.eval.context.polygon_kernels import winding_number
from swerve.eval.scoring.simulate_kernels import wrap
from swerve.scenes.kernel_options import INTERNAL

FILLET = math.pi / 2 / 16
SNAP = 1e-3  # of the half width: corners closer than that are merged
CLOSING = 80.0  # at inner joins that are too tight, the outline steps in by 1 / 81 of the half width
# A join of half a turn has two corners and 31 between them on its outer side, and four on its inner side; where parts
# of edges are removed at tight joins, a few more.
MOST_CORNERS = 48
AT_END = 1e-9  # metres: what is nearer to an end of a path is at the end
BESIDE = 1e-7  # metres: how far from an edge its sides are looked at


@njit(cache=True, nogil=True)
def bends_of(paths, boxes):
    """Compute the corners of strips at the paths' vertices.

    Args:
        paths: (points (v, 3) with unwrapped headings, arc lengths (v), starts (k + 1)); neighbours are apart.
        boxes: of the agents (k, 6), whose width the strips have; see planar_geometry_kernels.

    Returns:
        corners (c, 2) and spans (2, v, 2): those to the left of vertex v are corners[spans[0, v, 0]:spans[0, v, 1]];
        spans[1] are those to the right, where the path is followed backwards; and whether joins are tight (v).
    """
    points, _, starts = paths
    corners, spans = np.empty((MOST_CORNERS * len(points), 2)), np.zeros((2, len(points), 2), np.int64)
    tight = np.zeros(len(points), np.bool_)
    number = 0
    for i in range(len(boxes)):
        for k in range(starts[i] + 1, starts[i + 1] - 1):
            tight[k] = _is_tight(points[k - 1], points[k], points[k + 1], boxes[i, 5])
            spans[0, k, 0] = number
            number = _bend(points[k - 1], points[k], points[k + 1], boxes[i, 5], corners, number)
            spans[0, k, 1] = number
        for k in range(starts[i + 1] - 2, starts[i], -1):
            spans[1, k, 0] = number
            number = _bend(points[k + 1], points[k], points[k - 1], boxes[i, 5], corners, number)
            spans[1, k, 1] = number
    return corners[:number].copy(), spans, tight


@njit(cache=True, nogil=True)
def write_strip(paths, bends, i, first, last, half, shape):
    """Write the outline of agent i's path between two arc lengths after the shape's first four edges.

    Args:
        paths: see `bends_of`.
        bends: of `bends_of`.
        i: the agent.
        first: arc length, clamped to the path.
        last: arc length, clamped to the path.
        half: half of the strip's width; its caps are flat.
        shape: edges to write to.

    Returns:
        The number of edges, the first four included.
    """
    points, lengths, starts = paths
    low, high = starts[i], starts[i + 1] - 1
    start, end = np.empty(3), np.empty(3)
    pose_on(paths, i, first, start)
    pose_on(paths, i, last, end)
    first = min(max(first, lengths[low]), lengths[high])
    last = min(max(last, lengths[low]), lengths[high])
    a, b = _from(lengths, low, high + 1, first), _from(lengths, low, high + 1, last) - 1
    while a <= high and lengths[a] <= first:
        a += 1
    behind, ahead = lengths[high] - first <= AT_END, last - lengths[low] <= AT_END
    if low < high and (behind or ahead):
        # A strip of no length, at an end of the path, is that of its whole last or first segment, as in nuPlan.
        a, b = (high, high - 1) if behind else (low + 1, low)
        start[:], end[:] = points[b], points[a]
    if a <= b and _meet(points[a], start):
        a += 1
    if a <= b and _meet(points[b], end):
        end[:] = points[b]
        b -= 1
    if a > b and _meet(start, end):
        return 4
    number = _write_side(points, bends, np.int64(0), (start, a, b, end), half, shape, np.int64(4))
    number = _write_side(points, bends, np.int64(1), (end, b, a, start), half, shape, number)
    for e in range(4, number):
        after = e + 1 if e + 1 < number else 4
        shape[e, 2], shape[e, 3] = shape[after, 0], shape[after, 1]
    joins = _tight_joins(points, bends[2], (start, a, b, end), half)
    return _without_slivers(shape, number, points, joins, half) if len(joins) else number


@njit(cache=True, nogil=True, **INTERNAL)
def _tight_joins(points, tight, line, half):
    """Return the vertices of a line, see `_write_side`, whose joins are tight."""
    start, a, b, end = line
    found, number = np.empty(max(b - a + 1, 0), np.int64), 0
    for k in range(a, b + 1):
        if a < k < b:
            here = tight[k]
        else:
            here = _is_tight(start if k == a else points[k - 1], points[k], end if k == b else points[k + 1], half)
        if here:
            found[number] = k
            number += 1
    return found[:number]


@njit(cache=True, nogil=True, **INTERNAL)
def _without_slivers(shape, number, points, joins, half):
    """Remove the parts of an outline that bound nothing but what it winds around the wrong way.

    The outline runs clockwise. At a tight join it steps back over an area that the strip does not cover, which GEOS
    leaves out of the buffer. Such areas are not farther than half the strip's width from the join.

    Returns:
        The number of edges, the first four included.
    """
    ring = shape[4:number].copy()
    cuts = np.empty(2 * len(ring) + 2)
    number = 4
    for e in range(len(ring)):
        if not _near_join(ring[e], points, joins, half):
            shape[number] = ring[e]
            number += 1
            continue
        first = -1.0
        count = _cuts(ring, e, cuts)
        for c in range(count):
            kept = c + 1 < count and _has_strip_to_its_right(ring, e, (cuts[c] + cuts[c + 1]) / 2)
            if kept and first < 0.0:
                first = cuts[c]
            elif not kept and first >= 0.0:
                number = _write_part(ring[e], first, cuts[c], shape, number)
                first = -1.0
    return number


@njit(cache=True, nogil=True, **INTERNAL)
def _near_join(edge, points, joins, half):
    """Return whether an edge is nearer to one of the joins than half the strip's width."""
    for k in joins:
        if point_segment_squared(points[k, 0], points[k, 1], edge[0], edge[1], edge[2], edge[3]) < half * half:
            return True
    return False


@njit(cache=True, nogil=True, **INTERNAL)
def _cuts(ring, e, cuts):
    """Write the shares of an edge at which others intersect it, with 0 and 1, in order; return their number."""
    x, y = ring[e, 0], ring[e, 1]
    dx, dy = ring[e, 2] - x, ring[e, 3] - y
    cuts[0], cuts[1], count = 0.0, 1.0, 2
    for o in range(len(ring)):
        ex, ey = ring[o, 2] - ring[o, 0], ring[o, 3] - ring[o, 1]
        cross = dx * ey - dy * ex
        if o == e or cross == 0.0:
            continue
        ox, oy = ring[o, 0] - x, ring[o, 1] - y
        s, t = (ox * ey - oy * ex) / cross, (ox * dy - oy * dx) / cross
        if 0.0 < s < 1.0 and 0.0 <= t <= 1.0:
            cuts[count] = s
            count += 1
    cuts[:count].sort()
    return count


@njit(cache=True, nogil=True, **INTERNAL)
def _has_strip_to_its_right(ring, e, share):
    """Return whether the outline winds clockwise around the point just to the right of a place on its edge."""
    dx, dy = ring[e, 2] - ring[e, 0], ring[e, 3] - ring[e, 1]
    length = math.hypot(dx, dy)
    if length == 0.0:
        return False
    x = ring[e, 0] + share * dx + BESIDE * dy / length
    y = ring[e, 1] + share * dy - BESIDE * dx / length
    return winding_number(ring, np.int64(0), len(ring), x, y) < 0


@njit(cache=True, nogil=True, **INTERNAL)
def _write_part(edge, first, last, shape, number):
    """Write the part of an edge between two shares of its length; return the number of edges."""
    for axis in range(2):
        span = edge[axis + 2] - edge[axis]
        shape[number, axis], shape[number, axis + 2] = edge[axis] + first * span, edge[axis] + last * span
    return number + 1


@njit(cache=True, nogil=True, **INTERNAL)
def _meet(a, b):
    return math.hypot(a[0] - b[0], a[1] - b[1]) < 1e-12


@njit(cache=True, nogil=True, **INTERNAL)
def _write_side(points, bends, side, line, half, shape, number):
    """Write the corners to the left of a line, then both corners of its end; return the number of edges so far.

    The line has a start, the vertices from the a-th to the b-th (backwards if the side is 1), and an end.
    """
    start, a, b, end = line
    corners, spans, _ = bends
    step = 1 - 2 * side
    count = (b - a) * step + 1
    last = start
    if count > 0:
        number = _bend(start, points[a], points[a + step] if count > 1 else end, half, shape, number)
        last = points[b]
    if count > 2:
        for c in range(spans[side, a + step, 0], spans[side, b - step, 1]):
            number = _corner(shape, number, corners[c, 0], corners[c, 1])
    if count > 1:
        number = _bend(points[b - step], last, end, half, shape, number)
    nx, ny = _normal(last, end, half)
    number = _corner(shape, number, end[0] + nx, end[1] + ny)
    return _corner(shape, number, end[0] - nx, end[1] - ny)


@njit(cache=True, nogil=True)
def _bend(before, at, after, half, shape, number):
    """Write the corners to the left of a vertex."""
    cross = _turning(before, at, after)
    if cross == 0.0:
        return number
    nx, ny = _normal(before, at, half)
    mx, my = _normal(at, after, half)
    if cross < 0.0:
        return _outer_bend(at, nx, ny, mx, my, half, shape, number)
    return _inner_bend(before, at, after, nx, ny, mx, my, half, shape, number)


@njit(cache=True, nogil=True, **INTERNAL)
def _turning(a, b, c):
    return (b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0])


@njit(cache=True, nogil=True, **INTERNAL)
def _normal(a, b, half):
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = math.sqrt(dx * dx + dy * dy)
    return -dy / length * half, dx / length * half


@njit(cache=True, nogil=True, **INTERNAL)
def _corner(shape, number, x, y):
    shape[number, 0], shape[number, 1] = x, y
    return number + 1


@njit(cache=True, nogil=True, **INTERNAL)
def _outer_bend(at, nx, ny, mx, my, half, shape, number):
    number = _corner(shape, number, at[0] + nx, at[1] + ny)
    if math.hypot(nx - mx, ny - my) < half * SNAP:
        return number
    turn = math.atan2(nx * my - ny * mx, nx * mx + ny * my)
    count = int(abs(turn) / FILLET + 0.5)
    start = math.atan2(ny, nx)
    for c in range(1, count):
        angle = start + turn * c / count
        number = _corner(shape, number, at[0] + half * math.cos(angle), at[1] + half * math.sin(angle))
    return _corner(shape, number, at[0] + mx, at[1] + my)


@njit(cache=True, nogil=True, **INTERNAL)
def _inner_bend(before, at, after, nx, ny, mx, my, half, shape, number):
    dx, dy = at[0] - before[0], at[1] - before[1]
    ex, ey = after[0] - at[0], after[1] - at[1]
    cross = _turning(before, at, after)
    # Intersection of the parallels of both segments, relative to their starts.
    ox, oy = at[0] + mx - before[0] - nx, at[1] + my - before[1] - ny
    s, t = (ox * ey - oy * ex) / cross, (ox * dy - oy * dx) / cross
    if 0.0 <= s <= 1.0 and 0.0 <= t <= 1.0:
        return _corner(shape, number, before[0] + nx + s * dx, before[1] + ny + s * dy)
    number = _corner(shape, number, at[0] + nx, at[1] + ny)
    if math.hypot(nx - mx, ny - my) < half * SNAP:
        return number
    share = CLOSING / (CLOSING + 1.0)
    number = _corner(shape, number, at[0] + share * nx, at[1] + share * ny)
    number = _corner(shape, number, at[0] + share * mx, at[1] + share * my)
    return _corner(shape, number, at[0] + mx, at[1] + my)


@njit(cache=True, nogil=True, **INTERNAL)
def _is_tight(before, at, after, half):
    """Return whether the outline may wind around something the wrong way at a join.

    Where the parallels on the inner side do not intersect, the outline winds once less around the triangle of the
    vertex and the corners where it steps in. Either segment makes up for that if it is long enough to cover the
    triangle.
    """
    dx, dy = at[0] - before[0], at[1] - before[1]
    ex, ey = after[0] - at[0], after[1] - at[1]
    squared = max(dx * dx + dy * dy, ex * ex + ey * ey)
    if squared >= half * half:
        return False
    turn = abs(math.atan2(dx * ey - dy * ex, dx * ex + dy * ey))
    return squared < (half * math.sin(min(turn, math.pi / 2))) ** 2


@njit(cache=True, nogil=True)
def pose_on(paths, i, along, out):
    """Write the pose (3) of agent i's path at an arc length, clamped to its ends."""
    points, lengths, starts = paths
    low, high = starts[i], starts[i + 1] - 1
    along = min(max(along, lengths[low]), lengths[high])
    if low == high:
        out[:] = points[low]
    else:
        k = _from(lengths, low + 1, high, along)
        span = lengths[k] - lengths[k - 1]
        share = (along - lengths[k - 1]) / span if span > 0.0 else 0.0
        for axis in range(3):
            out[axis] = points[k - 1, axis] + share * (points[k, axis] - points[k - 1, axis])
    out[2] = wrap(out[2])


@njit(cache=True, nogil=True, **INTERNAL)
def _from(lengths, low, high, along):
    """Return the first vertex from `low` on whose arc length is not less; `high` if there is none before it."""
    while low < high:
        middle = (low + high) // 2
        if lengths[middle] < along:
            low = middle + 1
        else:
            high = middle
    return low
