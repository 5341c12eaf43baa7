"""Vehicles on rails: car-following along fixed paths among footprints, as nuPlan's IDM agents do it.

A footprint is the vehicle's box together with the strip of its path from its rear to its front plus a headway. Strips
have the outline that GEOS draws for a buffer with flat ends (16 segments per quarter of a round bend, and its rules for
bends that are too tight), because who leads whom, and at what distance, hangs on it. A shape is a bag of edges: first
the four of a box, then those of a strip; a shape without a box has four edges at infinity first.
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
    STEP,
)

FILLET = math.pi / 2 / 16
SNAP = 1e-3  # of the half width: corners closer than that are one
CLOSING = 80.0  # where a bend is too tight, the outline steps in by 1 / 81 of the half width


@njit(cache=True, nogil=True)
def begin(paths, start, boxes, steps):
    """Agents at the start of a roll-out of some steps.

    Args:
        paths: (points (v, 3) with unwrapped headings, arc lengths (v), starts (k + 1)).
        start: arc length and speed (k, 2) of each agent.
        boxes: each agent's box (k, 6) at the start.
        steps: how many there will be; step 0 is the start.

    Returns:
        (motion, carried) for `drive`: poses (t, k, 3), speeds (t, k), presence (t, k); and what one step hands to the
        next: arc lengths and speeds, footprints with their numbers of edges and bounds, and who has not been removed.
    """
    count = len(start)
    poses, speeds, present = np.zeros((steps, count, 3)), np.zeros((steps, count)), np.zeros((steps, count), np.bool_)
    for i in range(count):
        pose_on(paths, i, start[i, 0], poses[0, i])
        speeds[0, i], present[0, i] = start[i, 1], True
    return (poses, speeds, present), (*_start(paths, start, boxes), np.ones(count, np.bool_))


@njit(cache=True, nogil=True)
def drive(motion, carried, paths, sizes, targets, egos, gates, obstacles, radius, sight, first, end):
    """Rolls agents out among each other and the ego, from step `first` to `end` - 1; earlier ones are done.

    Args:
        motion: see `begin`; written to.
        carried: see `begin`; written to.
        paths: see `begin`.
        sizes: length and width (k, 2).
        targets: desired speed (k).
        egos: boxes (t, 6) of the ego, and speed (t), heading (t); of those up to `end` - 2.
        gates: arc lengths (k, g, t) that an agent must not pass at a step (inf: none), unless it did already.
        obstacles: boxes (t, o, 6), velocities (t, o, 2) and presence (t, o) of others to stay behind.
        radius: agents farther than this from the ego are removed for good.
        sight: how far along its path an agent looks for others.
        first: at least 1.
        end: at most t.
    """
    ego_boxes, ego_speeds, ego_headings = egos
    poses, speeds, present = motion
    state, shapes, numbers, bounds, alive = carried
    count = len(targets)
    line, ahead, ahead_bounds = np.empty((shapes.shape[1], 2)), np.empty((shapes.shape[1], 4)), np.empty(4)
    ahead[:4] = np.inf
    for t in range(first, end):
        ego = ego_boxes[t - 1]
        for i in range(count):
            dx, dy = poses[t - 1, i, 0] - ego[0], poses[t - 1, i, 1] - ego[1]
            alive[i] = alive[i] and math.hypot(dx, dy) <= radius
        headings = poses[t - 1, :, 2].copy()
        for i in range(count):
            if not alive[i]:
                continue
            count_ahead = strip(paths, i, state[i, 0], state[i, 0] + sight, sizes[i, 1], line, ahead)
            bound(ahead, 4, count_ahead, ahead_bounds)
            way = (ahead[:count_ahead], ahead_bounds)
            others = (ego, obstacles[0][t - 1], obstacles[2][t - 1])
            gap, who = _leader(i, way, (shapes, numbers, bounds, alive), others)
            speed, rear = 0.0, 0.0
            if who == -1:
                gap, rear = _length(paths, i) - state[i, 0], sizes[i, 0] / 2
            elif who == count:
                speed = ego_speeds[t - 1] * math.cos(wrap(ego_headings[t - 1] - headings[i]))
            elif who < count:
                speed = state[who, 1] * math.cos(wrap(headings[who] - headings[i]))
            else:
                velocity = obstacles[1][t - 1, who - count - 1]
                speed = velocity[0] * math.cos(headings[i]) + velocity[1] * math.sin(headings[i])
            for g in range(gates.shape[1]):
                stop = gates[i, g, t - 1] - state[i, 0] - sizes[i, 0] / 2
                if -AGENT_GAP < stop < gap - rear:
                    gap, rear, speed = stop, 0.0, 0.0
            _advance(state[i], targets[i], gap - rear, speed)
            numbers[i] = footprint(paths, i, state[i], sizes[i], line, shapes[i])
            bound(shapes[i], 0, numbers[i], bounds[i])
            pose_on(paths, i, state[i, 0], poses[t, i])
            headings[i] = poses[t, i, 2]
            speeds[t, i], present[t, i] = state[i, 1], True


@njit(cache=True, nogil=True)
def _start(paths, start, boxes):
    starts = paths[2]
    count = len(start)
    longest = 2
    for i in range(count):
        longest = max(longest, starts[i + 1] - starts[i])
    # A bend of half a turn has two corners and 31 between them on its outer side, and four on its inner side.
    capacity = 40 * (longest + 2) + 16
    shapes, numbers, bounds = np.empty((count, capacity, 4)), np.full(count, 4, np.int64), np.empty((count, 4))
    for i in range(count):
        # Before the first step the footprint is the bare box.
        _box_edges(boxes[i], shapes[i])
        bound(shapes[i], 0, 4, bounds[i])
    return start.copy(), shapes, numbers, bounds


@njit(cache=True, nogil=True)
def _advance(state, target, gap, leader_speed):
    speed = state[1]
    closing = speed * (speed - leader_speed) / (2.0 * math.sqrt(AGENT_ACCELERATION * AGENT_DECELERATION))
    wanted = AGENT_GAP + speed * AGENT_HEADWAY + closing
    acceleration = AGENT_ACCELERATION * (1.0 - (speed / target) ** AGENT_EXPONENT - (wanted / max(gap, AGENT_GAP)) ** 2)
    acceleration = min(max(acceleration, -AGENT_DECELERATION), AGENT_ACCELERATION)
    state[0] += STEP * speed
    state[1] = max(speed + STEP * acceleration, 0.0)


@njit(cache=True, nogil=True)
def _leader(i, way, footprints, others):
    """Distance from agent i's footprint to the nearest that intersects its way, and whose it is.

    Agents are 0..k - 1, the ego is k, obstacles k + 1 and on; -1: the way is free.
    """
    shapes, numbers, bounds, alive = footprints
    ego, boxes, here = others
    count = len(alive)
    best, who = np.inf, -1
    edges, limits = np.empty((4, 4)), np.empty(4)
    own = (shapes[i, : numbers[i]], bounds[i])
    for j in range(count + 1 + len(boxes)):
        if j == i or (j < count and not alive[j]) or (j > count and not here[j - count - 1]):
            continue
        if j < count:
            other = (shapes[j, : numbers[j]], bounds[j])
        else:
            _box_edges(ego if j == count else boxes[j - count - 1], edges)
            bound(edges, 0, 4, limits)
            other = (edges[:], limits)
        if shapes_touch(way, other):
            gap = shapes_distance(own, other)
            if gap < best:
                best, who = gap, j
    return best, who


@njit(cache=True, nogil=True)
def footprint(paths, i, state, size, line, shape):
    """Writes the edges of agent i's footprint, and returns how many."""
    pose, box = np.empty(3), np.empty(6)
    pose_on(paths, i, state[0], pose)
    box[0], box[1], box[2], box[3] = pose[0], pose[1], math.cos(pose[2]), math.sin(pose[2])
    box[4], box[5] = size[0] / 2, size[1] / 2
    _box_edges(box, shape)
    return strip(
        paths, i, state[0] - size[0] / 2, state[0] + size[0] / 2 + state[1] * AGENT_HEADWAY, size[1], line, shape
    )


