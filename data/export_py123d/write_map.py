"""A RoadMap as 123D's map: a row per object. Ids are whole numbers there; others are numbered in their order."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import shapely
from jaxtyping import Float

from swerve.data.export_py123d.arrow_tables import write_table
from swerve.data.sources.py123d.py123d_map import LANE_TYPES, MARKINGS, MapLayer
from swerve.data.storage.msgpack import pack
from swerve.scenes import Area, Lane, LaneGroup, LaneMarking, RoadMap, StopLine

Line = Float[np.ndarray, "_ 3"]
# A stop line becomes a zone of this width in metres; `StopZoneType`: of a light, else of a sign.
_STOP_WIDTH: Final = 0.5
_AT_LIGHT, _AT_SIGN = 1, 2
_BOUNDARY: Final = 1  # `RoadEdgeType`
_COLUMNS: Final = {"object_id": pa.int64(), "map_layer": pa.int8(), "features": pa.binary(), "wkb": pa.binary()}
# Lanes of nuPlan's width, where a source gives neither boundaries nor an outline with an area.
_NARROWEST: Final = 2.0
Row = tuple[int, MapLayer, dict[str, Any], shapely.Geometry]


@dataclass(frozen=True)
class MapIds:
    """Whole numbers of lanes, lane groups and intersections."""

    lanes: Mapping[str, int]
    groups: Mapping[str, int]
    intersections: Mapping[str, int]

    @classmethod
    def of(cls, road_map: RoadMap) -> "MapIds":
        """Number the objects of a map."""
        lanes = numbered(lane.id for lane in road_map.lanes)
        groups = numbered(group.id for group in road_map.lane_groups)
        return cls(lanes, groups, numbered(area.id for area in road_map.intersections))


def numbered(ids: Iterable[str]) -> dict[str, int]:
    """Return whole numbers of 31 bits for ids: themselves if all are, else their order."""
    listed = list(ids)
    whole = all(one.isascii() and one.isdecimal() and int(one) < 2**31 and str(int(one)) == one for one in listed)
    return {one: int(one) if whole else row for row, one in enumerate(listed)}


def write_map(
    path: Path, road_map: RoadMap, origin: Float[np.ndarray, "3"], signalled: Iterable[str], about: Mapping[str, Any]
) -> None:
    """Write a map in the source's own coordinates.

    Lanes without boundaries get lines beside their centre, as far apart as the outline is wide. Connectors are lanes
    of groups of an intersection: the nearest, or else one of their own outline.

    Args:
        path: the file.
        road_map: the map.
        origin: of the log's world.
        signalled: lanes that have lights, by which the kind of a stop line is told.
        about: description of the map.

    Raises:
        OSError: the file cannot be written.
    """
    rows = list(_rows(road_map, MapIds.of(road_map), origin, frozenset(signalled)))
    batch = {
        "object_id": [number for number, _, _, _ in rows],
        "map_layer": [int(layer) for _, layer, _, _ in rows],
        "features": [pack(features) for _, _, features, _ in rows],
        "wkb": [shapely.to_wkb(shape) for _, _, _, shape in rows],
    }
    write_table(path, _COLUMNS, [batch], about)


def _rows(road_map: RoadMap, ids: MapIds, origin: Float[np.ndarray, "3"], signalled: frozenset[str]) -> Iterator[Row]:
    crossing, outlines = _intersections(road_map, ids)
    for lane in road_map.lanes:
        yield ids.lanes[lane.id], MapLayer.LANE, _lane(lane, ids, origin), _polygon(lane.polygon, origin)
    for group in road_map.lane_groups:
        features = _group(group, road_map, ids, crossing.get(group.id), origin)
        yield ids.groups[group.id], MapLayer.LANE_GROUP, features, _polygon(group.polygon, origin)
    for number, ring in outlines.items():
        members = [ids.groups[group] for group, own in crossing.items() if own == number]
        features = {"intersection_type": 0, "lane_group_ids": members, "outline": _ring(ring, origin)}
        yield number, MapLayer.INTERSECTION, features, _polygon(ring, origin)
    for layer, areas, more in _areas(road_map):
        for row, area in enumerate(areas):
            shape = _polygon(area.polygon, origin, area.holes)
            yield row, layer, {"outline": _ring(area.polygon, origin), **more}, shape
    for row, line in enumerate(road_map.stop_lines):
        yield row, MapLayer.STOP_ZONE, *_stop_zone(line, ids, origin, signalled)
    for row, edge in enumerate(road_map.road_edges):
        shape = shapely.LineString(edge.points + origin)
        yield row, MapLayer.ROAD_EDGE, {"road_edge_type": _BOUNDARY}, shape
    for row, paint in enumerate(road_map.road_lines):
        shape = shapely.LineString(paint.points + origin)
        yield row, MapLayer.ROAD_LINE, {"road_line_type": _marking(paint.paint)}, shape


def _areas(road_map: RoadMap) -> Iterator[tuple[MapLayer, Sequence[Area], dict[str, Any]]]:
    yield MapLayer.CROSSWALK, road_map.crosswalks, {}
    yield MapLayer.CARPARK, road_map.parking_areas, {}
    yield MapLayer.WALKWAY, road_map.walkways, {}
    yield MapLayer.GENERIC_DRIVABLE, (*road_map.drivable_areas, *road_map.generic_drivable_areas), {}
    yield MapLayer.SPEED_BUMP, road_map.speed_bumps, {"speed_bump_type": 0}


def _marking(marking: LaneMarking) -> int:
    return MARKINGS.index(marking)


def _lane(lane: Lane, ids: MapIds, origin: Float[np.ndarray, "3"]) -> dict[str, Any]:
    left, right = _boundaries(lane)
    beside = {"left": lane.left_neighbor, "right": lane.right_neighbor}
    return {
        "lane_type": LANE_TYPES.index(lane.kind) if lane.kind.value != "vehicle" else 2,
        "lane_group_id": ids.groups.get(lane.group_id),
        "left_boundary": left + origin,
        "right_boundary": right + origin,
        "centerline": lane.centerline + origin,
        **{f"{side}_lane_id": None if other is None else ids.lanes.get(other) for side, other in beside.items()},
        "predecessor_ids": [ids.lanes[other] for other in lane.predecessors if other in ids.lanes],
        "successor_ids": [ids.lanes[other] for other in lane.successors if other in ids.lanes],
        "speed_limit_mps": lane.speed_limit,
        "outline": _ring(lane.polygon, origin),
    }


def _boundaries(lane: Lane) -> tuple[Line, Line]:
    if len(lane.left_boundary) >= 2 and len(lane.right_boundary) >= 2:
        return lane.left_boundary, lane.right_boundary
    width = max(shapely.Polygon(lane.polygon[:, :2]).area / max(float(lane.lengths[-1]), 1.0), _NARROWEST)
    side = np.column_stack([-np.sin(lane.headings), np.cos(lane.headings), np.zeros(len(lane.headings))])
    return lane.centerline + width / 2 * side, lane.centerline - width / 2 * side


def _group(
    group: LaneGroup, road_map: RoadMap, ids: MapIds, intersection: int | None, origin: Float[np.ndarray, "3"]
) -> dict[str, Any]:
    lanes = [road_map.lane_by_id[lane] for lane in group.lane_ids if lane in road_map.lane_by_id]
    return {
        "lane_ids": [ids.lanes[lane.id] for lane in lanes],
        "left_boundary": (_boundaries(lanes[0])[0] if lanes else group.polygon) + origin,
        "right_boundary": (_boundaries(lanes[-1])[1] if lanes else group.polygon) + origin,
        "intersection_id": intersection,
        "predecessor_ids": [ids.groups[other] for other in group.predecessors if other in ids.groups],
        "successor_ids": [ids.groups[other] for other in group.successors if other in ids.groups],
        "outline": _ring(group.polygon, origin),
    }


def _intersections(road_map: RoadMap, ids: MapIds) -> tuple[dict[str, int], dict[int, Line]]:
    """Return the intersection of each group of connectors, and the outline of each intersection."""
    outlines = {ids.intersections[area.id]: area.polygon for area in road_map.intersections}
    shapes = {number: shapely.Polygon(ring[:, :2]) for number, ring in outlines.items()}
    found = {}
    for group in road_map.lane_groups:
        if group.is_connector:
            own = shapely.Polygon(group.polygon[:, :2])
            number = min(shapes, key=lambda one: shapely.distance(shapes[one], own), default=None)
            if number is None or shapely.distance(shapes[number], own) > 1.0:
                number = max(outlines, default=-1) + 1
                outlines[number] = group.polygon
            found[group.id] = number
    return found, outlines


def _stop_zone(
    line: StopLine, ids: MapIds, origin: Float[np.ndarray, "3"], signalled: frozenset[str]
) -> tuple[dict[str, Any], shapely.Geometry]:
    zone = shapely.buffer(shapely.LineString(line.points[:, :2]), _STOP_WIDTH / 2, cap_style="flat")
    corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(zone))[:4]
    ring = np.column_stack([corners, np.full(len(corners), line.points[:, 2].mean())])
    features = {
        "outline": _ring(ring, origin),
        "stop_zone_type": _AT_LIGHT if signalled & set(line.lane_ids) else _AT_SIGN,
        "lane_ids": [ids.lanes[lane] for lane in line.lane_ids if lane in ids.lanes],
    }
    return features, _polygon(ring, origin)


def _ring(polygon: Line, origin: Float[np.ndarray, "3"]) -> Line:
    """Return an outline, closed, in the source's coordinates."""
    return np.asarray(np.concatenate([polygon, polygon[:1]]) + origin)


def _polygon(polygon: Line, origin: Float[np.ndarray, "3"], holes: Sequence[Line] = ()) -> shapely.Polygon:
    return shapely.Polygon(polygon + origin, [hole + origin for hole in holes])
