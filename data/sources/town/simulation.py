"""Traffic simulation of a town."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from swerve.data.sources.town.fleet import Driver, draw_drivers
from swerve.data.sources.town.jaywalking import UnmarkedCrossing
from swerve.data.sources.town.obstructions import Obstruction
from swerve.data.sources.town.pedestrians import Walker, draw_walkers
from swerve.data.sources.town.plan import TownPlan
from swerve.data.sources.town.routes import Path
from swerve.data.sources.town.signals import Program, connector_states
from swerve.data.sources.town.simulation_tables import Conflicts, Tables, build_tables, walk_table, ways_of
from swerve.data.sources.town.town_options import STEP, TownOptions
from swerve.data.sources.town.traffic_kernels import simulate
from swerve.data.sources.town.traffic_state import PedestrianRoutes, Pedestrians, Stops, Vehicles
from swerve.scenes import Vehicle, keyed_generator

# Steps simulated before the log begins, so that it starts with traffic in motion.
WARM_UP_STEPS = 80
# Additional steps before and after the log, so that its first velocities and accelerations are fitted to 0.3 s too.
PADDING = 3
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


def simulate_town(
    plan: TownPlan,
    obstructions: Mapping[str, Obstruction],
    unmarked: Sequence[UnmarkedCrossing],
    programs: dict[int, Program],
    conflicts: Conflicts,
    vehicle: Vehicle,
    options: TownOptions,
    name: str,
    seed: int,
) -> Movements:
    """Simulate traffic and pedestrians for the whole log.

    Walkers that would collide are removed and the rest is simulated again, so that no vehicle stops for a removed one.

    Args:
        plan: the town.
        obstructions: objects that stand on its lanes.
        unmarked: places where pedestrians cross between junctions.
        programs: signal programs.
        conflicts: conflicts of the connectors.
        vehicle: dimensions of the ego.
        options: how much of everything there is.
        name: name of the log.
        seed: seed of the source.
    """
    seconds = log_seconds(options.steps + WARM_UP_STEPS + PADDING) - WARM_UP_STEPS * STEP
    drivers = draw_drivers(plan, obstructions, vehicle, options, WARM_UP_STEPS * STEP, name, seed)
    walkers = draw_walkers(plan, unmarked, drivers[0].path.points[:600], options, name, seed)
    states = connector_states(plan, programs, seconds)
    priorities = keyed_generator(seed, name, "priorities")
    tables = build_tables(plan, programs, conflicts, obstructions, unmarked, drivers, states, priorities)
    while True:
        walks = walk_table(plan, unmarked, programs, walkers, seconds)
        movements = _run(tables, walks, drivers, walkers)
        jostled = _jostled(movements.walkers)
        if not len(jostled):
            return movements
        walkers = [walker for row, walker in enumerate(walkers) if row not in jostled]


def _run(tables: Tables, walks: PedestrianRoutes, drivers: list[Driver], walkers: list[Walker]) -> Movements:
    """Run the simulation once."""
    steps = tables.rules.states.shape[1]
    moved, walked = np.zeros((steps, len(drivers), 4)), np.zeros((steps, len(walkers), 3))
    fleet, crowd = _fleet(drivers, tables.stops), _crowd(walkers, walks)
    fixed = tables.paths, tables.bodies, tables.changes, tables.stops, tables.zebras, tables.rules
    simulate(*fixed, walks, fleet, crowd, STEP, moved, walked)
    first = WARM_UP_STEPS - PADDING
    vehicles, people = moved[first:].swapaxes(0, 1), walked[first:].swapaxes(0, 1)
    present = vehicles[..., 3] > 0.5
    driven = ways_of(drivers)[fleet.path[0]][1]
    return Movements(drivers, vehicles[..., :3].copy(), present, people.copy(), driven, float(fleet.along[0]))


def _jostled(walkers: Float[np.ndarray, "w t 3"]) -> Int[np.ndarray, "j"]:
    """Return walkers too close to an earlier one in the list: they avoid only those with the same direction."""
    gaps = np.linalg.norm(walkers[:, None, :, :2] - walkers[None, :, :, :2], axis=-1)
    near = (gaps < _ELBOW_ROOM).any(axis=-1)
    return np.flatnonzero(np.tril(near, -1).any(axis=1))


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
