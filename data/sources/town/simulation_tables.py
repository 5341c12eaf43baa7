"""Flat tables for the simulation: paths, bodies, junction rules, crossings, walkers' routes."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from swerve.data.sources.town.bodies import RoadUser
from swerve.data.sources.town.connectors import Connector, Movement
from swerve.data.sources.town.curves import left_of, unit
from swerve.data.sources.town.driving_kernels import conflict_zone
from swerve.data.sources.town.fleet import Driver
from swerve.data.sources.town.gates import gates_of, with_obstructions
from swerve.data.sources.town.jaywalking import HALF_WIDTH, UnmarkedCrossing
from swerve.data.sources.town.junctions import Junction
from swerve.data.sources.town.obstructions import Obstruction
from swerve.data.sources.town.pedestrians import Walker, crossings_of
from swerve.data.sources.town.plan import STOP_LINE_SETBACK, TownPlan
from swerve.data.sources.town.routes import Path
from swerve.data.sources.town.signals import Program, walk_states
from swerve.data.sources.town.streets import Direction
from swerve.data.sources.town.traffic_state import (
    SPACING,
    WALK_SPACING,
    Bodies,
    Changes,
    Crosswalks,
    Paths,
    PedestrianRoutes,
    Rules,
    Stops,
)
from swerve.scenes import Lane, LaneType
from swerve.scenes.polyline import resample

# Least clearance of centrelines below which connectors conflict: two wide vehicles, or a bicycle and a wide vehicle.
_CLEARANCE, _BICYCLE_CLEARANCE = 2.75, 2.0
# Share of the arms with signals at which one may turn right at red.
_ON_RED = 0.7
_RANK_AT_RING = 3
# Lines in a ring that come as near as this have merged, metres; whoever is so far beyond that point is followed.
_MERGED, _BEYOND_MERGE = 1.8, 3.0
_RANKS = {Movement.STRAIGHT: 0, Movement.RIGHT: 1, Movement.LEFT: 2}


@dataclass(frozen=True)
class Tables:
    """Tables that do not depend on the walkers."""

    paths: Paths
    bodies: Bodies
    changes: Changes
    stops: Stops
    zebras: Crosswalks
    rules: Rules


@dataclass(frozen=True)
class Conflicts:
    """Conflicting connectors of a town (row of `zones`, or -1), and the conflict zones (enter, leave; enter, leave)."""

    rows: Int[np.ndarray, "c c"]
    zones: Float[np.ndarray, "z 4"]


def build_tables(
    plan: TownPlan,
    programs: dict[int, Program],
    conflicts: Conflicts,
    obstructions: Mapping[str, Obstruction],
    unmarked: Sequence[UnmarkedCrossing],
    drivers: list[Driver],
    states: UInt8[np.ndarray, "c t"],
    generator: np.random.Generator,
) -> Tables:
    """Build the tables of one start.

    Args:
        plan: the town.
        programs: signal programs.
        conflicts: conflicts of the connectors.
        obstructions: objects that stand on its lanes.
        unmarked: places where pedestrians cross between junctions.
        drivers: all vehicles and cyclists.
        states: signal states of the connectors.
        generator: decides which minor arms have stop signs and not only yield signs.
    """
    ways = ways_of(drivers)
    return Tables(
        path_table(ways),
        body_table(drivers),
        change_table(drivers),
        stop_table(plan, obstructions, ways),
        zebra_table(plan, unmarked, ways),
        with_obstructions(rule_table(plan, programs, conflicts, states, generator), obstructions),
    )


def with_states(rules: Rules, states: UInt8[np.ndarray, "c t"]) -> Rules:
    """Return the rules with other states of the connectors' signals; obstructions, which follow, have none."""
    return rules._replace(states=np.concatenate([states, rules.states[len(states) :]]))


def ways_of(drivers: Sequence[Driver]) -> list[tuple[RoadUser, Path]]:
    """Return all paths that may be driven, with their bodies: each driver's own first, then all lane changes."""
    own = [(driver.body, driver.path) for driver in drivers]
    return own + [(driver.body, change.path) for driver in drivers for change in driver.changes]


