"""Initial vehicles: the ego, the traffic around its path, and cyclists."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from swerve.data.sources.town.bodies import Body, draw_car, draw_cyclist, draw_lorry, ego_body
from swerve.data.sources.town.plan import TownPlan
from swerve.data.sources.town.routes import Path, build_path, draw_route, turns, turns_sharply
from swerve.data.sources.town.town_options import TownOptions
from swerve.data.sources.town.traffic_state import SPACING
from swerve.scenes import Lane, LaneKind, Vehicle, keyed_generator
from swerve.scenes.polyline import arc_lengths

# Traffic is generated within this distance of the ego's path, metres.
_RANGE = 170.0
_FASTEST = 17.0
_LORRIES = 0.12
# Distance range from the ego's start in which its turn ends, metres; share of logs with such a turn.
_EGO_TURN, _EGO_TURNS = (60.0, 190.0), 0.75
_TRIES = 60
_TURN = np.deg2rad(50.0)


@dataclass(frozen=True)
class Driver:
    """Vehicle at the start of the simulation.

    Attributes:
        body: dimensions and driver parameters.
        path: path to follow.
        along: arc length of its reference point.
        speed: m/s.
    """

    body: Body
    path: Path
    along: float
    speed: float


def draw_drivers(
    plan: TownPlan, vehicle: Vehicle, options: TownOptions, warm_up: float, name: str, seed: int
) -> list[Driver]:
    """Sample the ego, then all other vehicles and cyclists.

    Args:
        plan: the town.
        vehicle: dimensions of the ego.
        options: traffic densities.
        warm_up: seconds simulated before the log begins.
        name: name of the log.
        seed: seed of the source.
    """
    lanes = plan.road_map.lane_by_id
    length = _FASTEST * (options.seconds + warm_up) + 60.0
    ego = _draw_ego(lanes, ego_body(vehicle), length, keyed_generator(seed, name, "ego"))
    generator = keyed_generator(seed, name, "traffic")
    drivers = [ego]
    for lane in plan.road_map.lanes:
        if not lane.is_connector and _near(lane, ego.path):
            drivers += _on_lane(lanes, lane, ego, options, length, generator)
    return drivers


def _draw_ego(lanes: dict[str, Lane], body: Body, length: float, generator: np.random.Generator) -> Driver:
    """Sample the ego on a path within the map, with an early turn in most towns."""
    starts = [
        lane.id
        for lane in lanes.values()
        if lane.kind is LaneKind.VEHICLE and not lane.is_connector and arc_lengths(lane.centerline)[-1] > 30.0
    ]
    turning = bool(generator.random() < _EGO_TURNS)
    best: tuple[str, ...] = (starts[0],)
    longest = 0.0
    for _ in range(_TRIES):
        route = draw_route(lanes, str(generator.choice(starts)), length, generator)
        way = np.cumsum([arc_lengths(lanes[lane].centerline)[-1] for lane in route])
        if _turns_soon(lanes, route, way) != turning and longest > 0.0:
            continue
        if way[-1] > longest:
            best, longest = route, way[-1]
        if longest >= length:
            break
    path = build_path(lanes, best, 0.0)
    along = float(min(body.rear + 2.0 + generator.uniform(0.0, 20.0), path.starts[1] - body.front - 12.0))
    return Driver(body, path, along, _start_speed(path, body, along))


def _turns_soon(lanes: dict[str, Lane], route: tuple[str, ...], way: Float[np.ndarray, "n"]) -> bool:
    """Test whether a route turns within the part that the ego is going to drive."""
    sharp = np.abs(turns(lanes, route)) > _TURN
    return bool((sharp & (way > _EGO_TURN[0]) & (way < _EGO_TURN[1])).any())


def _near(lane: Lane, path: Path) -> bool:
    """Test whether a lane comes near the ego's path."""
    gaps = np.linalg.norm(lane.centerline[:, None, :2] - path.points[:600:20], axis=2)
    return bool(gaps.min() < _RANGE)


def _start_speed(path: Path, body: Body, along: float) -> float:
    """Return an initial speed below the limits, and slow enough to stop at the lane's end."""
    room = max(path.starts[1] - along - body.front - 3.0, 0.0)
    fastest = path.speeds(body.pace, body.lateral)[int(along / SPACING)]
    return float(min(0.8 * fastest, np.sqrt(2 * 1.5 * room)))


def _on_lane(
    lanes: dict[str, Lane], lane: Lane, ego: Driver, options: TownOptions, length: float, generator: np.random.Generator
) -> list[Driver]:
    """Sample the vehicles that begin on a lane, well apart."""
    total = float(arc_lengths(lane.centerline)[-1])
    bicycles = lane.kind is LaneKind.BICYCLE
    rate = (options.cyclists * 2 if bicycles else options.traffic) / 100.0
    taken = [(ego.along - ego.body.rear, ego.along + ego.body.front)] if ego.path.lanes[0] == lane.id else []
    drivers = []
    for _ in range(generator.poisson(rate * total)):
        route = draw_route(lanes, lane.id, length, generator)
        rider = bicycles or (generator.random() < options.cyclists / 10.0 and lane.right_neighbor is None)
        driver = _draw_driver(lanes, route, bool(rider), total, generator)
        if driver is not None:
            span = driver.along - driver.body.rear, driver.along + driver.body.front
            if all(span[0] > last + 7.0 or span[1] < first - 7.0 for first, last in taken):
                taken.append(span)
                drivers.append(driver)
    return drivers


def _draw_driver(
    lanes: dict[str, Lane], route: tuple[str, ...], rider: bool, room: float, generator: np.random.Generator
) -> Driver | None:
    """Sample a vehicle at a random position of a route's first lane; None if it does not fit."""
    if rider:
        body = draw_cyclist(generator)
    else:
        large = generator.random() < _LORRIES and not turns_sharply(lanes, route)
        body = draw_lorry(generator) if large else draw_car(generator)
    place = generator.random()
    first, last = body.rear + 1.0, room - body.front - 3.0
    if last < first:
        return None
    lateral = _right_edge(lanes[route[0]]) if rider else float(generator.uniform(-0.15, 0.15))
    path = build_path(lanes, route, lateral, rider)
    along = float(first + place * (last - first))
    return Driver(body, path, along, _start_speed(path, body, along))


def _right_edge(lane: Lane) -> float:
    """Return the lateral position of cyclists in a general lane: 0.85 m from its right boundary."""
    width = np.linalg.norm(lane.left[0, :2] - lane.right[0, :2]) if lane.kind is LaneKind.VEHICLE else 3.3
    return -float(width / 2 - 0.85)
