"""Lane groups derived from lanes where a source has none, and map matching of the driven route."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import shapely
from jaxtyping import Float, Int

from swerve.scenes.polyline import arc_lengths, heading_at, remove_duplicate_points, to_frenet
from swerve.scenes.road_map import Lane, LaneGroup, LaneType, RoadMap
from swerve.scenes.tracks import Ego
from swerve.scenes.transforms import wrap_angle

# Lanes whose direction differs more than this from the ego's heading are not candidates.
_WIDEST_TURN = np.deg2rad(60.0)
# Map matching: spacing of path samples and search radius in metres, scales and costs of the hidden Markov model.
_SAMPLE, MATCH_REACH = 1.0, 1.5
_DISTANCE_SCALE, _HEADING_SCALE, _LATERAL_SCALE = 0.5, np.deg2rad(20.0), 2.0
_STEP_COST, _CHANGE_COST, _JUMP_COST = 0.1, 2.0, 20.0
_LONGEST_BRIDGE = 6


def derive_lane_groups(road_map: RoadMap) -> RoadMap:
    """Return the map with lane groups derived from its lanes.

    - Lanes that are each other's neighbours form a group; bicycle lanes are grouped separately.
    - Connectors between the same predecessor and successor group(s) form a group, as many connectors from the former; a
    connector at the map's boundary, without predecessor or successor, is a group of its own.
    - A group's predecessors and successors are those of its lanes; its polygon is the union of theirs.
    """
    lane_by_id = road_map.lane_by_id
    members = _parallel(road_map.lanes, lane_by_id)
    group_of = {lane: key for key, lanes in members.items() for lane in lanes}
    members |= _connecting(road_map.lanes, lane_by_id, group_of)
    group_of = {lane: key for key, lanes in members.items() for lane in lanes}
    lanes = tuple(replace(lane, group_id=group_of[lane.id]) for lane in road_map.lanes)
    groups = tuple(
        LaneGroup(
            key,
            tuple(ids),
            _outline([lane_by_id[lane] for lane in ids], road_map),
            lane_by_id[ids[0]].is_connector,
            _linked(ids, lane_by_id, group_of, "predecessors"),
            _linked(ids, lane_by_id, group_of, "successors"),
        )
        for key, ids in members.items()
    )
    return replace(road_map, lanes=lanes, lane_groups=groups)


def match_route(road_map: RoadMap, ego: Ego) -> tuple[str, ...]:
    """Return the ids of the lane groups that the ego drives through, in order, by map matching.

    The groups are those of the lanes matched to its path, see `match_lanes`. Where two consecutive groups are not
    connected, the shortest chain of successors (up to 6 groups) is inserted between them, if there is one. Lanes of no
    group, or of one that the map lacks, are left out.
    """
    known = road_map.group_by_id
    _, lanes = match_lanes(road_map.lanes, ego.positions[:, :2], ego.headings)
    groups: list[str] = []
    for lane in lanes:
        group = road_map.lanes[lane].group_id
        if group not in known:
            continue
        if groups and group != groups[-1]:
            groups += _bridge(known, groups[-1], group)
        if not groups or group != groups[-1]:
            groups.append(group)
    return tuple(groups)


def _near(
    lanes: Sequence[Lane], points: Float[np.ndarray, "n 2"], reach: float
) -> tuple[Int[np.ndarray, "m"], Int[np.ndarray, "m"], Float[np.ndarray, "m"]]:
    """Return the (point, lane) index pairs within `reach` metres, and their distances."""
    outlines = [shapely.Polygon(lane.polygon[:, :2], [hole[:, :2] for hole in lane.holes]) for lane in lanes]
    shapes = shapely.make_valid(np.array(outlines, object))
    at = shapely.points(points)
    point, lane = shapely.STRtree(shapes).query(at, "dwithin", reach)
    return point, lane, shapely.distance(at[point], shapes[lane])


def _alignment(
    lanes: Sequence[Lane],
    point: Int[np.ndarray, "m"],
    lane: Int[np.ndarray, "m"],
    points: Float[np.ndarray, "n 2"],
    headings: Float[np.ndarray, "n"],
) -> tuple[Float[np.ndarray, "m"], Float[np.ndarray, "m"]]:
    """Compute the angle between heading and lane, and the offset from its centreline, per pair of point and lane."""
    turn, lateral = np.full(len(point), np.pi), np.zeros(len(point))
    for index in np.unique(lane):
        rows = np.flatnonzero(lane == index)
        line = remove_duplicate_points(lanes[index].centerline)
        if len(line) < 2:  # a centreline without length has no direction, so nobody drives along it
            continue
        along, lateral[rows] = to_frenet(line, points[point[rows]])
        turn[rows] = np.abs(wrap_angle(heading_at(line, along) - headings[point[rows]]))
    return turn, lateral


def _parallel(lanes: Iterable[Lane], lane_by_id: Mapping[str, Lane]) -> dict[str, list[str]]:
    """Group lanes that are each other's neighbours, left to right; the key is the leftmost lane's name."""

    def beside(lane: Lane, side: str, back: str) -> Lane | None:
        other = lane_by_id.get(getattr(lane, side) or "")
        alike = other and (lane.kind is LaneType.BICYCLE) == (other.kind is LaneType.BICYCLE)
        return other if other and alike and not other.is_connector and getattr(other, back) == lane.id else None

    groups: dict[str, list[str]] = {}
    grouped: set[str] = set()
    for lane in lanes:
        if lane.is_connector or lane.id in grouped:
            continue
        leftmost = _walk(lane, lambda at: beside(at, "left_neighbor", "right_neighbor"))[-1]
        row = _walk(leftmost, lambda at: beside(at, "right_neighbor", "left_neighbor"))
        groups[f"group_{leftmost.id}"] = [member.id for member in row]
        grouped |= {member.id for member in row}
    return groups


def _walk(lane: Lane, following: Callable[[Lane], Lane | None]) -> list[Lane]:
    """Follow lanes from the given one until there is no next one or a lane repeats."""
    row: list[Lane] = []
    at: Lane | None = lane
    while at is not None and all(at is not member for member in row):
        row.append(at)
        at = following(at)
    return row


def _connecting(
    lanes: Iterable[Lane], lane_by_id: Mapping[str, Lane], group_of: Mapping[str, str]
) -> dict[str, list[str]]:
    """Group connectors between the same lane groups; the key is the first connector's name."""
    alike: dict[tuple[tuple[str, ...], tuple[str, ...], int] | tuple[str], list[str]] = {}
    for lane in lanes:
        if lane.is_connector:
            before, depth = _reached(lane, "predecessors", lane_by_id, group_of)
            after, _ = _reached(lane, "successors", lane_by_id, group_of)
            key = (before, after, depth) if before and after else (lane.id,)
            alike.setdefault(key, []).append(lane.id)
    return {f"group_{ids[0]}": ids for ids in alike.values()}


