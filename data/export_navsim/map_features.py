"""Road maps as the layers of a nuPlan map."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

import numpy as np
import shapely
from jaxtyping import Float

from swerve.data.export_navsim.map_schema import SCHEMA
from swerve.data.export_navsim.write_geopackage import Feature
from swerve.data.sources.nuplan.map_objects import BoundaryType, StopLineType
from swerve.scenes import Area, Lane, LaneGroup, LaneMarking, LaneType, RoadMap, SwerveError

CREATOR: Final = "swerve"
_LANE_TYPES: Final = {LaneType.VEHICLE: 0, LaneType.BICYCLE: 1, LaneType.BUS: 0}
# Half the depth of the polygon of a stop line, metres.
_STOP_DEPTH: Final = 0.25
_CORNERS: Final = 3
Line = Float[np.ndarray, "n d"]


@dataclass(frozen=True)
class FeatureIds:
    """Integer ids that the features of one road map got, by the road map's own ids.

    Attributes:
        lanes: of lanes and connectors.
        groups: of lane groups and their connectors.
        areas: of all else; (layer, id) of the road map.
    """

    lanes: dict[str, int] = field(default_factory=dict)
    groups: dict[str, int] = field(default_factory=dict)
    areas: dict[tuple[str, str], int] = field(default_factory=dict)

    def rows(self) -> list[tuple[str, str, int]]:
        """Return layer, the road map's id, and feature id of everything."""
        lanes = [("lane", id_, fid) for id_, fid in self.lanes.items()]
        groups = [("lane_group", id_, fid) for id_, fid in self.groups.items()]
        return [*lanes, *groups, *((layer, id_, fid) for (layer, id_), fid in self.areas.items())]


class MapFeatures:
    """Features of one map file, to which road maps are added side by side.

    Ids count up over all layers, so that no id stands for two things, and rows keep the road map's order: lanes before
    connectors, as nuPlan's queries return them.
    """

    def __init__(self) -> None:
        self.layers: dict[str, list[Feature]] = {name: [] for name in SCHEMA}
        self._last = 0

    def add(
        self, road_map: RoadMap, offset: Float[np.ndarray, "2"], signals: Collection[str] = (), name: str = ""
    ) -> FeatureIds:
        """Add a road map whose lanes and connectors alternate, see `alternating_map`.

        Args:
            road_map: the map.
            offset: added to its coordinates to get projected ones, metres.
            signals: ids of the connectors that traffic lights control.
            name: of the log, for messages.

        Raises:
            SwerveError: a lane or an area is not a polygon, or a lane cannot be one of nuPlan's.
        """
        return _Addition(self, road_map, offset, signals, name).run()

    def next_id(self) -> int:
        """Return an id that no feature has."""
        self._last += 1
        return self._last

    def put(self, layer: str, fid: int, geometry: shapely.Geometry, **values: object) -> None:
        """Add a feature."""
        self.layers[layer].append(Feature(fid, geometry, values))


