"""Assignment of ellipses to image tiles, nearest first."""

import math

import numba
import numpy as np

from swerve.rasterizer.splats.project_kernels import DEPTH, REACH, SLOPE, A, H, U, V
from swerve.scenes.kernel_options import INTERNAL

TILE = 16
_DIGIT = 11


@numba.njit(cache=True, nogil=True)
def sort_by_depth(ellipses):
    """Sort the visible ellipses by depth, nearest first, stably (a radix sort); return their rows."""
    count = 0
    for n in range(ellipses.shape[0]):
        if ellipses[n, REACH] > 0:
            count += 1
    rows, keys = np.empty(count, np.int32), np.empty(count, np.float32)
    count = 0
    for n in range(ellipses.shape[0]):
        if ellipses[n, REACH] > 0:
            rows[count] = n
            keys[count] = ellipses[n, DEPTH]
            count += 1
    # The bit patterns of positive floats are ordered as the floats are.
    bits = keys.view(np.uint32)
    other_rows, other_bits = np.empty_like(rows), np.empty_like(bits)
    for shift in range(0, 32, _DIGIT):
        _sort_by_digit(rows, bits, other_rows, other_bits, np.uint32(shift))
        rows, other_rows = other_rows, rows
        bits, other_bits = other_bits, bits
    return rows


@numba.njit(cache=True, nogil=True, **INTERNAL)
def _sort_by_digit(rows, bits, sorted_rows, sorted_bits, shift):
    mask = np.uint32((1 << _DIGIT) - 1)
    starts = np.zeros((1 << _DIGIT) + 1, np.int64)
    for i in range(len(bits)):
        starts[((bits[i] >> shift) & mask) + np.uint32(1)] += 1
    for digit in range(1 << _DIGIT):
        starts[digit + 1] += starts[digit]
    for i in range(len(bits)):
        key = (bits[i] >> shift) & mask
        place = starts[key]
        starts[key] += 1
        sorted_rows[place] = rows[i]
        sorted_bits[place] = bits[i]


@numba.njit(cache=True, nogil=True)
def assign_tiles(ellipses, across, down):
    """List the ellipses of every tile (ellipses come nearest first), tile by tile in rows.

    Args:
        ellipses: float32 (m, COLUMNS), in the order of depth.
        across: tiles in a row.
        down: rows of tiles.

    Returns:
        offset of each tile's ellipses, with the end of the last; the ellipses.
    """
    starts = np.zeros(across * down + 1, np.int64)
    for n in range(ellipses.shape[0]):
        first, last = _bands(ellipses[n], down)
        for band in range(first, last):
            begin, end = _touched(ellipses[n], band, across)
            for tile in range(band * across + begin, band * across + end):
                starts[tile + 1] += 1
    for tile in range(across * down):
        starts[tile + 1] += starts[tile]
    places, members = starts[:-1].copy(), np.empty(starts[-1], np.int32)
    for n in range(ellipses.shape[0]):
        first, last = _bands(ellipses[n], down)
        for band in range(first, last):
            begin, end = _touched(ellipses[n], band, across)
            for tile in range(band * across + begin, band * across + end):
                members[places[tile]] = n
                places[tile] += 1
    return starts, members


@numba.njit(cache=True, nogil=True, **INTERNAL)
def _bands(ellipse, down):
    """Return the first row of tiles that an ellipse touches, and the one after the last."""
    high = math.sqrt(ellipse[REACH] / ellipse[H])
    first = math.floor((ellipse[V] - high) / TILE)
    last = math.floor((ellipse[V] + high) / TILE) + 1
    return max(first, 0), min(last, down)


@numba.njit(cache=True, nogil=True, **INTERNAL)
def _touched(ellipse, band, across):
    """Return the first tile of a row of tiles that an ellipse touches, and the one after the last.

    Its rightmost point in the row of tiles is that of the whole ellipse if that lies there, else one on the nearer
    edge; the leftmost lies opposite.
    """
    u, slope, h, reach = ellipse[U], ellipse[SLOPE], ellipse[H], ellipse[REACH]
    a = ellipse[A]
    top, bottom = band * TILE - ellipse[V], (band + 1) * TILE - ellipse[V]
    wide = math.sqrt(reach * (1.0 / a + slope * slope / h))
    dy = reach * slope / (h * wide)
    right = _end(a, slope, h, reach, min(max(dy, top), bottom), 1.0)
    left = _end(a, slope, h, reach, min(max(-dy, top), bottom), -1.0)
    first = math.floor((u + left) / TILE - 1e-4)
    last = math.floor((u + right) / TILE + 1e-4) + 1
    return max(first, 0), min(last, across)


@numba.njit(cache=True, nogil=True, **INTERNAL)
def _end(a, slope, h, reach, dy, side):
    """Return the end of an ellipse's row relative to its centre."""
    return slope * dy + side * math.sqrt(max(reach - h * dy * dy, 0.0) / a)
