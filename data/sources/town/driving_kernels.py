"""Vehicle motion along paths by the Intelligent Driver Model, one step at a time.

Formulas: Treiber, Hennecke and Helbing 2000 (IDM). A vehicle's reference point, half a wheelbase ahead of the rear
axle, follows the path and the body trails it, so that the rear axle never slides sideways.
"""

import math

import numba
import numpy as np

from swerve.data.sources.town.traffic_state import SPACING
from swerve.scenes.kernel_options import INTERNAL

RED, YELLOW, GREEN = 1, 2, 3
WALKER_RADIUS = 0.35
FAR = 1e9


@numba.njit(cache=True)
def find_leader(paths, bodies, fleet, crowd, i):
    """Find the nearest obstacle in the strip swept by vehicle i: gap, its speed along the path, its index.

    The strip is looked along in steps of a metre; whatever is some metres from a point of it is not asked for again
    before it could be reached.
    """
    fleet.gap[i], fleet.lead[i], fleet.lead_speed[i] = FAR, -1, 0.0
    radius, v = 0.5 * bodies.width[i] + 0.3, fleet.speed[i]
    look = min(max(v * v / 4.0 + 2.0 * v + 12.0, 20.0), 75.0)
    near, ask, count = _vehicles_near(bodies, fleet, i, look, radius)
    people, walkers = _walkers_near(fleet, crowd, i, look + bodies.front[i] + radius + WALKER_RADIUS)
    k = 0
    while k <= int(look) and fleet.gap[i] >= FAR:
        along, free = fleet.along[i] + bodies.front[i] + k, FAR
        x = at(paths.x, paths.start, fleet.path[i], along, SPACING)
        y = at(paths.y, paths.start, fleet.path[i], along, SPACING)
        for row in range(count):
            if ask[row] <= k:
                j = near[row]
                apart = distance_to_box(fleet, bodies, j, x, y) - radius
                ask[row] = k + int(max(apart, 0.0)) + 1
                if apart < 0.0:
                    angle = at(paths.heading, paths.start, fleet.path[i], along, SPACING)
                    gap = max(k + max(_nearest_corner(fleet, bodies, j, x, y, angle), -radius), 0.0)
                    if gap < fleet.gap[i]:
                        fleet.gap[i], fleet.lead[i] = gap, j
                        fleet.lead_speed[i] = max(fleet.speed[j] * math.cos(fleet.heading[j] - angle), 0.0)
            free = min(free, float(ask[row] - k - 1))
        for row in range(walkers):
            dx, dy = crowd.x[people[row]] - x, crowd.y[people[row]] - y
            apart = math.sqrt(dx * dx + dy * dy) - radius - WALKER_RADIUS
            free = min(free, apart)
            if apart < 0.0:
                angle = at(paths.heading, paths.start, fleet.path[i], along, SPACING)
                gap = max(k + dx * math.cos(angle) + dy * math.sin(angle) - WALKER_RADIUS - 0.3, 0.0)
                if gap < fleet.gap[i]:
                    fleet.gap[i], fleet.lead[i], fleet.lead_speed[i] = gap, -1, 0.0
        k += int(min(max(free, 0.0), look)) + 1  # nothing that is farther than `free` is reached sooner


@numba.njit(cache=True, **INTERNAL)
def _vehicles_near(bodies, fleet, i, look, radius):
    """Vehicles that the strip before vehicle i may touch, from which metre of it each may, and how many they are."""
    near, ask, count = np.empty(len(fleet.along), np.int64), np.empty(len(fleet.along), np.int64), 0
    for j in range(len(fleet.along)):
        if j == i or not fleet.active[j]:
            continue
        dx, dy = fleet.x[j] - fleet.x[i], fleet.y[j] - fleet.y[i]
        reach = look + bodies.front[i] + bodies.length[i] + bodies.length[j]
        if dx * dx + dy * dy < reach * reach:
            # The strip begins less than a length from the middle of vehicle i.
            apart = math.sqrt(dx * dx + dy * dy) - bodies.length[i] - bodies.length[j] - radius
            near[count], ask[count] = j, int(max(apart, 0.0))
            count += 1
    return near, ask, count


