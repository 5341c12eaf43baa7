"""NAVSIM's route: corrected until it is connected, then a centreline along its lanes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from jaxtyping import Float
from shapely import GEOSException, Polygon, make_valid

from swerve.eval.context.map_polygons import groups_near
from swerve.eval.context.planar_geometry_kernels import inside, polygon_box_distance, polygon_touches_box
from swerve.eval.scoring.thresholds import (
    BACKWARD_DEPTH,
    CANDIDATE_DISTANCE,
    CANDIDATE_HEADING,
    CANDIDATE_RADIUS,
    FORWARD_DEPTH,
    LOOP_AREA,
    ROUTE_WINDOW,
)
from swerve.scenes import Lane, LaneGroup, RoadMap
from swerve.scenes.transforms import wrap_angle


@dataclass(frozen=True)
class EgoBox:
    """The ego's rear-axle pose, and its box (see planar_geometry_kernels)."""

    pose: Float[np.ndarray, "3"]
    box: Float[np.ndarray, "6"]


def corrected_route(road_map: RoadMap, route: Sequence[str], ego: EgoBox) -> tuple[str, ...]:
    """Correct the route: join it to the ego, fill gaps and cut loops, as far as the map allows; return lane-group ids.

    Breadth-first searches join the ego's own group to the route, backwards from the route's start or else forwards to
    one of its first three groups, and fill gaps between neighbours. The route ends where it crosses itself.
    """
    groups = road_map.group_by_id
    ids = [group for group in dict.fromkeys(route) if group in groups]
    if not ids:
        return ()
    start, candidates = _current_groups(road_map, set(ids), ego)
    if start is not None and start not in ids:
        ids = _joined(groups, ids, start, candidates)
    ids = _without_gaps(groups, ids)
    return tuple(dict.fromkeys(_before_loop(groups, ids)))


def _current_groups(road_map: RoadMap, on_route: set[str], ego: EgoBox) -> tuple[str | None, list[str]]:
    """Return the ego's most likely group, and all candidates; those on the route come first."""
    touched = groups_near(road_map, ego.pose[:2], CANDIDATE_RADIUS)
    near = [group for kind in (False, True) for group in touched if group.is_connector is kind]
    near = near or _nearest_groups(road_map, ego)
    if not near:
        return None, []
    lanes = road_map.lane_by_id
    errors = [(group.id, *_errors(lanes[lane], ego)) for group in near for lane in group.lane_ids]
    good = [item for item in errors if item[1] < CANDIDATE_DISTANCE and item[2] < CANDIDATE_HEADING]
    for chosen in ([item for item in good if item[0] in on_route], good):
        if chosen:
            return min(chosen, key=lambda item: item[1])[0], [item[0] for item in chosen]
    closest = [min((item[1] for item in errors if item[0] == group.id), default=np.inf) for group in near]
    return near[int(np.argmin(closest))].id, [group.id for group in near]


def _nearest_groups(road_map: RoadMap, ego: EgoBox) -> list[LaneGroup]:
    """Return the nearest roadblock and the nearest roadblock connector."""
    point = np.array([ego.pose[0], ego.pose[1], 1.0, 0.0, 0.0, 0.0])
    found = []
    for kind in (False, True):
        groups = [group for group in road_map.lane_groups if group.is_connector is kind]
        distances = [polygon_box_distance(group.edges, 0, len(group.edges), point) for group in groups]
        found += [groups[int(np.argmin(distances))]] if groups else []
    return found


def _errors(lane: Lane, ego: EgoBox) -> tuple[float, float]:
    """Compute the distance from the rear axle to the centreline's nearest vertex, and the heading difference there."""
    distance = np.linalg.norm(lane.centerline[:, :2] - ego.pose[:2], axis=1)
    nearest = int(np.argmin(distance))
    turn = lane.headings[nearest] - ego.pose[2]
    return float(distance[nearest]), abs(float(wrap_angle(turn)))


def _joined(groups: dict[str, LaneGroup], ids: list[str], start: str, candidates: list[str]) -> list[str]:
    path = _search(groups, ids[0], set(candidates), BACKWARD_DEPTH, forward=False)
    if path:
        return [*path[:-1], *ids]
    path = _search(groups, start, set(ids[:3]), FORWARD_DEPTH, forward=True)
    return [*path, *ids[ids.index(path[-1]) + 1 :]] if path else ids


def _without_gaps(groups: dict[str, LaneGroup], ids: list[str]) -> list[str]:
    filled = ids[:1]
    for before, after in pairwise(ids):
        if before not in groups[after].predecessors:
            path = _search(groups, before, {after}, FORWARD_DEPTH, forward=True)
            filled += path[1:-1]
        filled.append(after)
    return filled


def _search(groups: dict[str, LaneGroup], start: str, goals: set[str], depth: int, forward: bool) -> list[str]:
    """Search the shortest path of groups in driving order, ends included; empty if there is none within `depth` groups.

    Of several shortest paths it returns the reference implementation's, whose queue holds a group once for every path
    to it: the goal that comes first, but always the parent that comes last.
    """
    parents: list[dict[str, str]] = []
    first, last = [start], [start]
    for _ in range(depth):
        goal = next((group for group in first if group in goals), None)
        if goal is not None:
            path = [goal]
            for layer in reversed(parents):
                path.append(layer[path[-1]])
            return path[::-1] if forward else path
        parent: dict[str, str] = {}
        for group in last:
            for other in _onward(groups, group, forward):
                parent.pop(other, None)  # move to the end of the order
                parent[other] = group
        first = list(dict.fromkeys(other for group in first for other in _onward(groups, group, forward)))
        last = list(parent)
        parents.append(parent)
    return []


