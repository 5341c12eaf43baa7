"""Car-following along fixed paths, as nuPlan's IDM agents do it.

A footprint is the vehicle's box joined with the strip of its path from its rear to its front plus a headway, as one
shape; see polygon_kernels.
"""

import math

import numpy as np
from numba import njit

from swerve.eval.context.polygon_kernels import (
    bound,
    bounds_apart,
    bounds_met,
    shapes_distance,
    shapes_touch,
    write_box,
)
from swerve.eval.context.str_tree_kernels import nearest_item, visiting_order
from swerve.eval.scoring.simulate_kernels import wrap
from swerve.eval.scoring.thresholds import (
    AGENT_ACCELERATION,
    AGENT_DECELERATION,
    AGENT_EXPONENT,
    AGENT_GAP,
    AGENT_HEADWAY,
    STEP,
)
from swerve.eval.traffic.path_buffer_kernels import MOST_CORNERS, pose_on, write_strip
from swerve.scenes.kernel_options import INTERNAL

# Metres. Leaders on one lane often share their nearest point, so their gaps differ by rounding alone; nuPlan simplifies
# footprints by 1e-5 m, so it tells gaps no finer either.
TIE = 1e-6
MARGIN = TIE + 1e-9  # metres: the gap between bounds is rounded differently from that between shapes


@njit(cache=True, nogil=True)
def begin(paths, start, boxes, steps):
    """Initialize agents for a rollout.

    Args:
        paths: see `bends_of`.
        start: arc length and speed (k, 2) of each agent.
        boxes: each agent's box (k, 6) at the start.
        steps: of the rollout; step 0 is the start.

    Returns:
        (motion, carried) for `drive`: poses (t, k, 3), speeds (t, k), presence (t, k); and the state carried between
        steps: arc lengths and speeds, footprints with their numbers of edges and bounds, and the agents not yet
        removed.
    """
    count = len(start)
    poses, speeds, present = np.zeros((steps, count, 3)), np.zeros((steps, count)), np.zeros((steps, count), np.bool_)
    for i in range(count):
        pose_on(paths, i, start[i, 0], poses[0, i])
        speeds[0, i], present[0, i] = start[i, 1], True
    return (poses, speeds, present), (*_start(paths, start, boxes), np.ones(count, np.bool_))


@njit(cache=True, nogil=True)
def drive(
    motion, carried, paths, bends, sizes, targets, egos, gates, obstacles, radius, lookahead, stop_at_end, first, end
):
    """Simulate agents among each other and the ego, from step `first` to `end` - 1; earlier steps are done.

    Args:
        motion: see `begin`; written to.
        carried: see `begin`; written to.
        paths: see `begin`.
        bends: of `bends_of` the paths and the boxes.
        sizes: length and width (k, 2).
        targets: desired speed (k).
        egos: boxes (t, 6), speeds (t) and headings (t) of the ego, up to `end` - 2.
        gates: arc lengths (k, g, t) that an agent must not pass at a step (inf if none), unless it already has.
        obstacles: boxes (t, o, 6), velocities (t, o, 2) and presence (t, o) of other leaders.
        radius: agents farther than this from the ego are removed permanently.
        lookahead: look-ahead distance along an agent's path.
        stop_at_end: whether an agent stops at the end of its path; else it stays there and keeps reporting its speed
            (as in NAVSIM).
        first: at least 1.
        end: at most t.
    """
    ego_boxes, ego_speeds, ego_headings = egos
    boxes, velocities, here = obstacles
    poses, speeds, present = motion
    state, shapes, numbers, bounds, alive = carried
    count = len(targets)
    ahead, ahead_bounds = np.empty((shapes.shape[1], 4)), np.empty(4)
    ahead[:4] = np.inf
    for t in range(first, end):
        solids = _solids(ego_boxes[t - 1], boxes[t - 1], here[t - 1])
        _remove_far(poses[t - 1], ego_boxes[t - 1], radius, alive, bounds)
        headings = poses[t - 1, :, 2].copy()
        for i in range(count):
            if not alive[i]:
                continue
            edges = write_strip(paths, bends, i, state[i, 0], state[i, 0] + lookahead, sizes[i, 1] / 2, ahead)
            bound(ahead, np.int64(4), edges, ahead_bounds)
            gap, who = _leader(i, (ahead[:edges], ahead_bounds), (shapes, numbers, bounds), solids)
            speed, rear = 0.0, 0.0
            if who == -1:
                gap, rear = _length(paths, i) - state[i, 0], sizes[i, 0] / 2
            elif who < count:
                speed = state[who, 1] * math.cos(wrap(headings[who] - headings[i]))
            elif who == count:
                speed = ego_speeds[t - 1] * math.cos(wrap(ego_headings[t - 1] - headings[i]))
            else:
                velocity = velocities[t - 1, who - count - 1]
                speed = velocity[0] * math.cos(headings[i]) + velocity[1] * math.sin(headings[i])
            for g in range(gates.shape[1]):
                stop = gates[i, g, t - 1] - state[i, 0] - sizes[i, 0] / 2
                if -AGENT_GAP < stop < gap - rear:
                    gap, rear, speed = stop, 0.0, 0.0
            _advance(state[i], targets[i], gap - rear, speed)
            if stop_at_end and state[i, 0] >= _length(paths, i):
                state[i, 0], state[i, 1] = _length(paths, i), 0.0
            numbers[i] = _write_footprint(paths, bends, i, state[i], sizes[i], shapes[i])
            bound(shapes[i], np.int64(0), numbers[i], bounds[i])
            pose_on(paths, i, state[i, 0], poses[t, i])
            headings[i] = poses[t, i, 2]
            speeds[t, i], present[t, i] = state[i, 1], True


