"""Linear filters along rows."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def filter_rows(values, coefficients, starts):
    """Each output sample (n, t) is a weighted sum of the samples from its start on."""
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