def change_table(drivers: Sequence[Driver]) -> Changes:
    """Build the table of possible lane changes; their paths follow all drivers' own in the table of paths."""
    found = [change for driver in drivers for change in driver.changes]
    columns = [[getattr(change, name) for change in found] for name in ("begin", "end", "side", "bias")]
    rows = np.arange(len(drivers), len(drivers) + len(found))
    starts = _starts([len(driver.changes) for driver in drivers])
    return Changes(starts, rows, *(np.array(column, np.float64) for column in columns))


def path_table(ways: Sequence[tuple[RoadUser, Path]]) -> Paths:
    """Build the table of paths, with the largest speed that each driver takes."""
    paths = [path for _, path in ways]
    return Paths(
        _starts([len(path.points) for path in paths]),
        np.concatenate([path.points[:, 0] for path in paths]),
        np.concatenate([path.points[:, 1] for path in paths]),
        np.concatenate([path.headings for path in paths]),
        np.concatenate([path.speeds(body.lateral) for body, path in ways]),
    )


def body_table(drivers: list[Driver]) -> Bodies:
    """Build the table of dimensions and driver parameters."""
    bodies = [driver.body for driver in drivers]
    columns = [
        [body.vehicle.length for body in bodies],
        [body.vehicle.width for body in bodies],
        [body.front for body in bodies],
        [body.rear for body in bodies],
        [body.rear_axle_to_reference for body in bodies],
        [body.acceleration for body in bodies],
        [body.braking for body in bodies],
        [body.time_headway for body in bodies],
        [body.rolls for body in bodies],
        [body.yellow for body in bodies],
        [body.safe for body in bodies],
        [body.turns_on_red for body in bodies],
    ]
    return Bodies(*(np.array(column) for column in columns))


def stop_table(plan: TownPlan, obstructions: Mapping[str, Obstruction], ways: Sequence[tuple[RoadUser, Path]]) -> Stops:
    """Build the table of junctions and obstructions along all paths, including those without an obligation to stop."""
    numbers = {connector.lane.id: row for row, connector in enumerate(plan.connectors)}
    gates = gates_of(plan.road_map.lane_by_id, obstructions, len(plan.connectors))
    rows: list[tuple[float, float, float]] = []
    counts = []
    for body, path in ways:
        found = []
        for row, lane in enumerate(path.lanes):
            start = path.starts[row]
            if lane in numbers:
                found.append((numbers[lane], start - STOP_LINE_SETBACK, path.starts[row + 1]))
            for gate in gates.get(lane, ()):
                if gate.width is None or body.vehicle.width > gate.width:
                    found.append((gate.number, start + gate.line, start + gate.end))
        rows += found
        counts.append(len(found))
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return Stops(_starts(counts), table[:, 0].astype(np.int64), table[:, 1].copy(), table[:, 2].copy())


def zebra_table(
    plan: TownPlan, unmarked: Sequence[UnmarkedCrossing], ways: Sequence[tuple[RoadUser, Path]]
) -> Crosswalks:
    """Build the table of crossings along all paths, unmarked ones after the others."""
    street_of = {lane.id: number for number, pair in enumerate(plan.directions) for lane in _lanes_of(pair)}
    places = list(enumerate(crossings_of(plan)))
    junction_of = {connector.lane.id: connector.junction for connector in plan.connectors}
    rows: list[tuple[float, float, float, float]] = []
    counts = []
    between = {place.street: (len(places) + row, place) for row, place in enumerate(unmarked)}
    arms: dict[int, list[tuple[int, int]]] = {}
    for number, (node, arm) in places:
        arms.setdefault(node, []).append((number, arm))
    for _, path in ways:
        passages = []
        for row, lane in enumerate(path.lanes):
            if junction_of.get(lane, -1) in arms:
                passages += _passages(path, row, plan.junctions[junction_of[lane]], arms[junction_of[lane]])
            if street_of.get(lane) in between:
                passages += _unmarked_passages(path, row, *between[street_of[lane]])
        found = sorted(passages)
        rows += [(number, enter, leave, across) for enter, leave, number, across in found]
        counts.append(len(found))
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return Crosswalks(_starts(counts), table[:, 0].astype(np.int64), *(table[:, column].copy() for column in (1, 2, 3)))


