"""Road maps whose lanes and connectors alternate, as nuPlan's do: every connector leads from one lane to one other.

Other maps are changed where they do not fit, and nowhere else. Lanes that follow each other directly get a connector on
the first few centimetres of the later one, connectors a lane likewise. A connector that begins or ends nowhere begins
or ends at a lane of that length. A connector with several lanes before or after it is there once for each pair. The
path along the centrelines stays the same.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise, product

import numpy as np
import shapely
from jaxtyping import Float

from swerve.scenes import Lane, LaneGroup, RoadMap
from swerve.scenes.polyline import arc_lengths

# Length of inserted pieces: metres, and at most this share of the lane.
_PIECE, _SHARE = 0.05, 0.25


@dataclass(frozen=True)
class AlternatingMap:
    """A map for nuPlan.

    Attributes:
        road_map: the map.
        route: the route in it.
        copies: ids of the connectors that stand for a connector; only of those that there are several of.
        note: what was changed, in words; empty if nothing.
    """

    road_map: RoadMap
    route: tuple[str, ...]
    copies: dict[str, list[str]] = field(default_factory=dict)
    note: str = ""


def alternating_map(road_map: RoadMap, route: Sequence[str]) -> AlternatingMap:
    """Return a map whose lanes and connectors alternate, and so do lane groups and their connectors.

    Args:
        road_map: the map.
        route: ids of its lane groups; those that it lacks are left out.
    """
    known = tuple(group for group in route if group in road_map.group_by_id)
    if _alternates(road_map):
        return AlternatingMap(road_map, known)
    work = _Rebuild(road_map)
    rebuilt = work.run()
    copied = {id_: copies for id_, copies in work.copies.items() if len(copies) > 1}
    note = (
        f"its map is not in nuPlan's form; {work.inserted} pieces of {100 * _PIECE:.0f} cm were inserted between lanes "
        f"and connectors, and {len(copied)} connectors with several lanes before or after them were repeated"
    )
    return AlternatingMap(rebuilt, _route(rebuilt, work.groups_of, known), copied, note)


def _alternates(road_map: RoadMap) -> bool:
    lanes, groups = road_map.lane_by_id, road_map.group_by_id

    def fits(one: Lane | LaneGroup, known: dict[str, Lane] | dict[str, LaneGroup]) -> bool:
        sides = [[known.get(id_) for id_ in ids] for ids in (one.predecessors, one.successors)]
        if any(other is not None and other.is_connector is one.is_connector for side in sides for other in side):
            return False
        return not one.is_connector or all(len(side) == 1 and side[0] is not None for side in sides)

    return all(fits(lane, lanes) for lane in road_map.lanes) and all(
        fits(group, groups) for group in road_map.lane_groups
    )


class _Rebuild:
    """One map on its way into nuPlan's form."""

    def __init__(self, road_map: RoadMap) -> None:
        self.map, self.inserted = road_map, 0
        self.lanes, self.groups = dict[str, Lane](), dict[str, LaneGroup]()
        # Lanes between two connectors, or at an end of one, by the connectors; connectors by what they stand for.
        self.between: dict[tuple[str, str], str] = {}
        self.copies: dict[str, list[str]] = {}
        # Groups that stand for a group.
        self.groups_of: dict[str, list[str]] = {}
        self.links = _links(road_map.lanes)
        self.before, self.after = dict[str, list[str]](), dict[str, list[str]]()
        for first, second in self.links:
            self.after.setdefault(first, []).append(second)
            self.before.setdefault(second, []).append(first)
        self.cut_heads, self.cut_tails = set[str](), set[str]()
        # The lane of the map that a lane is, or is a copy of; pieces that are inserted are of none.
        self.source_of: dict[str, str] = {}
        # Connectors between two lanes, and their groups by the groups of these.
        self.joints, self.joint_groups = dict[tuple[str, str], str](), dict[tuple[str, str], str]()
        self.taken = {lane.id for lane in road_map.lanes}
        self.taken_groups = {group.id for group in road_map.lane_groups} | {lane.group_id for lane in road_map.lanes}

    def run(self) -> RoadMap:
        for lane in self.map.lanes:
            if not lane.is_connector:
                self.lanes[lane.id], self.source_of[lane.id] = lane, lane.id
        for group in self.map.lane_groups:
            if not group.is_connector:
                self.groups[group.id], self.groups_of[group.id] = group, [group.id]
        self._pieces()
        for lane in self.map.lanes:
            if lane.is_connector:
                self._repeat(lane)
        self._join_lanes()
        self._shorten()
        return self._linked()

    def _kind(self, id_: str) -> bool:
        return self.map.lane_by_id[id_].is_connector

    def _pieces(self) -> None:
        """Insert lanes between connectors, and at their loose ends."""
        for first, second in self.links:
            if self._kind(first) and self._kind(second):
                self._stub((first, second), self.map.lane_by_id[second], head=True)
        for lane in self.map.lanes:
            if lane.is_connector and lane.id not in self.before:
                self._stub(("", lane.id), lane, head=True)
            if lane.is_connector and lane.id not in self.after:
                self._stub((lane.id, ""), lane, head=False)

    def _stub(self, key: tuple[str, str], lane: Lane, head: bool) -> None:
        (self.cut_heads if head else self.cut_tails).add(lane.id)
        id_ = _free(f"{key[0]}|{key[1]}", self.taken)
        piece = _piece(lane, head, id_, _free(f"group {id_}", self.taken_groups), is_connector=False)
        self.lanes[id_], self.between[key], self.inserted = piece, id_, self.inserted + 1
        self.groups[piece.group_id] = LaneGroup(piece.group_id, (id_,), piece.polygon)

    def _repeat(self, lane: Lane) -> None:
        """Add a connector for each pair of lanes that it joins."""
        before = [
            first if not self._kind(first) else self.between[first, lane.id] for first in self.before.get(lane.id, ())
        ]
        after = [last if not self._kind(last) else self.between[lane.id, last] for last in self.after.get(lane.id, ())]
        pairs = list(product(before or [self.between["", lane.id]], after or [self.between[lane.id, ""]]))
        for index, (first, last) in enumerate(pairs):
            id_ = lane.id if index == 0 else _free(f"{lane.id}#{index}", self.taken)
            self.source_of[id_] = lane.id
            group = self._connector_group(first, last, lane)
            self.lanes[id_] = replace(lane, id=id_, predecessors=(first,), successors=(last,), group_id=group)
            self.groups[group] = replace(self.groups[group], lane_ids=(*self.groups[group].lane_ids, id_))
            self.copies.setdefault(lane.id, []).append(id_)

    def _connector_group(self, first: str, last: str, lane: Lane) -> str:
        """Return the group of connectors from one group to another that stands for the lane's, added if it is new."""
        ends = self.lanes[first].group_id, self.lanes[last].group_id
        same = self.groups_of.setdefault(lane.group_id, [])
        for id_ in same:
            if (self.groups[id_].predecessors, self.groups[id_].successors) == ((ends[0],), (ends[1],)):
                return id_
        id_ = lane.group_id if not same else _free(f"{lane.group_id}#{len(same)}", self.taken_groups)
        known = self.map.group_by_id.get(lane.group_id)
        shape, holes = (known.polygon, known.holes) if known else (lane.polygon, lane.holes)
        self.groups[id_] = LaneGroup(id_, (), shape, True, (ends[0],), (ends[1],), holes)
        same.append(id_)
        return id_

    def _join_lanes(self) -> None:
        """Insert connectors between lanes that follow each other."""
        for first, second in self.links:
            if self._kind(first) or self._kind(second):
                continue
            self.cut_heads.add(second)
            lanes, id_ = self.map.lane_by_id, _free(f"{first}|{second}", self.taken)
            groups = lanes[first].group_id, lanes[second].group_id
            if groups not in self.joint_groups:
                self.joint_groups[groups] = _free(f"group {groups[0]}|{groups[1]}", self.taken_groups)
            group, self.joints[first, second] = self.joint_groups[groups], id_
            piece = _piece(lanes[second], True, id_, group, is_connector=True)
            self.lanes[id_] = replace(piece, predecessors=(first,), successors=(second,))
            self.copies[id_], self.inserted = [id_], self.inserted + 1
            ends = (groups[0],), (groups[1],)
            known = self.groups.get(group, LaneGroup(group, (), piece.polygon, True, *ends))
            self.groups[group] = replace(
                known, lane_ids=(*known.lane_ids, id_), polygon=_hull(known.polygon, piece.polygon)
            )

    def _shorten(self) -> None:
        """Take the inserted pieces away from the centrelines that they lie on."""
        for id_, own in self.source_of.items():
            lane = self.lanes[id_]
            line, cut = lane.centerline, _length(self.map.lane_by_id[own])
            if own in self.cut_heads:
                line = _without_head(line, cut)
            if own in self.cut_tails:
                line = _without_head(line[::-1], cut)[::-1]
            self.lanes[id_] = replace(lane, centerline=np.ascontiguousarray(line))

    def _linked(self) -> RoadMap:
        """Return the map with lanes and groups linked to the connectors in between, in the map's own order."""
        after, before = dict[str, list[str]](), dict[str, list[str]]()
        order = [copy for first, second in self.links for copy in self._of_link(first, second)]
        for id_ in dict.fromkeys([*order, *(copy for copies in self.copies.values() for copy in copies)]):
            lane = self.lanes[id_]
            after.setdefault(lane.predecessors[0], []).append(id_)
            before.setdefault(lane.successors[0], []).append(id_)
        lanes = [
            lane
            if lane.is_connector
            else replace(lane, predecessors=tuple(before.get(lane.id, ())), successors=tuple(after.get(lane.id, ())))
            for lane in self.lanes.values()
        ]
        return replace(self.map, lanes=tuple(lanes), lane_groups=self._linked_groups(after, before))

    def _of_link(self, first: str, second: str) -> Iterable[str]:
        """Return the connectors that a link of the map became, or led to or from."""
        if not self._kind(first) and not self._kind(second):
            return [self.joints[first, second]]
        ends = [second] if not self._kind(first) else [first]
        return [copy for end in ends for copy in self.copies[end]]

    def _linked_groups(self, after: dict[str, list[str]], before: dict[str, list[str]]) -> tuple[LaneGroup, ...]:
        linked = []
        for group in self.groups.values():
            sides = [
                tuple(
                    dict.fromkeys(self.lanes[other].group_id for id_ in group.lane_ids for other in links.get(id_, ()))
                )
                for links in (before, after)
            ]
            linked.append(group if group.is_connector else replace(group, predecessors=sides[0], successors=sides[1]))
        return tuple(linked)


