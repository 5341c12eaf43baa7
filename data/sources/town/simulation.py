"""Traffic simulation of a town."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from swerve.data.sources.town.fleet import Driver, draw_drivers
from swerve.data.sources.town.jaywalking import UnmarkedCrossing
from swerve.data.sources.town.obstructions import Obstruction
from swerve.data.sources.town.pedestrians import Walker, draw_walkers
from swerve.data.sources.town.plan import TownPlan
from swerve.data.sources.town.routes import Path
from swerve.data.sources.town.signals import Program, connector_states
from swerve.data.sources.town.simulation_tables import (
    Tables,
    build_tables,
    find_conflicts,
    walk_table,
    ways_of,
    with_states,
)
from swerve.data.sources.town.town_options import STEP, TownOptions
from swerve.data.sources.town.traffic_kernels import PADDING, simulate
from swerve.data.sources.town.traffic_state import PedestrianRoutes, Pedestrians, Stops, Vehicles
from swerve.scenes import Vehicle, keyed_generator

# Steps simulated before the log begins, so that it starts with queues and with pedestrians on crossings. Twice as many
# let the ego, which begins in the middle of a street, stand at a junction in most logs.
WARM_UP_STEPS = 40
# Least distance between two pedestrians, metres: their boxes' longest diagonal.
_ELBOW_ROOM = 1.0


@dataclass(frozen=True)
class Movements:
    """Simulated poses at the log's steps, and `PADDING` steps before and after.

    Attributes:
        drivers: the ego, then all other vehicles.
        vehicles: (x, y, heading) of their boxes' centres; headings are continuous.
        present: whether the vehicles are on the map.
        walkers: (x, y, heading) of the pedestrians.
        ego_path: the path that the ego drove in the end.
        ego_end: arc length that the ego's reference point has reached on its path in the end, metres.
    """

    drivers: list[Driver]
    vehicles: Float[np.ndarray, "n t 3"]
    present: Bool[np.ndarray, "n t"]
    walkers: Float[np.ndarray, "w t 3"]
    ego_path: Path
    ego_end: float


@dataclass(frozen=True)
class Traffic:
    """Holds the road users, where they start, and the tables of the simulation.

    Attributes:
        drivers: the ego, then all other vehicles.
        walkers: pedestrians who never collide as long as no vehicle makes them wait.
        tables: those that do not depend on the walkers; the states of the signals are those of the first start.
    """

    drivers: list[Driver]
    walkers: list[Walker]
    tables: Tables


def draw_traffic(
    plan: TownPlan,
    obstructions: Mapping[str, Obstruction],
    unmarked: Sequence[UnmarkedCrossing],
    programs: dict[int, Program],
    vehicle: Vehicle,
    options: TownOptions,
    name: str,
    seed: int,
) -> Traffic:
    """Sample all vehicles and pedestrians.

    Args:
        plan: the town.
        obstructions: objects that stand on its lanes.
        unmarked: places where pedestrians cross between junctions.
        programs: signal programs.
        vehicle: dimensions of the ego.
        options: how much of everything there is.
        name: name of the log.
        seed: seed of the source.
    """
    seconds = _seconds(options)
    drivers = draw_drivers(plan, obstructions, vehicle, options, WARM_UP_STEPS * STEP, name, seed)
    walkers = draw_walkers(plan, unmarked, drivers[0].path.points[:600], options, name, seed)
    states = connector_states(plan, programs, seconds)
    rings = [number for number, junction in enumerate(plan.junctions) if junction.ring is not None]
    generator, conflicts = keyed_generator(seed, name, "priorities"), find_conflicts(plan.connectors, rings)
    tables = build_tables(plan, programs, conflicts, obstructions, unmarked, drivers, states, generator)
    return Traffic(drivers, walkers, tables)


def simulate_town(
    plan: TownPlan,
    unmarked: Sequence[UnmarkedCrossing],
    programs: dict[int, Program],
    traffic: Traffic,
    options: TownOptions,
    beyond: float = -1.0,
) -> tuple[Movements | None, Traffic]:
    """Simulate traffic and pedestrians for the whole log.

    Walkers that would collide are removed and the rest is simulated again, so that no vehicle stops for a removed one;
    most are found without vehicles, which is quick.

    Args:
        plan: the town.
        unmarked: places where pedestrians cross between junctions.
        programs: signal programs.
        traffic: who takes part.
        options: how much of everything there is.
        beyond: stop when the ego cannot drive farther than this any more, metres.

    Returns:
        movements: poses; None after an early stop.
        traffic: without the removed walkers.
    """
    seconds, drivers, walkers = _seconds(options), traffic.drivers, traffic.walkers
    states = with_states(traffic.tables.rules, connector_states(plan, programs, seconds))
    tables, alone = replace(traffic.tables, rules=states), True
    while True:
        walks = walk_table(plan, unmarked, programs, walkers, seconds)
        movements, jostled = _run(tables, walks, [] if alone else drivers, walkers, -1.0 if alone else beyond)
        if not alone and (movements is None or not jostled.any()):
            return movements, replace(traffic, walkers=walkers)
        alone = alone and bool(jostled.any())
        walkers = [walker for walker, removed in zip(walkers, jostled, strict=True) if not removed]


def _seconds(options: TownOptions) -> Float[np.ndarray, "t"]:
    """Return the times of all simulated steps, relative to the log's first one."""
    return log_seconds(options.steps + WARM_UP_STEPS + PADDING) - WARM_UP_STEPS * STEP


