"""Vehicles on rails: car-following along fixed paths among footprints, as nuPlan's IDM agents do it.

A footprint is the vehicle's box together with the strip of its path from its rear to its front plus a headway. Shapes
are bags of convex quadrilaterals (4, 2); triangles repeat a vertex. The bends of strips are filled with fans of chords,
as shapely's buffer (16 segments per quarter) draws them. GEOS also simplifies the strip's sides by at most 1 % of its
half width, which is not imitated: a distance to a curved side may differ by that, the ends are exact.
"""

import math

import numpy as np
from numba import njit
from swerve.eval.geometry_kernels import box_corners, point_segment_squared
from swerve.eval.simulate_kernels import wrap
from swerve.eval.thresholds import (
    AGENT_ACCELERATION,
    AGENT_DECELERATION,
    AGENT_EXPONENT,
    AGENT_GAP,
    AGENT_HEADWAY,
    AGENT_RADIUS,
    STEP,
)

FILLET = math.pi / 2 / 16


@njit(cache=True, nogil=True)
def drive(paths, start, boxes, sizes, targets, egos, gates, obstacles):
    """Rolls agents out among each other and the ego.

    Args:
        paths: (points (v, 3) with unwrapped headings, arc lengths (v), starts (k + 1)).
        start: arc length and speed (k, 2) of each agent.
        boxes: each agent's box (k, 6) at the start.
        sizes: length and width (k, 2).
        targets: desired speed (k).
        egos: boxes (t, 6) of the ego, and speed (t), heading (t).
        gates: arc length (k, t) that an agent must not pass at a step (inf: none).
        obstacles: boxes (t, o, 6) and presence (t, o) of others to stay behind, with speed 0.

    Returns:
        poses (t, k, 3), speeds (t, k) and presence (t, k); step 0 is the start.
    """
    ego_boxes, ego_speeds, ego_headings = egos
    steps, count = len(ego_boxes), len(targets)
    poses, speeds, present = np.zeros((steps, count, 3)), np.zeros((steps, count)), np.zeros((steps, count), np.bool_)
    state, pieces, circles, numbers = _start(paths, start, boxes)
    ahead = np.empty((pieces.shape[1], 4, 2))
    ahead_circles = np.empty((pieces.shape[1], 3))
    alive = np.ones(count, np.bool_)
    for i in range(count):
        pose_on(paths, i, start[i, 0], poses[0, i])
        speeds[0, i], present[0, i] = start[i, 1], True
    for t in range(1, steps):
        ego = ego_boxes[t - 1]
        for i in range(count):
            dx, dy = poses[t - 1, i, 0] - ego[0], poses[t - 1, i, 1] - ego[1]
            alive[i] = alive[i] and math.hypot(dx, dy) <= AGENT_RADIUS
        headings = poses[t - 1, :, 2].copy()
        for i in range(count):
            if not alive[i]:
                continue
            number = strip(paths, i, state[i, 0], np.inf, sizes[i, 1], ahead, ahead_circles)
            shapes = (pieces, circles, numbers, alive)
            others = (ego, obstacles[0][t - 1], obstacles[1][t - 1])
            gap, who = _leader(i, ahead, ahead_circles, number, shapes, others)
            speed, rear = 0.0, 0.0
            if who == -1:
                gap, rear = _length(paths, i) - state[i, 0], sizes[i, 0] / 2
            elif who == count:
                speed = ego_speeds[t - 1] * math.cos(wrap(ego_headings[t - 1] - headings[i]))
            elif who < count:
                speed = state[who, 1] * math.cos(wrap(headings[who] - headings[i]))
            stop = gates[i, t - 1] - state[i, 0] - sizes[i, 0] / 2
            if stop > -sizes[i, 0] / 2 and stop < gap - rear:
                gap, rear, speed = stop, 0.0, 0.0
            _advance(state[i], targets[i], gap - rear, speed)
            numbers[i] = footprint(paths, i, state[i], sizes[i], pieces[i], circles[i])
            pose_on(paths, i, state[i, 0], poses[t, i])
            headings[i] = poses[t, i, 2]
            speeds[t, i], present[t, i] = state[i, 1], True
    return poses, speeds, present


@njit(cache=True, nogil=True)
def _start(paths, start, boxes):
    starts = paths[2]
    count = len(start)
    longest = 2
    for i in range(count):
        longest = max(longest, starts[i + 1] - starts[i])
    # Per vertex at most one rectangle and a fan of pi / FILLET / 2 triangles, which only a full turn needs; 4 suffice
    # on average, and `strip` stops filling bends before it runs out.
    capacity = 5 * longest + 40
    pieces, circles = np.empty((count, capacity, 4, 2)), np.empty((count, capacity, 3))
    numbers = np.empty(count, np.int64)
    for i in range(count):
        # Before the first step the footprint is the bare box.
        _quad_of_box(boxes[i], pieces[i, 0], circles[i, 0])
        numbers[i] = 1
    return start.copy(), pieces, circles, numbers