@njit(cache=True, nogil=True)
def _box_edges(box, edges):
    corners = np.empty((4, 2))
    box_corners(box, corners)
    for i in range(4):
        edges[i, 0], edges[i, 1] = corners[i, 0], corners[i, 1]
        edges[i, 2], edges[i, 3] = corners[(i + 1) % 4, 0], corners[(i + 1) % 4, 1]


@njit(cache=True, nogil=True)
def bound(edges, first, last, out):
    """Writes the bounding box (low x, low y, high x, high y) of edges."""
    out[0], out[1], out[2], out[3] = np.inf, np.inf, -np.inf, -np.inf
    for e in range(first, last):
        out[0], out[1] = min(out[0], edges[e, 0]), min(out[1], edges[e, 1])
        out[2], out[3] = max(out[2], edges[e, 0]), max(out[3], edges[e, 1])


@njit(cache=True, nogil=True)
def strip(paths, i, first, last, width, line, shape):
    """Writes the outline of agent i's path between two arc lengths after the shape's first four edges.

    Args:
        paths: see `drive`.
        i: the agent.
        first: arc length; limited to the path.
        last: arc length; limited to the path.
        width: of the strip; its ends are flat.
        line: room for the path's vertices.
        shape: edges to write to.

    Returns:
        The number of edges, the first four included.
    """
    count = _cut(paths, i, first, last, line)
    if count < 2:
        return 4
    number = 4
    for backwards in range(2):
        number = _outline(line[:count][::-1] if backwards else line[:count], width / 2, shape, number)
    for e in range(4, number):
        after = e + 1 if e + 1 < number else 4
        shape[e, 2], shape[e, 3] = shape[after, 0], shape[after, 1]
    return number


