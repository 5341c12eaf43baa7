"""Initial vehicles: the ego, the traffic around its path, and cyclists."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from jaxtyping import Bool, Float

from swerve.data.sources.town.bodies import RoadUser, draw_car, draw_cyclist, draw_lorry, ego_body
from swerve.data.sources.town.lane_changes import ChangedPath, draw_changes
from swerve.data.sources.town.manners import draw_manner
from swerve.data.sources.town.obstructions import STOP_BEFORE, STOP_ONCOMING, Obstruction
from swerve.data.sources.town.plan import TownPlan
from swerve.data.sources.town.routes import Handling, Path, build_path, draw_route, turns, turns_sharply
from swerve.data.sources.town.town_options import TownOptions
from swerve.data.sources.town.traffic_state import SPACING
from swerve.scenes import Lane, LaneType, Vehicle, keyed_generator

# Traffic is generated within this distance of the ego's path, metres.
_RANGE = 150.0
_FASTEST = 17.0
# No driver is faster than this multiple of the preferred speed.
_ABOVE_PREFERRED = 1.2
# No lane is longer, metres.
_LONGEST_LANE = 250.0
# Cyclists keep so far from the right boundary of lanes for all, metres.
_FROM_RIGHT = 0.85
_LORRIES = 0.12
# Distance range from the ego's start in which its turn ends, metres; share of logs with such a turn.
_EGO_TURN, _EGO_TURNS = (60.0, 190.0), 0.75
# Share of the towns with roundabouts in which the ego's route leads over one within that range.
_EGO_ROUND = 0.5
_TRIES = 60
# Lane changes of the ego lead to ways of this share of the length wanted at least, so that it does not leave the map.
_EGO_STAYS = 0.75
_TURN = np.deg2rad(50.0)


@dataclass(frozen=True)
class Driver:
    """Vehicle at the start of the simulation.

    Attributes:
        body: dimensions and driver parameters.
        path: path to follow.
        along: arc length of its reference point.
        speed: m/s.
        changes: other paths, the same until a lane change begins.
    """

    body: RoadUser
    path: Path
    along: float
    speed: float
    changes: tuple[ChangedPath, ...] = ()


def draw_drivers(
    plan: TownPlan,
    obstructions: Mapping[str, Obstruction],
    vehicle: Vehicle,
    options: TownOptions,
    warm_up: float,
    name: str,
    seed: int,
) -> list[Driver]:
    """Sample the ego, then all other vehicles and cyclists.

    Args:
        plan: the town.
        obstructions: objects that stand on its lanes.
        vehicle: dimensions of the ego.
        options: how much traffic there is.
        warm_up: seconds that are simulated before the log begins.
        name: name of the log.
        seed: seed of the source.
    """
    lanes = plan.road_map.lane_by_id
    length = _FASTEST * (options.seconds + warm_up) + 60.0
    seconds = options.seconds + warm_up + 1.0
    draw = _Draw(lanes, obstructions, options, length, seconds, keyed_generator(seed, name, "ego"))
    rings = {one.lane.id for one in plan.connectors if plan.junctions[one.junction].ring is not None}
    ego = _draw_ego(draw, vehicle, rings)
    draw = replace(draw, generator=keyed_generator(seed, name, "traffic"))
    drivers = [ego]
    for lane in plan.road_map.lanes:
        if not lane.is_connector and _near(lane, ego.path):
            drivers += _on_lane(draw, lane, ego)
    return drivers


@dataclass(frozen=True)
class _Draw:
    """Inputs for sampling drivers: lanes, what stands on them, options, length of paths, simulated time, randomness."""

    lanes: dict[str, Lane]
    obstructions: Mapping[str, Obstruction]
    options: TownOptions
    length: float
    seconds: float
    generator: np.random.Generator


def _draw_ego(draw: _Draw, vehicle: Vehicle, rings: set[str]) -> Driver:
    """Sample the ego on a path that does not leave the map, and soon turns or leads over a roundabout in most towns.

    Args:
        draw: inputs.
        vehicle: dimensions of the ego.
        rings: ids of the connectors at roundabouts.
    """
    lanes, generator = draw.lanes, draw.generator
    body = ego_body(vehicle, generator)
    starts = [
        lane.id
        for lane in lanes.values()
        if lane.kind is LaneType.VEHICLE and not lane.is_connector and lane.lengths[-1] > 30.0
        if not _kept_free(draw.obstructions, lane)
    ]
    turning = bool(generator.random() < _EGO_TURNS)
    circling = bool(rings) and bool(generator.random() < _EGO_ROUND)
    best: tuple[str, ...] = (starts[0],)
    longest, anywhere = 0.0, best
    for _ in range(_TRIES):
        route = draw_route(lanes, str(generator.choice(starts)), draw.length, generator)
        way = np.cumsum([lanes[lane].lengths[-1] for lane in route])
        anywhere = max(anywhere, route, key=partial(_length, lanes))
        suits = _soon(np.isin(route, [*rings]), way) if circling else _turns_soon(lanes, route, way) == turning
        if not suits and longest > 0.0:
            continue
        if way[-1] > longest:
            best, longest = route, way[-1]
        if longest >= draw.length:
            break
    if _as_far_as_needed(draw, body, best, 0.0) == best and longest < _length(lanes, anywhere):
        best = anywhere  # it would leave the map
    latest = lanes[best[0]].lengths[-1] - body.front - 12.0
    along = float(min(body.rear + 2.0 + generator.uniform(0.0, 20.0), latest))
    ego = _driver(draw, body, best, along, None)
    return replace(ego, changes=tuple(one for one in ego.changes if one.path.length > _EGO_STAYS * draw.length))


def _driver(draw: _Draw, body: RoadUser, route: tuple[str, ...], along: float, from_right: float | None) -> Driver:
    """Sample a driver on a route: driving style, path and planned lane changes."""
    route = _as_far_as_needed(draw, body, route, along)
    total = sum(draw.lanes[lane].lengths[-1] for lane in route)
    changes_lane = from_right is None and draw.generator.random() < draw.options.lane_changes
    manner = draw_manner(
        (max(total, draw.length) if changes_lane else total) + _LONGEST_LANE, draw.options.wander, draw.generator
    )
    size = body.vehicle.width, body.front, body.rear
    handling = Handling(manner, body.desired_speed_factor, *size, from_right, body.top_speed)
    path = build_path(draw.lanes, route, handling, draw.obstructions)
    changes: tuple[ChangedPath, ...] = ()
    if changes_lane:
        parts = draw.lanes, route, along, handling, draw.obstructions, draw.length
        changes = draw_changes(*parts, draw.generator)
        if body.large:
            changes = tuple(one for one in changes if not turns_sharply(draw.lanes, one.path.lanes))
    return Driver(body, path, along, _start_speed(path, body, along), changes)


def _as_far_as_needed(draw: _Draw, body: RoadUser, route: tuple[str, ...], along: float) -> tuple[str, ...]:
    """Return the part of a route that a driver can reach until the log ends."""
    limits = [min(draw.lanes[lane].speed_limit or 0.0, body.top_speed) for lane in route]
    fastest = _ABOVE_PREFERRED * body.desired_speed_factor * max(limits)
    ends = np.cumsum([draw.lanes[lane].lengths[-1] for lane in route])
    return route[: int(np.searchsorted(ends, along + body.front + fastest * draw.seconds + 20.0)) + 1]


def _length(lanes: dict[str, Lane], route: tuple[str, ...]) -> float:
    """Return the length of a route, metres."""
    return float(sum(lanes[lane].lengths[-1] for lane in route))


def _turns_soon(lanes: dict[str, Lane], route: tuple[str, ...], way: Float[np.ndarray, "n"]) -> bool:
    """Test whether a route turns within the part that the ego is going to drive."""
    return _soon(np.abs(turns(lanes, route)) > _TURN, way)


def _soon(chosen: Bool[np.ndarray, "n"], way: Float[np.ndarray, "n"]) -> bool:
    """Test whether some of the chosen lanes of a route end within the part that the ego is going to drive."""
    return bool((chosen & (way > _EGO_TURN[0]) & (way < _EGO_TURN[1])).any())


def _near(lane: Lane, path: Path) -> bool:
    """Test whether a lane comes near the ego's path."""
    gaps = np.linalg.norm(lane.centerline[:, None, :2] - path.points[:600:20], axis=2)
    return bool(gaps.min() < _RANGE)


