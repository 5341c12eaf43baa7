"""Alpha blending of projected Gaussians (ellipses) into pixels: front to back, tile by tile."""

import math

import numba
import numpy as np

from swerve.rasterizer.splats.project_kernels import BLUE, DEPTH, GREEN, OPACITY, REACH, RED, SLOPE, A, H, U, V
from swerve.rasterizer.splats.tile_kernels import TILE
from swerve.scenes.kernel_options import INTERNAL

# A pixel is finished when its transmittance falls below this; the alpha of a Gaussian is at most `DENSEST`.
MIN_TRANSMITTANCE = np.float32(1e-4)
MAX_ALPHA = np.float32(0.999)
MIN_ALPHA = np.float32(1.0 / 255.0)
# Pixels processed together: the width of a vector register.
BLOCK = 8
PIXELS = TILE * TILE
# Layers of a tile: transmittance (negative: finished), colour, depth, the largest weight so far and its owner.
LIGHT, SUM_RED, SUM_GREEN, SUM_BLUE, SUM_DEPTH, LARGEST, OWNER = range(0, 7 * PIXELS, PIXELS)
_LAYERS = 7
LOOK_EVERY = 8


@numba.njit(cache=True, nogil=True, error_model="numpy")
def blend(ellipses, starts, members, bands, wants_owner, rgb, depth, alpha, owner):
    """Blend the ellipses into the images' rows of tiles `bands`.

    Args:
        ellipses: float32 (m, COLUMNS), nearest first.
        starts: offset of each tile's members.
        members: ellipses of each tile, nearest first.
        bands: rows of tiles.
        wants_owner: whether to write `owner`.
        rgb: float32 (h, w, 3), sum of weight x colour.
        depth: float32 (h, w), sum of weight x depth.
        alpha: float32 (h, w), sum of weights.
        owner: int32 (h, w), row of the ellipse with the largest weight; -1 where the remaining transmittance is larger.
    """
    state = np.empty(_LAYERS * PIXELS, np.float32)
    weights = np.empty(TILE, np.float32)
    height, width = alpha.shape
    across = (width + TILE - 1) // TILE
    for band in bands:
        for column in range(across):
            tile = band * across + column
            state[:] = np.float32(0.0)
            state[LIGHT : LIGHT + PIXELS] = np.float32(1.0)
            left, top = column * TILE, band * TILE
            rows = min(TILE, height - top)
            for k in range(starts[tile], starts[tile + 1]):
                if (k - starts[tile]) % LOOK_EVERY == 0 and finished(state, rows):
                    break
                _add(ellipses[members[k]], members[k], left, top, rows, wants_owner, state, weights)
            _write(state, left, top, wants_owner, rgb, depth, alpha, owner)


@numba.njit(cache=True, nogil=True)
def finished(state, rows):
    """Test whether all pixels of the tile's first rows are finished."""
    most = np.float32(-1.0)
    for i in range(rows * TILE):
        most = max(most, state[LIGHT + i])
    return most < 0


@numba.njit(cache=True, nogil=True, inline="always")
def touched_rows(ellipse, top, rows):
    """Return the first row of the tile that an ellipse touches, and the one after the last."""
    high = math.sqrt(ellipse[REACH] / ellipse[H])
    first = math.ceil(ellipse[V] - high - top - np.float32(0.501))
    last = math.floor(ellipse[V] + high - top - np.float32(0.499)) + 1
    return max(int(first), 0), min(int(last), rows)


@numba.njit(cache=True, nogil=True, inline="always")
def touched_blocks(ellipse, falloff, middle):
    """Return the first block of a row that an ellipse touches, and the one after the last; `middle` is its centre."""
    half = math.sqrt(max(ellipse[REACH] - np.float32(2.0) * falloff, np.float32(0.0)) / ellipse[A])
    first = max(math.ceil(middle - half - np.float32(0.501)), 0)
    last = min(math.floor(middle + half - np.float32(0.499)), TILE - 1)
    if first > last:
        return 0, 0
    return first // BLOCK * BLOCK, (last // BLOCK + 1) * BLOCK


