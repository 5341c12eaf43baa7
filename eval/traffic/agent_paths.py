"""Initial assignment of vehicles to lane paths, for reactive traffic."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from swerve.eval.context.pdm_closed_kernels import point_at
from swerve.eval.context.planar_geometry_kernels import project, well_inside
from swerve.eval.scoring.thresholds import (
    AGENT_PARKED_SPEED,
    AGENT_SNAP,
    AGENT_SPEED,
    HEADING_PROBE,
    LANE_GRAPH_REACH,
    LANE_HEADING,
    OUTLINE,
    STEPS,
    STEPS_PER_FRAME,
    WAITING_MOVE,
    WAITING_SPEED,
)
from swerve.eval.traffic.lane_paths import CHANGE, LanePath, Leg, extend_legs, logged_legs, path_along
from swerve.eval.traffic.track_kernels import touching
from swerve.eval.traffic.traffic import Traffic
from swerve.scenes import Area, Lane, LightState, ObjectClass, RoadMap, Scene
from swerve.scenes.transforms import wrap_angle

_SAME_HEADING = 1e-6  # radians


@dataclass(frozen=True)
class AgentPaths:
    """Vehicles that follow lanes, and vehicles parked beside them.

    Attributes:
        current: tracks (rows of the context's traffic) present now; NAVSIM drops vehicles that appear later.
        rows: rows of the vehicles that follow a lane.
        parked: rows of the vehicles at rest, present while no other's box is on theirs.
        lanes: lane id of each follower.
        points: (x, y, unwrapped heading) along all followers' paths.
        lengths: arc lengths at those.
        starts: path i has the points starts[i]:starts[i + 1].
        boxes: the followers' boxes on their lanes.
        sizes: their lengths and widths.
        state: initial arc length and speed of each.
        targets: desired speed of each.
        gates: arc lengths at which each must stop, per step (inf if none).
    """

    current: Bool[np.ndarray, "m"]
    rows: Int[np.ndarray, "k"]
    parked: Int[np.ndarray, "q"]
    lanes: tuple[str, ...]
    points: Float[np.ndarray, "v 3"]
    lengths: Float[np.ndarray, "v"]
    starts: Int[np.ndarray, "k1"]
    boxes: Float[np.ndarray, "k 6"]
    sizes: Float[np.ndarray, "k 2"]
    state: Float[np.ndarray, "k 2"]
    targets: Float[np.ndarray, "k"]
    gates: Float[np.ndarray, "k g t"]


@dataclass(frozen=True)
class _Follower:
    """A vehicle on a path; see `AgentPaths`."""

    row: int
    lane: str
    points: Float[np.ndarray, "v 3"]
    lengths: Float[np.ndarray, "v"]
    along: float
    speed: float
    target: float
    box: Float[np.ndarray, "6"]


@dataclass(frozen=True)
class _Spot:
    """A lane under a vehicle: arc length of its nearest point, that point's pose, and its distance."""

    lane: Lane
    along: float
    pose: Float[np.ndarray, "3"]
    deviation: float


def assign_navsim_paths(
    road_map: RoadMap,
    traffic: Traffic,
    current: Bool[np.ndarray, "m"],
    ego_box: Float[np.ndarray, "6"],
    order: Sequence[str] = (),
) -> AgentPaths:
    """Assign the current vehicles to lanes as NAVSIM does, one after the other.

    The result depends on the order: later vehicles are dropped if they touch earlier ones, take over their speed
    limits, and drive among those of them that have moved already. NAVSIM's order is that of the log file's tracks at
    this step, given as `order` (`Log.track_order`); vehicles not in it follow, by name.

    A vehicle takes the lane under it (or the connector, in an intersection) with the smallest heading difference, which
    is not wrapped; of those equal but for rounding, such as connectors that merge, the first in the map. A vehicle more
    than 3 m off its lane's line, or slow and off all lanes and intersections, stays at rest; one that would touch the
    ego or an earlier one on a lane is dropped.
    """
    finder = _LaneFinder(road_map)
    taken, chosen, parked = [ego_box], [], []
    target = AGENT_SPEED
    boxes = traffic.boxes[0] if traffic.ids else np.zeros((0, 6))
    for row in _in_order(traffic, current & (traffic.classes == ObjectClass.VEHICLE), order):
        pose, speed = traffic.poses[0, row], float(np.hypot(*traffic.velocities[0, row]))
        lanes, on_road = finder.under(pose[:2])
        spot = _best_aligned([_spot(lane, pose) for lane in lanes], float(pose[2]))
        on_lane = spot is not None and spot.deviation <= AGENT_SNAP
        box = _box_at(spot.pose, boxes[row]) if spot is not None and on_lane else boxes[row]
        free = on_lane and _is_free(box, taken)
        if spot is not None and free:
            # The reference implementation keeps the last known limit for lanes without one.
            target = spot.lane.speed_limit or target
            points, lengths = lane_path(spot.lane)
            chosen.append(_Follower(int(row), spot.lane.id, points, lengths, spot.along, speed, target, box))
            taken.append(box)
        elif not on_lane and (spot is not None or (speed < AGENT_PARKED_SPEED and not on_road)):
            parked.append(int(row))
    return _agent_paths(traffic, current, chosen, parked, np.full((len(chosen), 0, len(traffic.present)), np.inf))


def _best_aligned(spots: Sequence[_Spot], heading: float) -> _Spot | None:
    """Return the first spot whose heading difference, not wrapped, is the smallest but for rounding."""
    apart = [abs(float(spot.pose[2]) - heading) for spot in spots]
    return next((spot for spot, one in zip(spots, apart, strict=True) if one <= min(apart) + _SAME_HEADING), None)


def assign_lane_graph_paths(
    scene: Scene, road_map: RoadMap, traffic: Traffic, frames: Int[np.ndarray, "f"], seed: int = 0
) -> AgentPaths:
    """Assign vehicles to the lanes that they drive through in the log, with the red lights on their path.

    A vehicle follows the lane under it that its track is matched to, or else (if it is at rest) the one with the
    smallest heading difference, if that is below 45 degrees. It keeps its lateral offset; see `lane_paths` for the
    lanes that follow. Paths are as long as is driven at 30 m/s. Vehicles at rest start no earlier than in the log,
    because their reason to wait (right of way; lights, which Argoverse 2 does not record) is unknown. All other
    vehicles (parked is empty) replay the log. Vehicles are simulated in order of their names.

    Args:
        scene: the scene, whose window, extended to `frames` if they reach further, shows where vehicles drive.
        road_map: its map.
        traffic: its tracks at 10 Hz.
        frames: the log's steps that are 0, 0.5, ... s from now.
        seed: of the choice at forks beyond the log.
    """
    finder = _LaneFinder(road_map)
    chosen, gates, steps = [], [], len(traffic.present)
    reach = LANE_GRAPH_REACH * (steps - 1) / (STEPS - 1)
    reds = _red_by_lane(scene, frames, steps)
    last = max(scene.now + scene.future, int(frames[-1]))
    row_of = {track: row for row, track in enumerate(scene.log.tracks.ids)}
    for row in _in_order(traffic, traffic.present[0] & (traffic.classes == ObjectClass.VEHICLE)):
        spot, legs = _start(road_map, finder, traffic.poses[0, row], _future(scene, row_of[traffic.ids[row]], last))
        if spot is None:
            continue
        legs = extend_legs(road_map, legs, spot.along + reach, seed, traffic.ids[row])
        path, speed = path_along(legs), float(np.hypot(*traffic.velocities[0, row]))
        chosen.append(_follower(traffic, row, spot, path, speed))
        front = spot.along + traffic.sizes[row, 0] / 2
        lights = [np.where(reds[lane.id], start, np.inf) for lane, start in path.entries if lane.id in reds]
        gates.append([*lights, np.where(_waits(traffic, row, speed), front, np.inf)])
    most = max((len(lights) for lights in gates), default=0)
    blocked = np.full((len(chosen), most, steps), np.inf)
    for row, lights in enumerate(gates):
        blocked[row, : len(lights)] = np.array(lights).reshape(-1, steps)
    return _agent_paths(traffic, traffic.present[0], chosen, [], blocked)


def _in_order(traffic: Traffic, chosen: Bool[np.ndarray, "m"], order: Sequence[str] = ()) -> list[int]:
    """Return the chosen rows in the given order of names, then by name, independent of the order of the rows."""
    place = {name: index for index, name in enumerate(order)}
    key = [(place.get(name, len(place)), name) for name in traffic.ids]
    return sorted(np.flatnonzero(chosen).tolist(), key=lambda row: key[row])


def _start(
    road_map: RoadMap, finder: "_LaneFinder", pose: Float[np.ndarray, "3"], future: Float[np.ndarray, "t 3"]
) -> tuple[_Spot | None, list[Leg]]:
    """Return a vehicle's position on its lane, and the legs driven in the log from there on; None if on no lane."""

    def turn(spot: _Spot) -> float:
        return abs(float(wrap_angle(spot.pose[2] - pose[2])))

    spots = [_spot(lane, pose) for lane in finder.under(pose[:2])[0]]
    best = min(spots, key=turn, default=None)
    if best is None or turn(best) > LANE_HEADING:
        return None, []
    legs = logged_legs(road_map, future[:, :2], future[:, 2])
    first = _spot(legs[0].lane, pose) if legs and legs[0].lane is not None else None
    if first is not None and turn(first) <= LANE_HEADING:
        return first, legs
    return best, [Leg.on(best.lane)]


def _future(scene: Scene, row: int, last: int) -> Float[np.ndarray, "t 3"]:
    """Return the poses of a track of the log from now to the step `last`."""
    tracks, window = scene.log.tracks, slice(scene.now, last + 1)
    steps = scene.now + np.flatnonzero(tracks.valid[row, window])
    return np.column_stack([tracks.positions[row, steps, :2], tracks.headings[row, steps]])


def _follower(traffic: Traffic, row: int, spot: _Spot, path: LanePath, speed: float) -> _Follower:
    """Create a vehicle at a lateral offset from a path; on its track the offset fades."""
    pose, target = traffic.poses[0, row], spot.lane.speed_limit or AGENT_SPEED
    side = (pose[1] - spot.pose[1]) * np.cos(spot.pose[2]) - (pose[0] - spot.pose[0]) * np.sin(spot.pose[2])
    sides = side * np.clip(1.0 - (path.lengths - path.on_lanes) / CHANGE, 0.0, 1.0)
    points = path.points.copy()
    points[:, 0] -= np.sin(points[:, 2]) * sides
    points[:, 1] += np.cos(points[:, 2]) * sides
    box = traffic.boxes[0, row]
    return _Follower(row, spot.lane.id, points, path.lengths, spot.along, speed, max(target, speed), box)


def _waits(traffic: Traffic, row: int, speed: float) -> Bool[np.ndarray, "t"]:
    """Return whether a vehicle is at rest now and has not moved off in the log up to each step."""
    away = np.linalg.norm(traffic.poses[:, row, :2] - traffic.poses[0, row, :2], axis=-1) > WAITING_MOVE
    left = np.logical_or.accumulate(traffic.present[:, row] & away)
    return ~left & (speed <= WAITING_SPEED)


def _red_by_lane(scene: Scene, frames: Int[np.ndarray, "f"], steps: int) -> dict[str, Bool[np.ndarray, "t"]]:
    lights = scene.log.lights.at(frames)
    held = np.repeat(lights.states == LightState.RED, STEPS_PER_FRAME, axis=1)[:, :steps]
    return {lane: red for lane, red in zip(lights.lane_ids, held, strict=True) if red.any()}


def _agent_paths(
    traffic: Traffic,
    current: Bool[np.ndarray, "m"],
    chosen: list[_Follower],
    parked: list[int],
    gates: Float[np.ndarray, "k g t"],
) -> AgentPaths:
    rows = np.array([one.row for one in chosen], dtype=int)
    return AgentPaths(
        current=current,
        rows=rows,
        parked=np.array(parked, dtype=int),
        lanes=tuple(one.lane for one in chosen),
        points=np.concatenate([np.zeros((0, 3)), *(one.points for one in chosen)]),
        lengths=np.concatenate([np.zeros(0), *(one.lengths for one in chosen)]),
        starts=np.cumsum([0, *(len(one.points) for one in chosen)], dtype=np.int64),
        boxes=np.array([one.box for one in chosen]).reshape(-1, 6),
        sizes=traffic.sizes[rows],
        state=np.array([[one.along, one.speed] for one in chosen]).reshape(-1, 2),
        targets=np.array([one.target for one in chosen], dtype=float),
        gates=gates,
    )


def lane_path(lane: Lane) -> tuple[Float[np.ndarray, "v 3"], Float[np.ndarray, "v"]]:
    """Return the lane's vertices without duplicates and, as in the reference implementation, without the last."""
    lengths = lane.lengths
    kept = np.flatnonzero(np.diff(lengths) > 1e-8)
    kept = kept if len(kept) else np.zeros(1, dtype=int)
    angle = np.unwrap(lane.headings[kept])
    return np.column_stack([lane.centerline[kept, :2], angle]), lengths[kept]


def _spot(lane: Lane, pose: Float[np.ndarray, "3"]) -> _Spot:
    """Return the lane's nearest point, with the direction of the next half metre there (or the last, at the end)."""
    line, lengths = lane.centerline, lane.lengths
    along, _ = project(line, lengths, pose[0], pose[1])
    here, there = (point_at(line, lengths, along + probe) for probe in (0.0, HEADING_PROBE))
    step = np.subtract(there, here)
    if not step.any():
        step = np.subtract(here, point_at(line, lengths, along - HEADING_PROBE))
    deviation = float(np.hypot(here[0] - pose[0], here[1] - pose[1]))
    return _Spot(lane, along, np.array([*here, np.arctan2(step[1], step[0])]), deviation)


def _box_at(pose: Float[np.ndarray, "3"], box: Float[np.ndarray, "6"]) -> Float[np.ndarray, "6"]:
    return np.array([pose[0], pose[1], np.cos(pose[2]), np.sin(pose[2]), box[4], box[5]])


def _is_free(box: Float[np.ndarray, "6"], taken: list[Float[np.ndarray, "6"]]) -> bool:
    return not touching(box, np.array(taken), np.ones(len(taken), bool)).any()


class _LaneFinder:
    """Queries of the lanes under a point."""

    def __init__(self, road_map: RoadMap) -> None:
        self._lanes = road_map.lanes
        self._items: tuple[Lane | Area, ...] = (*road_map.lanes, *road_map.intersections)
        self._bounds = np.concatenate([road_map.lane_bounds, *(area.bounds[None] for area in road_map.intersections)])

    def under(self, point: Float[np.ndarray, "2"]) -> tuple[list[Lane], bool]:
        """Return the lanes under a point or, in an intersection, the connectors; and whether it is on either."""
        low, high = self._bounds[:, :2], self._bounds[:, 2:]
        near = np.flatnonzero(((low <= point) & (point <= high)).all(axis=1))
        held = [row for row in near.tolist() if self._holds(row, point)]
        lanes = [self._lanes[row] for row in held if row < len(self._lanes)]
        crossing = any(row >= len(self._lanes) for row in held)
        plain = [lane for lane in lanes if not lane.is_connector]
        connectors = [lane for lane in lanes if lane.is_connector] if crossing else []
        return plain or connectors, bool(plain) or crossing

    def _holds(self, row: int, point: Float[np.ndarray, "2"]) -> bool:
        edges = self._items[row].edges
        return bool(well_inside(edges, point[0], point[1], OUTLINE))
