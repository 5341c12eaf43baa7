"""A uniform grid over labelled polygons, and point queries."""

import math

import numpy as np
from numba import njit

from swerve.eval.context.planar_geometry_kernels import inside
from swerve.eval.scoring.thresholds import GRID_CELL
from swerve.scenes.kernel_options import INTERNAL


@njit(cache=True, nogil=True)
def build_grid(edges, starts, corner, size):
    """Compute the polygons over each of size x size cells.

    Returns:
        (cells, covered, cell_starts): see `Surfaces`.
    """
    count = len(starts) - 1
    marks = np.zeros((size, size), np.int64)
    capacity = 1024
    rows, owners, full = np.empty(capacity, np.int64), np.empty(capacity, np.int64), np.empty(capacity, np.bool_)
    used = 0
    for p in range(count):
        first, last = starts[p], starts[p + 1]
        if first == last:
            continue
        r0, r1, c0, c1 = _cell_range(edges, first, last, corner, size)
        for e in range(first, last):
            _mark_edge(edges[e], corner, marks, p + 1)
        for r in range(r0, r1 + 1):
            known = False
            within = False
            for c in range(c0, c1 + 1):
                outline = marks[r, c] == p + 1
                if outline:
                    known = False
                elif not known:
                    x, y = corner[0] + (c + 0.5) * GRID_CELL, corner[1] + (r + 0.5) * GRID_CELL
                    within = inside(edges, first, last, x, y)
                    known = True
                if not outline and not within:
                    continue
                if used == capacity:
                    capacity *= 2
                    rows, owners, full = _grown(rows), _grown(owners), _grown(full)
                rows[used], owners[used], full[used] = r * size + c, p, not outline
                used += 1
    return _by_cell(rows[:used], owners[:used], full[:used], size)


@njit(cache=True, nogil=True, **INTERNAL)
def _grown(array):
    bigger = np.empty(2 * len(array), array.dtype)
    bigger[: len(array)] = array
    return bigger


@njit(cache=True, nogil=True, **INTERNAL)
def _by_cell(rows, owners, full, size):
    starts = np.zeros(size * size + 1, np.int64)
    for row in rows:
        starts[row + 1] += 1
    starts = np.cumsum(starts)
    place = starts[:-1].copy()
    cells, covered = np.empty(len(rows), np.int64), np.empty(len(rows), np.bool_)
    for i in range(len(rows)):
        at = place[rows[i]]
        cells[at], covered[at] = owners[i], full[i]
        place[rows[i]] += 1
    return cells, covered, starts


@njit(cache=True, nogil=True, **INTERNAL)
def _cell_range(edges, first, last, corner, size):
    x, y = edges[first:last, 0], edges[first:last, 1]
    top = size - 1
    r0, r1 = _cell(y.min() - corner[1]), _cell(y.max() - corner[1])
    c0, c1 = _cell(x.min() - corner[0]), _cell(x.max() - corner[0])
    return max(r0, 0), min(r1, top), max(c0, 0), min(c1, top)


@njit(cache=True, nogil=True, **INTERNAL)
def _cell(distance):
    return math.floor(distance / GRID_CELL)


@njit(cache=True, nogil=True, **INTERNAL)
def _mark_edge(edge, corner, marks, value):
    """Mark every cell that an edge passes through or comes within 1e-6 m of."""
    slack = 1e-6
    x0, y0, x1, y1 = edge[0] - corner[0], edge[1] - corner[1], edge[2] - corner[0], edge[3] - corner[1]
    if y0 > y1:
        x0, y0, x1, y1 = x1, y1, x0, y0
    for r in range(max(_cell(y0 - slack), 0), min(_cell(y1 + slack), len(marks) - 1) + 1):
        low, high = x0, x1
        if y1 > y0:
            a = min(max((r * GRID_CELL - slack - y0) / (y1 - y0), 0.0), 1.0)
            b = min(max(((r + 1) * GRID_CELL + slack - y0) / (y1 - y0), 0.0), 1.0)
            low, high = x0 + a * (x1 - x0), x0 + b * (x1 - x0)
        left, right = min(low, high) - slack, max(low, high) + slack
        for c in range(max(_cell(left), 0), min(_cell(right), len(marks) - 1) + 1):
            marks[r, c] = value


