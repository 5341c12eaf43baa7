"""A uniform grid over labelled polygons, and what lies under a point."""

import math

import numpy as np
from numba import njit

from swerve.eval.geometry_kernels import inside
from swerve.eval.thresholds import GRID_CELL


@njit(cache=True, nogil=True)
def build_grid(edges, starts, corner, size):
    """Which polygons lie over each of size x size cells.

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


@njit(cache=True, nogil=True)
def _grown(array):
    bigger = np.empty(2 * len(array), array.dtype)
    bigger[: len(array)] = array
    return bigger


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def _cell_range(edges, first, last, corner, size):
    x, y = edges[first:last, 0], edges[first:last, 1]
    top = size - 1
    r0, r1 = _cell(y.min() - corner[1]), _cell(y.max() - corner[1])
    c0, c1 = _cell(x.min() - corner[0]), _cell(x.max() - corner[0])
    return max(r0, 0), min(r1, top), max(c0, 0), min(c1, top)


@njit(cache=True, nogil=True)
def _cell(distance):
    return math.floor(distance / GRID_CELL)


@njit(cache=True, nogil=True)
def _mark_edge(edge, corner, marks, value):
    """Marks every cell that an edge passes through or comes within 1e-6 m of."""
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
def polygons_under(surfaces, x, y, out):
    """Writes the polygons that hold (x, y) strictly inside into `out`, and returns how many.

    Args:
        surfaces: (edges, starts, corner, cells, covered, cell_starts).
        x: world coordinate; beyond the grid every polygon is tried.
        y: world coordinate.
        out: one entry per polygon.
    """
    edges, starts, corner, cells, covered, cell_starts = surfaces
    size = int(math.sqrt(len(cell_starts) - 1) + 0.5)
    found = 0
    r, c = _cell(y - corner[1]), _cell(x - corner[0])
    if not (0 <= r < size and 0 <= c < size):
        for p in range(len(starts) - 1):
            if inside(edges, starts[p], starts[p + 1], x, y):
                out[found] = p
                found += 1
        return found
    cell = r * size + c
    for i in range(cell_starts[cell], cell_starts[cell + 1]):
        p = cells[i]
        if covered[i] or inside(edges, starts[p], starts[p + 1], x, y):
            out[found] = p
            found += 1
    return found
