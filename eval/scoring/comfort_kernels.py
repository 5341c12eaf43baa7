"""Linear filters along rows."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def filter_rows(values, coefficients, starts):
    """Compute each output sample (n, t) as a weighted sum of the samples from its start on."""
    n, length = values.shape
    width = coefficients.shape[1]
    out = np.empty((n, length))
    for p in range(n):
        for t in range(length):
            total = 0.0
            for k in range(width):
                total += coefficients[t, k] * values[p, starts[t] + k]
            out[p, t] = total
    return out


@njit(cache=True, nogil=True)
def stays_within(values, coefficients, starts, low, high, scale):
    """Return whether filtered rows, rounded to 1 / scale, stay strictly between two bounds (n)."""
    n, length = values.shape
    width = coefficients.shape[1]
    kept = np.ones(n, np.bool_)
    for p in range(n):
        for t in range(length):
            total = 0.0
            for k in range(width):
                total += coefficients[t, k] * values[p, starts[t] + k]
            total = np.rint(total * scale) / scale
            if not low < total < high:
                kept[p] = False
                break
    return kept


@njit(cache=True, nogil=True)
def unwrapped(angles):
    """Unwrap rows of angles to steps of at most half a turn."""
    out = angles.copy()
    for p in range(len(angles)):
        for t in range(1, angles.shape[1]):
            step = angles[p, t] - angles[p, t - 1]
            out[p, t] = out[p, t - 1] + step - 2 * np.pi * np.rint(step / (2 * np.pi))
    return out
