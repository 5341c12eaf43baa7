"""IDM along a path, with NAVSIM's PDM-Closed choice of leaders.

Leaders are (arc length, speed, rear length). They are chosen at even steps and kept for one more; at step 1 the leader
is the zero of step 0. Proposals of one path share one buffer per step, so that values a red light or an object does not
write are the previous proposal's: an object leaves the rear length, a red light also the speed, and a free road the
speed. Of objects and lights at the same distance (0 if the ego overlaps several), the first in the order of NAVSIM's
spatial index leads.
"""

import math

import numpy as np
from numba import njit

from swerve.eval.context.planar_geometry_kernels import (
    box_box_distance,
    polygon_box_distance,
    polygon_touches_box,
    project,
)
from swerve.eval.context.polygon_kernels import bound, write_box
from swerve.eval.context.str_tree_kernels import visiting_order
from swerve.eval.scoring.simulate_kernels import wrap
from swerve.eval.scoring.thresholds import (
    AXLE_TO_CENTER,
    FORECAST_STEPS,
    HALF_LENGTH,
    HALF_WIDTH,
    IDM_EXPONENT,
    IDM_MIN_DISTANCE,
    STEP,
)
from swerve.scenes.kernel_options import INTERNAL


@njit(cache=True, nogil=True)
def project_point(points, lengths, x, y):
    """Return the arc length of a path's point nearest to (x, y)."""
    return project(points, lengths, x, y)[0]


@njit(cache=True, nogil=True)
def point_at(points, lengths, along):
    """Return the point (x, y) of a line at an arc length, clamped to its ends."""
    if along <= 0.0:
        return points[0, 0], points[0, 1]
    k = 1
    while k < len(lengths) and lengths[k] < along:
        k += 1
    if k == len(lengths):
        return points[k - 1, 0], points[k - 1, 1]
    share = (along - lengths[k - 1]) / (lengths[k] - lengths[k - 1])
    x = points[k - 1, 0] + share * (points[k, 0] - points[k - 1, 0])
    return x, points[k - 1, 1] + share * (points[k, 1] - points[k - 1, 1])


@njit(cache=True, nogil=True)
def along_path(points, lengths, along):
    """Return poses (q, t, 3) at arc lengths (q, t), headings wrapped."""
    poses = np.empty((along.shape[0], along.shape[1], 3))
    for q in range(along.shape[0]):
        for t in range(along.shape[1]):
            pose_at(points, lengths, along[q, t], poses[q, t])
    return poses


@njit(cache=True, nogil=True)
def pose_at(points, lengths, along, out):
    """Write the pose (3) at an arc length, clamped to the ends."""
    along = min(max(along, 1e-5), lengths[-1])
    right = min(max(np.searchsorted(lengths, along), 1), len(lengths) - 1)
    left = right - 1
    span = lengths[right] - lengths[left]
    share = (along - lengths[left]) / span if span > 0.0 else 0.0
    for axis in range(3):
        out[axis] = points[left, axis] + share * (points[right, axis] - points[left, axis])
    out[2] = wrap(out[2])


@njit(cache=True, nogil=True)
def corridor_hits(corridor, boxes, lights, ignored):
    """Return the objects, then lights, that intersect the corridor at each forecast sample (s, m + l)."""
    edges, starts, _ = lights
    samples, count, _ = boxes.shape
    hits = np.zeros((samples, count + len(starts) - 1), np.bool_)
    if len(corridor) == 0:
        return hits
    x, y = corridor[:, 0], corridor[:, 1]
    low_x, high_x, low_y, high_y = x.min(), x.max(), y.min(), y.max()
    for j in range(count):
        for s in range(samples):
            box = boxes[s, j]
            reach = box[4] + box[5]
            near = low_x - reach <= box[0] <= high_x + reach and low_y - reach <= box[1] <= high_y + reach
            hits[s, j] = near and not ignored[j] and polygon_touches_box(corridor, np.int64(0), len(corridor), box)
    for i in range(len(starts) - 1):
        if not ignored[count + i]:
            hits[:, count + i] = _polygons_touch(corridor, edges[starts[i] : starts[i + 1]])
    return hits


@njit(cache=True, nogil=True, **INTERNAL)
def _polygons_touch(a, b):
    """Return whether two polygons intersect: edges cross, or one contains a vertex of the other."""
    for i in range(len(a)):
        for j in range(len(b)):
            if _segments_touch(a[i], b[j]):
                return True
    return _holds(a, b[0]) or _holds(b, a[0])


@njit(cache=True, nogil=True)
def _holds(polygon, edge):
    odd = False
    for e in range(len(polygon)):
        x0, y0, x1, y1 = polygon[e]
        if (y0 > edge[1]) != (y1 > edge[1]) and edge[0] < x0 + (edge[1] - y0) / (y1 - y0) * (x1 - x0):
            odd = not odd
    return odd


