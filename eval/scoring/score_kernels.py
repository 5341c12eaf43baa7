"""Kernels of the sub-scores of simulated proposals: loops over proposals, steps and objects.

Boxes are (x, y, cos, sin, half length, half width), see planar_geometry_kernels. Each kernel fills outcome arrays
with one row per proposal; a step or an object of -1 means that there is no event.
"""

import math

import numpy as np
from numba import njit

from swerve.eval.context.planar_geometry_kernels import (
    box_corners,
    boxes_touch,
    point_segment_squared,
    polygon_touches_box,
    project,
    segment_touches_box,
)
from swerve.eval.context.polygon_grid_kernels import polygons_under
from swerve.eval.scoring.thresholds import (
    AHEAD_ANGLE,
    AXLE_TO_CENTER,
    BEHIND_ANGLE,
    DIRECTION_HORIZON,
    HALF_LENGTH,
    HALF_WIDTH,
    LANE_KEEPING_DISTANCE,
    LANE_KEEPING_STEPS,
    STEP,
    STOPPED_SPEED,
    TTC_HORIZON_STEPS,
    TTC_STOPPED_SPEED,
)
from swerve.scenes.kernel_options import INTERNAL

ROADBLOCK, LANE, LANE_CONNECTOR, INTERSECTION = 0, 1, 2, 3
MULTIPLE_LANES, NON_DRIVABLE, ONCOMING, CENTER_IN_INTERSECTION, AXLE_IN_INTERSECTION = 1, 2, 4, 8, 16
STOPPED_EGO, STOPPED_TRACK, ACTIVE_REAR, ACTIVE_FRONT, ACTIVE_LATERAL = 0, 1, 2, 3, 4
EGO_RADIUS = math.hypot(HALF_LENGTH, HALF_WIDTH)
PLACES = 6


@njit(cache=True, nogil=True)
def ego_boxes(states):
    """Return the ego's boxes (n, t, 6) in states (n, t, 11)."""
    n, steps, _ = states.shape
    boxes = np.empty((n, steps, 6))
    for p in range(n):
        for t in range(steps):
            cos, sin = math.cos(states[p, t, 2]), math.sin(states[p, t, 2])
            boxes[p, t, 0] = states[p, t, 0] + AXLE_TO_CENTER * cos
            boxes[p, t, 1] = states[p, t, 1] + AXLE_TO_CENTER * sin
            boxes[p, t, 2], boxes[p, t, 3] = cos, sin
            boxes[p, t, 4], boxes[p, t, 5] = HALF_LENGTH, HALF_WIDTH
    return boxes


@njit(cache=True, nogil=True)
def ego_areas(states, boxes, surfaces, layers, on_route):
    """Return the area bits of the ego per step (n, t), and the first corner off the drivable surface (n, t) or -1."""
    n, steps, _ = boxes.shape
    areas, off_corner = np.zeros((n, steps), np.uint8), np.full((n, steps), -1, np.int8)
    held, touched = np.zeros(len(layers), np.uint8), np.empty(len(layers), np.int64)
    found, ends = polygons_under(surfaces, _places(states, boxes))
    for p in range(n):
        for t in range(steps):
            first, number = PLACES * (p * steps + t), 0
            for i in range(4):
                for j in range(ends[first + i], ends[first + i + 1]):
                    if held[found[j]] == 0:
                        touched[number] = found[j]
                        number += 1
                    held[found[j]] |= 1 << i
            areas[p, t], off_corner[p, t] = _corner_areas(held, touched[:number], layers)
            for j in range(number):
                held[touched[j]] = 0
            center, axle = found[ends[first + 4] : ends[first + 5]], found[ends[first + 5] : ends[first + 6]]
            areas[p, t] |= _point_areas(layers, on_route, center, axle)
    return areas, off_corner


@njit(cache=True, nogil=True, **INTERNAL)
def _places(states, boxes):
    """Return the query points of each step: the ego's corners, its centre, its rear axle."""
    n, steps, _ = boxes.shape
    out = np.empty((n * steps * PLACES, 2))
    for p in range(n):
        for t in range(steps):
            first = PLACES * (p * steps + t)
            box_corners(boxes[p, t], out[first : first + 4])
            out[first + 4] = boxes[p, t, :2]
            out[first + 5] = states[p, t, :2]
    return out


