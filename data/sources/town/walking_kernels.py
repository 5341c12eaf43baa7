"""Pedestrian motion along routes with waiting at kerbs, one step at a time."""

import math

import numba

from swerve.data.sources.town.driving_kernels import distance_to_box, next_stop
from swerve.data.sources.town.traffic_state import WALK_SPACING
from swerve.scenes.kernel_options import INTERNAL


@numba.njit(cache=True)
def walk(bodies, stops, zebras, walks, fleet, crowd, w, step, dt):
    """Move walker w, who waits at kerbs until the crossing is free."""
    way = walks.speed[w] * dt
    if _obstructed(bodies, fleet, crowd, w):
        way = 0.0
    leg = crowd.leg[w]
    if leg < walks.leg_start[w + 1]:
        begin, end = walks.leg_ends[leg, 0], walks.leg_ends[leg, 1]
        if not crowd.crossing[w] and crowd.along[w] + way > begin - 0.3:
            if _may_cross(bodies, stops, zebras, walks, fleet, walks.leg_crossing[leg], step):
                crowd.crossing[w] = True
            else:
                way = max(min(way, begin - 0.3 - crowd.along[w]), 0.0)
        if crowd.crossing[w] and crowd.along[w] > end:
            crowd.crossing[w] = False
            crowd.leg[w] += 1
    length = (walks.start[w + 1] - walks.start[w] - 1) * WALK_SPACING
    crowd.speed[w] = way / dt
    crowd.along[w] = min(crowd.along[w] + way, length)


@numba.njit(cache=True, **INTERNAL)
def _obstructed(bodies, fleet, crowd, w):
    """Test whether a vehicle, or a walker with the same direction, is right in front of walker w."""
    c, s = math.cos(crowd.heading[w]), math.sin(crowd.heading[w])
    if crowd.crossing[w]:
        for ahead in (0.5, 1.1):
            x, y = crowd.x[w] + ahead * c, crowd.y[w] + ahead * s
            for j in range(len(fleet.along)):
                if fleet.active[j] and distance_to_box(fleet, bodies, j, x, y) < 0.6:
                    return True
    for u in range(len(crowd.along)):
        dx, dy = crowd.x[u] - crowd.x[w], crowd.y[u] - crowd.y[w]
        if dx * dx + dy * dy > 2.3:  # beyond the corners of what is asked below
            continue
        ahead, aside = c * dx + s * dy, c * dy - s * dx
        same = math.cos(crowd.heading[u] - crowd.heading[w]) > 0.0
        if u != w and same and abs(aside) < 0.7 and (0.0 if u > w else -0.2) < ahead < 1.3:
            return True
    return False


@numba.njit(cache=True, **INTERNAL)
def _may_cross(bodies, stops, zebras, walks, fleet, crossing, step):
    """Test whether the signal lets walkers start, and no vehicle is on the crossing or too near to stop."""
    if not walks.allowed[crossing, step]:
        return False
    for i in range(len(fleet.along)):
        if not fleet.active[i]:
            continue
        front, v = fleet.along[i] + bodies.front[i], fleet.speed[i]
        for z in range(zebras.start[fleet.path[i]], zebras.start[fleet.path[i] + 1]):
            if zebras.crossing[z] != crossing or front - bodies.length[i] > zebras.leave[z]:
                continue
            ahead = zebras.enter[z] - front
            e = next_stop(bodies, stops, fleet, i)
            waits = e >= 0 and not fleet.granted[e] and stops.line[e] < zebras.enter[z]
            if ahead < 0.3 or (not waits and ahead < v * v / 4.0 + 1.5 * v + 4.0):
                return False
    return True