def _free(id_: str, taken: set[str]) -> str:
    """Return the id, or where the map has it already the id with apostrophes; it is taken from now on."""
    while id_ in taken:
        id_ += "'"
    taken.add(id_)
    return id_


def _links(lanes: Sequence[Lane]) -> list[tuple[str, str]]:
    """Return all pairs of lanes that follow each other, each once, in the order of the lanes' successors."""
    known = {lane.id for lane in lanes}
    ahead = [(lane.id, other) for lane in lanes for other in lane.successors if other in known]
    behind = [(other, lane.id) for lane in lanes for other in lane.predecessors if other in known]
    return list(dict.fromkeys([*ahead, *behind]))


def _length(lane: Lane) -> float:
    """Return the length of a piece of a lane."""
    return min(_PIECE, _SHARE * float(arc_lengths(lane.centerline[:, :2])[-1]))


def _piece(lane: Lane, head: bool, id_: str, group: str, is_connector: bool) -> Lane:
    """Return the first or last centimetres of a lane as a lane, as wide as the lane is on average."""
    line, length = lane.centerline if head else lane.centerline[::-1], _length(lane)
    middle = np.stack([line[0], _without_head(line, length)[0]])
    middle = middle if head else middle[::-1]
    direction = (middle[1] - middle[0])[:2] / max(float(np.linalg.norm((middle[1] - middle[0])[:2])), 1e-9)
    area, whole = shapely.Polygon(lane.polygon[:, :2]).area, float(arc_lengths(lane.centerline[:, :2])[-1])
    aside = np.array([-direction[1], direction[0], 0.0]) * area / max(whole, 1e-9) / 2
    left, right = middle + aside, middle - aside
    return Lane(
        id=id_,
        centerline=middle,
        polygon=np.concatenate([left, right[::-1]]),
        left_boundary=left,
        right_boundary=right,
        kind=lane.kind,
        is_connector=is_connector,
        group_id=group,
        speed_limit=lane.speed_limit,
    )


