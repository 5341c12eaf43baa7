"""Simulation loop: vehicles and walkers react to each other's states at the start of each step."""

import math

import numba

from swerve.data.sources.town.driving_kernels import (
    accelerate,
    advance,
    at,
    find_leader,
    scan_crosswalks,
    update_right_of_way,
)
from swerve.data.sources.town.lane_change_kernels import change_lanes
from swerve.data.sources.town.traffic_state import SPACING, WALK_SPACING
from swerve.data.sources.town.walking_kernels import walk
from swerve.scenes.kernel_options import INTERNAL

# Additional steps before and after the log, so that its first velocities and accelerations are fitted to 0.3 s too.
PADDING = 3


@numba.njit(cache=True)
def simulate(
    paths,
    bodies,
    changes,
    stops,
    zebras,
    rules,
    walks,
    fleet,
    crowd,
    dt,
    first,
    beyond,
    room,
    vehicles_out,
    walkers_out,
    jostled,
):
    """Fill (t, n, 4) arrays: x, y, heading of the box centre and presence; (t, w, 3) for walkers.

    Stops when vehicle 0 cannot drive farther than `beyond` from step `first` to the last one, if that is not negative;
    returns whether it did not. `jostled` tells which walkers come nearer than `room` to one before them in the list,
    `PADDING` steps before step `first` or later: they avoid only those with the same direction.
    """
    for i in range(len(fleet.along)):
        along = fleet.along[i] - 0.5 * bodies.hitch[i]
        fleet.heading[i] = at(paths.heading, paths.start, fleet.path[i], along, SPACING)
    begin = 0.0
    for step in range(len(vehicles_out)):
        if step == first and len(fleet.along) > 0:
            begin = fleet.along[0]
        if step >= first and beyond >= 0.0 and _reach(paths, fleet, (len(vehicles_out) - step) * dt) - begin <= beyond:
            return False
        _place(paths, bodies, fleet)
        _place_walkers(walks, crowd)
        if step >= first - PADDING:
            _find_jostled(crowd, room, jostled)
        _record(bodies, fleet, crowd, vehicles_out[step], walkers_out[step])
        for i in range(len(fleet.along)):
            if fleet.active[i]:
                find_leader(paths, bodies, fleet, crowd, i)
                scan_crosswalks(bodies, zebras, walks, fleet, crowd, i)
        for i in range(len(fleet.along)):
            if fleet.active[i]:
                change_lanes(paths, bodies, stops, changes, fleet, i, dt)
        update_right_of_way(paths, bodies, stops, rules, fleet, step)
        for i in range(len(fleet.along)):
            if fleet.active[i]:
                accelerate(paths, bodies, stops, rules, fleet, i, step, dt)
        for i in range(len(fleet.along)):
            if fleet.active[i]:
                advance(paths, bodies, stops, fleet, i, dt)
        for w in range(len(crowd.along)):
            walk(bodies, stops, zebras, walks, fleet, crowd, w, step, dt)
    return True


@numba.njit(cache=True, **INTERNAL)
def _find_jostled(crowd, room, jostled):
    for w in range(len(crowd.along)):
        for u in range(w):
            dx, dy = crowd.x[w] - crowd.x[u], crowd.y[w] - crowd.y[u]
            if dx * dx + dy * dy < room * room:
                jostled[w] = True


@numba.njit(cache=True, **INTERNAL)
def _reach(paths, fleet, seconds):
    """Return the arc length that vehicle 0 can reach at most."""
    first = paths.start[fleet.path[0]] + int(fleet.along[0] / SPACING)
    last = min(first + int(30.0 * seconds / SPACING), paths.start[fleet.path[0] + 1])
    fastest = fleet.speed[0]
    for row in range(first, last):
        fastest = max(fastest, paths.speed[row])
    return fleet.along[0] + fastest * seconds


@numba.njit(cache=True, **INTERNAL)
def _place(paths, bodies, fleet):
    """Compute the centres of the boxes from the reference points along the body."""
    for i in range(len(fleet.along)):
        shift = bodies.front[i] - 0.5 * bodies.length[i]
        row, along = fleet.path[i], fleet.along[i]
        fleet.cosine[i], fleet.sine[i] = math.cos(fleet.heading[i]), math.sin(fleet.heading[i])
        fleet.x[i] = at(paths.x, paths.start, row, along, SPACING) + shift * fleet.cosine[i]
        fleet.y[i] = at(paths.y, paths.start, row, along, SPACING) + shift * fleet.sine[i]


@numba.njit(cache=True, **INTERNAL)
def _place_walkers(walks, crowd):
    for w in range(len(crowd.along)):
        crowd.x[w] = at(walks.x, walks.start, w, crowd.along[w], WALK_SPACING)
        crowd.y[w] = at(walks.y, walks.start, w, crowd.along[w], WALK_SPACING)
        crowd.heading[w] = at(walks.heading, walks.start, w, crowd.along[w], WALK_SPACING)


@numba.njit(cache=True, **INTERNAL)
def _record(bodies, fleet, crowd, vehicles, walkers):
    for i in range(len(fleet.along)):
        vehicles[i, 0], vehicles[i, 1], vehicles[i, 2] = fleet.x[i], fleet.y[i], fleet.heading[i]
        vehicles[i, 3] = 1.0 if fleet.active[i] else 0.0
    for w in range(len(crowd.along)):
        walkers[w, 0], walkers[w, 1], walkers[w, 2] = crowd.x[w], crowd.y[w], crowd.heading[w]
