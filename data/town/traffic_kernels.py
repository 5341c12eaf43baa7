"""Everybody's motion, step by step: vehicles follow their paths by the Intelligent Driver Model, walkers their routes.

Formulas: Treiber, Hennecke and Helbing 2000 (IDM). A vehicle's reference point, half a wheelbase ahead of the rear
axle, follows the path and the body trails it, so that the rear axle never slides sideways. Lists of lists are flat
arrays with a `start` array: the rows of item i are start[i] to start[i + 1].
"""

import math
from typing import NamedTuple

import numba
import numpy as np

SPACING = 0.5  # metres between points of a path
WALK_SPACING = 0.25  # metres between points of a walker's route
RED, YELLOW = 1, 2
WALKER_RADIUS = 0.35
_FAR = 1e9


class Paths(NamedTuple):
    """Where vehicles drive: position, direction and greatest speed every `SPACING` metres."""

    start: np.ndarray
    x: np.ndarray
    y: np.ndarray
    heading: np.ndarray
    speed: np.ndarray


class Bodies(NamedTuple):
    """Vehicles: distances from the reference point to the bumpers and to the rear axle (hitch), and their drivers."""

    length: np.ndarray
    width: np.ndarray
    front: np.ndarray
    rear: np.ndarray
    hitch: np.ndarray
    acceleration: np.ndarray
    braking: np.ndarray
    headway: np.ndarray


class Stops(NamedTuple):
    """Junctions along the paths: connector, and arc lengths of the stop line and of the connector's end."""

    start: np.ndarray
    connector: np.ndarray
    line: np.ndarray
    end: np.ndarray


class Zebras(NamedTuple):
    """Pedestrian crossings along the paths: which, arc lengths of both sides, and how far across it the path is."""

    start: np.ndarray
    crossing: np.ndarray
    enter: np.ndarray
    leave: np.ndarray
    across: np.ndarray


class Rules(NamedTuple):
    """Who may go: what connectors are shown, their rank (0 goes first), whether to halt, whether to approach slowly.

    `conflict[c, b]` is the row of `zones` with (enter, leave) on c and (enter, leave) on b, or -1.
    """

    states: np.ndarray
    rank: np.ndarray
    halt: np.ndarray
    cautious: np.ndarray
    origin: np.ndarray
    conflict: np.ndarray
    zones: np.ndarray


class Walks(NamedTuple):
    """Routes of walkers, their speeds, and the legs on crossings: (arc length, distance across) at both ends."""

    start: np.ndarray
    x: np.ndarray
    y: np.ndarray
    heading: np.ndarray
    speed: np.ndarray
    leg_start: np.ndarray
    leg_crossing: np.ndarray
    leg_ends: np.ndarray
    allowed: np.ndarray


class Fleet(NamedTuple):
    """The vehicles' state; `stop` is the first junction not yet left; `granted` and `halted`: rows of Stops."""

    along: np.ndarray
    speed: np.ndarray
    acceleration: np.ndarray
    heading: np.ndarray
    x: np.ndarray
    y: np.ndarray
    active: np.ndarray
    stop: np.ndarray
    granted: np.ndarray
    halted: np.ndarray
    blocked: np.ndarray
    gap: np.ndarray
    lead: np.ndarray
    lead_speed: np.ndarray
    zebra_gap: np.ndarray


class Crowd(NamedTuple):
    """The walkers' state; `leg` is the next or present crossing leg, `crossing` whether they are on it."""

    along: np.ndarray
    speed: np.ndarray
    x: np.ndarray
    y: np.ndarray
    heading: np.ndarray
    leg: np.ndarray
    crossing: np.ndarray


