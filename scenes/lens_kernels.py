"""Lens distortion kernels for single points, shared by rendering and projection.

Coefficients come as eight numbers in OpenCV's order: (k1, k2, p1, p2, k3, k4, k5, k6) for BROWN, (k1, k2, k3, k4,
0, 0, 0, 0) for FISHEYE. `limit` is the undistorted radius up to which the model is one-to-one; beyond it the image
radius is extended with slope one, so that far-away points stay outside the image instead of folding back into it.
Formulas: OpenCV's documentation of the camera model, and Kannala and Brandt 2006 for the fisheye.
"""

import math

import numba

from swerve.scenes.kernel_options import INTERNAL

PINHOLE, BROWN, FISHEYE = 0, 1, 2


@numba.njit(cache=True, inline="always")
def radial_scale(model, c, r2):
    """Return the ratio of distorted to undistorted radius."""
    if model == BROWN:
        numerator = 1.0 + r2 * (c[0] + r2 * (c[1] + r2 * c[4]))
        return numerator / (1.0 + r2 * (c[5] + r2 * (c[6] + r2 * c[7])))
    r = math.sqrt(r2)
    if r < 1e-9:
        return 1.0
    angle = math.atan(r)
    a2 = angle * angle
    return angle * (1.0 + a2 * (c[0] + a2 * (c[1] + a2 * (c[2] + a2 * c[3])))) / r


@numba.njit(cache=True)
def distort(model, c, limit, x, y):
    """Distort normalised image coordinates (x/z, y/z)."""
    if model == PINHOLE:
        return x, y
    r = math.sqrt(x * x + y * y)
    if r > limit:
        inner_x, inner_y = _distort_within(model, c, x * limit / r, y * limit / r)
        grow = (r - limit) / r
        return inner_x + x * grow, inner_y + y * grow
    return _distort_within(model, c, x, y)


@numba.njit(cache=True, **INTERNAL)
def _distort_within(model, c, x, y):
    """Distort by the model's formula, valid up to its limit."""
    scale = radial_scale(model, c, x * x + y * y)
    if model == FISHEYE:
        return x * scale, y * scale
    p1, p2, r2 = c[2], c[3], x * x + y * y
    return (
        x * scale + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x),
        y * scale + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y,
    )


@numba.njit(cache=True)
def undistort(model, c, limit, xd, yd):
    """Invert `distort` by Newton's method; NaN beyond the limit of the lens model."""
    if model == PINHOLE:
        return xd, yd
    x, y = _invert_radius(model, c, limit, xd, yd)
    step = 1e-6
    for _ in range(20):
        fx, fy = distort(model, c, limit, x, y)
        ex, ey = fx - xd, fy - yd
        if ex * ex + ey * ey < 1e-26:
            break
        xx, yx = distort(model, c, limit, x + step, y)
        xy, yy = distort(model, c, limit, x, y + step)
        a, b, d, e = (xx - fx) / step, (xy - fx) / step, (yx - fy) / step, (yy - fy) / step
        determinant = a * e - b * d
        if abs(determinant) < 1e-12:
            break
        x -= (e * ex - b * ey) / determinant
        y -= (a * ey - d * ex) / determinant
    fx, fy = distort(model, c, limit, x, y)
    missed = (fx - xd) ** 2 + (fy - yd) ** 2 > 1e-18
    if missed or x * x + y * y > limit * limit * (1.0 + 1e-9):
        return math.nan, math.nan
    return x, y


@numba.njit(cache=True, **INTERNAL)
def _invert_radius(model, c, limit, xd, yd):
    """Return the start value of Newton's method: bisection of the radial part, confined to the one-to-one region."""
    rd = math.sqrt(xd * xd + yd * yd)
    if rd < 1e-12:
        return xd, yd
    low, high = 0.0, limit
    for _ in range(40):
        middle = 0.5 * (low + high)
        if middle * radial_scale(model, c, middle * middle) < rd:
            low = middle
        else:
            high = middle
    return xd * low / rd, yd * low / rd


@numba.njit(cache=True)
def distort_many(model, c, limit, points, out):
    """Apply `distort` to rows of (x, y)."""
    for i in range(points.shape[0]):
        out[i, 0], out[i, 1] = distort(model, c, limit, points[i, 0], points[i, 1])


@numba.njit(cache=True)
def undistort_many(model, c, limit, points, out):
    """Apply `undistort` to rows of (x, y)."""
    for i in range(points.shape[0]):
        out[i, 0], out[i, 1] = undistort(model, c, limit, points[i, 0], points[i, 1])
