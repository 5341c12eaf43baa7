"""Vehicles change lanes where they would like to and the gaps allow it.

Criteria of MOBIL without politeness (Kesting, Treiber and Helbing 2007, Transportation Research Record 1999, section
2): the new follower brakes by less than `safe`, and the change gains more than a threshold in acceleration.
"""

import math

import numba

from swerve.data.sources.town.driving_kernels import FAR, at, distance_to_box, idm
from swerve.data.sources.town.traffic_state import SPACING
from swerve.scenes.kernel_options import INTERNAL

# Gain needed, m/s2; braking accepted behind the new leader, m/s2; slowest speed at which lanes are changed, m/s.
_THRESHOLD, _OWN_BRAKING, _SLOWEST = 0.2, 2.0, 2.5
# No change begins within this distance of another one in progress, metres.
_ALONE = 40.0
_BEHIND, _AHEAD = 50, 75


@numba.njit(cache=True)
def change_lanes(paths, bodies, stops, changes, fleet, i, dt):
    """Sets vehicle i on the path of a lane change that begins here, if it is safe and worth it; at most once a run."""
    if fleet.changing[i] >= 0.0 or fleet.speed[i] < _SLOWEST:
        return
    for o in range(changes.start[i], changes.start[i + 1]):
        ahead = changes.begin[o] - fleet.along[i]
        if 0.0 <= ahead < fleet.speed[i] * dt + 0.1 and _is_wanted(paths, bodies, changes, fleet, i, o):
            fleet.stop[i] += stops.start[changes.path[o]] - stops.start[fleet.path[i]]
            fleet.path[i], fleet.changing[i] = changes.path[o], changes.end[o]
            return


@numba.njit(cache=True, **INTERNAL)
def _is_wanted(paths, bodies, changes, fleet, i, o):
    """Return whether MOBIL's criteria hold for a lane change of vehicle i."""
    lead, follower, gap, behind = -1, -1, FAR, FAR
    for j in range(len(fleet.along)):
        apart = math.hypot(fleet.x[j] - fleet.x[i], fleet.y[j] - fleet.y[i])
        if j == i or not fleet.active[j] or apart > _AHEAD + 15.0:
            continue
        if fleet.changing[j] > fleet.along[j] and apart < _ALONE:
            return False
        first, last = _beside(paths, bodies, changes, fleet, i, o, j)
        if first > last:
            continue
        if first < bodies.front[i] + 1.0 and last > -bodies.rear[i] - 1.0:
            return False
        if first > 0.0 and first - bodies.front[i] < gap:
            lead, gap = j, first - bodies.front[i]
        elif last < 0.0 and -bodies.rear[i] - last < behind:
            follower, behind = j, -bodies.rear[i] - last
    return _pays(paths, bodies, changes, fleet, i, o, lead, gap, follower, behind)


@numba.njit(cache=True)
def _beside(paths, bodies, changes, fleet, i, o, j):
    """Return first and last metre of vehicle j on the lane beside, relative to vehicle i; first > last if nowhere."""
    first, last, side = FAR, -FAR, changes.side[o]
    for k in range(-_BEHIND, _AHEAD + 1):
        along = fleet.along[i] + k
        angle = at(paths.heading, paths.start, fleet.path[i], along, SPACING)
        x = at(paths.x, paths.start, fleet.path[i], along, SPACING) - side * math.sin(angle)
        y = at(paths.y, paths.start, fleet.path[i], along, SPACING) + side * math.cos(angle)
        if along > 0.0 and distance_to_box(fleet, bodies, j, x, y) < 1.0:
            first, last = min(first, float(k)), max(last, float(k))
    return first, last


@numba.njit(cache=True, **INTERNAL)
def _pays(paths, bodies, changes, fleet, i, o, lead, gap, follower, behind):
    """Return whether a lane change between two gaps is safe and gains enough."""
    v = fleet.speed[i]
    if follower >= 0 and _acceleration(paths, bodies, fleet, follower, behind, v) < -bodies.safe[i]:
        return False
    new = _acceleration(paths, bodies, fleet, i, gap, fleet.speed[lead] if lead >= 0 else v)
    old = _acceleration(paths, bodies, fleet, i, fleet.gap[i], fleet.lead_speed[i])
    return new > -_OWN_BRAKING and new - old + changes.bias[o] > _THRESHOLD


@numba.njit(cache=True, **INTERNAL)
def _acceleration(paths, bodies, fleet, j, gap, lead_speed):
    """The IDM's acceleration of vehicle j behind a leader."""
    v = fleet.speed[j]
    top = max(at(paths.speed, paths.start, fleet.path[j], fleet.along[j], SPACING), 0.5)
    return idm(v, top, v - lead_speed, gap, bodies.headway[j], bodies.acceleration[j], bodies.braking[j])
