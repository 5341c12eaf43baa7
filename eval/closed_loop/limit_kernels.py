"""Speed limits under the ego."""

import numpy as np
from numba import njit

from swerve.eval.surface_kernels import polygons_under


@njit(cache=True, nogil=True)
def limits_under(boxes, surfaces, limits):
    """The highest speed limit (t) of the surfaces under the centres of boxes (t, 6); infinity where none has one."""
    found = np.empty(max(len(limits), 1), np.int64)
    out = np.full(len(boxes), np.inf)
    for t in range(len(boxes)):
        best = -np.inf
        for i in range(polygons_under(surfaces, boxes[t, 0], boxes[t, 1], found)):
            if limits[found[i]] > best:
                best = limits[found[i]]
        if best > -np.inf:
            out[t] = best
    return out