@numba.njit(cache=True)
def simulate(paths, bodies, stops, zebras, rules, walks, fleet, crowd, dt, vehicles_out, walkers_out):
    """Fills (t, n, 4) arrays: x, y, heading of the box centre and whether it is there; (t, w, 3) for walkers."""
    for i in range(len(fleet.along)):
        fleet.heading[i] = _at(paths.heading, paths.start, i, fleet.along[i] - 0.5 * bodies.hitch[i], SPACING)
    for step in range(len(vehicles_out)):
        _place(paths, bodies, fleet)
        _place_walkers(walks, crowd)
        _record(bodies, fleet, crowd, vehicles_out[step], walkers_out[step])
        for i in range(len(fleet.along)):
            if fleet.active[i]:
                _scan(paths, bodies, fleet, crowd, i)
                _watch_crossings(bodies, zebras, walks, fleet, crowd, i)
        _grant_all(paths, bodies, stops, rules, fleet, step)
        for i in range(len(fleet.along)):
            if fleet.active[i]:
                _accelerate(paths, bodies, stops, rules, fleet, i, step, dt)
        for i in range(len(fleet.along)):
            if fleet.active[i]:
                _advance(paths, bodies, stops, fleet, i, dt)
        for w in range(len(crowd.along)):
            _walk(bodies, stops, zebras, walks, fleet, crowd, w, step, dt)


@numba.njit(cache=True)
def _at(values, start, i, along, spacing):
    """A value of path i at an arc length, linear between its points (angles must be unwrapped)."""
    first, last = start[i], start[i + 1] - 1
    row = along / spacing
    if row <= 0.0:
        return values[first]
    below = int(row)
    if first + below >= last:
        return values[last]
    share = row - below
    return values[first + below] * (1.0 - share) + values[first + below + 1] * share


@numba.njit(cache=True)
def _place(paths, bodies, fleet):
    """Centres of the boxes: ahead of or behind the reference point along the body."""
    for i in range(len(fleet.along)):
        shift = bodies.front[i] - 0.5 * bodies.length[i]
        fleet.x[i] = _at(paths.x, paths.start, i, fleet.along[i], SPACING) + shift * math.cos(fleet.heading[i])
        fleet.y[i] = _at(paths.y, paths.start, i, fleet.along[i], SPACING) + shift * math.sin(fleet.heading[i])


@numba.njit(cache=True)
def _place_walkers(walks, crowd):
    for w in range(len(crowd.along)):
        crowd.x[w] = _at(walks.x, walks.start, w, crowd.along[w], WALK_SPACING)
        crowd.y[w] = _at(walks.y, walks.start, w, crowd.along[w], WALK_SPACING)
        crowd.heading[w] = _at(walks.heading, walks.start, w, crowd.along[w], WALK_SPACING)


@numba.njit(cache=True)
def _record(bodies, fleet, crowd, vehicles, walkers):
    for i in range(len(fleet.along)):
        vehicles[i, 0], vehicles[i, 1], vehicles[i, 2] = fleet.x[i], fleet.y[i], fleet.heading[i]
        vehicles[i, 3] = 1.0 if fleet.active[i] else 0.0
    for w in range(len(crowd.along)):
        walkers[w, 0], walkers[w, 1], walkers[w, 2] = crowd.x[w], crowd.y[w], crowd.heading[w]


@numba.njit(cache=True)
def _distance_to_box(fleet, bodies, j, x, y):
    """Distance from a point to vehicle j."""
    c, s = math.cos(fleet.heading[j]), math.sin(fleet.heading[j])
    dx, dy = x - fleet.x[j], y - fleet.y[j]
    ahead = max(abs(c * dx + s * dy) - 0.5 * bodies.length[j], 0.0)
    aside = max(abs(c * dy - s * dx) - 0.5 * bodies.width[j], 0.0)
    return math.sqrt(ahead * ahead + aside * aside)