@njit(cache=True, nogil=True)
def _cut(paths, i, first, last, line):
    """Writes the vertices (n, 2) of agent i's path between two arc lengths, and returns how many."""
    points, lengths, starts = paths
    low, high = starts[i], starts[i + 1] - 1
    first = min(max(first, lengths[low]), lengths[high])
    last = min(max(last, lengths[low]), lengths[high])
    pose = np.empty(3)
    pose_on(paths, i, first, pose)
    line[0, 0], line[0, 1] = pose[0], pose[1]
    count = 1
    for k in range(low, high + 1):
        if first < lengths[k] < last:
            count = _appended(line, count, points[k])
    pose_on(paths, i, last, pose)
    return _appended(line, count, pose)


@njit(cache=True, nogil=True)
def _appended(line, count, point):
    """Appends a point unless it repeats the last one, and returns how many there are."""
    if math.hypot(point[0] - line[count - 1, 0], point[1] - line[count - 1, 1]) < 1e-12:
        return count
    line[count, 0], line[count, 1] = point[0], point[1]
    return count + 1


@njit(cache=True, nogil=True)
def _outline(line, half, shape, number):
    """Writes the corners to the left of a line, then both corners of its end; returns the number of edges so far."""
    last = len(line) - 1
    nx, ny = _normal(line[0], line[1], half)
    for k in range(1, last):
        mx, my = _normal(line[k], line[k + 1], half)
        cross = _turning(line[k - 1], line[k], line[k + 1])
        if cross < 0.0:
            number = _outer_bend(line[k], nx, ny, mx, my, half, shape, number)
        elif cross > 0.0:
            number = _inner_bend(line[k - 1], line[k], line[k + 1], nx, ny, mx, my, half, shape, number)
        nx, ny = mx, my
    number = _corner(shape, number, line[last, 0] + nx, line[last, 1] + ny)
    return _corner(shape, number, line[last, 0] - nx, line[last, 1] - ny)


@njit(cache=True, nogil=True)
def _turning(a, b, c):
    return (b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0])


@njit(cache=True, nogil=True)
def _normal(a, b, half):
    dx, dy = b[0] - a[0], b[1] - a[1]
    length = math.sqrt(dx * dx + dy * dy)
    return -dy / length * half, dx / length * half


@njit(cache=True, nogil=True)
def _corner(shape, number, x, y):
    shape[number, 0], shape[number, 1] = x, y
    return number + 1


@njit(cache=True, nogil=True)
def _outer_bend(at, nx, ny, mx, my, half, shape, number):
    number = _corner(shape, number, at[0] + nx, at[1] + ny)
    if math.hypot(nx - mx, ny - my) < half * SNAP:
        return number
    turn = math.atan2(nx * my - ny * mx, nx * mx + ny * my)
    count = int(abs(turn) / FILLET + 0.5)
    start = math.atan2(ny, nx)
    for c in range(1, count):
        angle = start + turn * c / count
        number = _corner(shape, number, at[0] + half * math.cos(angle), at[1] + half * math.sin(angle))
    return _corner(shape, number, at[0] + mx, at[1] + my)


@njit(cache=True, nogil=True)
def _inner_bend(before, at, after, nx, ny, mx, my, half, shape, number):
    dx, dy = at[0] - before[0], at[1] - before[1]
    ex, ey = after[0] - at[0], after[1] - at[1]
    cross = _turning(before, at, after)
    # Where the parallels of both segments cross, seen from their starts.
    ox, oy = at[0] + mx - before[0] - nx, at[1] + my - before[1] - ny
    s, t = (ox * ey - oy * ex) / cross, (ox * dy - oy * dx) / cross
    if 0.0 <= s <= 1.0 and 0.0 <= t <= 1.0:
        return _corner(shape, number, before[0] + nx + s * dx, before[1] + ny + s * dy)
    number = _corner(shape, number, at[0] + nx, at[1] + ny)
    if math.hypot(nx - mx, ny - my) < half * SNAP:
        return number
    share = CLOSING / (CLOSING + 1.0)
    number = _corner(shape, number, at[0] + share * nx, at[1] + share * ny)
    number = _corner(shape, number, at[0] + share * mx, at[1] + share * my)
    return _corner(shape, number, at[0] + mx, at[1] + my)