@njit(cache=True, nogil=True, **INTERNAL)
def _solids(ego, boxes, here):
    """Return edges (1 + o, 4, 4) and bounds (1 + o, 4) of the ego and of obstacles; absent ones intersect nothing."""
    edges, bounds = np.empty((1 + len(boxes), 4, 4)), np.empty((1 + len(boxes), 4))
    for o in range(len(edges)):
        write_box(boxes[o - 1] if o else ego, edges[o])
        bound(edges[o], np.int64(0), np.int64(4 if o == 0 or here[o - 1] else 0), bounds[o])
    return edges, bounds


@njit(cache=True, nogil=True, **INTERNAL)
def _remove_far(poses, ego, radius, alive, bounds):
    """Remove agents farther than the radius from the ego; their bounds then intersect nothing."""
    for i in range(len(alive)):
        if alive[i] and math.hypot(poses[i, 0] - ego[0], poses[i, 1] - ego[1]) > radius:
            alive[i] = False
            bound(poses, np.int64(0), np.int64(0), bounds[i])


@njit(cache=True, nogil=True)
def _start(paths, start, boxes):
    starts = paths[2]
    count = len(start)
    longest = 2
    for i in range(count):
        longest = max(longest, starts[i + 1] - starts[i])
    capacity = MOST_CORNERS * (longest + 2) + 16
    shapes, numbers, bounds = np.empty((count, capacity, 4)), np.full(count, 4, np.int64), np.empty((count, 4))
    for i in range(count):
        # Before the first step the footprint is the box only.
        write_box(boxes[i], shapes[i])
        bound(shapes[i], np.int64(0), np.int64(4), bounds[i])
    return start.copy(), shapes, numbers, bounds


@njit(cache=True, nogil=True, **INTERNAL)
def _advance(state, target, gap, leader_speed):
    speed = state[1]
    closing = speed * (speed - leader_speed) / (2.0 * math.sqrt(AGENT_ACCELERATION * AGENT_DECELERATION))
    wanted = AGENT_GAP + speed * AGENT_HEADWAY + closing
    acceleration = AGENT_ACCELERATION * (1.0 - (speed / target) ** AGENT_EXPONENT - (wanted / max(gap, AGENT_GAP)) ** 2)
    acceleration = min(max(acceleration, -AGENT_DECELERATION), AGENT_ACCELERATION)
    state[0] += STEP * speed
    state[1] = max(speed + STEP * acceleration, 0.0)


