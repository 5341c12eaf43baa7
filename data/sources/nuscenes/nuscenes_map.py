"""Part of a location's map as a RoadMap.

- Centrelines of lanes and connectors are their arcline paths with a point each metre; those without are left out.
  Connectors have no polygon: they are as wide as the lanes that they join (3.5 m where there is none).
- Neighbours are derived: lanes of one road block that lie beside each other.
- Intersections are the road segments with `is_intersection`. Areas and lines are cut at the border of the part.
- Lane dividers are painted as they say: `DOUBLE_DASHED_WHITE` as one dashed line, zigzag lines as solid ones. Road
  dividers, between opposite directions, have no type: drawn as one solid line, in Boston yellow (as the rules there
  have it), else white.
- Stop lines lie across the middle of their polygons, for the kinds that are painted: stop sign, traffic light, yield.
- Heights are not known: the ground is flat at height zero, like the ego poses.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import shapely
from jaxtyping import Float

from swerve.data.sources.derived_surfaces import middle_line, union_shapes
from swerve.data.sources.nuscenes.lane_outline import HALF_WIDTH, offset_sides, split_outline, width_at
from swerve.data.sources.nuscenes.map_file import MapFile, Row
from swerve.scenes import Area, GroundHeight, Lane, LaneMarking, LaneType, RoadEdge, RoadLine, RoadMap, StopLine
from swerve.scenes.lane_graph import derive_lane_groups
from swerve.scenes.polyline import remove_duplicate_points, to_frenet
from swerve.scenes.transforms import wrap_angle

Flat = Float[np.ndarray, "_ 2"]

PAINTS: Final = {
    "NIL": LaneMarking.NONE,
    "DOUBLE_DASHED_WHITE": LaneMarking.DASHED_WHITE,
    "SINGLE_SOLID_WHITE": LaneMarking.SOLID_WHITE,
    "DOUBLE_SOLID_WHITE": LaneMarking.DOUBLE_SOLID_WHITE,
    "SINGLE_SOLID_YELLOW": LaneMarking.SOLID_YELLOW,
    "SINGLE_ZIGZAG_WHITE": LaneMarking.SOLID_WHITE,
}
_PAINTED_STOPS: Final = ("STOP_SIGN", "TRAFFIC_LIGHT", "YIELD")
_YELLOW: Final = ("boston",)
# Lanes are beside each other where their centrelines are this far apart, metres, and directions differ by less.
_BESIDE: Final = (1.5, 6.0)
_PARALLEL: Final = np.deg2rad(30.0)


@dataclass(frozen=True)
class _Part:
    """Part of the map: a square, and the origin of the result."""

    file: MapFile
    square: shapely.Polygon
    origin: Float[np.ndarray, "2"]

    def points(self, points: Flat) -> Float[np.ndarray, "_ 3"]:
        moved = points - self.origin
        return np.concatenate([moved, np.zeros((len(moved), 1))], axis=1)

    def pieces(self, layer: str) -> list[tuple[str, shapely.Polygon]]:
        """Return token and polygons of a layer, cut at the square."""
        near = [(token, shape) for token, shape in self.file.shapes(layer) if shape.intersects(self.square)]
        return [
            (token, piece)
            for token, shape in near
            for piece in shapely.get_parts(shapely.make_valid(shape).intersection(self.square))
            if isinstance(piece, shapely.Polygon) and piece.area > 0
        ]

    def road_lines(self, name: str, points: Flat, paint: LaneMarking) -> Iterator[RoadLine]:
        """Yield a line cut at the square, so that its length is bounded; further pieces of one have numbers."""
        line = shapely.LineString(points)
        inside = line if line.within(self.square) else line.intersection(self.square)
        pieces = [piece for piece in shapely.get_parts(inside) if isinstance(piece, shapely.LineString)]
        for number, piece in enumerate(pieces):
            cut = remove_duplicate_points(shapely.get_coordinates(piece))
            if len(cut) > 1:
                yield RoadLine(name if not number else f"{name}_{number + 1}", self.points(cut), paint)

    def areas(self, pieces: Iterable[tuple[str, shapely.Polygon]]) -> tuple[Area, ...]:
        """Return areas, named after the tokens; further pieces of one have numbers."""
        counts: dict[str, int] = {}
        areas = []
        for token, piece in pieces:
            counts[token] = counts.get(token, 0) + 1
            name = token if counts[token] == 1 else f"{token}_{counts[token]}"
            outline, *holes = (self.points(shapely.get_coordinates(ring)[:-1]) for ring in _rings(piece))
            areas.append(Area(name, outline, tuple(holes)))
        return tuple(areas)


def road_map_of(
    file: MapFile, location: str, center: Float[np.ndarray, "2"], radius: float, origin: Float[np.ndarray, "2"]
) -> RoadMap | None:
    """Convert what meets a square of a map; None if no lane and no drivable area does.

    Args:
        file: the map.
        location: its name.
        center: middle of the square in the map's coordinates.
        radius: half the square's side, metres.
        origin: subtracted from the map's coordinates.
    """
    part = _Part(file, shapely.box(*(center - radius), *(center + radius)), origin)
    ground = GroundHeight(np.zeros((2, 2), np.float32), np.zeros(2), 1.0)
    lanes = _lanes(part)
    moved = [shapely.transform(shape, lambda points: points - origin) for _, shape in part.pieces("drivable_area")]
    drivable = union_shapes(moved, ground, "drivable") if moved else ()
    if not lanes and not drivable:
        return None
    crossings = {row["token"] for row in file.layers["road_segment"] if row["is_intersection"]}
    return derive_lane_groups(
        RoadMap(
            lanes=lanes,
            ground=ground,
            drivable_areas=drivable,
            intersections=part.areas(piece for piece in part.pieces("road_segment") if piece[0] in crossings),
            crosswalks=part.areas(part.pieces("ped_crossing")),
            walkways=part.areas(part.pieces("walkway")),
            parking_areas=part.areas(part.pieces("carpark_area")),
            road_lines=_road_lines(part, location),
            road_edges=_road_edges(drivable, part),
            stop_lines=_stop_lines(part, lanes),
            has_height=False,
        )
    )


def _rings(polygon: shapely.Polygon) -> list[shapely.LinearRing]:
    return [polygon.exterior, *polygon.interiors]


def _lanes(part: _Part) -> tuple[Lane, ...]:
    file = part.file
    lanes, connectors = ({row["token"]: row for row in file.layers[name]} for name in ("lane", "lane_connector"))
    near = {token: line for token, line in file.centerlines.items() if shapely.LineString(line).intersects(part.square)}
    sides = {token: _lane_sides(file, lanes[token], line) for token, line in near.items() if token in lanes}
    sides |= {token: _connector_sides(file, token, line, sides) for token, line in near.items() if token in connectors}
    polygons = {token: _outline(file, lanes.get(token), sides[token]) for token in near}
    converted = [_lane(part, token, near, sides[token], polygons[token], lanes.get(token)) for token in near]
    return _with_neighbors(converted, _blocks(part, near, lanes))


def _lane_sides(file: MapFile, row: Row, line: Flat) -> tuple[Flat, Flat]:
    polygon = file.polygons.get(row["polygon_token"])
    found = split_outline(polygon, line) if polygon is not None else None
    return found or offset_sides(line, HALF_WIDTH, HALF_WIDTH)


def _connector_sides(
    file: MapFile, token: str, line: Flat, sides: Mapping[str, tuple[Flat, Flat]]
) -> tuple[Flat, Flat]:
    """Return the sides of a strip as wide as the lanes at its ends."""
    before = [width_at(sides[other], -1) for other in file.incoming.get(token, ()) if other in sides]
    after = [width_at(sides[other], 0) for other in file.outgoing.get(token, ()) if other in sides]
    first = before or after or [2 * HALF_WIDTH]
    return offset_sides(line, first[0] / 2, (after or first)[0] / 2)


def _outline(file: MapFile, row: Row | None, sides: tuple[Flat, Flat]) -> Flat:
    polygon = file.polygons.get(row["polygon_token"]) if row else None
    if polygon is not None:
        ring: Flat = shapely.get_coordinates(polygon.exterior)[:-1]
        return ring
    return np.concatenate([sides[0], sides[1][::-1]])


def _lane(
    part: _Part, token: str, known: Mapping[str, Flat], sides: tuple[Flat, Flat], outline: Flat, row: Row | None
) -> Lane:
    """Return a lane, or a connector where it has no row."""
    file, given = part.file, row or {}
    return Lane(
        id=token,
        centerline=part.points(known[token]),
        polygon=part.points(outline),
        left_boundary=part.points(sides[0]),
        right_boundary=part.points(sides[1]),
        left_marking=_marking(given.get("left_lane_divider_segments", [])),
        right_marking=_marking(given.get("right_lane_divider_segments", [])),
        kind=LaneType.BICYCLE if "BIKE" in given.get("lane_type", "") else LaneType.VEHICLE,
        is_connector=row is None,
        predecessors=tuple(other for other in file.incoming.get(token, ()) if other in known),
        successors=tuple(other for other in file.outgoing.get(token, ()) if other in known),
    )


def _marking(segments: Sequence[Row]) -> LaneMarking:
    """Return the marking of most of the segments of a lane's side."""
    kinds = [PAINTS.get(segment["segment_type"], LaneMarking.UNKNOWN) for segment in segments]
    return max(kinds, key=kinds.count) if kinds else LaneMarking.NONE