def _start_speed(path: Path, body: RoadUser, along: float) -> float:
    """Return an initial speed below the limits, and slow enough to stop at the lane's end."""
    room = max(path.starts[1] - along - body.front - 3.0, 0.0)
    fastest = path.speeds(body.lateral)[int(along / SPACING)]
    return float(min(0.8 * fastest, np.sqrt(2 * 1.5 * room)))


def _on_lane(draw: _Draw, lane: Lane, ego: Driver) -> list[Driver]:
    """Sample the vehicles that begin on a lane, well apart."""
    total, options, generator = float(lane.lengths[-1]), draw.options, draw.generator
    bicycles = lane.kind is LaneType.BICYCLE
    rate = (options.cyclists * 2 if bicycles else options.traffic) / 100.0
    taken = [(ego.along - ego.body.rear, ego.along + ego.body.front)] if ego.path.lanes[0] == lane.id else []
    taken += _kept_free(draw.obstructions, lane)
    drivers = []
    for _ in range(generator.poisson(rate * total)):
        route = draw_route(draw.lanes, lane.id, draw.length, generator)
        rider = bicycles or (generator.random() < options.cyclists / 10.0 and lane.right_neighbor is None)
        body, along = _draw_body(draw, route, bool(rider), total)
        span = along - body.rear, along + body.front
        fits = span[0] >= 1.0 and all(span[0] > last + 7.0 or span[1] < first - 7.0 for first, last in taken)
        if fits:
            taken.append(span)
            drivers.append(_driver(draw, body, route, along, _FROM_RIGHT if rider else None))
    return drivers


def _kept_free(obstructions: Mapping[str, Obstruction], lane: Lane) -> list[tuple[float, float]]:
    """Return the spans of a lane that stay free at the start: beside obstructions, on either lane used."""
    spans = []
    for here in obstructions.values():
        if here.lane == lane.id:
            spans.append((here.begin - STOP_BEFORE, here.end + STOP_BEFORE))
        if here.other == lane.id:
            ends = (
                (lane.lengths[-1] - here.end, lane.lengths[-1] - here.begin)
                if here.oncoming
                else (here.begin, here.end)
            )
            spans.append((ends[0] - STOP_ONCOMING, ends[1] + STOP_ONCOMING))
    return spans


def _draw_body(draw: _Draw, route: tuple[str, ...], rider: bool, room: float) -> tuple[RoadUser, float]:
    """Sample a road user for a route, and a random place on its first lane (before its start where they do not fit)."""
    generator = draw.generator
    if rider:
        body = draw_cyclist(generator)
    else:
        large = generator.random() < _LORRIES and not turns_sharply(draw.lanes, route)
        body = draw_lorry(generator) if large else draw_car(generator)
    first, last = body.rear + 1.0, room - body.front - 3.0
    return body, float(first + generator.random() * (last - first)) if last >= first else -1.0
