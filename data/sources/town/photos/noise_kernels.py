"""Procedural noise, filtered over a pixel's footprint to avoid aliasing."""

import math
from typing import Any

import numba

from swerve.scenes.kernel_options import INTERNAL

# Compilation options. The kernels own no memory, so reference counting is disabled (`_nrt`, as in numba's own string
# functions): with it, an image takes six times as long.
COMPILED: dict[str, Any] = {"cache": True, "nogil": True, "error_model": "numpy", "_nrt": False}

# Size of the noise table along each axis; a power of two.
NODES = 256


@numba.njit(**COMPILED)
def noise(table, x, y):
    """Evaluate value noise, 0 to 1, with one node per unit."""
    floor_x, floor_y = math.floor(x), math.floor(y)
    i, j = int(floor_x) & (NODES - 1), int(floor_y) & (NODES - 1)
    ii, jj = (i + 1) & (NODES - 1), (j + 1) & (NODES - 1)
    u, v = x - floor_x, y - floor_y
    u, v = u * u * (3.0 - 2.0 * u), v * v * (3.0 - 2.0 * v)
    low = table[j, i] + u * (table[j, ii] - table[j, i])
    high = table[jj, i] + u * (table[jj, ii] - table[jj, i])
    return low + v * (high - low)


@numba.njit(**COMPILED)
def band(table, x, y, wavelength, footprint):
    """Evaluate noise of one wavelength, between -0.5 and 0.5; it fades where the footprint exceeds the wavelength."""
    share = wavelength / footprint - 1.0
    if share <= 0.0:
        return 0.0
    return (noise(table, x / wavelength, y / wavelength) - 0.5) * min(share, 1.0)


@numba.njit(**COMPILED)
def cell(table, i, j):
    """Return a random number of a grid cell."""
    a = int(i) * 7 + int(j) * 131 + 17
    b = int(i) * 59 - int(j) * 3 + 91
    return table[a & (NODES - 1), b & (NODES - 1)]


@numba.njit(**COMPILED, **INTERNAL)
def _painted(x, period, begin, end):
    """Return the length within [begin, end) of each period on the line from 0 to x."""
    whole = math.floor(x / period)
    rest = x - whole * period
    return whole * (end - begin) + min(max(rest - begin, 0.0), end - begin)


@numba.njit(**COMPILED)
def stripes(x, period, begin, end, footprint):
    """Return the share of a pixel around x within [begin, end) of a repeating period."""
    half = 0.5 * max(footprint, 1e-4)
    return (_painted(x + half, period, begin, end) - _painted(x - half, period, begin, end)) / (2.0 * half)


@numba.njit(**COMPILED)
def step(low, high, x):
    """Evaluate smoothstep: 0 below low, 1 above high."""
    t = min(max((x - low) / (high - low), 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)