def _passages(
    path: Path, row: int, junction: Junction, crossings: Sequence[tuple[int, int]]
) -> list[tuple[float, float, int, float]]:
    """Return a path's passages over crossings: (enter, leave, crossing, distance across from the arm's right kerb).

    Crossings lie between the ends of the connector, which is a lane of the path.

    Args:
        path: that leads over the junction.
        row: of the connector in the path.
        junction: with the crossings.
        crossings: numbers of the crossings, and the arms on which they are.
    """
    first, points = _points_of(path, row)
    local, passages = points - junction.position, []
    for number, arm in crossings:
        at = junction.arms[arm]
        near, far = at.crossing or (0.0, 0.0)
        outward = local @ unit(at.angle)
        inside = (outward >= near) & (outward <= far)
        if inside.any():
            aside = local @ left_of(unit(at.angle))
            inside &= (aside >= -at.kerb_out) & (aside <= at.kerb_in)
            passages += _runs(inside, number, aside + at.kerb_out, first)
    return passages


def _unmarked_passages(
    path: Path, row: int, number: int, place: UnmarkedCrossing
) -> list[tuple[float, float, int, float]]:
    """Return where a lane of a path leads over the line of an unmarked crossing, likewise."""
    first, points = _points_of(path, row)
    out, across = place.local(points).T
    return _runs((np.abs(out) <= HALF_WIDTH) & (across >= 0.0) & (across <= place.width), number, across, first)


def _points_of(path: Path, row: int) -> tuple[int, Float[np.ndarray, "n 2"]]:
    """Return a path's points on one of its lanes and a metre around it, and the number of the first."""
    first = max(int(path.starts[row] / SPACING) - 2, 0)
    return first, path.points[first : int(path.starts[row + 1] / SPACING) + 3]


def _runs(
    inside: Bool[np.ndarray, "n"], number: int, across: Float[np.ndarray, "n"], first: int = 0
) -> list[tuple[float, float, int, float]]:
    """The pieces of a path, from its point `first` on, that lie inside, each with where it lies across on average."""
    if not inside.any():
        return []
    rows = np.flatnonzero(inside)
    runs = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1)
    ends = (((run[0] + first) * SPACING, (run[-1] + first) * SPACING, across[run].mean()) for run in runs)
    return [(float(enter), float(leave), number, float(mean)) for enter, leave, mean in ends]


def _lanes_of(pair: tuple[Direction, Direction]) -> list[Lane]:
    """All lanes of a street."""
    return [lane for way in pair for lane in (*way.lanes, *([way.bicycle] if way.bicycle else []))]


def rule_table(
    plan: TownPlan,
    programs: dict[int, Program],
    conflicts: Conflicts,
    states: UInt8[np.ndarray, "c t"],
    generator: np.random.Generator,
) -> Rules:
    """Build priorities and conflicts of all connectors."""
    halting = {
        (number, arm): bool(generator.random() < 0.4)
        for number, junction in enumerate(plan.junctions)
        for arm in range(len(junction.arms))
    }
    on_red = {place: bool(generator.random() < _ON_RED) for place in halting}
    minor = [_is_minor(plan, programs, connector) for connector in plan.connectors]
    ranks = [_rank(plan, connector, waits) for connector, waits in zip(plan.connectors, minor, strict=True)]
    rings = [plan.junctions[c.junction].ring is not None for c in plan.connectors]
    halt = [
        waits and not ring and halting[c.junction, c.arm]
        for c, waits, ring in zip(plan.connectors, minor, rings, strict=True)
    ]
    origins = {name: row for row, name in enumerate(sorted({connector.origin for connector in plan.connectors}))}
    return Rules(
        states,
        np.array(ranks, np.int64),
        np.array(halt, bool),
        np.array([_on_red(programs, c) and on_red[c.junction, c.arm] for c in plan.connectors], bool),
        np.array(minor, bool),
        np.array([origins[connector.origin] for connector in plan.connectors], np.int64),
        conflicts.rows,
        conflicts.zones,
    )


def _on_red(programs: dict[int, Program], connector: Connector) -> bool:
    """Return whether a connector is a right turn of motor vehicles at signals."""
    motor = connector.lane.kind is LaneType.VEHICLE
    return connector.junction in programs and connector.movement is Movement.RIGHT and motor