def _reached(
    lane: Lane, direction: str, lane_by_id: Mapping[str, Lane], group_of: Mapping[str, str]
) -> tuple[tuple[str, ...], int]:
    """Return the groups at the end of a connector in one direction, and the least number of connectors passed."""
    found: set[str] = set()
    seen, depth, level = {lane.id}, 0, [lane.id]
    while level and not found:
        ahead = [other for at in level for other in getattr(lane_by_id[at], direction) if other in lane_by_id]
        found = {group_of[other] for other in ahead if other in group_of}
        level = [other for other in dict.fromkeys(ahead) if other not in group_of and other not in seen]
        seen |= set(level)
        depth += 1
    return tuple(sorted(found)), depth - 1


def _linked(
    ids: list[str], lane_by_id: Mapping[str, Lane], group_of: Mapping[str, str], direction: str
) -> tuple[str, ...]:
    """Return the groups that the lanes lead to (or come from), in the lanes' order."""
    others = [other for lane in ids for other in getattr(lane_by_id[lane], direction) if other in group_of]
    return tuple(dict.fromkeys(group_of[other] for other in others if group_of[other] != group_of[ids[0]]))


def _outline(lanes: list[Lane], road_map: RoadMap) -> Float[np.ndarray, "n 3"]:
    """Return the outline of the lanes' union, or of its convex hull where they do not touch."""
    if len(lanes) == 1:
        return lanes[0].polygon
    shapes = [shapely.make_valid(shapely.Polygon(lane.polygon[:, :2])) for lane in lanes]
    union = shapely.union_all(shapely.buffer(shapes, 0.1, join_style="mitre")).buffer(-0.1, join_style="mitre")
    points = shapely.get_coordinates((union if union.geom_type == "Polygon" else union.convex_hull).exterior)[:-1]
    return np.concatenate([points, road_map.ground.at(points)[:, None]], axis=1)