def _onward(groups: dict[str, LaneGroup], group: str, forward: bool) -> list[str]:
    onward = groups[group].successors if forward else groups[group].predecessors
    return [other for other in onward if other in groups]


def _path(parents: dict[str, str | None], end: str) -> list[str]:
    path: list[str] = []
    at: str | None = end
    while at is not None:
        path.append(at)
        at = parents[at]
    return path[::-1]


def _before_loop(groups: dict[str, LaneGroup], ids: list[str]) -> list[str]:
    """Cut the route at the first connector that overlaps an earlier one by more than `LOOP_AREA`."""
    earlier: list[Polygon] = []
    for index, group in enumerate(ids):
        if not groups[group].is_connector:
            continue
        shape = Polygon(groups[group].polygon[:, :2], [hole[:, :2] for hole in groups[group].holes])
        if any(_overlap(other, shape) > LOOP_AREA for other in earlier):
            return ids[:index]
        earlier.append(shape)
    return ids


def _overlap(a: Polygon, b: Polygon) -> float:
    """Compute the common area; self-intersecting outlines are repaired if GEOS requires it."""
    if not a.intersects(b):
        return 0.0
    try:
        return float(a.intersection(b).area)
    except GEOSException:
        return float(make_valid(a).intersection(make_valid(b)).area)


def lanes_of(road_map: RoadMap, groups: Iterable[str]) -> tuple[str, ...]:
    """Return the ids of the lanes of lane groups, in their order."""
    known = road_map.group_by_id
    return tuple(dict.fromkeys(lane for group in groups if group in known for lane in known[group].lane_ids))


def starting_lane(road_map: RoadMap, route_lanes: Sequence[str], known: Iterable[str], ego: EgoBox) -> Lane:
    """Return the lane on the route that the ego is assigned to.

    Of the lanes under the rear axle, the one of least difference of heading; else the first that holds the ego's
    centre, else the nearest to its box.

    Args:
        road_map: the map.
        route_lanes: lanes of the corrected route; at least one.
        known: ids of the surfaces around the ego; lanes beyond them are not found under the axle.
        ego: pose and box of the ego.
    """
    lanes = [road_map.lane_by_id[lane] for lane in route_lanes]
    near = set(known)
    axle = np.array([ego.pose[0], ego.pose[1], 1.0, 0.0, 0.0, 0.0])
    under = [lane for lane in lanes if lane.id in near and polygon_touches_box(lane.edges, 0, len(lane.edges), axle)]
    if under:
        return min(under, key=lambda lane: _errors(lane, ego)[1])
    for lane in lanes:
        if inside(lane.edges, 0, len(lane.edges), ego.box[0], ego.box[1]):
            return lane
    return lanes[int(np.argmin([polygon_box_distance(lane.edges, 0, len(lane.edges), ego.box) for lane in lanes]))]


def centerline_from(
    road_map: RoadMap, start: Lane, route: Sequence[str], route_lanes: Sequence[str]
) -> Float[np.ndarray, "n 3"]:
    """Concatenate the centrelines (x, y, heading) of the lanes on the shortest path from `start` along the route.

    The path ends at the first lane of the last group within `ROUTE_WINDOW` groups; if that cannot be reached, at the
    deepest lane that can.
    """
    first = route.index(start.group_id) if start.group_id in route else 0
    target = route[first : first + ROUTE_WINDOW][-1]
    way = _lane_path(road_map, start, set(route_lanes), target)
    lines = [np.column_stack([lane.centerline[:, :2], lane.headings]) for lane in way]
    return np.concatenate(lines)


@dataclass
class _Frontier:
    """Lanes visited by the search, with distance, depth and parent; `open` in order of discovery."""

    distance: dict[str, float] = field(default_factory=dict)
    depth: dict[str, int] = field(default_factory=dict)
    parent: dict[str, str | None] = field(default_factory=dict)
    open: list[str] = field(default_factory=list)
    closed: list[str] = field(default_factory=list)


def _lane_path(road_map: RoadMap, start: Lane, allowed: set[str], target: str) -> list[Lane]:
    """Search lanes by Dijkstra's algorithm; the cost of a lane is its length."""
    lanes = road_map.lane_by_id
    seen = _Frontier({start.id: 1.0}, {start.id: 1}, {start.id: None}, [start.id])
    while seen.open:
        lane = min(seen.open, key=lambda other: seen.distance[other])
        seen.open.remove(lane)
        if lanes[lane].group_id == target:
            return [lanes[step] for step in _path(seen.parent, lane)]
        seen.closed.append(lane)
        _expand(lanes, lane, allowed, seen)
    deepest = max(seen.depth[lane] for lane in seen.closed)
    end = min((lane for lane in seen.closed if seen.depth[lane] == deepest), key=lambda lane: seen.distance[lane])
    return [lanes[step] for step in _path(seen.parent, end)]


def _expand(lanes: dict[str, Lane], lane: str, allowed: set[str], seen: _Frontier) -> None:
    for other in lanes[lane].successors:
        if other not in allowed:
            continue
        distance = seen.distance[lane] + _length(lanes[other])
        if other not in seen.distance or (other in seen.open and distance < seen.distance[other]):
            if other not in seen.distance:
                seen.open.append(other)
            seen.distance[other], seen.depth[other], seen.parent[other] = distance, seen.depth[lane] + 1, lane


def _length(lane: Lane) -> float:
    return float(np.linalg.norm(np.diff(lane.centerline[:, :2], axis=0), axis=1).sum())
