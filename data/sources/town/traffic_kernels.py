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


@numba.njit(cache=True)
def simulate(paths, bodies, changes, stops, zebras, rules, walks, fleet, crowd, dt, vehicles_out, walkers_out):
    """Fill (t, n, 4) arrays: x, y, heading of the box centre and presence; (t, w, 3) for walkers."""
    for i in range(len(fleet.along)):
        along = fleet.along[i] - 0.5 * bodies.hitch[i]
        fleet.heading[i] = at(paths.heading, paths.start, fleet.path[i], along, SPACING)
    for step in range(len(vehicles_out)):
        _place(paths, bodies, fleet)
        _place_walkers(walks, crowd)
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