@numba.njit(cache=True)
def _scan(paths, bodies, fleet, crowd, i):
    """The nearest thing in the strip that vehicle i is going to sweep: gap, its speed along the path, its number."""
    fleet.gap[i], fleet.lead[i], fleet.lead_speed[i] = _FAR, -1, 0.0
    radius, v = 0.5 * bodies.width[i] + 0.3, fleet.speed[i]
    look = min(max(v * v / 4.0 + 2.0 * v + 12.0, 20.0), 75.0)
    near = np.empty(len(fleet.along), np.int64)
    count = 0
    for j in range(len(fleet.along)):
        reach = look + bodies.front[i] + bodies.length[i] + bodies.length[j]
        if j != i and fleet.active[j] and math.hypot(fleet.x[j] - fleet.x[i], fleet.y[j] - fleet.y[i]) < reach:
            near[count] = j
            count += 1
    steps = int(look)
    for k in range(steps + 1):
        along = fleet.along[i] + bodies.front[i] + k
        x, y = _at(paths.x, paths.start, i, along, SPACING), _at(paths.y, paths.start, i, along, SPACING)
        angle = _at(paths.heading, paths.start, i, along, SPACING)
        for row in range(count):
            j = near[row]
            if _distance_to_box(fleet, bodies, j, x, y) < radius:
                gap = max(k + max(_nearest_corner(fleet, bodies, j, x, y, angle), -radius), 0.0)
                if gap < fleet.gap[i]:
                    fleet.gap[i], fleet.lead[i] = gap, j
                    fleet.lead_speed[i] = max(fleet.speed[j] * math.cos(fleet.heading[j] - angle), 0.0)
        for w in range(len(crowd.along)):
            dx, dy = crowd.x[w] - x, crowd.y[w] - y
            if crowd.crossing[w] and math.hypot(dx, dy) < radius + WALKER_RADIUS:
                gap = max(k + dx * math.cos(angle) + dy * math.sin(angle) - WALKER_RADIUS - 0.3, 0.0)
                if gap < fleet.gap[i]:
                    fleet.gap[i], fleet.lead[i], fleet.lead_speed[i] = gap, -1, 0.0
        if fleet.gap[i] < _FAR:
            return


@numba.njit(cache=True)
def _nearest_corner(fleet, bodies, j, x, y, angle):
    """How far ahead of a point, in a direction, the nearest corner of vehicle j lies."""
    turn = fleet.heading[j] - angle
    center = (fleet.x[j] - x) * math.cos(angle) + (fleet.y[j] - y) * math.sin(angle)
    return center - 0.5 * (bodies.length[j] * abs(math.cos(turn)) + bodies.width[j] * abs(math.sin(turn)))


@numba.njit(cache=True)
def _watch_crossings(bodies, zebras, walks, fleet, crowd, i):
    """Distance to the first crossing ahead on which somebody is in, or will come into, the vehicle's way."""
    fleet.zebra_gap[i] = _FAR
    front, v = fleet.along[i] + bodies.front[i], fleet.speed[i]
    for z in range(zebras.start[i], zebras.start[i + 1]):
        ahead = zebras.enter[z] - front
        if ahead < -0.3:
            continue
        if ahead > v * v / 3.0 + 12.0:
            return
        clear = (zebras.leave[z] - front + bodies.length[i]) / max(v, 2.5) + 1.5
        for w in range(len(crowd.along)):
            if not crowd.crossing[w] or walks.leg_crossing[crowd.leg[w]] != zebras.crossing[z]:
                continue
            if _in_the_way(walks, crowd, w, zebras.across[z], 0.5 * bodies.width[i] + 0.9, clear):
                fleet.zebra_gap[i] = max(ahead, 0.0)
                return


@numba.njit(cache=True)
def _across(walks, crowd, w):
    """How far across the present crossing a walker is, and in which direction it goes."""
    ends = walks.leg_ends[crowd.leg[w]]
    share = (crowd.along[w] - ends[0]) / (ends[1] - ends[0])
    return ends[2] + share * (ends[3] - ends[2]), 1.0 if ends[3] > ends[2] else -1.0


