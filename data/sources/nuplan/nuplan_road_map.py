"""A nuPlan map, or a part of one, as a RoadMap. Everything is given, and only the road's edges are derived.

- Lanes, connectors, roadblocks and areas keep their ids and the order of their rows.
- Painted lines are the boundaries of type dashed and solid; nuPlan says nothing about colours, so they are white.
- A stop line lies along the middle of a stop polygon's longer side, for those of stop signs, traffic lights and yields.
  The others mark crosswalks and places to wait in an intersection, with no line of their own.
- NAVSIM's drivable surface are lanes, connectors, intersections and car parks. Road segments and generic drivable areas
  are `generic_drivable_areas`.
- References to lanes and roadblocks outside the part are dropped.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import chain

import numpy as np
import shapely
from jaxtyping import Float

from swerve.data.sources.derived_surfaces import edges_of, middle_line, union_shapes
from swerve.data.sources.nuplan.map_objects import (
    BoundaryType,
    MapArea,
    MapLane,
    MapLayer,
    MapLine,
    MapRoadblock,
    StopLineType,
)
from swerve.data.sources.nuplan.nuplan_map import NuplanMap
from swerve.scenes import Area, GroundHeight, Lane, LaneGroup, LaneMarking, LaneType, RoadLine, RoadMap, StopLine
from swerve.scenes.polyline import remove_duplicate_points

Line = Float[np.ndarray, "_ 3"]

_PAINTS = {BoundaryType.DASHED: LaneMarking.DASHED_WHITE, BoundaryType.SOLID: LaneMarking.SOLID_WHITE}
_BICYCLE_LANE = 1
_PAINTED_STOPS = (StopLineType.STOP_SIGN, StopLineType.TRAFFIC_LIGHT, StopLineType.YIELD)
_GENERIC = ("road_segments", "generic_drivable_areas")


@dataclass(frozen=True)
class _Frame:
    """Coordinates of the result: the map's minus `origin`, at the height of `ground`."""

    origin: Float[np.ndarray, "2"]
    ground: GroundHeight

    def points(self, points: Float[np.ndarray, "n 2"]) -> Line:
        moved = points - self.origin
        return np.concatenate([moved, self.ground.at(moved)[:, None]], axis=1)

    def rings(self, geometry: shapely.Geometry) -> tuple[Line, tuple[Line, ...]]:
        """Return the outline, and all other rings; those of further parts count as holes (by the even-odd rule)."""
        rings = [ring for part in shapely.get_parts(geometry) for ring in (part.exterior, *part.interiors)]
        lines = [self.points(shapely.get_coordinates(ring)[:-1]) for ring in rings]
        return lines[0], tuple(lines[1:])


def road_map_of(
    nuplan: NuplanMap,
    center: Float[np.ndarray, "2"] | None = None,
    radius: float | None = None,
    *,
    roadblocks: Collection[str] = (),
    origin: Float[np.ndarray, "2"] | None = None,
    ground: GroundHeight | None = None,
) -> RoadMap:
    """Convert a map, or what meets a square of it; roadblocks that do bring all their lanes.

    Args:
        nuplan: the map.
        center: middle of the square in the map's coordinates; None for the whole map.
        radius: half the square's side, metres.
        roadblocks: ids of further roadblocks and roadblock connectors, such as a route's; unknown ones are ignored.
        origin: subtracted from the map's coordinates; zero if None.
        ground: heights in the resulting coordinates; None for a flat ground at height zero.

    Raises:
        LogError: the map is damaged.
    """
    where = (center, radius) if center is not None and radius is not None else None
    flat = GroundHeight(np.zeros((2, 2), np.float32), np.zeros(2), 1.0)
    frame = _Frame(np.zeros(2) if origin is None else origin, ground or flat)
    blocks = _roadblocks(nuplan, where, roadblocks)
    return _with_edges(_converted(nuplan, blocks, where, frame))


_Square = tuple[Float[np.ndarray, "2"], float] | None


def _converted(nuplan: NuplanMap, blocks: Sequence[MapRoadblock], where: _Square, frame: _Frame) -> RoadMap:
    """Return everything but the road's edges."""
    lanes = _interior(nuplan, blocks)
    return RoadMap(
        lanes=_lanes(nuplan, lanes, frame),
        ground=frame.ground,
        lane_groups=_groups(blocks, frame),
        generic_drivable_areas=tuple(area for name in _GENERIC for area in _areas(nuplan, name, where, frame)),
        intersections=_areas(nuplan, MapLayer.INTERSECTION, where, frame),
        crosswalks=_areas(nuplan, MapLayer.CROSSWALK, where, frame),
        walkways=_areas(nuplan, MapLayer.WALKWAYS, where, frame),
        parking_areas=_areas(nuplan, MapLayer.CARPARK_AREA, where, frame),
        road_lines=_painted_lines(lanes, frame),
        stop_lines=_stop_lines(nuplan, where, {lane.id for lane in lanes}, frame),
        has_height=False,
    )


def _with_edges(road_map: RoadMap) -> RoadMap:
    """Return the map with the outline of everything that may be driven on."""
    areas = (road_map.generic_drivable_areas, road_map.intersections, road_map.parking_areas)
    paved: tuple[Area | Lane, ...] = (*road_map.lanes, *chain.from_iterable(areas))
    shapes = [shapely.Polygon(area.polygon[:, :2], [hole[:, :2] for hole in area.holes]) for area in paved]
    return replace(road_map, road_edges=edges_of(union_shapes(shapes, road_map.ground, "drivable")))


def _ids(nuplan: NuplanMap, layer: MapLayer, where: _Square) -> tuple[str, ...]:
    return nuplan.ids(layer) if where is None else nuplan.proximal_ids(*where, layer)


