"""Structural similarity with its gradient, over images with channels interleaved in rows."""

import numba
import numpy as np

from swerve.scenes.kernel_options import INTERNAL

# (0.01 L)^2 and (0.03 L)^2 for colours of 0 to L = 1.
C1, C2 = 1e-4, 9e-4


@numba.njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
def likeness_and_slopes(a, b, window, channels, out, slopes):
    """Compute the SSIM of each window, row by row, and the derivatives of their sum by the image.

    The window sums of a, b, a^2, b^2 and a b give the SSIM, whose derivatives by the first, the third and the fifth are
    propagated through the same windows to the pixels of a.

    Args:
        a: (h, w channels), float32 or float64.
        b: as a.
        window: weights of a window's rows, and of its columns; they add up to 1.
        channels: number of channels per pixel.
        out: (h - n + 1, w - n + 1, channels) flat by row, n the length of the window, for the SSIM.
        slopes: as a; zeros, to which the derivatives are added.
    """
    n, height, width = len(window), a.shape[0], a.shape[1]
    inner = width - (n - 1) * channels
    sums = np.empty((5, width), a.dtype)
    means = np.empty((5, inner), a.dtype)
    spread = np.empty((3, width), a.dtype)
    for y in range(height - n + 1):
        _down(a, b, window, y, sums)
        _along(sums, window, channels, means)
        _compare(means, out[y])
        _back_along(means, window, channels, spread)
        for k in range(n):
            weight = window[k]
            for i in range(width):
                slope = spread[0, i] + a[y + k, i] * spread[1, i] + b[y + k, i] * spread[2, i]
                slopes[y + k, i] += weight * slope


@numba.njit(cache=True, nogil=True, fastmath=True, error_model="numpy", **INTERNAL)
def _down(a, b, window, y, sums):
    """Sum over the columns of the windows that begin in row y."""
    sums[:] = 0
    for k in range(len(window)):
        weight = window[k]
        for i in range(a.shape[1]):
            p, q = a[y + k, i], b[y + k, i]
            sums[0, i] += weight * p
            sums[1, i] += weight * q
            sums[2, i] += weight * p * p
            sums[3, i] += weight * q * q
            sums[4, i] += weight * p * q


@numba.njit(cache=True, nogil=True, fastmath=True, error_model="numpy", **INTERNAL)
def _along(sums, window, channels, means):
    """Sum over the rows of windows."""
    means[:] = 0
    for m in range(5):
        for k in range(len(window)):
            weight = window[k]
            for i in range(means.shape[1]):
                means[m, i] += weight * sums[m, i + k * channels]


@numba.njit(cache=True, nogil=True, fastmath=True, error_model="numpy", **INTERNAL)
def _compare(means, out):
    """Write the SSIM; rows 0 to 2 of `means` become its derivatives by mean, square (doubled) and product."""
    for i in range(means.shape[1]):
        p, q = means[0, i], means[1, i]
        variances = means[2, i] - p * p + means[3, i] - q * q + means.dtype.type(C2)
        covariance = 2 * (means[4, i] - p * q) + means.dtype.type(C2)
        squares, product = p * p + q * q + means.dtype.type(C1), 2 * p * q + means.dtype.type(C1)
        scale = 1 / (squares * variances)
        likeness = product * covariance * scale
        out[i] = likeness
        by_variance = -likeness / variances
        by_covariance = 2 * product * scale
        by_mean = 2 * q * covariance * scale - 2 * p * likeness / squares
        means[0, i] = by_mean - 2 * p * by_variance - q * by_covariance
        means[1, i] = 2 * by_variance
        means[2, i] = by_covariance


@numba.njit(cache=True, nogil=True, fastmath=True, error_model="numpy", **INTERNAL)
def _back_along(means, window, channels, spread):
    """Apply the transpose of `_along` to the first three rows."""
    spread[:] = 0
    for m in range(3):
        for k in range(len(window)):
            weight = window[k]
            for i in range(means.shape[1]):
                spread[m, i + k * channels] += weight * means[m, i]