def _is_minor(plan: TownPlan, programs: dict[int, Program], connector: Connector) -> bool:
    """Test whether traffic must yield because of its road of origin."""
    return connector.junction not in programs and connector.arm not in plan.junctions[connector.junction].priority_arms


def _rank(plan: TownPlan, connector: Connector, minor: bool) -> int:
    """Return the priority rank (0 first): major before minor, straight, right, left (minor: right first).

    At roundabouts those in the ring come first, and all who wait to enter are alike.
    """
    if plan.junctions[connector.junction].ring is not None:
        return _RANK_AT_RING
    if len(plan.junctions[connector.junction].arms) == 2:
        return 0
    if not minor:
        return _RANKS[connector.movement]
    return {Movement.RIGHT: 3, Movement.STRAIGHT: 4, Movement.LEFT: 5}[connector.movement]


def find_conflicts(connectors: Sequence[Connector], rings: Collection[int] = ()) -> Conflicts:
    """Find connectors that cross or merge: those with less clearance than two wide vehicles need.

    Args:
        connectors: of all junctions; those of one junction follow each other.
        rings: numbers of the junctions that are roundabouts; those who have merged there follow each other.
    """
    lines = [resample(connector.lane.centerline[:, :2], SPACING) for connector in connectors]
    conflict, zone = np.full((len(lines), len(lines)), -1, np.int64), np.empty(4)
    zones: list[Float[np.ndarray, "4"]] = []
    begin = 0  # the connectors of one junction follow each other
    for a, first in enumerate(connectors):
        begin = begin if connectors[begin].junction == first.junction else a
        for b in range(begin, a):
            then = connectors[b]
            if then.origin != first.origin:
                bicycle = LaneType.BICYCLE in (first.lane.kind, then.lane.kind)
                if conflict_zone(lines[a], lines[b], _BICYCLE_CLEARANCE if bicycle else _CLEARANCE, zone):
                    if first.junction in rings:
                        zone = _until_merged(lines[a], lines[b], zone)
                    conflict[a, b], conflict[b, a] = len(zones), len(zones) + 1
                    zones += [zone.copy(), zone[[2, 3, 0, 1]]]
    return Conflicts(conflict, np.array(zones).reshape(-1, 4))


def _until_merged(
    first: Float[np.ndarray, "n 2"], then: Float[np.ndarray, "m 2"], zone: Float[np.ndarray, "4"]
) -> Float[np.ndarray, "4"]:
    """Return the zone of two lines in a ring up to where both have merged."""
    merged = np.empty(4)
    if not conflict_zone(first, then, _MERGED, merged):
        return zone
    leave = np.minimum(zone[1::2], merged[::2] + _BEYOND_MERGE)
    return np.array([zone[0], leave[0], zone[2], leave[1]])


def walk_table(
    plan: TownPlan,
    unmarked: Sequence[UnmarkedCrossing],
    programs: dict[int, Program],
    walkers: list[Walker],
    seconds: Float[np.ndarray, "t"],
) -> PedestrianRoutes:
    """Build the routes of all walkers, and the allowed start times of each crossing; unmarked ones always."""
    allowed = [walk_states(plan, programs, junction, arm, seconds) for junction, arm in crossings_of(plan)]
    allowed += [np.ones(len(seconds), bool)] * len(unmarked)
    headings = []
    for walker in walkers:
        steps = np.gradient(walker.points, WALK_SPACING, axis=0)
        headings.append(np.unwrap(np.arctan2(steps[:, 1], steps[:, 0])))
    points = np.concatenate([np.zeros((0, 2)), *(walker.points for walker in walkers)])
    return PedestrianRoutes(
        _starts([len(walker.points) for walker in walkers]),
        points[:, 0].copy(),
        points[:, 1].copy(),
        np.concatenate([np.zeros(0), *headings]),
        np.array([walker.speed for walker in walkers], np.float64),
        _starts([len(walker.crossings) for walker in walkers]),
        np.array([number for walker in walkers for number in walker.crossings], np.int64),
        np.concatenate([np.zeros((0, 4)), *(walker.ends for walker in walkers)]),
        np.array(allowed, bool).reshape(-1, len(seconds)),
    )


def _starts(counts: list[int]) -> Int[np.ndarray, "n1"]:
    """Return the first row of each item in a flat table, with the total at the end."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
