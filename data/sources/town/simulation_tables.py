"""Flat tables for the simulation: paths, bodies, junction rules, crossings, walkers' routes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int, UInt8

from swerve.data.sources.town.connectors import Connector, Movement
from swerve.data.sources.town.curves import left_of, unit
from swerve.data.sources.town.driving_kernels import conflict_zone
from swerve.data.sources.town.fleet import Driver
from swerve.data.sources.town.junctions import Junction
from swerve.data.sources.town.pedestrians import Walker, crossings_of
from swerve.data.sources.town.plan import STOP_LINE_SETBACK, TownPlan
from swerve.data.sources.town.routes import Path
from swerve.data.sources.town.signals import Program, walk_states
from swerve.data.sources.town.traffic_state import SPACING, WALK_SPACING, Bodies, Paths, Rules, Stops, Walks, Zebras
from swerve.scenes import LaneKind
from swerve.scenes.polyline import resample

# Least clearance of centrelines below which connectors conflict: two wide vehicles, or a bicycle and a wide vehicle.
_CLEARANCE, _BICYCLE_CLEARANCE = 2.75, 2.0
_RANKS = {Movement.STRAIGHT: 0, Movement.RIGHT: 1, Movement.LEFT: 2}


@dataclass(frozen=True)
class Tables:
    """Tables that do not depend on the walkers."""

    paths: Paths
    bodies: Bodies
    stops: Stops
    zebras: Zebras
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
    drivers: list[Driver],
    states: UInt8[np.ndarray, "c t"],
    generator: np.random.Generator,
) -> Tables:
    """Build the tables of one start.

    Args:
        plan: the town.
        programs: signal programs.
        conflicts: conflicts of the connectors.
        drivers: all vehicles and cyclists.
        states: signal states of the connectors.
        generator: random number generator of stop signs on minor arms.
    """
    return Tables(
        path_table(drivers),
        body_table(drivers),
        stop_table(plan, drivers),
        zebra_table(plan, drivers),
        rule_table(plan, programs, conflicts, states, generator),
    )


def path_table(drivers: list[Driver]) -> Paths:
    """Build the table of paths, with each driver's speed profile."""
    paths = [driver.path for driver in drivers]
    speeds = [driver.path.speeds(driver.body.pace, driver.body.lateral) for driver in drivers]
    return Paths(
        _starts([len(path.points) for path in paths]),
        np.concatenate([path.points[:, 0] for path in paths]),
        np.concatenate([path.points[:, 1] for path in paths]),
        np.concatenate([path.headings for path in paths]),
        np.concatenate(speeds),
    )


def body_table(drivers: list[Driver]) -> Bodies:
    """Build the table of dimensions and driver parameters."""
    bodies = [driver.body for driver in drivers]
    columns = [
        [body.vehicle.length for body in bodies],
        [body.vehicle.width for body in bodies],
        [body.front for body in bodies],
        [body.rear for body in bodies],
        [body.hitch for body in bodies],
        [body.acceleration for body in bodies],
        [body.braking for body in bodies],
        [body.headway for body in bodies],
    ]
    return Bodies(*(np.array(column) for column in columns))


def stop_table(plan: TownPlan, drivers: list[Driver]) -> Stops:
    """Build the table of junctions along all paths, including those without an obligation to stop."""
    numbers = {connector.lane.id: row for row, connector in enumerate(plan.connectors)}
    rows: list[tuple[float, float, float]] = []
    counts = []
    for driver in drivers:
        path = driver.path
        found = [
            (numbers[lane], path.starts[row] - STOP_LINE_SETBACK, path.starts[row + 1])
            for row, lane in enumerate(path.lanes)
            if lane in numbers
        ]
        rows += found
        counts.append(len(found))
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return Stops(_starts(counts), table[:, 0].astype(np.int64), table[:, 1].copy(), table[:, 2].copy())


def zebra_table(plan: TownPlan, drivers: list[Driver]) -> Zebras:
    """Build the table of crossings along all paths."""
    places = list(enumerate(crossings_of(plan)))
    junction_of = {connector.lane.id: connector.junction for connector in plan.connectors}
    rows: list[tuple[float, float, float, float]] = []
    counts = []
    for driver in drivers:
        passed = {junction_of[lane] for lane in driver.path.lanes if lane in junction_of}
        near = [(number, plan.junctions[node], arm) for number, (node, arm) in places if node in passed]
        found = sorted(row for place in near for row in _passages(driver.path, *place))
        rows += [(number, enter, leave, across) for enter, leave, number, across in found]
        counts.append(len(found))
    table = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return Zebras(_starts(counts), table[:, 0].astype(np.int64), *(table[:, column].copy() for column in (1, 2, 3)))