@numba.njit(cache=True, **INTERNAL)
def _walkers_near(fleet, crowd, i, reach):
    """Walkers on the road within a distance of vehicle i, and how many they are."""
    near, count = np.empty(len(crowd.along), np.int64), 0
    for w in range(len(crowd.along)):
        dx, dy = crowd.x[w] - fleet.x[i], crowd.y[w] - fleet.y[i]
        if crowd.crossing[w] and dx * dx + dy * dy < (reach + 3.0) ** 2:
            near[count] = w
            count += 1
    return near, count


@numba.njit(cache=True, **INTERNAL)
def _nearest_corner(fleet, bodies, j, x, y, angle):
    """Return the distance from a point, in a direction, to the nearest corner of vehicle j."""
    turn = fleet.heading[j] - angle
    center = (fleet.x[j] - x) * math.cos(angle) + (fleet.y[j] - y) * math.sin(angle)
    return center - 0.5 * (bodies.length[j] * abs(math.cos(turn)) + bodies.width[j] * abs(math.sin(turn)))


@numba.njit(cache=True)
def scan_crosswalks(bodies, zebras, walks, fleet, crowd, i):
    """Compute the distance to the first crossing ahead with a pedestrian on, or about to enter, the vehicle's path."""
    fleet.zebra_gap[i] = FAR
    front, v = fleet.along[i] + bodies.front[i], fleet.speed[i]
    for z in range(zebras.start[fleet.path[i]], zebras.start[fleet.path[i] + 1]):
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


@numba.njit(cache=True, **INTERNAL)
def _across(walks, crowd, w):
    """Return a walker's position across its current crossing, and its direction."""
    ends = walks.leg_ends[crowd.leg[w]]
    share = (crowd.along[w] - ends[0]) / (ends[1] - ends[0])
    return ends[2] + share * (ends[3] - ends[2]), 1.0 if ends[3] > ends[2] else -1.0


@numba.njit(cache=True, **INTERNAL)
def _in_the_way(walks, crowd, w, across, half, seconds):
    """Test whether a walker is in a strip of the crossing, or will be within some seconds."""
    at, way = _across(walks, crowd, w)
    ahead = (across - at) * way
    return ahead > -half and (ahead - half) / walks.speed[w] < seconds


@numba.njit(cache=True)
def next_stop(bodies, stops, fleet, i):
    """Return the junction whose stop line vehicle i has not passed; -1 if there is none."""
    front = fleet.along[i] + bodies.front[i]
    for e in range(fleet.stop[i], stops.start[fleet.path[i] + 1]):
        if front < stops.line[e]:
            return e
    return -1


@numba.njit(cache=True, **INTERNAL)
def _held(bodies, stops, rules, fleet, i, e, step):
    """Test whether the signal keeps vehicle i from entering: red, or yellow where it can stop without haste.

    Some turn right at red after a halt.
    """
    c = stops.connector[e]
    state = rules.states[c, step]
    if state == RED:
        return not (rules.on_red[c] and bodies.turns_on_red[i] and fleet.halted[e])
    room = stops.line[e] - fleet.along[i] - bodies.front[i] - 1.0
    return state == YELLOW and fleet.speed[i] ** 2 < 2.0 * bodies.yellow[i] * max(room, 0.0)


@numba.njit(cache=True)
def update_right_of_way(paths, bodies, stops, rules, fleet, step):
    """Grant and revoke the right to enter junctions."""
    for i in range(len(fleet.along)):
        e = next_stop(bodies, stops, fleet, i) if fleet.active[i] else -1
        if e < 0:
            continue
        room = stops.line[e] - fleet.along[i] - bodies.front[i]
        fleet.blocked[i] = _queued(bodies, stops, rules, fleet, i, e, room) or fleet.zebra_gap[i] < room + 3.0
    for i in range(len(fleet.along)):
        e = next_stop(bodies, stops, fleet, i) if fleet.active[i] else -1
        if e < 0:
            continue
        room = stops.line[e] - fleet.along[i] - bodies.front[i]
        if fleet.speed[i] < bodies.rolls[i] and room < 3.0:
            fleet.halted[e] = True
        if _held(bodies, stops, rules, fleet, i, e, step):
            fleet.granted[e] = False
        elif fleet.blocked[i]:
            if fleet.speed[i] ** 2 < 2.0 * 2.5 * room:
                fleet.granted[e] = False
        elif not fleet.granted[e] and room < _ask_within(rules, stops, fleet, i, e):
            fleet.granted[e] = _may_enter(paths, bodies, stops, rules, fleet, i, e, step)