@njit(cache=True, nogil=True, **INTERNAL)
def _corner_areas(held, touched, layers):
    lanes, whole, drivable = 0, False, 0
    for polygon in touched:
        layer = layers[polygon]
        if layer in (LANE, LANE_CONNECTOR):
            lanes += 1
            whole = whole or held[polygon] == 15
        else:
            drivable |= held[polygon]
    area = MULTIPLE_LANES if lanes > 1 and not whole else 0
    if drivable == 15:
        return area, -1
    corner = 0
    while drivable >> corner & 1:
        corner += 1
    return area | NON_DRIVABLE, corner


@njit(cache=True, nogil=True, **INTERNAL)
def _point_areas(layers, on_route, center, axle):
    area = ONCOMING
    for polygon in center:
        if layers[polygon] == INTERSECTION:
            area |= CENTER_IN_INTERSECTION
        if on_route[polygon]:
            area &= ~ONCOMING
    for polygon in axle:
        if layers[polygon] == INTERSECTION:
            area |= AXLE_IN_INTERSECTION
    return area


@njit(cache=True, nogil=True)
def track_bounds(tracks, present):
    """Return bounding circles (x, y, radius) of the boxes of each track (t, m, 6) over time."""
    steps, count, _ = tracks.shape
    bounds = np.zeros((count, 3))
    for j in range(count):
        low_x, low_y, high_x, high_y, radius = np.inf, np.inf, -np.inf, -np.inf, 0.0
        for t in range(steps):
            if present[t, j]:
                low_x, high_x = min(low_x, tracks[t, j, 0]), max(high_x, tracks[t, j, 0])
                low_y, high_y = min(low_y, tracks[t, j, 1]), max(high_y, tracks[t, j, 1])
                radius = max(radius, math.hypot(tracks[t, j, 4], tracks[t, j, 5]))
        if low_x <= high_x:
            bounds[j, 0], bounds[j, 1] = (low_x + high_x) / 2, (low_y + high_y) / 2
            bounds[j, 2] = math.hypot(high_x - low_x, high_y - low_y) / 2 + radius
        else:
            bounds[j, 2] = -np.inf
    return bounds


@njit(cache=True, nogil=True, **INTERNAL)
def _in_reach(states, boxes, bounds, out):
    """Write the tracks within reach of the ego, including 0.9 s of projection; return their number."""
    low_x, low_y, high_x, high_y = np.inf, np.inf, -np.inf, -np.inf
    ahead = TTC_HORIZON_STEPS[-1] * STEP
    for t in range(len(boxes)):
        reach = math.hypot(states[t, 3], states[t, 4]) * ahead
        for x, y in (
            (boxes[t, 0], boxes[t, 1]),
            (boxes[t, 0] + reach * boxes[t, 2], boxes[t, 1] + reach * boxes[t, 3]),
        ):
            low_x, high_x, low_y, high_y = min(low_x, x), max(high_x, x), min(low_y, y), max(high_y, y)
    found = 0
    for j in range(len(bounds)):
        gap_x = max(low_x - bounds[j, 0], bounds[j, 0] - high_x, 0.0)
        gap_y = max(low_y - bounds[j, 1], bounds[j, 1] - high_y, 0.0)
        if math.hypot(gap_x, gap_y) <= bounds[j, 2] + EGO_RADIUS + 1e-6:
            out[found] = j
            found += 1
    return found


@njit(cache=True, nogil=True, **INTERNAL)
def _touch(ego, track):
    reach = EGO_RADIUS + track[4] + track[5]
    dx, dy = ego[0] - track[0], ego[1] - track[1]
    return dx * dx + dy * dy <= reach * reach and boxes_touch(ego, track)


@njit(cache=True, nogil=True, **INTERNAL)
def _angle(state, box):
    """Return the angle between the ego's heading and the track's centre from the rear axle; NaN by rounding."""
    dx, dy = box[0] - state[0], box[1] - state[1]
    distance = math.sqrt(dx * dx + dy * dy)
    if distance == 0.0:
        return np.nan
    return np.arccos(math.cos(state[2]) * (dx / distance) + math.sin(state[2]) * (dy / distance))


