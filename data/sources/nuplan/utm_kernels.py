"""Transverse Mercator projection in numba: the C library's functions, operation by operation as in PROJ."""

import math

import numba

from swerve.scenes.kernel_options import INTERNAL

_RADIANS = 0.017453292519943296


@numba.njit(cache=True, nogil=True)
def project_many(lon_lat, central, latitude_series, grid_series, radius, axis, projected):
    """Project longitudes and latitudes in degrees to metres east of the central meridian and north of the equator."""
    for row in range(len(lon_lat)):
        longitude = lon_lat[row, 0] * _RADIANS - central
        latitude = lon_lat[row, 1] * _RADIANS
        gaussian = _gaussian_latitude(latitude, latitude_series)
        north, east = _grid(gaussian, longitude, grid_series)
        projected[row, 0] = axis * (radius * east)
        projected[row, 1] = axis * (radius * north)


@numba.njit(cache=True, nogil=True, **INTERNAL)
def _gaussian_latitude(latitude, series):
    """Sum the sine series of the latitude on the sphere by Clenshaw's recurrence."""
    twice = 2 * math.cos(2 * latitude)
    last, before, total = series[-1], 0.0, 0.0
    for index in range(len(series) - 2, -1, -1):
        total = -before + twice * last + series[index]
        before, last = last, total
    return latitude + total * math.sin(2 * latitude)


@numba.njit(cache=True, nogil=True, **INTERNAL)
def _grid(latitude, longitude, series):
    """Compute northing and easting, in units of the meridian's radius, from a point on the sphere.

    A complex sine series, summed by Clenshaw's recurrence; its trigonometric arguments come from the projected point.
    """
    sine, across = math.sin(latitude), math.cos(latitude) * math.cos(longitude)
    north = math.atan2(sine, across)
    inverse = 1.0 / math.hypot(sine, across)
    tangent = math.sin(longitude) * math.cos(latitude) * inverse
    east = math.asinh(tangent)
    twice = 2 * inverse
    square = twice * inverse
    share = across * square
    sin_r, cos_r, sinh_i, cosh_i = sine * share, across * share - 1, tangent * twice, square - 1
    real, imaginary = 2 * cos_r * cosh_i, -2 * sin_r * sinh_i
    last_r, last_i, total_r, total_i = 0.0, 0.0, series[-1], 0.0
    for index in range(len(series) - 2, -1, -1):
        before_r, before_i, last_r, last_i = last_r, last_i, total_r, total_i
        total_r = -before_r + real * last_r - imaginary * last_i + series[index]
        total_i = -before_i + imaginary * last_r + real * last_i
    real, imaginary = sin_r * cosh_i, cos_r * sinh_i
    return north + (real * total_r - imaginary * total_i), east + (real * total_i + imaginary * total_r)