@numba.njit(cache=True, **INTERNAL)
def _ask_within(rules, stops, fleet, i, e):
    """Return the distance from the line at which a driver decides."""
    v = fleet.speed[i]
    return 8.0 if rules.cautious[stops.connector[e]] else v * v / 3.6 + v + 5.0


@numba.njit(cache=True, **INTERNAL)
def _queued(bodies, stops, rules, fleet, i, e, room):
    """Test whether a vehicle without right of way stands between vehicle i and its line."""
    j = fleet.lead[i]
    if j < 0 or fleet.gap[i] > room:
        return False
    f = next_stop(bodies, stops, fleet, j)
    if f < 0 or fleet.granted[f]:
        return False
    return rules.origin[stops.connector[f]] == rules.origin[stops.connector[e]]


@numba.njit(cache=True, **INTERNAL)
def _may_enter(paths, bodies, stops, rules, fleet, i, e, step):
    """Test whether the path of vehicle i through its junction is free, with room behind it."""
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
        for f in range(fleet.stop[j], min(fleet.stop[j] + 3, stops.start[fleet.path[j] + 1])):
            row = rules.conflict[c, stops.connector[f]]
            if row >= 0 and _clashes(paths, bodies, stops, rules, fleet, i, e, j, f, row, step):
                return False
    return True


@numba.njit(cache=True, **INTERNAL)
def _clashes(paths, bodies, stops, rules, fleet, i, e, j, f, row, step):
    """Test whether vehicle j is in, or will enter, the part of the junction that vehicle i needs."""
    zone = rules.zones[row]
    front = fleet.along[j] + bodies.front[j]
    if fleet.granted[f]:
        return fleet.along[j] - bodies.rear[j] < stops.line[f] + zone[3]
    at_red = rules.states[stops.connector[e], step] == RED
    first = at_red or rules.rank[stops.connector[f]] < rules.rank[stops.connector[e]]
    if not first or fleet.blocked[j] or front >= stops.line[f] or _held(bodies, stops, rules, fleet, j, f, step):
        return False
    limit = at(paths.speed, paths.start, fleet.path[j], fleet.along[j], SPACING)
    arrival = _time_over(stops.line[f] + zone[2] - front, fleet.speed[j], max(limit, fleet.speed[j]), 2.0)
    way = stops.line[e] + zone[1] + bodies.length[i] - fleet.along[i] - bodies.front[i]
    turning = at(paths.speed, paths.start, fleet.path[i], 0.5 * (stops.line[e] + stops.end[e]), SPACING)
    return arrival < _time_over(way, fleet.speed[i], turning, 1.2) + 1.5


@numba.njit(cache=True, **INTERNAL)
def _time_over(way, speed, top, acceleration):
    """Compute the time in seconds for a distance in metres, accelerating up to a top speed."""
    if way <= 0.0:
        return 0.0
    rise = max((top * top - speed * speed) / (2.0 * acceleration), 0.0)
    if way <= rise:
        return (math.sqrt(speed * speed + 2.0 * acceleration * way) - speed) / acceleration
    return max(top - speed, 0.0) / acceleration + (way - rise) / max(top, 0.1)


@numba.njit(cache=True, **INTERNAL)
def _interaction(v, approach, gap, standstill, headway, acceleration, braking):
    """Compute the IDM's braking term for an obstacle."""
    wanted = standstill + max(v * headway + v * approach / (2.0 * math.sqrt(acceleration * braking)), 0.0)
    return acceleration * (wanted / max(gap, 0.05)) ** 2


@numba.njit(cache=True)
def idm(v, top, approach, gap, headway, acceleration, braking):
    """The IDM's acceleration behind a leader that one approaches."""
    free = acceleration * (1.0 - (v / top) ** 4)
    return free - _interaction(v, approach, gap, 2.0, headway, acceleration, braking)


