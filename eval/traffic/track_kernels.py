"""Tracks between frames."""

import math

import numpy as np
from numba import njit

from swerve.eval.context.planar_geometry_kernels import boxes_touch


@njit(cache=True, nogil=True)
def interpolate_tracks(values, valid, steps, per_frame):
    """Values (m, k, 5) of frames, linearly between those that are valid (m, k).

    The third value is an angle, which goes the shorter way.

    Returns:
        (values (steps, m, 5), present (steps, m)).
    """
    count, frames, _ = values.shape
    out, present = np.zeros((steps, count, 5)), np.zeros((steps, count), np.bool_)
    known = np.empty(frames, np.int64)
    for j in range(count):
        number = 0
        for k in range(frames):
            if valid[j, k]:
                known[number] = k
                number += 1
        if number == 1:
            out[:, j], present[:, j] = values[j, known[0]], True
            continue
        turned = values[j, known[0], 2]
        for i in range(number - 1):
            a, b = known[i], known[i + 1]
            turn = (values[j, b, 2] - values[j, a, 2] + math.pi) % (2 * math.pi) - math.pi
            for t in range(a * per_frame, min(b * per_frame, steps - 1) + 1):
                share = (t - a * per_frame) / ((b - a) * per_frame)
                for c in range(5):
                    out[t, j, c] = values[j, a, c] + share * (values[j, b, c] - values[j, a, c])
                out[t, j, 2] = turned + share * turn
                present[t, j] = True
            turned += turn
    return out, present


@njit(cache=True, nogil=True)
def touching(box, others, present):
    """Which of the boxes (m, 6) that are present intersect a box."""
    hit = np.zeros(len(others), np.bool_)
    for j in range(len(others)):
        hit[j] = present[j] and boxes_touch(box, others[j])
    return hit