@numba.njit(cache=True)
def _in_the_way(walks, crowd, w, across, half, seconds):
    """Whether a walker is in a strip of the crossing, or will be there within some seconds."""
    at, way = _across(walks, crowd, w)
    ahead = (across - at) * way
    return ahead > -half and (ahead - half) / walks.speed[w] < seconds


@numba.njit(cache=True)
def _next_stop(bodies, stops, fleet, i):
    """The junction whose stop line vehicle i has not passed; -1 if there is none."""
    front = fleet.along[i] + bodies.front[i]
    for e in range(fleet.stop[i], stops.start[i + 1]):
        if front < stops.line[e]:
            return e
    return -1


@numba.njit(cache=True)
def _held(bodies, stops, rules, fleet, i, e, step):
    """Whether the signal keeps vehicle i from entering: red, or yellow where it can stop without haste."""
    state = rules.states[stops.connector[e], step]
    if state == RED:
        return True
    room = stops.line[e] - fleet.along[i] - bodies.front[i] - 1.0
    return state == YELLOW and fleet.speed[i] ** 2 < 2.0 * 2.8 * max(room, 0.0)


@numba.njit(cache=True)
def _grant_all(paths, bodies, stops, rules, fleet, step):
    """Gives and takes back the right to enter junctions."""
    for i in range(len(fleet.along)):
        e = _next_stop(bodies, stops, fleet, i) if fleet.active[i] else -1
        if e < 0:
            continue
        room = stops.line[e] - fleet.along[i] - bodies.front[i]
        fleet.blocked[i] = _queued(bodies, stops, rules, fleet, i, e, room) or fleet.zebra_gap[i] < room + 3.0
    for i in range(len(fleet.along)):
        e = _next_stop(bodies, stops, fleet, i) if fleet.active[i] else -1
        if e < 0:
            continue
        room = stops.line[e] - fleet.along[i] - bodies.front[i]
        if fleet.speed[i] < 0.4 and room < 3.0:
            fleet.halted[e] = True
        if _held(bodies, stops, rules, fleet, i, e, step):
            fleet.granted[e] = False
        elif fleet.blocked[i]:
            if fleet.speed[i] ** 2 < 2.0 * 2.5 * room:
                fleet.granted[e] = False
        elif not fleet.granted[e] and room < _ask_within(rules, stops, fleet, i, e):
            fleet.granted[e] = _may_enter(paths, bodies, stops, rules, fleet, i, e, step)


@numba.njit(cache=True)
def _ask_within(rules, stops, fleet, i, e):
    """Distance from the line at which a driver decides."""
    v = fleet.speed[i]
    return 8.0 if rules.cautious[stops.connector[e]] else v * v / 3.6 + v + 5.0


@numba.njit(cache=True)
def _queued(bodies, stops, rules, fleet, i, e, room):
    """Whether somebody who may not go stands between vehicle i and its line."""
    j = fleet.lead[i]
    if j < 0 or fleet.gap[i] > room:
        return False
    f = _next_stop(bodies, stops, fleet, j)
    if f < 0 or fleet.granted[f]:
        return False
    return rules.origin[stops.connector[f]] == rules.origin[stops.connector[e]]


@numba.njit(cache=True)
def _may_enter(paths, bodies, stops, rules, fleet, i, e, step):
    """Whether the way of vehicle i through its junction is free, and there is room behind it."""
    c = stops.connector[e]
    if rules.halt[c] and not fleet.halted[e]:
        return False
    front = fleet.along[i] + bodies.front[i]
    stands = fleet.lead_speed[i] < 2.5 and fleet.lead[i] >= 0
    if stands and front + fleet.gap[i] < stops.end[e] + bodies.length[i] + 2.0:
        return False
    for j in range(len(fleet.along)):
        if j == i or not fleet.active[j]:
            continue
        for f in range(fleet.stop[j], min(fleet.stop[j] + 2, stops.start[j + 1])):
            row = rules.conflict[c, stops.connector[f]]
            if row >= 0 and _clashes(paths, bodies, stops, rules, fleet, i, e, j, f, row, step):
                return False
    return True