@numba.njit(cache=True)
def accelerate(paths, bodies, stops, rules, fleet, i, step, dt):
    """Compute vehicle i's acceleration for this step: free road, leader, stop line, crossing; jerk is limited."""
    v, a, b = fleet.speed[i], bodies.acceleration[i], bodies.braking[i]
    top = max(at(paths.speed, paths.start, fleet.path[i], fleet.along[i] + 0.6 * v, SPACING), 0.5)
    free = a * (1.0 - (v / top) ** 4) if v <= top else max(-(v - top) / 0.6, -2.5)
    wish = free
    if fleet.gap[i] < FAR:
        gap = _interaction(v, v - fleet.lead_speed[i], fleet.gap[i], 2.0, bodies.headway[i], a, b)
        wish = min(wish, free - gap if free > 0 else -gap)
    room = fleet.zebra_gap[i] - 2.2
    e = next_stop(bodies, stops, fleet, i)
    if e >= 0 and not fleet.granted[e]:
        line = stops.line[e] - fleet.along[i] - bodies.front[i] - 0.7
        waits = rules.cautious[stops.connector[e]] or rules.states[stops.connector[e], step] != GREEN
        if waits or line < v * v / 4.4 + 4.0:
            room = min(room, line)
    if room < 200.0:
        line = _interaction(v, v, room, 0.4, 0.7, a, b)
        wish = min(wish, free - line if free > 0 else -line)
    wish = min(max(wish, -8.0), a)
    fall = 3.5 if wish > -3.0 else 25.0
    fleet.acceleration[i] = min(max(wish, fleet.acceleration[i] - fall * dt), fleet.acceleration[i] + 3.0 * dt)


@numba.njit(cache=True)
def advance(paths, bodies, stops, fleet, i, dt):
    """Move vehicle i along its path; its body trails the reference point."""
    speed = max(fleet.speed[i] + fleet.acceleration[i] * dt, 0.0)
    way = 0.5 * (fleet.speed[i] + speed) * dt
    if speed == 0.0:
        fleet.acceleration[i] = max(fleet.acceleration[i], 0.0)
    for part in range(4):
        angle = at(paths.heading, paths.start, fleet.path[i], fleet.along[i] + (part + 0.5) * way / 4, SPACING)
        share = way / 4 / bodies.hitch[i]
        middle = fleet.heading[i] + 0.5 * share * math.sin(angle - fleet.heading[i])
        fleet.heading[i] += share * math.sin(angle - middle)
    fleet.along[i] += way
    fleet.speed[i] = speed
    beyond = stops.start[fleet.path[i] + 1]
    while fleet.stop[i] < beyond and fleet.along[i] - bodies.rear[i] > stops.end[fleet.stop[i]]:
        fleet.stop[i] += 1
    length = (paths.start[fleet.path[i] + 1] - paths.start[fleet.path[i]] - 1) * SPACING
    if fleet.along[i] + bodies.front[i] >= length - 1.0:
        fleet.active[i] = False


@numba.njit(cache=True)
def at(values, start, i, along, spacing):
    """Interpolate a value of path i at an arc length, linear between its points (angles must be unwrapped)."""
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
def distance_to_box(fleet, bodies, j, x, y):
    """Return the distance from a point to vehicle j."""
    c, s = fleet.cosine[j], fleet.sine[j]
    dx, dy = x - fleet.x[j], y - fleet.y[j]
    ahead = max(abs(c * dx + s * dy) - 0.5 * bodies.length[j], 0.0)
    aside = max(abs(c * dy - s * dx) - 0.5 * bodies.width[j], 0.0)
    return math.sqrt(ahead * ahead + aside * aside)


@numba.njit(cache=True)
def conflict_zone(first, then, clearance, zone):
    """Write (enter, leave) on two lines in steps of `SPACING`, where they come within `clearance`; False if never."""
    zone[0], zone[1], zone[2], zone[3] = FAR, -FAR, FAR, -FAR
    for a in range(len(first)):
        for b in range(len(then)):
            dx, dy = first[a, 0] - then[b, 0], first[a, 1] - then[b, 1]
            if dx * dx + dy * dy < clearance * clearance:
                zone[0], zone[1] = min(zone[0], a * SPACING), max(zone[1], a * SPACING)
                zone[2], zone[3] = min(zone[2], b * SPACING), max(zone[3], b * SPACING)
    return zone[1] > -FAR