def _run(
    tables: Tables, walks: PedestrianRoutes, drivers: list[Driver], walkers: list[Walker], beyond: float
) -> tuple[Movements | None, Bool[np.ndarray, "w"]]:
    """Run the simulation once; also tell whose way is not free.

    Without drivers there are no movements, nor if the ego cannot drive farther than `beyond`.
    """
    steps, first = tables.rules.states.shape[1], WARM_UP_STEPS - PADDING
    moved, walked = np.zeros((steps, len(drivers), 4)), np.zeros((steps, len(walkers), 3))
    fleet, crowd = _fleet(drivers, tables.stops), _crowd(walkers, walks)
    fixed = tables.paths, tables.bodies, tables.changes, tables.stops, tables.zebras, tables.rules
    jostled, times = np.zeros(len(walkers), bool), (STEP, WARM_UP_STEPS)
    ends = simulate(*fixed, walks, fleet, crowd, *times, beyond, _ELBOW_ROOM, moved, walked, jostled)
    if not ends or not drivers:
        return None, jostled
    vehicles, people = moved[first:].swapaxes(0, 1), walked[first:].swapaxes(0, 1)
    present = vehicles[..., 3] > 0.5
    path, end = ways_of(drivers)[fleet.path[0]][1], float(fleet.along[0])
    return Movements(drivers, vehicles[..., :3].copy(), present, people.copy(), path, end), jostled


def log_seconds(steps: int) -> Float[np.ndarray, "t"]:
    """Return the seconds since the log's first step."""
    return np.arange(steps) * STEP


def _fleet(drivers: list[Driver], stops: Stops) -> Vehicles:
    """Build the initial state of all vehicles."""
    count = len(drivers)
    return Vehicles(
        along=np.array([driver.along for driver in drivers]),
        speed=np.array([driver.speed for driver in drivers]),
        acceleration=np.zeros(count),
        heading=np.zeros(count),
        cosine=np.ones(count),
        sine=np.zeros(count),
        x=np.zeros(count),
        y=np.zeros(count),
        active=np.ones(count, bool),
        path=np.arange(count),
        changing=np.full(count, -1.0),
        stop=stops.start[:count].copy(),
        granted=np.zeros(len(stops.line), bool),
        halted=np.zeros(len(stops.line), bool),
        blocked=np.zeros(count, bool),
        gap=np.zeros(count),
        lead=np.zeros(count, np.int64),
        lead_speed=np.zeros(count),
        zebra_gap=np.zeros(count),
    )


def _crowd(walkers: list[Walker], walks: PedestrianRoutes) -> Pedestrians:
    """Build the initial state of all walkers, all on pavements."""
    count, begin = len(walkers), np.array([walker.along for walker in walkers], np.float64)
    return Pedestrians(
        begin,
        np.zeros(count),
        np.zeros(count),
        np.zeros(count),
        np.zeros(count),
        walks.leg_start[:-1].copy(),
        np.zeros(count, bool),
    )