def _without_head(line: Float[np.ndarray, "n 3"], length: float) -> Float[np.ndarray, "m 3"]:
    """Return a line without its first metres."""
    along = arc_lengths(line[:, :2])
    rest = line[along > length]
    start = np.array([np.interp(length, along, line[:, axis]) for axis in range(3)])
    return np.concatenate([start[None], rest])


def _hull(first: Float[np.ndarray, "n 3"], second: Float[np.ndarray, "m 3"]) -> Float[np.ndarray, "k 3"]:
    """Return the convex outline of two outlines, at the height of the first."""
    points = np.concatenate([first, second])
    outline = shapely.get_coordinates(shapely.convex_hull(shapely.MultiPoint(points[:, :2])))[:-1]
    return np.column_stack([outline, np.full(len(outline), first[0, 2])])


def _route(road_map: RoadMap, groups_of: dict[str, list[str]], route: Sequence[str]) -> tuple[str, ...]:
    """Return the route in the changed map: of groups that stand for one, those that lead on; with what lies between.

    Where groups of the route do not follow each other, it has the gap that it had.
    """
    groups = road_map.group_by_id
    paths: dict[str, tuple[str, ...]] = {id_: (id_,) for id_ in groups_of.get(route[0], [])} if route else {}
    for _, wanted in pairwise(route):
        reached: dict[str, tuple[str, ...]] = {}
        for end, path in paths.items():
            for middle in groups[end].successors:
                for id_ in groups_of[wanted]:
                    if id_ == middle:
                        reached.setdefault(id_, (*path, id_))
                    elif id_ in groups[middle].successors:
                        reached.setdefault(id_, (*path, middle, id_))
        gap = next(iter(paths.values()), ())
        paths = reached or {id_: (*gap, id_) for id_ in groups_of[wanted]}
    return next(iter(paths.values()), ())