@njit(cache=True, nogil=True, **INTERNAL)
def _leader(i, way, footprints, solids):
    """Return the distance from agent i's footprint to the nearest one that intersects its path strip, and its index.

    Agents are 0..k - 1, the ego is k, obstacles k + 1 and on; -1 if the path is free. Gaps within `TIE` of the smallest
    are equal, so that neither rounding nor the origin of the coordinates chooses the leader.
    """
    shapes, numbers, bounds = footprints
    edges, limits = solids
    best, who, equals = np.inf, -1, 0
    own = (shapes[i, : numbers[i]], bounds[i])
    near = np.empty(max(len(bounds), len(limits)), np.int64)
    gaps = np.full(len(bounds) + len(limits), np.inf)
    for c in range(bounds_met(way[1], bounds, near)):
        j = near[c]
        if j != i and not bounds_apart(own[1], bounds, j, best + MARGIN):
            other = (shapes[j, : numbers[j]], bounds[j])
            gaps[j] = shapes_distance(own, other) if shapes_touch(way, other) else np.inf
            best, who, equals = _nearer(best, who, equals, gaps[j], j)
    for c in range(bounds_met(way[1], limits, near)):
        j = near[c]
        if not bounds_apart(own[1], limits, j, best + MARGIN):
            other, k = (edges[j], limits[j]), len(bounds) + j
            gaps[k] = shapes_distance(own, other) if shapes_touch(way, other) else np.inf
            best, who, equals = _nearer(best, who, equals, gaps[k], k)
    if equals > 1:
        gaps[gaps <= best + TIE] = best
        who = _first_of_equals(i, way, footprints, solids, gaps)
    return best, who


@njit(cache=True, nogil=True, **INTERNAL)
def _nearer(best, who, equals, gap, other):
    """Return the smallest gap so far, its index, and the number of gaps equal to it, or nearly so."""
    if gap < best - TIE:
        return gap, other, 1
    if gap <= best + TIE and who >= 0:
        return min(gap, best), who if best <= gap else other, equals + 1
    return best, who, equals


@njit(cache=True, nogil=True, **INTERNAL)
def _first_of_equals(i, way, footprints, solids, gaps):
    """Return the nearest of several equally near footprints: the one that nuPlan's spatial index returns.

    A first index, of all footprints, returns those on the agent's path; a second one, of those, returns the nearest.
    Gaps are inf for footprints off the path, or farther away; the latter are filled in.
    """
    shapes, numbers, bounds = footprints
    edges, limits = solids
    count = len(bounds)
    everyone = np.concatenate((bounds, limits))
    here = np.flatnonzero(everyone[:, 0] <= everyone[:, 2])
    met, number = np.empty(len(here), np.int64), 0
    for c in visiting_order(everyone[here]):
        j = here[c]
        other = (shapes[j, : numbers[j]] if j < count else edges[j - count], everyone[j])
        if j != i and (gaps[j] < np.inf or shapes_touch(way, other)):
            if gaps[j] == np.inf:
                gaps[j] = shapes_distance((shapes[i, : numbers[i]], bounds[i]), other)
            met[number] = j
            number += 1
    met = met[:number]
    return met[nearest_item(everyone[met], gaps[met], bounds[i])]


@njit(cache=True, nogil=True, **INTERNAL)
def _write_footprint(paths, bends, i, state, size, shape):
    """Write the edges of agent i's footprint; return their number."""
    pose, box = np.empty(3), np.empty(6)
    pose_on(paths, i, state[0], pose)
    box[0], box[1], box[2], box[3] = pose[0], pose[1], math.cos(pose[2]), math.sin(pose[2])
    box[4], box[5] = size[0] / 2, size[1] / 2
    write_box(box, shape)
    rear, front = state[0] - size[0] / 2, state[0] + size[0] / 2 + state[1] * AGENT_HEADWAY
    return write_strip(paths, bends, i, rear, front, size[1] / 2, shape)


@njit(cache=True, nogil=True, **INTERNAL)
def _length(paths, i):
    return paths[1][paths[2][i + 1] - 1]