def _passages(path: Path, number: int, junction: Junction, arm: int) -> list[tuple[float, float, int, float]]:
    """Return a path's passages over a crossing: (enter, leave, crossing, distance across from the arm's right kerb)."""
    at = junction.arms[arm]
    near, far = at.crossing or (0.0, 0.0)
    local = path.points - junction.position
    out, aside = local @ unit(at.angle), local @ left_of(unit(at.angle))
    inside = (out >= near) & (out <= far) & (aside >= -at.kerb_out) & (aside <= at.kerb_in)
    rows = np.flatnonzero(inside)
    runs = np.split(rows, np.flatnonzero(np.diff(rows) > 1) + 1) if len(rows) else []
    return [
        (float(run[0] * SPACING), float(run[-1] * SPACING), number, float(aside[run].mean() + at.kerb_out))
        for run in runs
    ]


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
    minor = [_is_minor(plan, programs, connector) for connector in plan.connectors]
    ranks = [_rank(plan, connector, waits) for connector, waits in zip(plan.connectors, minor, strict=True)]
    halt = [waits and halting[c.junction, c.arm] for c, waits in zip(plan.connectors, minor, strict=True)]
    origins = {name: row for row, name in enumerate(sorted({connector.origin for connector in plan.connectors}))}
    return Rules(
        states,
        np.array(ranks, np.int64),
        np.array(halt, bool),
        np.array(minor, bool),
        np.array([origins[connector.origin] for connector in plan.connectors], np.int64),
        conflicts.rows,
        conflicts.zones,
    )


def _is_minor(plan: TownPlan, programs: dict[int, Program], connector: Connector) -> bool:
    """Test whether traffic must yield because of its road of origin."""
    return connector.junction not in programs and connector.arm not in plan.junctions[connector.junction].major


def _rank(plan: TownPlan, connector: Connector, minor: bool) -> int:
    """Return the priority rank (0 first): major before minor, straight, right, left (minor: right first)."""
    if len(plan.junctions[connector.junction].arms) == 2:
        return 0
    if not minor:
        return _RANKS[connector.movement]
    return {Movement.RIGHT: 3, Movement.STRAIGHT: 4, Movement.LEFT: 5}[connector.movement]


def find_conflicts(connectors: Sequence[Connector]) -> Conflicts:
    """Find connectors that cross or merge: those with less clearance than two wide vehicles need."""
    lines = [resample(connector.lane.centerline[:, :2], SPACING) for connector in connectors]
    conflict, zone = np.full((len(lines), len(lines)), -1, np.int64), np.empty(4)
    zones: list[Float[np.ndarray, "4"]] = []
    for a, first in enumerate(connectors):
        for b in range(a):
            then = connectors[b]
            if then.junction == first.junction and then.origin != first.origin:
                bicycle = LaneKind.BICYCLE in (first.lane.kind, then.lane.kind)
                if conflict_zone(lines[a], lines[b], _BICYCLE_CLEARANCE if bicycle else _CLEARANCE, zone):
                    conflict[a, b], conflict[b, a] = len(zones), len(zones) + 1
                    zones += [zone.copy(), zone[[2, 3, 0, 1]]]
    return Conflicts(conflict, np.array(zones).reshape(-1, 4))


def walk_table(
    plan: TownPlan, programs: dict[int, Program], walkers: list[Walker], seconds: Float[np.ndarray, "t"]
) -> Walks:
    """Build the routes of all walkers, and the allowed start times of each crossing."""
    allowed = [walk_states(plan, programs, junction, arm, seconds) for junction, arm in crossings_of(plan)]
    headings = []
    for walker in walkers:
        steps = np.gradient(walker.points, WALK_SPACING, axis=0)
        headings.append(np.unwrap(np.arctan2(steps[:, 1], steps[:, 0])))
    points = np.concatenate([np.zeros((0, 2)), *(walker.points for walker in walkers)])
    return Walks(
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
