"""Tracks between frames."""

import math

import numpy as np
from numba import njit

from swerve.eval.context.planar_geometry_kernels import boxes_touch


@njit(cache=True, nogil=True)
def interpolate_tracks(values, valid, steps, per_frame):
    """Interpolate values (m, k, 5) of frames linearly between those that are valid (m, k).

    The third value is an angle, interpolated along the shorter arc.

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
    """Return the present boxes (m, 6) that intersect a box."""
    hit = np.zeros(len(others), np.bool_)
    for j in range(len(others)):
        hit[j] = present[j] and boxes_touch(box, others[j])
    return hit


@njit(cache=True, nogil=True)
def unobstructed(standing, poses, sizes, present):
    """Return the boxes at rest (q, 6) that intersect, at each step, no moving box and no earlier box at rest.

    Args:
        standing: boxes (q, 6).
        poses: of the moving boxes (t, k, 3).
        sizes: their length and width (k, 2).
        present: whether they are there (t, k).
    """
    free, box = np.ones((len(poses), len(standing)), np.bool_), np.empty(6)
    for q in range(len(standing)):
        for t in range(len(poses)):
            for i in range(len(sizes)):
                if present[t, i] and free[t, q]:
                    box[0], box[1] = poses[t, i, 0], poses[t, i, 1]
                    box[2], box[3] = math.cos(poses[t, i, 2]), math.sin(poses[t, i, 2])
                    box[4], box[5] = sizes[i, 0] / 2, sizes[i, 1] / 2
                    free[t, q] = not boxes_touch(box, standing[q])
            for p in range(q):
                if free[t, p] and free[t, q]:
                    free[t, q] = not boxes_touch(standing[p], standing[q])
    return free