@njit(cache=True, nogil=True, **INTERNAL)
def _segments_touch(a, b):
    d1, d2 = _side(a, b[0], b[1]), _side(a, b[2], b[3])
    d3, d4 = _side(b, a[0], a[1]), _side(b, a[2], a[3])
    if d1 * d2 > 0.0 or d3 * d4 > 0.0:
        return False
    return (
        min(a[0], a[2]) <= max(b[0], b[2])
        and min(b[0], b[2]) <= max(a[0], a[2])
        and min(a[1], a[3]) <= max(b[1], b[3])
        and min(b[1], b[3]) <= max(a[1], a[3])
    )


@njit(cache=True, nogil=True)
def _side(edge, x, y):
    value = (edge[2] - edge[0]) * (y - edge[1]) - (edge[3] - edge[1]) * (x - edge[0])
    return 1.0 if value > 0.0 else (-1.0 if value < 0.0 else 0.0)


@njit(cache=True, nogil=True)
def unroll(points, lengths, state, targets, idm_parameters, agents, lights, hits, first, end):
    """Compute steps first..end-1 of the proposals' state: arc lengths (q, t), speeds (q, t), leaders (q, t, 3)."""
    along, speeds, leaders = state
    centers = np.empty(hits.shape[1])
    for t in range(first, end):
        if t % FORECAST_STEPS:
            leaders[:, t] = leaders[:, t - 1]
        else:
            sample = t // FORECAST_STEPS
            _project_hits(points, lengths, agents, lights, hits[sample], sample, centers)
            met = _hits_in_order(agents[0][sample], lights, hits[sample])
            leader = np.zeros(3)
            for q in range(len(targets)):
                _lead(points, lengths, along[q, t - 1], agents, lights, met, sample, centers, leader)
                leaders[q, t] = leader
        for q in range(len(targets)):
            acceleration = idm(along[q, t - 1], speeds[q, t - 1], targets[q], idm_parameters, leaders[q, t])
            along[q, t] = along[q, t - 1] + STEP * speeds[q, t - 1]
            speeds[q, t] = speeds[q, t - 1] + STEP * acceleration


@njit(cache=True, nogil=True)
def idm(along, speed, target, idm_parameters, leader):
    """Compute the acceleration of the intelligent driver model (Treiber et al., 2000), limited."""
    headway, least_gap, most, deceleration = idm_parameters
    closing = speed * (speed - leader[1]) / (2.0 * math.sqrt(most * deceleration))
    wanted = least_gap + speed * headway + closing
    gap = max(leader[0] - along - leader[2], IDM_MIN_DISTANCE)
    acceleration = most * (1.0 - (speed / target) ** IDM_EXPONENT - (wanted / gap) ** 2)
    return min(max(acceleration, -deceleration), most)


@njit(cache=True, nogil=True, **INTERNAL)
def _hits_in_order(boxes, lights, hits):
    """Return the rows of objects and lights in the corridor, in the order of a spatial index of all of them."""
    if hits.sum() < 2:
        return np.flatnonzero(hits)
    bounds, corners = np.empty((len(hits), 4)), np.empty((4, 4))
    for j in range(len(boxes)):
        write_box(boxes[j], corners)
        bound(corners, np.int64(0), np.int64(4), bounds[j])
    edges, starts, _ = lights
    for i in range(len(starts) - 1):
        bound(edges, starts[i], starts[i + 1], bounds[len(boxes) + i])
    order = visiting_order(bounds)
    return order[hits[order]]


@njit(cache=True, nogil=True, **INTERNAL)
def _project_hits(points, lengths, agents, lights, hits, sample, centers):
    boxes = agents[0]
    count = boxes.shape[1]
    for j in range(len(hits)):
        if hits[j]:
            center = boxes[sample, j, :2] if j < count else lights[2][j - count]
            centers[j] = project(points, lengths, center[0], center[1])[0]


@njit(cache=True, nogil=True, **INTERNAL)
def _lead(points, lengths, along, agents, lights, met, sample, centers, leader):
    """Write the leader of a proposal at arc length `along`; a red light and a free road leave the leader's speed."""
    boxes, speeds, headings = agents
    edges, starts, _ = lights
    count = boxes.shape[1]
    pose, ego = np.empty(3), np.empty(6)
    pose_at(points, lengths, along, pose)
    cos, sin = math.cos(pose[2]), math.sin(pose[2])
    ego[0], ego[1], ego[2], ego[3] = pose[0] + AXLE_TO_CENTER * cos, pose[1] + AXLE_TO_CENTER * sin, cos, sin
    ego[4], ego[5] = HALF_LENGTH, HALF_WIDTH
    nearest, best = -1, np.inf
    for j in met:
        if not centers[j] > along:
            continue
        if j < count:
            distance = box_box_distance(ego, boxes[sample, j])
        else:
            distance = polygon_box_distance(edges, starts[j - count], starts[j - count + 1], ego)
        if distance < best:
            nearest, best = j, distance
    if nearest < 0:
        leader[0], leader[2] = lengths[-1], HALF_LENGTH
        return
    leader[0] = along + best
    if nearest < count:
        leader[1] = speeds[nearest] * math.cos(wrap(headings[nearest] - pose[2]))