@njit(cache=True, nogil=True)
def shapes_touch(a, b):
    """Whether two shapes (edges, bounds) intersect."""
    if a[1][0] > b[1][2] or b[1][0] > a[1][2] or a[1][1] > b[1][3] or b[1][1] > a[1][3]:
        return False
    for i in range(len(a[0])):
        edge = a[0][i]
        if (
            min(edge[0], edge[2]) > b[1][2]
            or max(edge[0], edge[2]) < b[1][0]
            or min(edge[1], edge[3]) > b[1][3]
            or max(edge[1], edge[3]) < b[1][1]
        ):
            continue
        for j in range(len(b[0])):
            if _edges_touch(edge, b[0][j]):
                return True
    return _holds_part(a[0], b[0]) or _holds_part(b[0], a[0])


@njit(cache=True, nogil=True)
def _edges_touch(a, b):
    if (
        min(a[0], a[2]) > max(b[0], b[2])
        or min(b[0], b[2]) > max(a[0], a[2])
        or min(a[1], a[3]) > max(b[1], b[3])
        or min(b[1], b[3]) > max(a[1], a[3])
    ):
        return False
    c = (a[2] - a[0]) * (b[1] - a[1]) - (a[3] - a[1]) * (b[0] - a[0])
    d = (a[2] - a[0]) * (b[3] - a[1]) - (a[3] - a[1]) * (b[2] - a[0])
    if (c > 0.0 and d > 0.0) or (c < 0.0 and d < 0.0):
        return False
    c = (b[2] - b[0]) * (a[1] - b[1]) - (b[3] - b[1]) * (a[0] - b[0])
    d = (b[2] - b[0]) * (a[3] - b[1]) - (b[3] - b[1]) * (a[2] - b[0])
    return not ((c > 0.0 and d > 0.0) or (c < 0.0 and d < 0.0))


@njit(cache=True, nogil=True)
def _holds_part(a, b):
    """Whether the box or the strip of shape a holds the first corner of the box or of the strip of shape b."""
    for part in (0, 4):
        if part < len(b) and (_turns(a[:4], b[part, 0], b[part, 1]) or _turns(a[4:], b[part, 0], b[part, 1])):
            return True
    return False


@njit(cache=True, nogil=True)
def _turns(edges, x, y):
    """Whether edges wind around a point (so that an outline may cross itself)."""
    winding = 0
    for e in range(len(edges)):
        up = edges[e, 1] <= y < edges[e, 3]
        if up or edges[e, 3] <= y < edges[e, 1]:
            side = (edges[e, 2] - edges[e, 0]) * (y - edges[e, 1]) - (x - edges[e, 0]) * (edges[e, 3] - edges[e, 1])
            if up and side > 0.0:
                winding += 1
            elif not up and side < 0.0:
                winding -= 1
    return winding != 0


@njit(cache=True, nogil=True)
def shapes_distance(a, b):
    """Distance between two shapes (edges, bounds), 0 where they intersect."""
    if shapes_touch(a, b):
        return 0.0
    best = np.inf
    for i in range(len(a[0])):
        e = a[0][i]
        low_x, high_x = min(e[0], e[2]), max(e[0], e[2])
        low_y, high_y = min(e[1], e[3]), max(e[1], e[3])
        for j in range(len(b[0])):
            f = b[0][j]
            gap_x = max(low_x - max(f[0], f[2]), min(f[0], f[2]) - high_x, 0.0)
            gap_y = max(low_y - max(f[1], f[3]), min(f[1], f[3]) - high_y, 0.0)
            if gap_x * gap_x + gap_y * gap_y < best:
                best = min(
                    best,
                    point_segment_squared(e[0], e[1], f[0], f[1], f[2], f[3]),
                    point_segment_squared(e[2], e[3], f[0], f[1], f[2], f[3]),
                    point_segment_squared(f[0], f[1], e[0], e[1], e[2], e[3]),
                    point_segment_squared(f[2], f[3], e[0], e[1], e[2], e[3]),
                )
    return math.sqrt(best)


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