@numba.njit(cache=True)
def _clashes(paths, bodies, stops, rules, fleet, i, e, j, f, row, step):
    """Whether vehicle j is in, or will come into, the part of the junction that vehicle i needs."""
    zone = rules.zones[row]
    front = fleet.along[j] + bodies.front[j]
    if fleet.granted[f]:
        return fleet.along[j] - bodies.rear[j] < stops.line[f] + zone[3]
    first = rules.rank[stops.connector[f]] < rules.rank[stops.connector[e]]
    if not first or fleet.blocked[j] or front >= stops.line[f] or _held(bodies, stops, rules, fleet, j, f, step):
        return False
    limit = _at(paths.speed, paths.start, j, fleet.along[j], SPACING)
    arrival = _time_over(stops.line[f] + zone[2] - front, fleet.speed[j], max(limit, fleet.speed[j]), 2.0)
    way = stops.line[e] + zone[1] + bodies.length[i] - fleet.along[i] - bodies.front[i]
    turning = _at(paths.speed, paths.start, i, 0.5 * (stops.line[e] + stops.end[e]), SPACING)
    return arrival < _time_over(way, fleet.speed[i], turning, 1.2) + 1.5


@numba.njit(cache=True)
def _time_over(way, speed, top, acceleration):
    """Seconds for a way in metres, accelerating up to a top speed."""
    if way <= 0.0:
        return 0.0
    rise = max((top * top - speed * speed) / (2.0 * acceleration), 0.0)
    if way <= rise:
        return (math.sqrt(speed * speed + 2.0 * acceleration * way) - speed) / acceleration
    return max(top - speed, 0.0) / acceleration + (way - rise) / max(top, 0.1)


@numba.njit(cache=True)
def _interaction(v, approach, gap, standstill, headway, acceleration, braking):
    """The IDM's braking term for an obstacle."""
    wanted = standstill + max(v * headway + v * approach / (2.0 * math.sqrt(acceleration * braking)), 0.0)
    return acceleration * (wanted / max(gap, 0.05)) ** 2


@numba.njit(cache=True)
def _accelerate(paths, bodies, stops, rules, fleet, i, step, dt):
    """The acceleration of vehicle i for this step: free road, leader, stop line, crossing; jerk is limited."""
    v, a, b = fleet.speed[i], bodies.acceleration[i], bodies.braking[i]
    top = max(_at(paths.speed, paths.start, i, fleet.along[i] + 0.6 * v, SPACING), 0.5)
    free = a * (1.0 - (v / top) ** 4) if v <= top else max(-(v - top) / 0.6, -2.5)
    wish = free
    if fleet.gap[i] < _FAR:
        gap = _interaction(v, v - fleet.lead_speed[i], fleet.gap[i], 2.0, bodies.headway[i], a, b)
        wish = min(wish, free - gap if free > 0 else -gap)
    room = fleet.zebra_gap[i] - 2.2
    e = _next_stop(bodies, stops, fleet, i)
    if e >= 0 and not fleet.granted[e]:
        line = stops.line[e] - fleet.along[i] - bodies.front[i] - 0.7
        waits = rules.cautious[stops.connector[e]] or rules.states[stops.connector[e], step] != 3
        if waits or line < v * v / 4.4 + 4.0:
            room = min(room, line)
    if room < 200.0:
        line = _interaction(v, v, room, 0.4, 0.7, a, b)
        wish = min(wish, free - line if free > 0 else -line)
    wish = min(max(wish, -8.0), a)
    fall = 3.5 if wish > -3.0 else 25.0
    fleet.acceleration[i] = min(max(wish, fleet.acceleration[i] - fall * dt), fleet.acceleration[i] + 3.0 * dt)