def _spaced(positions: Float[np.ndarray, "t d"]) -> Int[np.ndarray, "m"]:
    """Return step indices about one sample distance of travel apart, including the first and the last."""
    travelled = arc_lengths(positions)
    marks = np.searchsorted(travelled, np.arange(0.0, travelled[-1], _SAMPLE))
    return np.unique(np.concatenate([[0], marks, [len(positions) - 1]]))


def match_lanes(
    lanes: Sequence[Lane], positions: Float[np.ndarray, "t 2"], headings: Float[np.ndarray, "t"]
) -> tuple[Int[np.ndarray, "m"], Int[np.ndarray, "m"]]:
    """Match a track to lanes with the Viterbi algorithm.

    Of the lanes within 1.5 m of each metre of the path, the sequence of least cost in distance, heading difference and
    lateral offset is chosen; staying on a lane and moving on to its successor costs almost nothing, a change to a
    neighbour more, a jump most. Stretches off the lanes are left out.

    Args:
        lanes: the candidates.
        positions: positions of the vehicle, in order of time.
        headings: its headings there.

    Returns:
        steps of the track about a metre apart that have lanes within reach, and the index of the lane at each.
    """
    samples = _spaced(positions)
    points = positions[samples]
    point, lane, distance = _near(lanes, points, MATCH_REACH)
    turn, lateral = _alignment(lanes, point, lane, points, headings[samples])
    likely = turn <= _WIDEST_TURN
    cost = (distance / _DISTANCE_SCALE) ** 2 + (turn / _HEADING_SCALE) ** 2 + (lateral / _LATERAL_SCALE) ** 2
    point, lane, cost = point[likely], lane[likely], cost[likely]
    matched = np.unique(point)
    stages = [lane[point == at] for at in matched]
    chosen = _cheapest(lanes, stages, [cost[point == at] for at in matched]) if stages else []
    return samples[matched], np.array(chosen, dtype=np.int64)


def _cheapest(
    lanes: Sequence[Lane], stages: list[Int[np.ndarray, "_"]], costs: list[Float[np.ndarray, "_"]]
) -> list[int]:
    """The lanes, one of each stage, that cost least together with the transitions between them."""
    total, back = costs[0], []
    for before, after, own in zip(stages, stages[1:], costs[1:], strict=False):
        change = total[:, None] + _transition_costs(lanes, before, after)
        back.append(change.argmin(axis=0))
        total = change.min(axis=0) + own
    path = [int(total.argmin())]
    for origins in reversed(back):
        path.append(int(origins[path[-1]]))
    return [int(stage[at]) for stage, at in zip(stages, reversed(path), strict=True)]


def _transition_costs(
    lanes: Sequence[Lane], before: Int[np.ndarray, "b"], after: Int[np.ndarray, "a"]
) -> Float[np.ndarray, "b a"]:
    """Return the transition costs between the candidate lanes of two consecutive samples."""

    def cost(first: Lane, then: Lane) -> float:
        if first.id == then.id:
            return 0.0
        if then.id in first.successors:
            return _STEP_COST
        return _CHANGE_COST if then.id in (first.left_neighbor, first.right_neighbor) else _JUMP_COST

    return np.array([[cost(lanes[b], lanes[a]) for a in after] for b in before])


def _bridge(groups: Mapping[str, LaneGroup], start: str, goal: str) -> list[str]:
    """Return the groups on the shortest chain of successors between two groups; none if adjacent or too far apart."""
    came: dict[str, str] = {start: ""}
    queue = deque([(start, 0)])
    while queue:
        at, steps = queue.popleft()
        if at == goal:
            break
        for following in groups[at].successors if steps <= _LONGEST_BRIDGE else ():
            if following in groups and following not in came:
                came[following] = at
                queue.append((following, steps + 1))
    way: list[str] = []
    at = came.get(goal, start)
    while at and at != start:
        way.append(at)
        at = came[at]
    return way[::-1]
