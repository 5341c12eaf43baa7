"""Kernels of rollout metrics: speed limits under the ego, and red lights that it runs."""

import numpy as np
from numba import njit

from swerve.eval.context.planar_geometry_kernels import polygon_touches_box
from swerve.eval.context.polygon_grid_kernels import polygons_under


@njit(cache=True, nogil=True)
def limits_under(boxes, surfaces, limits):
    """Return the highest speed limit (t) of the surfaces under the centres of boxes (t, 6); infinity if none."""
    found, ends = polygons_under(surfaces, boxes[:, :2])
    out = np.full(len(boxes), np.inf)
    for t in range(len(boxes)):
        best = -np.inf
        for polygon in found[ends[t] : ends[t + 1]]:
            if limits[polygon] > best:
                best = limits[polygon]
        if best > -np.inf:
            out[t] = best
    return out


@njit(cache=True, nogil=True)
def first_light_run(boxes, edges, starts, active):
    """Return step and light of the first entry into a connector while its light is red (t, l), or (-1, -1).

    Being in the connector at the start, or at the previous step, is no entry.
    """
    lights = len(starts) - 1
    before = np.ones(lights, np.bool_)
    for t in range(len(boxes)):
        for j in range(lights):
            here = starts[j] < starts[j + 1] and polygon_touches_box(edges, starts[j], starts[j + 1], boxes[t])
            if here and not before[j] and active[t, j]:
                return t, j
            before[j] = here
    return -1, -1