@njit(cache=True, nogil=True, **INTERNAL)
def _collision_kind(state, ego, track, stopped):
    if math.hypot(state[3], state[4]) <= STOPPED_SPEED:
        return STOPPED_EGO
    if stopped:
        return STOPPED_TRACK
    if _angle(state, track) > BEHIND_ANGLE:
        return ACTIVE_REAR
    u, v = HALF_LENGTH, HALF_WIDTH
    left_x, left_y = ego[0] + u * ego[2] - v * ego[3], ego[1] + u * ego[3] + v * ego[2]
    right_x, right_y = ego[0] + u * ego[2] + v * ego[3], ego[1] + u * ego[3] - v * ego[2]
    if segment_touches_box(left_x, left_y, right_x, right_y, track):
        return ACTIVE_FRONT
    return ACTIVE_LATERAL


@njit(cache=True, nogil=True)
def collisions(states, boxes, areas, tracks, present, stopped, road_user, ignored, bounds):
    """Compute NC (n), the first at-fault step, and of the worst collision: step, track, kind (n, 4)."""
    n, steps, _ = boxes.shape
    score, event = np.ones(n), np.full((n, 4), -1, np.int64)
    near = np.empty(tracks.shape[1], np.int64)
    done = np.empty(tracks.shape[1], np.bool_)
    for p in range(n):
        count = _in_reach(states[p], boxes[p], bounds, near)
        done[:] = ignored
        for t in range(steps):
            for i in range(count):
                j = near[i]
                if done[j] or not present[t, j] or not _touch(boxes[p, t], tracks[t, j]):
                    continue
                kind = _collision_kind(states[p, t], boxes[p, t], tracks[t, j], stopped[t, j])
                spread = areas[p, t] & (MULTIPLE_LANES | NON_DRIVABLE)
                if kind in (ACTIVE_FRONT, STOPPED_TRACK) or (kind == ACTIVE_LATERAL and spread):
                    value = 0.0 if road_user[j] else 0.5
                    if event[p, 0] < 0:
                        event[p, 0] = t
                    if value < score[p]:
                        score[p] = value
                        event[p, 1], event[p, 2], event[p, 3] = t, j, kind
                else:
                    done[j] = True
    return score, event


@njit(cache=True, nogil=True)
def time_to_collision(states, boxes, areas, tracks, present, ignored, bounds):
    """Compute time to collision within bound (n), and of the first violation: step, track, steps ahead (n, 3).

    Every step is evaluated whose tracks are known 0.9 s ahead.
    """
    n, steps, _ = boxes.shape
    score, event = np.ones(n), np.full((n, 3), -1, np.int64)
    near = np.empty(tracks.shape[1], np.int64)
    done = np.empty(tracks.shape[1], np.bool_)
    moved = np.empty(6)
    for p in range(n):
        count = _in_reach(states[p], boxes[p], bounds, near)
        done[:] = ignored
        for t in range(min(steps, len(tracks) - TTC_HORIZON_STEPS[-1])):
            speed = math.hypot(states[p, t, 3], states[p, t, 4])
            if speed < TTC_STOPPED_SPEED or score[p] == 0.0:
                continue
            unsure = areas[p, t] & (MULTIPLE_LANES | NON_DRIVABLE | AXLE_IN_INTERSECTION)
            for ahead in TTC_HORIZON_STEPS:
                moved[:] = boxes[p, t]
                moved[0] += speed * moved[2] * ahead * STEP
                moved[1] += speed * moved[3] * ahead * STEP
                for i in range(count):
                    j = near[i]
                    if done[j] or not present[t + ahead, j] or not _touch(moved, tracks[t + ahead, j]):
                        continue
                    angle = _angle(states[p, t], tracks[t + ahead, j])
                    if not (angle < AHEAD_ANGLE or (unsure and not angle > BEHIND_ANGLE)):
                        done[j] = True
                    elif score[p] > 0.0:
                        score[p] = 0.0
                        event[p, 0], event[p, 1], event[p, 2] = t, j, ahead
    return score, event