def _roadblocks(nuplan: NuplanMap, where: _Square, more: Collection[str]) -> list[MapRoadblock]:
    """Return the roadblocks, then the roadblock connectors, each in row order."""
    chosen: list[MapRoadblock] = []
    for layer in (MapLayer.ROADBLOCK, MapLayer.ROADBLOCK_CONNECTOR):
        wanted = {*_ids(nuplan, layer, where), *more}
        chosen += [nuplan.roadblock(id_) for id_ in nuplan.ids(layer) if id_ in wanted]
    return chosen


def _interior(nuplan: NuplanMap, blocks: Iterable[MapRoadblock]) -> list[MapLane]:
    """Return the lanes of roadblocks, then the connectors, each in row order."""
    wanted = {id_ for block in blocks for id_ in block.interior}
    ids = chain(nuplan.ids(MapLayer.LANE), nuplan.ids(MapLayer.LANE_CONNECTOR))
    return [nuplan.lane(id_) for id_ in ids if id_ in wanted]


def _lanes(nuplan: NuplanMap, lanes: Sequence[MapLane], frame: _Frame) -> tuple[Lane, ...]:
    known, table = {lane.id for lane in lanes}, nuplan.table(MapLayer.LANE)
    kinds = table.columns.get("lane_type_fid", [None] * len(table))
    bicycles = {str(table.fids[row]) for row, kind in enumerate(kinds) if kind == _BICYCLE_LANE}
    return tuple(_lane(lane, known, lane.id in bicycles, frame) for lane in lanes)


def _lane(lane: MapLane, known: Collection[str], bicycle: bool, frame: _Frame) -> Lane:
    polygon, holes = frame.rings(lane.polygon)
    left, right = (other if other in known else None for other in lane.adjacent)
    baseline = lane.baseline_path.points
    return Lane(
        id=lane.id,
        centerline=frame.points(baseline),
        polygon=polygon,
        left_boundary=frame.points(_along(lane.left_boundary, baseline)),
        right_boundary=frame.points(_along(lane.right_boundary, baseline)),
        left_marking=_paint(lane.left_boundary_type),
        right_marking=_paint(lane.right_boundary_type),
        kind=LaneType.BICYCLE if bicycle else LaneType.VEHICLE,
        is_connector=lane.is_connector,
        group_id=lane.roadblock_id,
        predecessors=tuple(other for other in lane.incoming if other in known),
        successors=tuple(other for other in lane.outgoing if other in known),
        left_neighbor=left,
        right_neighbor=right,
        speed_limit=lane.speed_limit_mps,
        holes=holes,
    )


def _groups(blocks: Sequence[MapRoadblock], frame: _Frame) -> tuple[LaneGroup, ...]:
    known = {block.id for block in blocks}
    return tuple(
        LaneGroup(
            block.id,
            block.interior,
            (rings := frame.rings(block.polygon))[0],
            block.is_connector,
            tuple(other for other in block.incoming if other in known),
            tuple(other for other in block.outgoing if other in known),
            rings[1],
        )
        for block in blocks
    )


def _along(boundary: MapLine, baseline: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "m 2"]:
    """Return a boundary's points in the direction of the baseline."""
    points = boundary.points
    ends, reach = points[[0, -1]], baseline[[0, -1]]
    along = np.linalg.norm(ends - reach, axis=1).sum()
    against = np.linalg.norm(ends[::-1] - reach, axis=1).sum()
    return points[::-1] if against < along else points


def _paint(kind: int) -> LaneMarking:
    known = kind in BoundaryType.__members__.values()
    return _PAINTS.get(BoundaryType(kind), LaneMarking.NONE) if known else LaneMarking.NONE


def _painted_lines(lanes: Iterable[MapLane], frame: _Frame) -> tuple[RoadLine, ...]:
    """Return the painted boundaries of lanes, each once."""
    found: dict[str, tuple[MapLine, LaneMarking]] = {}
    for lane in lanes:
        for line, kind in (
            (lane.left_boundary, lane.left_boundary_type),
            (lane.right_boundary, lane.right_boundary_type),
        ):
            found.setdefault(line.id, (line, _paint(kind)))
    painted = [(line, paint) for line, paint in found.values() if paint is not LaneMarking.NONE]
    return tuple(
        RoadLine(line.id, frame.points(remove_duplicate_points(line.points)), paint) for line, paint in painted
    )


def _areas(nuplan: NuplanMap, layer: MapLayer | str, where: _Square, frame: _Frame) -> tuple[Area, ...]:
    table = nuplan.table(layer)
    rows = np.arange(len(table)) if where is None else table.rows_meeting(*where)
    return tuple(Area(str(table.fids[row]), *frame.rings(table.geometry[row])) for row in rows)


def _stop_lines(nuplan: NuplanMap, where: _Square, known: Collection[str], frame: _Frame) -> tuple[StopLine, ...]:
    table = nuplan.table(MapLayer.STOP_LINE)
    empty = [None] * len(table)
    columns = [table.columns.get(name, empty) for name in ("lane_fids", "lane_connector_fids")]
    lines = []
    for id_ in _ids(nuplan, MapLayer.STOP_LINE, where):
        area, row = nuplan.map_object(id_, MapLayer.STOP_LINE), table.row_of[int(id_)]
        assert isinstance(area, MapArea)
        if area.stop_line_type in _PAINTED_STOPS:
            listed = ",".join(str(column[row] or "") for column in columns).replace(" ", "").split(",")
            lanes = tuple(lane for lane in listed if lane in known)
            lines.append(StopLine(id_, frame.points(middle_line(area.polygon)), lanes))
    return tuple(lines)