@njit(cache=True, nogil=True)
def polygons_under(surfaces, points):
    """Return the polygons that strictly contain each of the points.

    Fast for points close together: of a polygon whose outline passes through a cell, the few edges that decide for
    points of that cell are searched for once.

    Args:
        surfaces: (edges, starts, corner, cells, covered, cell_starts).
        points: (n, 2), world; beyond the grid every polygon is tried.

    Returns:
        polygons and ends (n + 1): point i has polygons[ends[i]:ends[i + 1]].
    """
    # Passing tuples of arrays between functions would take longer than everything else.
    edges, starts, corner, cells, covered, cell_starts = surfaces
    count, size = len(starts) - 1, int(math.sqrt(len(cell_starts) - 1) + 0.5)
    found, ends = np.empty(4 * len(points) + count, np.int64), np.zeros(len(points) + 1, np.int64)
    memo, kept, number = _empty_memo(len(cells)), np.empty((MEMO_EDGES, 4)), 0
    for i in range(len(points)):
        if number + count > len(found):
            found = _grown(found)
        x, y = points[i, 0], points[i, 1]
        r, c = _cell(y - corner[1]), _cell(x - corner[0])
        if 0 <= r < size and 0 <= c < size:
            box = _cell_box(corner[0], corner[1], r, c)
            for k in range(cell_starts[r * size + c], cell_starts[r * size + c + 1]):
                p = cells[k]
                if not covered[k] and memo[k, 0] == 0:
                    _look_up(edges, starts[p], starts[p + 1], box, memo, k, kept)
                if covered[k]:
                    within = True
                elif memo[k, 1] > 0:
                    within = inside(kept, memo[k, 0], memo[k, 1], x, y)
                else:
                    within = inside(edges, starts[p], starts[p + 1], x, y)
                if within:
                    found[number] = p
                    number += 1
        else:
            for p in range(count):
                if inside(edges, starts[p], starts[p + 1], x, y):
                    found[number] = p
                    number += 1
        ends[i + 1] = number
    return found, ends


# Maximum number of cached edges (polygons beyond it are tested whole), and positions of an edge relative to a cell.
MEMO_EDGES = 2000
LEFT, FAR, NEAR = 0, 1, 2


@njit(cache=True, nogil=True, **INTERNAL)
def _empty_memo(entries):
    """Return for each entry of `cells` its (first, last) cached edges: (0, 0) if new, (1, 0) if there was no room.

    The last row counts the cached edges; none is stored before number 1.
    """
    memo = np.zeros((entries + 1, 2), np.int16)
    memo[entries, 1] = 1
    return memo


@njit(cache=True, nogil=True, **INTERNAL)
def _look_up(edges, first, last, box, memo, entry, kept):
    """Fill the memo of an entry: the edges of its polygon that decide in its cell, whose limits are `box`."""
    used = memo[-1, 1]
    end = _keep_deciding(edges, first, last, box, kept, used)
    memo[entry, 0] = used if end > 0 else 1
    memo[entry, 1] = max(end, 0)
    memo[-1, 1] = max(end, used)


@njit(cache=True, nogil=True, **INTERNAL)
def _cell_box(x, y, r, c):
    """Return the limits (x0, y0, x1, y1) of a cell, with 1e-6 m around it."""
    slack = 1e-6
    x, y = x + c * GRID_CELL, y + r * GRID_CELL
    return x - slack, y - slack, x + GRID_CELL + slack, y + GRID_CELL + slack


@njit(cache=True, nogil=True, **INTERNAL)
def _keep_deciding(edges, first, last, box, kept, used):
    """Write edges equivalent to a polygon's for tests of points in a box by `inside`; return their end.

    `inside` counts the edges to the right that cross the point's height. Edges to the left of the box never count.
    Those above, below and to the right count by the heights of their ends alone; in a chain of them the heights between
    cancel, so that one vertical edge replaces all. They are too far from any point for rounding to matter: the result
    is identical. Without room for them it is -1.
    """
    far, chained, begin, end = box[2] + GRID_CELL, False, 0.0, 0.0
    for e in range(first, last + 1):
        kind = LEFT if e == last else _place(edges[e, 0], edges[e, 1], edges[e, 2], edges[e, 3], box)
        if chained and not (kind == FAR and edges[e, 0] == edges[e - 1, 2] and edges[e, 1] == end):
            if max(begin, end) >= box[1] and min(begin, end) <= box[3]:
                used = _keep(kept, used, far, begin, far, end)
            chained = False
        if kind == NEAR:
            used = _keep(kept, used, edges[e, 0], edges[e, 1], edges[e, 2], edges[e, 3])
        elif kind == FAR:
            begin = begin if chained else edges[e, 1]
            chained, end = True, edges[e, 3]
    return used


@njit(cache=True, nogil=True, **INTERNAL)
def _place(x0, y0, x1, y1, box):
    if max(y0, y1) < box[1] or min(y0, y1) > box[3] or min(x0, x1) > box[2]:
        return FAR
    return LEFT if max(x0, x1) < box[0] else NEAR


@njit(cache=True, nogil=True, **INTERNAL)
def _keep(kept, used, x0, y0, x1, y1):
    if used < 0 or used == len(kept):
        return -1
    kept[used, 0], kept[used, 1], kept[used, 2], kept[used, 3] = x0, y0, x1, y1
    return used + 1