@njit(cache=True, nogil=True)
def red_light_entries(boxes, edges, starts, active):
    """Compute traffic light compliance (n), and of the first violation: step, light (n, 2)."""
    n, steps, _ = boxes.shape
    score, event = np.ones(n), np.full((n, 2), -1, np.int64)
    for j in range(len(starts) - 1):
        first, last = starts[j], starts[j + 1]
        if first == last:
            continue
        x, y = edges[first:last, 0], edges[first:last, 1]
        low_x, high_x, low_y, high_y = x.min(), x.max(), y.min(), y.max()
        for p in range(n):
            for t in range(steps):
                if not active[t, j] or (score[p] == 0.0 and event[p, 0] <= t):
                    continue
                box = boxes[p, t]
                if (
                    low_x - EGO_RADIUS <= box[0] <= high_x + EGO_RADIUS
                    and low_y - EGO_RADIUS <= box[1] <= high_y + EGO_RADIUS
                    and polygon_touches_box(edges, first, last, box)
                ):
                    score[p] = 0.0
                    event[p, 0], event[p, 1] = t, j
    return score, event


@njit(cache=True, nogil=True)
def wrong_way_distances(boxes, areas):
    """Compute the longest distance (n) driven within 11 steps off the route's lanes and outside intersections."""
    n, steps, _ = boxes.shape
    worst = np.zeros(n)
    way = np.zeros(steps)
    for p in range(n):
        for t in range(1, steps):
            counts = areas[p, t] & ONCOMING and not areas[p, t] & CENTER_IN_INTERSECTION
            dx, dy = boxes[p, t, 0] - boxes[p, t - 1, 0], boxes[p, t, 1] - boxes[p, t - 1, 1]
            way[t] = math.sqrt(dx * dx + dy * dy) if counts else 0.0
        for t in range(steps):
            total = 0.0
            for k in range(max(t - DIRECTION_HORIZON, 0), t + 1):
                total += way[k]
            worst[p] = max(worst[p], total)
    return worst


@njit(cache=True, nogil=True)
def along_centerline(boxes, areas, line, lengths):
    """Compute progress in metres (n), and the step (n) at which lane keeping fails, or -1."""
    n, steps, _ = boxes.shape
    progress, failed = np.zeros(n), np.full(n, -1, np.int64)
    chunks = chunk_bounds(line)
    for p in range(n):
        count = 0
        for t in range(steps):
            if not areas[p, t] & CENTER_IN_INTERSECTION:
                squared = _squared_distance(line, chunks, boxes[p, t, 0], boxes[p, t, 1])
                count = count + 1 if math.sqrt(squared) > LANE_KEEPING_DISTANCE else 0
                if count == LANE_KEEPING_STEPS:
                    failed[p] = t
                    break
        start, _ = project(line, lengths, boxes[p, 0, 0], boxes[p, 0, 1])
        end, _ = project(line, lengths, boxes[p, steps - 1, 0], boxes[p, steps - 1, 1])
        progress[p] = max(end - start, 0.0)
    return progress, failed


CHUNK = 16


@njit(cache=True, nogil=True)
def chunk_bounds(line):
    """Return the bounding boxes (c, 4) of each `CHUNK` segments of a polyline."""
    count = max((len(line) - 2) // CHUNK + 1, 1)
    bounds = np.empty((count, 4))
    for c in range(count):
        part = line[c * CHUNK : min((c + 1) * CHUNK, len(line) - 1) + 1]
        bounds[c] = (part[:, 0].min(), part[:, 1].min(), part[:, 0].max(), part[:, 1].max())
    return bounds


@njit(cache=True, nogil=True, **INTERNAL)
def _squared_distance(line, chunks, x, y):
    best = np.inf
    for c in range(len(chunks)):
        gap_x = max(chunks[c, 0] - x, x - chunks[c, 2], 0.0)
        gap_y = max(chunks[c, 1] - y, y - chunks[c, 3], 0.0)
        if gap_x * gap_x + gap_y * gap_y >= best:
            continue
        for i in range(c * CHUNK, min((c + 1) * CHUNK, len(line) - 1)):
            gap = point_segment_squared(x, y, line[i, 0], line[i, 1], line[i + 1, 0], line[i + 1, 1])
            best = min(best, gap)
    return best