def _blocks(part: _Part, known: Mapping[str, Flat], lanes: Mapping[str, Row]) -> dict[str, str]:
    """Return the road block of each lane: the one in which the middle of its centreline lies."""
    blocks = [(token, shape) for token, shape in part.file.shapes("road_block") if shape.intersects(part.square)]
    own = [token for token in known if token in lanes]
    middles = shapely.points(np.array([known[token][len(known[token]) // 2] for token in own]).reshape(-1, 2))
    tree = shapely.STRtree([shape for _, shape in blocks])
    lane, block = tree.query(middles, "intersects")
    return {own[one]: blocks[other][0] for one, other in zip(lane.tolist(), block.tolist(), strict=True)}


def _with_neighbors(lanes: Sequence[Lane], blocks: Mapping[str, str]) -> tuple[Lane, ...]:
    members: dict[str, list[Lane]] = {}
    for lane in lanes:
        if lane.id in blocks:
            members.setdefault(blocks[lane.id], []).append(lane)
    return tuple(_beside(lane, members.get(blocks.get(lane.id, ""), [])) for lane in lanes)


def _beside(lane: Lane, others: Iterable[Lane]) -> Lane:
    """Return a lane with its neighbours among others: the nearest on either side of its middle."""
    middle = len(lane.centerline) // 2
    heading, nearest = lane.headings[middle], dict[bool, tuple[float, str]]()
    for other in others:
        if other.id == lane.id or other.kind is not lane.kind:
            continue
        (along,), (lateral,) = to_frenet(other.centerline[:, :2], lane.centerline[middle : middle + 1, :2])
        at = min(int(np.searchsorted(other.lengths, along)), len(other.lengths) - 1)
        inside = 0.0 < along < other.lengths[-1] and _BESIDE[0] < abs(lateral) < _BESIDE[1]
        if inside and abs(float(wrap_angle(other.headings[at] - heading))) < _PARALLEL:
            is_left = bool(lateral < 0)  # the lane lies to the right of the other one
            nearest[is_left] = min(nearest.get(is_left, (np.inf, "")), (abs(float(lateral)), other.id))
    left, right = (nearest[side][1] if side in nearest else None for side in (True, False))
    return replace(lane, left_neighbor=left, right_neighbor=right)


def _road_lines(part: _Part, location: str) -> tuple[RoadLine, ...]:
    file, lines = part.file, list[RoadLine]()
    for row in file.layers["lane_divider"]:
        for index, (points, paint) in enumerate(_painted(file, row)):
            if paint is not LaneMarking.NONE:
                lines += part.road_lines(f"{row['token']}_{index}", points, paint)
    paint = LaneMarking.SOLID_YELLOW if location.startswith(_YELLOW) else LaneMarking.SOLID_WHITE
    for row in file.layers["road_divider"]:
        points = remove_duplicate_points(file.lines[row["line_token"]])
        if len(points) > 1:
            lines += part.road_lines(row["token"], points, paint)
    return tuple(lines)


def _painted(file: MapFile, row: Row) -> list[tuple[Flat, LaneMarking]]:
    """Return the pieces of a lane divider of one marking each; a segment leads from its node to the next one."""
    segments = [segment for segment in row.get("lane_divider_segments", []) if segment["node_token"] in file.nodes]
    if len(segments) < 2:
        points = remove_duplicate_points(file.lines[row["line_token"]])
        return [(points, LaneMarking.UNKNOWN)] if len(points) > 1 else []
    points = np.array([file.nodes[segment["node_token"]] for segment in segments])
    kinds = [PAINTS.get(segment["segment_type"], LaneMarking.UNKNOWN) for segment in segments[:-1]]
    starts = [index for index in range(len(kinds)) if index == 0 or kinds[index] is not kinds[index - 1]]
    ends = [*starts[1:], len(kinds)]
    pieces = [
        (remove_duplicate_points(points[start : end + 1]), kinds[start])
        for start, end in zip(starts, ends, strict=True)
    ]
    return [(piece, kind) for piece, kind in pieces if len(piece) > 1]


def _road_edges(drivable: Sequence[Area], part: _Part) -> tuple[RoadEdge, ...]:
    """Return the outlines of the drivable surface where they are not the border of the part."""
    inner = shapely.transform(part.square.buffer(-0.5), lambda points: points - part.origin)
    rings = [np.concatenate([ring, ring[:1]]) for area in drivable for ring in (area.polygon, *area.holes)]
    pieces = [
        piece
        for ring in rings
        for piece in shapely.get_parts(shapely.line_merge(shapely.LineString(ring[:, :2]).intersection(inner)))
        if isinstance(piece, shapely.LineString)
    ]
    lines = [shapely.get_coordinates(piece) for piece in pieces]
    return tuple(
        RoadEdge(f"edge{index}", np.concatenate([line, np.zeros((len(line), 1))], axis=1))
        for index, line in enumerate(lines)
    )


def _stop_lines(part: _Part, lanes: Sequence[Lane]) -> tuple[StopLine, ...]:
    painted = {row["token"] for row in part.file.layers["stop_line"] if row["stop_line_type"] in _PAINTED_STOPS}
    near = [
        (token, shape)
        for token, shape in part.file.shapes("stop_line")
        if token in painted and shape.intersects(part.square)
    ]
    centers = shapely.STRtree([shapely.LineString(lane.centerline[:, :2]) for lane in lanes])
    return tuple(
        StopLine(
            token,
            part.points(middle_line(shape)),
            tuple(
                lanes[index].id
                for index in sorted(
                    centers.query(shapely.transform(shape, lambda points: points - part.origin), "intersects").tolist()
                )
            ),
        )
        for token, shape in near
    )