@numba.njit(cache=True, nogil=True, inline="always")
def fast_exp(x):
    """Compute the exponential of -6 to 0, to 5e-7 of its value: a Taylor polynomial of x / 8, squared three times."""
    x = max(x, np.float32(-6.0)) * np.float32(0.125)
    y = np.float32(1.0) + x * (
        np.float32(1.0)
        + x
        * (
            np.float32(0.5)
            + x
            * (
                np.float32(0.16666667)
                + x
                * (
                    np.float32(0.041666667)
                    + x * (np.float32(0.0083333333) + x * (np.float32(0.0013888889) + x * np.float32(0.0001984127)))
                )
            )
        )
    )
    y = y * y
    y = y * y
    return y * y


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _add(ellipse, number, left, top, rows, wants_owner, state, weights):
    """Blend one ellipse behind the tile's current content."""
    first, last = touched_rows(ellipse, np.float32(top), rows)
    for row in range(first, last):
        dy = np.float32(top) + np.float32(row) + np.float32(0.5) - ellipse[V]
        middle = ellipse[U] + ellipse[SLOPE] * dy - np.float32(left)
        falloff = np.float32(0.5) * ellipse[H] * dy * dy
        begin, end = touched_blocks(ellipse, falloff, middle)
        if begin < end:
            start = row * TILE + begin
            offset = np.float32(begin) + np.float32(0.5) - middle
            _add_row(ellipse, falloff, offset, end - begin, state[start : start + 4 * PIXELS + TILE], weights)
            if wants_owner:
                _claim(number, end - begin, state[start + LARGEST : start + OWNER + TILE], weights)


@numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"}, **INTERNAL)
def _add_row(ellipse, falloff, offset, count, state, weights):
    half = np.float32(0.5) * ellipse[A]
    opacity, red, green, blue, depth = ellipse[OPACITY], ellipse[RED], ellipse[GREEN], ellipse[BLUE], ellipse[DEPTH]
    for i in range(count):
        d = offset + np.float32(i)
        covers = min(opacity * fast_exp(-half * d * d - falloff), MAX_ALPHA)
        light = state[i]
        left = light - light * covers
        seen = covers >= MIN_ALPHA
        kept = seen & (left > MIN_TRANSMITTANCE)
        weight = light * covers if kept else np.float32(0.0)
        stopped = -abs(light) if seen else light
        state[i] = left if kept else stopped
        state[i + SUM_RED] += weight * red
        state[i + SUM_GREEN] += weight * green
        state[i + SUM_BLUE] += weight * blue
        state[i + SUM_DEPTH] += weight * depth
        weights[i] = weight


@numba.njit(cache=True, nogil=True, **INTERNAL)
def _claim(number, count, owners, weights):
    """Set the ellipse as owner where its weight is the largest so far; a float32 holds integers up to 16 million."""
    for i in range(count):
        largest = weights[i] > owners[i]
        owners[i] = weights[i] if largest else owners[i]
        owners[i + PIXELS] = np.float32(number) if largest else owners[i + PIXELS]


@numba.njit(cache=True, nogil=True, **INTERNAL)
def _write(state, left, top, wants_owner, rgb, depth, alpha, owner):
    """Copy a tile into the images."""
    for y in range(min(TILE, alpha.shape[0] - top)):
        for x in range(min(TILE, alpha.shape[1] - left)):
            i = y * TILE + x
            light = abs(state[LIGHT + i])
            rgb[top + y, left + x, 0] = state[SUM_RED + i]
            rgb[top + y, left + x, 1] = state[SUM_GREEN + i]
            rgb[top + y, left + x, 2] = state[SUM_BLUE + i]
            depth[top + y, left + x] = state[SUM_DEPTH + i]
            alpha[top + y, left + x] = np.float32(1.0) - light
            if wants_owner:
                owned = state[LARGEST + i] > light
                owner[top + y, left + x] = np.int32(state[OWNER + i]) if owned else -1