@numba.njit(cache=True)
def _advance(paths, bodies, stops, fleet, i, dt):
    """Moves vehicle i along its path; its body trails the reference point."""
    speed = max(fleet.speed[i] + fleet.acceleration[i] * dt, 0.0)
    way = 0.5 * (fleet.speed[i] + speed) * dt
    if speed == 0.0:
        fleet.acceleration[i] = max(fleet.acceleration[i], 0.0)
    for part in range(4):
        angle = _at(paths.heading, paths.start, i, fleet.along[i] + (part + 0.5) * way / 4, SPACING)
        share = way / 4 / bodies.hitch[i]
        middle = fleet.heading[i] + 0.5 * share * math.sin(angle - fleet.heading[i])
        fleet.heading[i] += share * math.sin(angle - middle)
    fleet.along[i] += way
    fleet.speed[i] = speed
    while fleet.stop[i] < stops.start[i + 1] and fleet.along[i] - bodies.rear[i] > stops.end[fleet.stop[i]]:
        fleet.stop[i] += 1
    length = (paths.start[i + 1] - paths.start[i] - 1) * SPACING
    if fleet.along[i] + bodies.front[i] >= length - 1.0:
        fleet.active[i] = False


@numba.njit(cache=True)
def _walk(bodies, stops, zebras, walks, fleet, crowd, w, step, dt):
    """Moves walker w, who waits at kerbs until the way over is free."""
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


@numba.njit(cache=True)
def _obstructed(bodies, fleet, crowd, w):
    """Whether a vehicle, or somebody who goes the same way, is right before walker w."""
    c, s = math.cos(crowd.heading[w]), math.sin(crowd.heading[w])
    if crowd.crossing[w]:
        for ahead in (0.5, 1.1):
            x, y = crowd.x[w] + ahead * c, crowd.y[w] + ahead * s
            for j in range(len(fleet.along)):
                if fleet.active[j] and _distance_to_box(fleet, bodies, j, x, y) < 0.6:
                    return True
    for u in range(len(crowd.along)):
        dx, dy = crowd.x[u] - crowd.x[w], crowd.y[u] - crowd.y[w]
        ahead, aside = c * dx + s * dy, c * dy - s * dx
        same = math.cos(crowd.heading[u] - crowd.heading[w]) > 0.0
        if u != w and 0.0 < ahead < 1.0 and abs(aside) < 0.7 and (same or not crowd.crossing[u]):
            return same or crowd.speed[u] > 0.0
    return False


@numba.njit(cache=True)
def _may_cross(bodies, stops, zebras, walks, fleet, crossing, step):
    """Whether the light lets walkers start, and no vehicle is on the crossing or too near to stop."""
    if not walks.allowed[crossing, step]:
        return False
    for i in range(len(fleet.along)):
        if not fleet.active[i]:
            continue
        front, v = fleet.along[i] + bodies.front[i], fleet.speed[i]
        for z in range(zebras.start[i], zebras.start[i + 1]):
            if zebras.crossing[z] != crossing or front - bodies.length[i] > zebras.leave[z]:
                continue
            ahead = zebras.enter[z] - front
            e = _next_stop(bodies, stops, fleet, i)
            waits = e >= 0 and not fleet.granted[e] and stops.line[e] < zebras.enter[z]
            if ahead < 0.3 or (not waits and ahead < v * v / 4.0 + 1.5 * v + 4.0):
                return False
    return True


@numba.njit(cache=True)
def conflict_zone(first, then, clearance, zone):
    """Fills (enter, leave) on two lines in steps of `SPACING`, where they come within `clearance`; False if never."""
    zone[0], zone[1], zone[2], zone[3] = _FAR, -_FAR, _FAR, -_FAR
    for a in range(len(first)):
        for b in range(len(then)):
            if math.hypot(first[a, 0] - then[b, 0], first[a, 1] - then[b, 1]) < clearance:
                zone[0], zone[1] = min(zone[0], a * SPACING), max(zone[1], a * SPACING)
                zone[2], zone[3] = min(zone[2], b * SPACING), max(zone[3], b * SPACING)
    return zone[1] > -_FAR