class _Addition:
    """One road map on its way into the features."""

    def __init__(
        self,
        features: MapFeatures,
        road_map: RoadMap,
        offset: Float[np.ndarray, "2"],
        signals: Collection[str],
        name: str,
    ) -> None:
        self.features, self.map, self.offset, self.name = features, road_map, offset, name
        self.signals, self.ids = set(signals), FeatureIds()
        self.boundaries: dict[bytes, int] = {}
        self.crossings = [(area, self._polygon(area, "intersection")) for area in road_map.intersections]

    def run(self) -> FeatureIds:
        (lanes, connectors), blocks = ordered_lanes(self.map), ordered_groups(self.map)
        for lane in (*lanes, *connectors):
            self.ids.lanes[lane.id] = self.features.next_id()
        for group in blocks:
            self.ids.groups[group.id] = self.features.next_id()
        self._areas()
        self._stop_lines()
        for lane in lanes:
            self._lane(lane)
        for connector in connectors:
            self._connector(connector)
        for group in blocks:
            self._group(group)
        return self.ids

    def _polygon(self, surface: Lane | LaneGroup | Area, what: str) -> shapely.Polygon:
        rings = [ring[:, :2] + self.offset for ring in (surface.polygon, *surface.holes)]
        if min(map(len, rings)) < _CORNERS:
            raise SwerveError(f"log {self.name}: {what} {surface.id} has a ring of less than {_CORNERS} points")
        return shapely.Polygon(rings[0], rings[1:])

    def _line(self, points: Line) -> shapely.LineString:
        return shapely.LineString(points[:, :2] + self.offset)

    def _areas(self) -> None:
        """Add areas. Drivable areas become car parks, behind the real ones: so NAVSIM's scores count them."""
        for layer, kind, areas in (
            ("intersections", "intersection", self.map.intersections),
            ("crosswalks", "crosswalk", self.map.crosswalks),
            ("walkways", "walkway", self.map.walkways),
            ("carpark_areas", "parking_area", self.map.parking_areas),
            ("carpark_areas", "drivable_area", self.map.drivable_areas),
            ("generic_drivable_areas", "generic_drivable_area", self.map.generic_drivable_areas),
        ):
            for area in areas:
                fid = self.ids.areas[kind, area.id] = self.features.next_id()
                self.features.put(layer, fid, self._polygon(area, kind), creator_id=CREATOR)

    def _stop_lines(self) -> None:
        for stop in self.map.stop_lines:
            own = [self.map.lane_by_id[lane] for lane in stop.lane_ids if lane in self.map.lane_by_id]
            lit = self.signals.intersection(
                id_ for lane in own for id_ in ((lane.id,) if lane.is_connector else lane.successors)
            )
            kind = StopLineType.TRAFFIC_LIGHT if lit else StopLineType.STOP_SIGN
            fid = self.ids.areas["stop_line", stop.id] = self.features.next_id()
            self.features.put(
                "stop_polygons",
                fid,
                self._line(stop.points).buffer(_STOP_DEPTH, cap_style="flat"),
                stop_polygon_type_fid=int(kind),
                lane_fids=_listed(self.ids.lanes[lane.id] for lane in own if not lane.is_connector),
                lane_connector_fids=_listed(self.ids.lanes[lane.id] for lane in own if lane.is_connector),
                creator_id=CREATOR,
            )

    def _sides(self, lane: Lane) -> dict[str, int]:
        return {
            "left_boundary_fid": self._boundary(lane.left_boundary, lane.left_marking, lane),
            "right_boundary_fid": self._boundary(lane.right_boundary, lane.right_marking, lane),
        }

    def _boundary(self, points: Line, marking: LaneMarking, lane: Lane) -> int:
        """Return the id of a boundary, added if it is new; where there is none, a virtual one on the centreline."""
        known = len(points) > 1
        kind = _boundary_type(marking) if known else BoundaryType.VIRTUAL
        line = self._line(points if known else lane.centerline)
        key = bytes([kind]) + line.wkb
        if key not in self.boundaries:
            self.boundaries[key] = self.features.next_id()
            self.features.put("boundaries", self.boundaries[key], line, boundary_type_fid=int(kind), creator_id=CREATOR)
        return self.boundaries[key]

    def _baseline(self, lane: Lane, column: str) -> int:
        if len(lane.centerline) < 2:
            raise SwerveError(f"log {self.name}: the centreline of lane {lane.id} is not a line")
        fid = self.features.next_id()
        own = {column: self.ids.lanes[lane.id]}
        self.features.put("baseline_paths", fid, self._line(lane.centerline), creator_id=CREATOR, **own)
        return fid

    def _lane(self, lane: Lane) -> None:
        fid = self.ids.lanes[lane.id]
        self._baseline(lane, "lane_fid")
        self.features.put(
            "lanes_polygons",
            fid,
            self._polygon(lane, "lane"),
            lane_fid=fid,
            lane_group_fid=self._group_of(lane),
            lane_index=lane_indices(self.map.group_by_id[lane.group_id], self.map)[lane.id],
            lane_type_fid=_LANE_TYPES[lane.kind],
            speed_limit_mps=lane.speed_limit,
            creator_id=CREATOR,
            **self._sides(lane),
        )

    def _group_of(self, lane: Lane) -> int:
        group = self.map.group_by_id.get(lane.group_id)
        if group is None or lane.id not in group.lane_ids or group.is_connector != lane.is_connector:
            raise SwerveError(f"log {self.name}: lane {lane.id} is in no lane group of its kind")
        return self.ids.groups[lane.group_id]

    def _connector(self, lane: Lane) -> None:
        fid, group = self.ids.lanes[lane.id], self._group_of(lane)
        before, after = self._ends(lane)
        common = {"creator_id": CREATOR, "speed_limit_mps": lane.speed_limit}
        self.features.put(
            "lane_connectors",
            fid,
            self._line(lane.centerline),
            exit_lane_fid=self.ids.lanes[before.id],
            entry_lane_fid=self.ids.lanes[after.id],
            exit_lane_group_fid=self.ids.groups[before.group_id],
            entry_lane_group_fid=self.ids.groups[after.group_id],
            lane_group_connector_fid=group,
            intersection_fid=self._crossing(lane.centerline),
            traffic_light_stop_line_fids=self._stops(lane, before) if lane.id in self.signals else "",
            **common,
        )
        self.features.put(
            "gen_lane_connectors_scaled_width_polygons",
            self.features.next_id(),
            self._polygon(lane, "connector"),
            lane_connector_fid=fid,
            baseline_path_fid=self._baseline(lane, "lane_connector_fid"),
            **self._sides(lane),
        )

    def _ends(self, lane: Lane) -> tuple[Lane, Lane]:
        """Return the lanes before and after a connector.

        Raises:
            SwerveError: there is not one of each.
        """
        found = [[self.map.lane_by_id[id_] for id_ in ids] for ids in (lane.predecessors, lane.successors)]
        if any(len(lanes) != 1 or lanes[0].is_connector for lanes in found):
            raise SwerveError(f"log {self.name}: connector {lane.id} does not lead from one lane to one other")
        return found[0][0], found[1][0]

    def _crossing(self, line: Line) -> int | None:
        """Return the intersection that the middle of a line is in, if any."""
        middle = shapely.Point(line[len(line) // 2, :2] + self.offset)
        inside = (area for area, polygon in self.crossings if polygon.intersects(middle))
        area = next(inside, None)
        return None if area is None else self.ids.areas["intersection", area.id]

    def _stops(self, lane: Lane, before: Lane) -> str:
        stops = [stop.id for stop in self.map.stop_lines if {lane.id, before.id}.intersection(stop.lane_ids)]
        return _listed(self.ids.areas["stop_line", stop] for stop in stops)

    def _group(self, group: LaneGroup) -> None:
        fid, polygon = self.ids.groups[group.id], self._polygon(group, "lane group")
        if not group.is_connector:
            self.features.put("lane_groups_polygons", fid, polygon, creator_id=CREATOR)
            return
        if len(group.predecessors) != 1 or len(group.successors) != 1:
            raise SwerveError(f"log {self.name}: connector group {group.id} does not lead from one group to one other")
        lines = [self.map.lane_by_id[lane].centerline for lane in group.lane_ids]
        self.features.put(
            "lane_group_connectors",
            fid,
            polygon,
            from_lane_group_fid=self.ids.groups[group.predecessors[0]],
            to_lane_group_fid=self.ids.groups[group.successors[0]],
            intersection_fid=self._crossing(lines[0]) if lines else None,
            creator_id=CREATOR,
        )


def _listed(ids: Iterable[int]) -> str:
    return ", ".join(map(str, ids))


def _boundary_type(marking: LaneMarking) -> BoundaryType:
    """Return nuPlan's type: solid where a stroke is solid or unknown, dashed where all are, else virtual."""
    if not marking.strokes:
        return BoundaryType.VIRTUAL
    return BoundaryType.DASHED if all(stroke == "dashed" for stroke in marking.strokes) else BoundaryType.SOLID


def lane_indices(group: LaneGroup, road_map: RoadMap) -> dict[str, int]:
    """Return the index of each lane of a group from the left; lanes that are not neighbours are two or more apart."""
    lanes, indices = road_map.lane_by_id, dict[str, int]()
    ids, index = set(group.lane_ids), 0
    starts = [id_ for id_ in group.lane_ids if lanes[id_].left_neighbor not in ids]
    for start in (*starts, *group.lane_ids):
        at: str | None = start
        while at in ids and at is not None and at not in indices:
            indices[at], index, at = index, index + 1, lanes[at].right_neighbor
        index += 1
    return indices


def ordered_lanes(road_map: RoadMap) -> tuple[list[Lane], list[Lane]]:
    """Return lanes, and connectors, such that the map's lists of them are in the order of the rows, where possible.

    Queries of nuPlan's maps return them in the order of rows.
    """
    lanes = road_map.lane_by_id
    kinds = [[id_ for id_, lane in lanes.items() if lane.is_connector is kind] for kind in (False, True)]
    lists: list[Sequence[str]] = [group.lane_ids for group in road_map.lane_groups]
    more = [ids for lane in road_map.lanes if not lane.is_connector for ids in (lane.successors, lane.predecessors)]
    ordered = merged_order(kinds[0], lists), merged_order(kinds[1], [*lists, *more])
    return [lanes[id_] for id_ in ordered[0]], [lanes[id_] for id_ in ordered[1]]


def ordered_groups(road_map: RoadMap) -> list[LaneGroup]:
    """Return the lane groups, then the connector groups, ordered like `ordered_lanes`."""
    groups = road_map.group_by_id
    blocks = [group for group in road_map.lane_groups if not group.is_connector]
    connectors = [group.id for group in road_map.lane_groups if group.is_connector]
    lists = [ids for group in blocks for ids in (group.successors, group.predecessors)]
    return [*blocks, *(groups[id_] for id_ in merged_order(connectors, lists))]


def merged_order(ids: Sequence[str], lists: Iterable[Sequence[str]]) -> list[str]:
    """Return ids in an order that agrees with all lists, as near to the given one as a greedy choice gets.

    Where lists contradict each other, the earliest id that is left comes next.
    """
    before: dict[str, set[str]] = {id_: set() for id_ in ids}
    for listed in lists:
        own = [id_ for id_ in listed if id_ in before]
        for first, second in pairwise(own):
            if first != second:
                before[second].add(first)
    left, order = dict.fromkeys(ids), list[str]()
    while left:
        free: Callable[[str], bool] = lambda id_: not before[id_] & left.keys()  # noqa: E731
        chosen = next((id_ for id_ in left if free(id_)), next(iter(left)))
        order.append(chosen)
        del left[chosen]
    return order
