"""Vehicles put on lanes, as NAVSIM's reactive traffic starts with them."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from swerve.eval.geometry_kernels import inside, project
from swerve.eval.pdm_closed_kernels import point_at
from swerve.eval.surfaces import pack
from swerve.eval.thresholds import AGENT_PARKED_SPEED, AGENT_SNAP, AGENT_SPEED, HEADING_PROBE
from swerve.eval.traffic import Traffic
from swerve.eval.traffic_kernels import touching
from swerve.scenes import Area, Lane, ObjectClass, RoadMap
from swerve.scenes.polyline import arc_lengths, headings


@dataclass(frozen=True)
class Rails:
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


@dataclass(frozen=True)
class _Spot:
    """A lane under a vehicle: arc length of its nearest point, that point's pose, and how far off it is."""

    lane: Lane
    along: float
    pose: Float[np.ndarray, "3"]
    deviation: float


def rails_of(road_map: RoadMap, traffic: Traffic, current: Bool[np.ndarray, "m"], ego_box: Float[np.ndarray, "6"]) -> Rails:
    """Puts the vehicles that are there now on lanes, in the order of the tracks.

    As NAVSIM does it: on the lane under the vehicle (or the connector, in an intersection) of least difference of
    heading, which is not wrapped. A vehicle more than 3 m off its lane's line, or slow and off all lanes and
    intersections, stands where it is; one that would touch the ego or an earlier one is forgotten.
    """
    finder = _LaneFinder(road_map)
    taken, chosen, parked = [ego_box], [], []
    target, targets = AGENT_SPEED, []
    boxes = traffic.boxes[0] if traffic.ids else np.zeros((0, 6))
    for row in np.flatnonzero(current & (traffic.classes == ObjectClass.VEHICLE)):
        pose, speed = traffic.poses[0, row], float(np.hypot(*traffic.velocities[0, row]))
        lanes, on_road = finder.under(pose[:2])
        spot = min((_spot(lane, pose) for lane in lanes), key=lambda one: abs(one.pose[2] - pose[2]), default=None)
        if spot is not None and spot.deviation <= AGENT_SNAP:
            box = np.array([*spot.pose[:2], np.cos(spot.pose[2]), np.sin(spot.pose[2]), *boxes[row, 4:]])
            if _is_free(box, taken):
                # The original keeps the last known limit for lanes that have none.
                target = spot.lane.speed_limit or target
                taken.append(box)
                chosen.append((row, spot, speed))
                targets.append(target)
                continue
            stays = False
        else:
            stays = spot is not None or (speed < AGENT_PARKED_SPEED and not on_road)
        if stays and _is_free(boxes[row], taken):
            taken.append(boxes[row])
            parked.append(row)
    return _rails(traffic, current, chosen, np.array(targets), parked)


def _rails(
    traffic: Traffic,
    current: Bool[np.ndarray, "m"],
    chosen: list[tuple[int, _Spot, float]],
    targets: Float[np.ndarray, "k"],
    parked: list[int],
) -> Rails:
    paths = [_path(spot.lane) for _, spot, _ in chosen]
    rows = np.array([row for row, _, _ in chosen], dtype=int)
    poses = np.array([spot.pose for _, spot, _ in chosen]).reshape(-1, 3)
    sizes = traffic.sizes[rows]
    return Rails(
        current=current,
        rows=rows,
        parked=np.array(parked, dtype=int),
        lanes=tuple(spot.lane.id for _, spot, _ in chosen),
        points=np.concatenate([np.zeros((0, 3)), *(points for points, _ in paths)]),
        lengths=np.concatenate([np.zeros(0), *(lengths for _, lengths in paths)]),
        starts=np.concatenate([[0], np.cumsum([len(points) for points, _ in paths], dtype=np.int64)]).astype(np.int64),
        boxes=np.column_stack([poses[:, :2], np.cos(poses[:, 2]), np.sin(poses[:, 2]), sizes / 2]),
        sizes=sizes,
        state=np.array([[spot.along, speed] for _, spot, speed in chosen]).reshape(-1, 2),
        targets=targets.astype(float),
    )


def _path(lane: Lane) -> tuple[Float[np.ndarray, "v 3"], Float[np.ndarray, "v"]]:
    """The lane's vertices without repeated ones, and, as in the original, without the last."""
    lengths = arc_lengths(lane.centerline)
    kept = np.flatnonzero(~np.isclose(np.diff(lengths), 0.0))
    angle = np.unwrap(headings(lane.centerline)[kept])
    return np.column_stack([lane.centerline[kept, :2], angle]), lengths[kept]


def _spot(lane: Lane, pose: Float[np.ndarray, "3"]) -> _Spot:
    """The lane's nearest point, with the direction of the next half metre there (or the last, at the end)."""
    line, lengths = np.ascontiguousarray(lane.centerline[:, :2]), arc_lengths(lane.centerline)
    along, _ = project(line, lengths, pose[0], pose[1])
    here, there = (point_at(line, lengths, along + probe) for probe in (0.0, HEADING_PROBE))
    step = np.subtract(there, here)
    if not step.any():
        step = np.subtract(here, point_at(line, lengths, along - HEADING_PROBE))
    deviation = float(np.hypot(here[0] - pose[0], here[1] - pose[1]))
    return _Spot(lane, along, np.array([*here, np.arctan2(step[1], step[0])]), deviation)


def _is_free(box: Float[np.ndarray, "6"], taken: list[Float[np.ndarray, "6"]]) -> bool:
    return not touching(box, np.array(taken), np.ones(len(taken), bool)).any()


class _LaneFinder:
    """Which lanes lie under a point; outlines are unpacked as they are needed."""

    def __init__(self, road_map: RoadMap) -> None:
        self._items: tuple[Lane | Area, ...] = (*road_map.lanes, *road_map.intersections)
        self._count = len(road_map.lanes)
        flat = [(*item.polygon[:, :2].min(axis=0), *item.polygon[:, :2].max(axis=0)) for item in self._items]
        self._bounds = np.array(flat).reshape(-1, 4)
        self._edges: dict[int, Float[np.ndarray, "e 4"]] = {}

    def under(self, point: Float[np.ndarray, "2"]) -> tuple[list[Lane], bool]:
        """The lanes under a point, else, in an intersection, the connectors; and whether it is on either."""
        low, high = self._bounds[:, :2], self._bounds[:, 2:]
        near = np.flatnonzero(((low <= point) & (point <= high)).all(axis=1))
        held = [int(row) for row in near if self._holds(int(row), point)]
        lanes = [self._items[row] for row in held if row < self._count]
        crossing = any(row >= self._count for row in held)
        plain = [lane for lane in lanes if not lane.is_connector]
        connectors = [lane for lane in lanes if lane.is_connector] if crossing else []
        return plain or connectors, bool(plain) or crossing

    def _holds(self, row: int, point: Float[np.ndarray, "2"]) -> bool:
        if row not in self._edges:
            item = self._items[row]
            self._edges[row] = pack([(item.polygon, *item.holes)]).edges
        edges = self._edges[row]
        return bool(inside(edges, 0, len(edges), point[0], point[1]))