@njit(cache=True, nogil=True)
def _advance(state, target, gap, leader_speed):
    speed = state[1]
    closing = speed * (speed - leader_speed) / (2.0 * math.sqrt(AGENT_ACCELERATION * AGENT_DECELERATION))
    wanted = AGENT_GAP + speed * AGENT_HEADWAY + closing
    acceleration = AGENT_ACCELERATION * (
        1.0 - (speed / target) ** AGENT_EXPONENT - (wanted / max(gap, AGENT_GAP)) ** 2
    )
    acceleration = min(max(acceleration, -AGENT_DECELERATION), AGENT_ACCELERATION)
    state[0] += STEP * speed
    state[1] = max(speed + STEP * acceleration, 0.0)


@njit(cache=True, nogil=True)
def _leader(i, ahead, ahead_circles, number, shapes, others):
    """Distance from agent i's footprint to the nearest that intersects its way, and whose it is.

    Agents are 0..k - 1, the ego is k, obstacles k + 1 and on; -1: the way is free.
    """
    pieces, circles, numbers, alive = shapes
    ego, boxes, here = others
    count = len(alive)
    best, who = np.inf, -1
    other, circle = np.empty((1, 4, 2)), np.empty((1, 3))
    for j in range(count + 1 + len(boxes)):
        if j == i or (j < count and not alive[j]) or (j > count and not here[j - count - 1]):
            continue
        if j < count:
            shape, disc, size = pieces[j], circles[j], numbers[j]
        else:
            _quad_of_box(ego if j == count else boxes[j - count - 1], other[0], circle[0])
            shape, disc, size = other, circle, 1
        if _touch(ahead, ahead_circles, number, shape, disc, size):
            gap = _distance(pieces[i], circles[i], numbers[i], shape, disc, size)
            if gap < best:
                best, who = gap, j
    return best, who


@njit(cache=True, nogil=True)
def footprint(paths, i, state, size, pieces, circles):
    """Writes the pieces of agent i's footprint, and returns how many."""
    rear = state[0] - size[0] / 2
    front = state[0] + size[0] / 2 + state[1] * AGENT_HEADWAY
    number = strip(paths, i, rear, front, size[1], pieces, circles)
    return _box_piece(paths, i, state[0], size, pieces, circles, number)


@njit(cache=True, nogil=True)
def _box_piece(paths, i, along, size, pieces, circles, number):
    pose, box = np.empty(3), np.empty(6)
    pose_on(paths, i, along, pose)
    box[0], box[1], box[2], box[3] = pose[0], pose[1], math.cos(pose[2]), math.sin(pose[2])
    box[4], box[5] = size[0] / 2, size[1] / 2
    _quad_of_box(box, pieces[number], circles[number])
    return number + 1


@njit(cache=True, nogil=True)
def _quad_of_box(box, piece, circle):
    box_corners(box, piece)
    circle[0], circle[1], circle[2] = box[0], box[1], math.hypot(box[4], box[5])


@njit(cache=True, nogil=True)
def strip(paths, i, first, last, width, pieces, circles):
    """Writes the pieces of agent i's path between two arc lengths, `width` wide with flat ends; returns how many."""
    points, lengths, starts = paths
    low, high = starts[i], starts[i + 1] - 1
    first = min(max(first, lengths[low]), lengths[high])
    last = min(max(last, lengths[low]), lengths[high])
    here, there = np.empty(3), np.empty(3)
    pose_on(paths, i, first, here)
    number = 0
    before_x, before_y = 0.0, 0.0
    k = low
    while k <= high and lengths[k] <= first:
        k += 1
    finished = False
    while not finished:
        if k > high or lengths[k] >= last:
            pose_on(paths, i, last, there)
            finished = True
        else:
            there[:] = points[k]
        k += 1
        dx, dy = there[0] - here[0], there[1] - here[1]
        length = math.hypot(dx, dy)
        if length < 1e-12:
            continue
        dx, dy = dx / length, dy / length
        if number > 0:
            number = _bend(here, before_x, before_y, dx, dy, width / 2, pieces, circles, number)
        _rectangle(here, there, dx, dy, length, width / 2, pieces[number], circles[number])
        number += 1
        before_x, before_y = dx, dy
        here[:] = there
    return number


@njit(cache=True, nogil=True)
def _rectangle(here, there, dx, dy, length, half, piece, circle):
    piece[0, 0], piece[0, 1] = there[0] - half * dy, there[1] + half * dx
    piece[1, 0], piece[1, 1] = here[0] - half * dy, here[1] + half * dx
    piece[2, 0], piece[2, 1] = here[0] + half * dy, here[1] - half * dx
    piece[3, 0], piece[3, 1] = there[0] + half * dy, there[1] - half * dx
    circle[0], circle[1] = (here[0] + there[0]) / 2, (here[1] + there[1]) / 2
    circle[2] = math.hypot(length / 2, half)


