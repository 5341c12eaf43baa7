"""Backward pass of `blend_kernels`: the same tiles, front to back.

The contribution of Gaussian i to the loss is s_i = the loss's derivatives by colour, depth and alpha times its own
values. It changes with its alpha c_i as T_i s_i - (sum over j > i of w_j s_j) / (1 - c_i), with T_i the transmittance
in front of it and w_j the weights. The sum over all j is known from the finished image, so the sum over j > i is the
remainder not yet visited, and one front-to-back pass suffices, with the early stop of the forward pass. Its rounding is
that of the whole sum: 1e-6 of it.
"""

import numba
import numpy as np

from swerve.rasterizer.splats.blend_kernels import (
    LOOK_EVERY,
    MAX_ALPHA,
    MIN_ALPHA,
    MIN_TRANSMITTANCE,
    PIXELS,
    fast_exp,
    finished,
    touched_blocks,
    touched_rows,
)
from swerve.rasterizer.splats.project_kernels import BLUE, DEPTH, GREEN, OPACITY, RED, SLOPE, A, H, U, V
from swerve.rasterizer.splats.tile_kernels import TILE
from swerve.scenes.kernel_options import INTERNAL

# Layers of a tile: transmittance (negative: finished), remaining sum, and the loss's derivatives.
LIGHT, REST, BY_RED, BY_GREEN, BY_BLUE, BY_DEPTH, BY_ALPHA = range(0, 7 * PIXELS, PIXELS)
_LAYERS = 7


@numba.njit(cache=True, nogil=True, error_model="numpy")
def blend_gradients(ellipses, starts, members, bands, sums, slopes, out):
    """Add the derivatives of the loss by the columns of `ellipses` to `out`, over rows of tiles `bands`.

    Args:
        ellipses: as for `blend`.
        starts: as for `blend`.
        members: as for `blend`.
        bands: as for `blend`.
        sums: `Sums` that `blend` wrote.
        slopes: `Sums` of the loss's derivatives by `sums`.
        out: float32 (m, COLUMNS).
    """
    state = np.empty(_LAYERS * PIXELS, np.float32)
    height, width = sums.alpha.shape
    across = (width + TILE - 1) // TILE
    for band in bands:
        for column in range(across):
            tile = band * across + column
            left, top = column * TILE, band * TILE
            rows = min(TILE, height - top)
            _read(sums, slopes, left, top, state)
            for k in range(starts[tile], starts[tile + 1]):
                if (k - starts[tile]) % LOOK_EVERY == 0 and finished(state, rows):
                    break
                _trace(ellipses[members[k]], left, top, rows, state, out[members[k]])


@numba.njit(cache=True, nogil=True)
def _read(sums, slopes, left, top, state):
    """Initialise a tile; pixels outside of the image count for nothing."""
    state[:] = np.float32(0.0)
    state[LIGHT : LIGHT + PIXELS] = np.float32(1.0)
    for y in range(min(TILE, sums.alpha.shape[0] - top)):
        for x in range(min(TILE, sums.alpha.shape[1] - left)):
            i, row, column = y * TILE + x, top + y, left + x
            state[BY_RED + i] = slopes.color[row, column, 0]
            state[BY_GREEN + i] = slopes.color[row, column, 1]
            state[BY_BLUE + i] = slopes.color[row, column, 2]
            state[BY_DEPTH + i] = slopes.depth[row, column]
            state[BY_ALPHA + i] = slopes.alpha[row, column]
            rest = slopes.depth[row, column] * sums.depth[row, column]
            rest += slopes.alpha[row, column] * sums.alpha[row, column]
            for channel in range(3):
                rest += slopes.color[row, column, channel] * sums.color[row, column, channel]
            state[REST + i] = rest


@numba.njit(cache=True, nogil=True, error_model="numpy", **INTERNAL)
def _trace(ellipse, left, top, rows, state, out):
    """Add the tile's gradient of one ellipse, the next one in depth."""
    first, last = touched_rows(ellipse, np.float32(top), rows)
    for row in range(first, last):
        dy = np.float32(top) + np.float32(row) + np.float32(0.5) - ellipse[V]
        middle = ellipse[U] + ellipse[SLOPE] * dy - np.float32(left)
        falloff = np.float32(0.5) * ellipse[H] * dy * dy
        begin, end = touched_blocks(ellipse, falloff, middle)
        if begin < end:
            start = row * TILE + begin
            offset = np.float32(begin) + np.float32(0.5) - middle
            layers = state[start : start + BY_ALPHA + TILE]
            m0, m1, m2, red, green, blue, depth = _trace_row(ellipse, falloff, offset, end - begin, layers)
            out[U] += ellipse[A] * m1
            out[V] += ellipse[H] * dy * m0 - ellipse[A] * ellipse[SLOPE] * m1
            out[SLOPE] += ellipse[A] * dy * m1
            out[A] -= np.float32(0.5) * m2
            out[H] -= np.float32(0.5) * dy * dy * m0
            out[OPACITY] += m0 / ellipse[OPACITY]
            out[RED] += red
            out[GREEN] += green
            out[BLUE] += blue
            out[DEPTH] += depth


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz", "reassoc"}, **INTERNAL)
def _trace_row(ellipse, falloff, offset, count, state):
    """Compute moments 0, 1, 2 about the row's middle of the derivative by the exponent; those by colour and depth."""
    half = np.float32(0.5) * ellipse[A]
    opacity, red, green, blue, depth = ellipse[OPACITY], ellipse[RED], ellipse[GREEN], ellipse[BLUE], ellipse[DEPTH]
    m0 = m1 = m2 = by_red = by_green = by_blue = by_depth = np.float32(0.0)
    for i in range(count):
        d = offset + np.float32(i)
        whole = opacity * fast_exp(-half * d * d - falloff)
        covers = min(whole, MAX_ALPHA)
        light = state[LIGHT + i]
        left = light - light * covers
        seen = covers >= MIN_ALPHA
        kept = seen & (left > MIN_TRANSMITTANCE)
        weight = light * covers if kept else np.float32(0.0)
        shown = red * state[BY_RED + i] + green * state[BY_GREEN + i] + blue * state[BY_BLUE + i]
        shown += depth * state[BY_DEPTH + i] + state[BY_ALPHA + i]
        rest = state[REST + i] - weight * shown
        slope = covers * (light * shown - rest / (np.float32(1.0) - covers))
        slope = slope if kept & (whole <= MAX_ALPHA) else np.float32(0.0)
        stopped = -abs(light) if seen else light
        state[LIGHT + i] = left if kept else stopped
        state[REST + i] = rest
        m0 += slope
        m1 += slope * d
        m2 += slope * d * d
        by_red += weight * state[BY_RED + i]
        by_green += weight * state[BY_GREEN + i]
        by_blue += weight * state[BY_BLUE + i]
        by_depth += weight * state[BY_DEPTH + i]
    return m0, m1, m2, by_red, by_green, by_blue, by_depth
