"""Vehicles put on lanes, as NAVSIM's reactive traffic starts with them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from swerve.eval.context.pdm_closed_kernels import point_at
from swerve.eval.context.planar_geometry_kernels import inside, project
from swerve.eval.scoring.thresholds import (
    AGENT_PARKED_SPEED,
    AGENT_SNAP,
    AGENT_SPEED,
    HEADING_PROBE,
    LANE_GRAPH_REACH,
    LANE_HEADING,
    STEPS,
    STEPS_PER_FRAME,
    WAITING_MOVE,
    WAITING_SPEED,
)
from swerve.eval.traffic.track_kernels import touching
from swerve.eval.traffic.traffic_world import Traffic
from swerve.scenes import Area, Lane, LightState, ObjectClass, RoadMap, Scene
from swerve.scenes.polyline import arc_lengths, headings, without_repeats
from swerve.scenes.transforms import wrap_angle


@dataclass(frozen=True)
class AgentPaths:
    """Vehicles that follow lanes, and those that stand beside them.

    Attributes:
        current: tracks (rows of the context's traffic) that are there now; NAVSIM forgets vehicles that come later.
        rows: which of them follow a lane.
        parked: which stand still.
        lanes: the lane of each follower.
        points: (x, y, unwrapped heading) along all followers' paths.
        lengths: arc lengths at those.
        starts: path i has the points starts[i]:starts[i + 1].
        boxes: the followers' boxes on their lanes.
        sizes: their length and width.
        state: arc length and speed of each at the start.
        targets: desired speed of each.
        gates: arc lengths at which each must stop, per step (inf: none).
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
    """A lane under a vehicle: arc length of its nearest point, that point's pose, and how far off it is."""

    lane: Lane
    along: float
    pose: Float[np.ndarray, "3"]
    deviation: float


def rails_of(
    road_map: RoadMap, traffic: Traffic, current: Bool[np.ndarray, "m"], ego_box: Float[np.ndarray, "6"]
) -> AgentPaths:
    """Puts the vehicles that are there now on lanes as NAVSIM does it, in the order of the tracks.

    On the lane under the vehicle (or the connector, in an intersection) of least difference of heading, which is not
    wrapped. A vehicle more than 3 m off its lane's line, or slow and off all lanes and intersections, stands where it
    is; one that would touch the ego or an earlier one is forgotten.
    """
    finder = _LaneFinder(road_map)
    taken, chosen, parked = [ego_box], [], []
    target = AGENT_SPEED
    boxes = traffic.boxes[0] if traffic.ids else np.zeros((0, 6))
    for row in np.flatnonzero(current & (traffic.classes == ObjectClass.VEHICLE)):
        pose, speed = traffic.poses[0, row], float(np.hypot(*traffic.velocities[0, row]))
        lanes, on_road = finder.under(pose[:2])
        spot = min((_spot(lane, pose) for lane in lanes), key=lambda one: abs(one.pose[2] - pose[2]), default=None)
        on_lane = spot is not None and spot.deviation <= AGENT_SNAP
        box = _box_at(spot.pose, boxes[row]) if spot is not None and on_lane else boxes[row]
        free = _is_free(box, taken)
        if spot is not None and on_lane and free:
            # The original keeps the last known limit for lanes that have none.
            target = spot.lane.speed_limit or target
            points, lengths = lane_path(spot.lane)
            chosen.append(_Follower(int(row), spot.lane.id, points, lengths, spot.along, speed, target, box))
        elif free and not on_lane and (spot is not None or (speed < AGENT_PARKED_SPEED and not on_road)):
            parked.append(int(row))
        else:
            continue
        taken.append(box)
    return _rails(traffic, current, chosen, parked, np.full((len(chosen), 0, len(traffic.present)), np.inf))


def lane_graph_rails(scene: Scene, road_map: RoadMap, traffic: Traffic, frames: Int[np.ndarray, "f"]) -> AgentPaths:
    """Puts vehicles on lanes and their continuations, with the red lights on their way.

    A vehicle follows the lane under it whose direction differs least, if by less than 45 degrees, keeps its lateral
    offset, and takes the straightest successor at each fork; paths are as long as is driven at 30 m/s. Who stands now
    moves off no sooner than in the log: what it waits for (to give way; lights, which Argoverse 2 does not record) is
    not known. All others (parked is empty) are left to the log.
    """
    finder = _LaneFinder(road_map)
    chosen, gates, steps = [], [], len(traffic.present)
    reach = LANE_GRAPH_REACH * (steps - 1) / (STEPS - 1)
    reds = _red_by_lane(scene, frames, steps)
    boxes = traffic.boxes[0] if traffic.ids else np.zeros((0, 6))
    for row in np.flatnonzero(traffic.present[0] & (traffic.classes == ObjectClass.VEHICLE)):
        pose, speed = traffic.poses[0, row], float(np.hypot(*traffic.velocities[0, row]))
        spots = [_spot(lane, pose) for lane in finder.under(pose[:2])[0]]
        spot = min(spots, key=lambda one: abs(float(wrap_angle(one.pose[2] - pose[2]))), default=None)
        if spot is None or abs(float(wrap_angle(spot.pose[2] - pose[2]))) > LANE_HEADING:
            continue
        target = spot.lane.speed_limit or AGENT_SPEED
        lanes = straight_on(road_map, spot.lane, spot.along + reach)
        points, lengths, starts = _joined(lanes)
        side = (pose[1] - spot.pose[1]) * np.cos(spot.pose[2]) - (pose[0] - spot.pose[0]) * np.sin(spot.pose[2])
        points[:, 0] -= np.sin(points[:, 2]) * side
        points[:, 1] += np.cos(points[:, 2]) * side
        chosen.append(
            _Follower(int(row), spot.lane.id, points, lengths, spot.along, speed, max(target, speed), boxes[row])
        )
        lights = [
            np.where(reds[lane.id], start, np.inf) for lane, start in zip(lanes, starts, strict=True) if lane.id in reds
        ]
        front = spot.along + traffic.sizes[row, 0] / 2
        gates.append([*lights, np.where(_waits(traffic, int(row), speed), front, np.inf)])
    most = max((len(lights) for lights in gates), default=0)
    blocked = np.full((len(chosen), most, steps), np.inf)
    for row, lights in enumerate(gates):
        blocked[row, : len(lights)] = np.array(lights).reshape(-1, steps)
    return _rails(traffic, traffic.present[0], chosen, [], blocked)


def _waits(traffic: Traffic, row: int, speed: float) -> Bool[np.ndarray, "t"]:
    """Whether a vehicle stands now and has not moved off in the log up to a step."""
    away = np.linalg.norm(traffic.poses[:, row, :2] - traffic.poses[0, row, :2], axis=-1) > WAITING_MOVE
    left = np.logical_or.accumulate(traffic.present[:, row] & away)
    return ~left & (speed <= WAITING_SPEED)


def _red_by_lane(scene: Scene, frames: Int[np.ndarray, "f"], steps: int) -> dict[str, Bool[np.ndarray, "t"]]:
    lights = scene.log.lights.at(frames)
    held = np.repeat(lights.states == LightState.RED, STEPS_PER_FRAME, axis=1)[:, :steps]
    return {lane: red for lane, red in zip(lights.lane_ids, held, strict=True) if red.any()}


def straight_on(road_map: RoadMap, lane: Lane, reach: float) -> list[Lane]:
    """The lane and what follows it, straightest first, until `reach` metres are covered."""
    lanes, covered = [lane], lane.lengths[-1]
    while covered < reach:
        onward = [road_map.lane_by_id[other] for other in lanes[-1].successors if other in road_map.lane_by_id]
        onward = [other for other in onward if other not in lanes]
        if not onward:
            break
        end = lanes[-1].headings[-1]
        lanes.append(min(onward, key=lambda other: abs(float(wrap_angle(other.headings[-1] - end)))))
        covered += lanes[-1].lengths[-1]
    return lanes


def _joined(lanes: list[Lane]) -> tuple[Float[np.ndarray, "v 3"], Float[np.ndarray, "v"], list[float]]:
    """Path points and arc lengths of lanes one after the other, and the arc length at which each begins."""
    line = without_repeats(np.concatenate([lane.centerline[:, :2] for lane in lanes]))
    ends = np.cumsum([lane.lengths[-1] for lane in lanes])
    return np.column_stack([line, np.unwrap(headings(line))]), arc_lengths(line), [0.0, *ends[:-1]]


def _rails(
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
    """The lane's vertices without repeated ones, and, as in the original, without the last."""
    lengths = lane.lengths
    kept = np.flatnonzero(np.diff(lengths) > 1e-8)
    kept = kept if len(kept) else np.zeros(1, dtype=int)
    angle = np.unwrap(lane.headings[kept])
    return np.column_stack([lane.centerline[kept, :2], angle]), lengths[kept]


def _spot(lane: Lane, pose: Float[np.ndarray, "3"]) -> _Spot:
    """The lane's nearest point, with the direction of the next half metre there (or the last, at the end)."""
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
    """Which lanes lie under a point."""

    def __init__(self, road_map: RoadMap) -> None:
        self._lanes = road_map.lanes
        self._items: tuple[Lane | Area, ...] = (*road_map.lanes, *road_map.intersections)
        self._bounds = np.concatenate([road_map.lane_bounds, *(area.bounds[None] for area in road_map.intersections)])

    def under(self, point: Float[np.ndarray, "2"]) -> tuple[list[Lane], bool]:
        """The lanes under a point, else, in an intersection, the connectors; and whether it is on either."""
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
        return bool(inside(edges, 0, len(edges), point[0], point[1]))
