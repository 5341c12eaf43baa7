"""Real spherical harmonics up to degree 3 and their derivatives, for single directions.

The polynomials of the unit vector (x, y, z), orthonormal over the sphere, in the order and with the signs that splat
files have used since 3D Gaussian Splatting (Kerbl et al. 2023): degree l has 2 l + 1 of them, m from -l to l, with the
Condon-Shortley sign (-1)^m.
"""

import math

import numba
import numpy as np

MOST = 16
_C0 = math.sqrt(1 / (4 * math.pi))
_C1 = math.sqrt(3 / (4 * math.pi))
_C2 = math.sqrt(15 / (4 * math.pi))
_C20 = math.sqrt(5 / (16 * math.pi))
_C33 = math.sqrt(35 / (32 * math.pi))
_C32 = math.sqrt(105 / (4 * math.pi))
_C31 = math.sqrt(21 / (32 * math.pi))
_C30 = math.sqrt(7 / (16 * math.pi))


@numba.njit(cache=True, nogil=True)
def basis(count, x, y, z, out):
    """Evaluate the first `count` (1, 4, 9 or 16) functions at a unit vector."""
    out[0] = _C0
    if count < 4:
        return
    out[1] = -_C1 * y
    out[2] = _C1 * z
    out[3] = -_C1 * x
    if count < 9:
        return
    xx, yy, zz = x * x, y * y, z * z
    out[4] = _C2 * x * y
    out[5] = -_C2 * y * z
    out[6] = _C20 * (2 * zz - xx - yy)
    out[7] = -_C2 * x * z
    out[8] = 0.5 * _C2 * (xx - yy)
    if count < 16:
        return
    out[9] = -_C33 * y * (3 * xx - yy)
    out[10] = _C32 * x * y * z
    out[11] = -_C31 * y * (4 * zz - xx - yy)
    out[12] = _C30 * z * (2 * zz - 3 * xx - 3 * yy)
    out[13] = -_C31 * x * (4 * zz - xx - yy)
    out[14] = 0.5 * _C32 * z * (xx - yy)
    out[15] = -_C33 * x * (xx - 3 * yy)


@numba.njit(cache=True, nogil=True)
def slopes(count, x, y, z, out):
    """Evaluate the derivatives of the polynomials of `basis` by x, y and z; `out` has three columns."""
    for axis in range(3):
        out[0, axis] = 0.0
    if count < 4:
        return
    _put(out, 1, 0.0, -_C1, 0.0)
    _put(out, 2, 0.0, 0.0, _C1)
    _put(out, 3, -_C1, 0.0, 0.0)
    if count < 9:
        return
    _put(out, 4, _C2 * y, _C2 * x, 0.0)
    _put(out, 5, 0.0, -_C2 * z, -_C2 * y)
    _put(out, 6, -2 * _C20 * x, -2 * _C20 * y, 4 * _C20 * z)
    _put(out, 7, -_C2 * z, 0.0, -_C2 * x)
    _put(out, 8, _C2 * x, -_C2 * y, 0.0)
    if count < 16:
        return
    xx, yy, zz = x * x, y * y, z * z
    _put(out, 9, -6 * _C33 * x * y, -3 * _C33 * (xx - yy), 0.0)
    _put(out, 10, _C32 * y * z, _C32 * x * z, _C32 * x * y)
    _put(out, 11, 2 * _C31 * x * y, -_C31 * (4 * zz - xx - 3 * yy), -8 * _C31 * y * z)
    _put(out, 12, -6 * _C30 * x * z, -6 * _C30 * y * z, _C30 * (6 * zz - 3 * xx - 3 * yy))
    _put(out, 13, -_C31 * (4 * zz - 3 * xx - yy), 2 * _C31 * x * y, -8 * _C31 * x * z)
    _put(out, 14, _C32 * x * z, -_C32 * y * z, 0.5 * _C32 * (xx - yy))
    _put(out, 15, -3 * _C33 * (xx - yy), 6 * _C33 * x * y, 0.0)


@numba.njit(cache=True, nogil=True)
def basis_many(directions, out):
    """Evaluate `basis` for rows of unit vectors; the columns of `out` give the count."""
    for i in range(directions.shape[0]):
        basis(out.shape[1], directions[i, 0], directions[i, 1], directions[i, 2], out[i])


@numba.njit(cache=True, nogil=True)
def colors_at(directions, harmonics, out):
    """Evaluate colours (0.5 + the sum, not less than 0) of one set of coefficients in directions of any length."""
    count = harmonics.shape[0]
    values = np.empty(MOST)
    for i in range(directions.shape[0]):
        x, y, z = directions[i, 0], directions[i, 1], directions[i, 2]
        scale = 1.0 / math.sqrt(x * x + y * y + z * z)
        basis(count, x * scale, y * scale, z * scale, values)
        for channel in range(3):
            total = 0.5
            for k in range(count):
                total += values[k] * harmonics[k, channel]
            out[i, channel] = max(total, 0.0)


@numba.njit(cache=True, nogil=True)
def _put(out, row, x, y, z):
    out[row, 0] = x
    out[row, 1] = y
    out[row, 2] = z