@njit(cache=True, nogil=True)
def _bend(at, before_x, before_y, dx, dy, half, pieces, circles, number):
    """Fills the outer side of a bend with a fan of triangles."""
    cross, dot = before_x * dy - before_y * dx, before_x * dx + before_y * dy
    turn = math.atan2(cross, dot)
    if abs(turn) < 1e-9:
        return number
    side = -1.0 if turn > 0 else 1.0
    count = max(int(abs(turn) / FILLET + 0.5), 1)
    start = math.atan2(side * before_x, -side * before_y)
    for c in range(count):
        if number + 2 >= len(pieces) - 2:
            break
        a, b = start + turn * c / count, start + turn * (c + 1) / count
        piece = pieces[number]
        piece[0, 0], piece[0, 1] = at[0], at[1]
        piece[1, 0], piece[1, 1] = at[0] + half * math.cos(a), at[1] + half * math.sin(a)
        piece[2, 0], piece[2, 1] = at[0] + half * math.cos(b), at[1] + half * math.sin(b)
        piece[3] = piece[2]
        circles[number, 0], circles[number, 1], circles[number, 2] = at[0], at[1], half
        number += 1
    return number


@njit(cache=True, nogil=True)
def _touch(a, a_circles, a_number, b, b_circles, b_number):
    for i in range(a_number):
        for j in range(b_number):
            dx, dy = a_circles[i, 0] - b_circles[j, 0], a_circles[i, 1] - b_circles[j, 1]
            reach = a_circles[i, 2] + b_circles[j, 2]
            if dx * dx + dy * dy <= reach * reach and quads_touch(a[i], b[j]):
                return True
    return False


@njit(cache=True, nogil=True)
def _distance(a, a_circles, a_number, b, b_circles, b_number):
    best = np.inf
    for i in range(a_number):
        for j in range(b_number):
            dx, dy = a_circles[i, 0] - b_circles[j, 0], a_circles[i, 1] - b_circles[j, 1]
            if math.sqrt(dx * dx + dy * dy) - a_circles[i, 2] - b_circles[j, 2] >= best:
                continue
            if quads_touch(a[i], b[j]):
                return 0.0
            for e in range(4):
                f = (e + 1) % 4
                for v in range(4):
                    best = min(
                        best,
                        math.sqrt(
                            min(
                                point_segment_squared(
                                    b[j, v, 0], b[j, v, 1], a[i, e, 0], a[i, e, 1], a[i, f, 0], a[i, f, 1]
                                ),
                                point_segment_squared(
                                    a[i, v, 0], a[i, v, 1], b[j, e, 0], b[j, e, 1], b[j, f, 0], b[j, f, 1]
                                ),
                            )
                        ),
                    )
    return best


@njit(cache=True, nogil=True)
def quads_touch(a, b):
    """Whether two convex quadrilaterals (4, 2) intersect."""
    return not (_separated(a, b) or _separated(b, a))


@njit(cache=True, nogil=True)
def _separated(a, b):
    for e in range(4):
        f = (e + 1) % 4
        nx, ny = a[f, 1] - a[e, 1], a[e, 0] - a[f, 0]
        if nx == 0.0 and ny == 0.0:
            continue
        low_a, high_a, low_b, high_b = np.inf, -np.inf, np.inf, -np.inf
        for v in range(4):
            p, q = nx * (a[v, 0] - a[e, 0]) + ny * (a[v, 1] - a[e, 1]), nx * (b[v, 0] - a[e, 0]) + ny * (b[v, 1] - a[e, 1])
            low_a, high_a, low_b, high_b = min(low_a, p), max(high_a, p), min(low_b, q), max(high_b, q)
        if low_a > high_b or low_b > high_a:
            return True
    return False


@njit(cache=True, nogil=True)
def _length(paths, i):
    return paths[1][paths[2][i + 1] - 1]


@njit(cache=True, nogil=True)
def pose_on(paths, i, along, out):
    """Writes the pose (3) of agent i's path at an arc length; beyond the ends, that of the ends."""
    points, lengths, starts = paths
    low, high = starts[i], starts[i + 1] - 1
    along = min(max(along, lengths[low]), lengths[high])
    k = low + 1
    while k < high and lengths[k] < along:
        k += 1
    if low == high:
        out[:] = points[low]
    else:
        span = lengths[k] - lengths[k - 1]
        share = (along - lengths[k - 1]) / span if span > 0.0 else 0.0
        for axis in range(3):
            out[axis] = points[k - 1, axis] + share * (points[k, axis] - points[k - 1, axis])
    out[2] = wrap(out[2])
