"""A nuPlan map of one location: objects by id, and queries at points.

Queries answer as the devkit's `NuPlanMap` does: order, graph and edge cases. Layers load when they are first used.
"""

from collections.abc import Callable, Hashable
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import shapely
from jaxtyping import Bool, Float

from swerve.data.sources.nuplan.geopackage import FeatureTable, joined, read_layer
from swerve.data.sources.nuplan.map_objects import (
    MapArea,
    MapLane,
    MapLayer,
    MapLine,
    MapObject,
    MapRoadblock,
    StopLineType,
)
from swerve.data.sources.nuplan.unstable_argsort import argsort_as_numpy_1
from swerve.scenes import LogError

# Layers whose objects have a class of their own.
OBJECT_LAYERS = tuple(MapLayer)[:9]
_CONNECTOR_POLYGONS = "gen_lane_connectors_scaled_width_polygons"
_DRIVABLE = ("road_segments", "intersections", "generic_drivable_areas", "carpark_areas")
Point = Float[np.ndarray, "2"]
_Key = TypeVar("_Key", bound=Hashable)
_Value = TypeVar("_Value")


class NuplanMap:
    """Map of one location, in its UTM coordinates (metres). Ids are texts of the feature ids, as in the devkit.

    Args:
        path: the location's `map.gpkg`.
        location: its name, such as "us-ma-boston".
    """

    def __init__(self, path: Path, location: str) -> None:
        self.path, self.location = path, location
        self._tables: dict[str, FeatureTable] = {}
        self._objects: dict[tuple[MapLayer, str], MapObject] = {}
        self._rows: dict[tuple[str, str], dict[int, list[int]]] = {}

    def __reduce__(self) -> tuple[Callable[[Path, str], "NuplanMap"], tuple[Path, str]]:
        """Pickle as path and location: the receiver reads the file."""
        return NuplanMap, (self.path, self.location)

    def table(self, layer: MapLayer | str) -> FeatureTable:
        """Return a layer's rows; read on first use.

        Raises:
            LogError: the file is damaged, or lacks the layer.
        """
        name = layer.value if isinstance(layer, MapLayer) else layer
        if name == MapLayer.DRIVABLE_AREA.value:
            return self._drivable
        return _remembered(self._tables, name, lambda: read_layer(self.path, name))

    @cached_property
    def _drivable(self) -> FeatureTable:
        return joined([self.table(name) for name in _DRIVABLE], MapLayer.DRIVABLE_AREA.value)

    def ids(self, layer: MapLayer) -> tuple[str, ...]:
        """Return the ids of a layer's objects in row order."""
        return tuple(map(str, self.table(layer).fids.tolist()))

    def is_in_layer(self, points: Float[np.ndarray, "n 2"], layer: MapLayer) -> Bool[np.ndarray, "n"]:
        """Test whether each point lies inside (not on the outline of) a geometry of the layer.

        Lane connectors are lines here, as in the devkit: nearly no point lies on one.
        """
        inside = np.zeros(len(points), bool)
        inside[self.table(layer).tree.query(shapely.points(points), "within")[0]] = True
        return inside

    def is_in_turn_stop(self, points: Float[np.ndarray, "n 2"]) -> Bool[np.ndarray, "n"]:
        """Test whether each point lies inside a stop polygon of type TURN_STOP (the devkit raises an error instead)."""
        table, inside = self.table(MapLayer.STOP_LINE), np.zeros(len(points), bool)
        kinds = np.array([_stop_type(kind) == StopLineType.TURN_STOP for kind in table.column("stop_polygon_type_fid")])
        point, row = table.tree.query(shapely.points(points), "within")
        inside[point[kinds[row]]] = True
        return inside

    def ids_at(self, point: Point, layer: MapLayer) -> tuple[str, ...]:
        """Return the ids of all objects that contain a point, in row order.

        Lane connectors are tested, and ordered, by their polygons' table.
        """
        connectors = layer is MapLayer.LANE_CONNECTOR
        table = self.table(_CONNECTOR_POLYGONS if connectors else layer)
        rows = np.sort(table.tree.query(shapely.Point(point), "within"))
        if connectors:
            own = table.column("lane_connector_fid")
            return tuple(str(own[row]) for row in rows)
        return tuple(map(str, table.fids[rows].tolist()))

    def objects_at(self, point: Point, layer: MapLayer) -> list[MapObject]:
        """Return all objects that contain a point (`get_all_map_objects`)."""
        return [self.map_object(id_, layer) for id_ in self.ids_at(point, layer)]

    def object_at(self, point: Point, layer: MapLayer) -> MapObject | None:
        """Return the object that contains a point, or None (`get_one_map_object`).

        Raises:
            ValueError: several do.
        """
        ids = self.ids_at(point, layer)
        if len(ids) > 1:
            raise ValueError(f"{len(ids)} objects of {layer.name} at {point}; use objects_at")
        return self.map_object(ids[0], layer) if ids else None

    def proximal_ids(self, point: Point, radius: float, layer: MapLayer) -> tuple[str, ...]:
        """Return the ids of objects that meet the square of half side `radius` metres around a point, in row order.

        Lane connectors are tested by their centre line.
        """
        table = self.table(layer)
        return tuple(map(str, table.fids[table.rows_meeting(point, radius)].tolist()))

    def proximal_objects(self, point: Point, radius: float, layer: MapLayer) -> list[MapObject]:
        """Return the objects of `proximal_ids` (`get_proximal_map_objects`)."""
        return [self.map_object(id_, layer) for id_ in self.proximal_ids(point, radius, layer)]

    def nearest(self, point: Point, layer: MapLayer) -> tuple[str, float]:
        """Return id and distance in metres of the geometry nearest to a point; of equal ones, the devkit's choice.

        Raises:
            LogError: the layer is empty.
        """
        table = self.table(layer)
        if not len(table):
            raise LogError(self.path, table.name, "is empty")
        distances = shapely.distance(table.geometry, shapely.Point(point))
        row = int(np.argmin(distances))
        if np.count_nonzero(distances == distances[row]) > 1:
            row = int(argsort_as_numpy_1(distances)[0])
        return str(table.fids[row]), float(distances[row])

    def map_object(self, id_: str, layer: MapLayer) -> MapObject:
        """Return the object of an id.

        Raises:
            LogError: there is none, or something that it refers to is missing.
            ValueError: the layer's rows are not objects.
        """
        makers: dict[MapLayer, Callable[[str], MapObject]] = {
            MapLayer.LANE: self._lane,
            MapLayer.LANE_CONNECTOR: self._lane_connector,
            MapLayer.ROADBLOCK: self._roadblock,
            MapLayer.ROADBLOCK_CONNECTOR: self._roadblock_connector,
        }
        if layer not in OBJECT_LAYERS:
            raise ValueError(f"{layer.name} has no objects")
        if layer in makers:
            return _remembered(self._objects, (layer, id_), lambda: makers[layer](id_))
        return _remembered(self._objects, (layer, id_), lambda: self._area(id_, layer))

    def lane(self, id_: str) -> MapLane:
        """Return the lane or lane connector of an id.

        Raises:
            LogError: there is none.
        """
        is_lane = _number(id_) in self.table(MapLayer.LANE).row_of
        found = self.map_object(id_, MapLayer.LANE if is_lane else MapLayer.LANE_CONNECTOR)
        assert isinstance(found, MapLane)
        return found

    def roadblock(self, id_: str) -> MapRoadblock:
        """Return the roadblock or roadblock connector of an id.

        Raises:
            LogError: there is none.
        """
        is_roadblock = _number(id_) in self.table(MapLayer.ROADBLOCK).row_of
        found = self.map_object(id_, MapLayer.ROADBLOCK if is_roadblock else MapLayer.ROADBLOCK_CONNECTOR)
        assert isinstance(found, MapRoadblock)
        return found

    def stop_lines(self, connector: MapLane) -> tuple[str, ...]:
        """Return the ids of a connector's stop lines with traffic lights.

        Those that its baseline crosses; if it crosses none, the one nearest to the baseline's start.
        """
        ids, line = connector.traffic_light_stop_lines, connector.baseline_path.geometry
        if not ids:
            return ()
        polygons = np.array([self.map_object(id_, MapLayer.STOP_LINE).polygon for id_ in ids])
        crossed = np.flatnonzero(shapely.intersects(polygons, line))
        if len(crossed):
            return tuple(ids[row] for row in crossed)
        return (ids[int(np.argmin(shapely.distance(polygons, shapely.Point(line.coords[0]))))],)

    def _lane(self, id_: str) -> MapLane:
        table, connectors = self.table(MapLayer.LANE), self.table(MapLayer.LANE_CONNECTOR)
        row = self._row(table, id_)
        group, index = table.reference("lane_group_fid", row) or "", table.integer("lane_index", row)
        return MapLane(
            id=id_,
            is_connector=False,
            polygon=table.geometry[row],
            roadblock_id=group,
            speed_limit_mps=table.number("speed_limit_mps", row),
            incoming=_ids(connectors, self._rows_by(connectors, "entry_lane_fid").get(int(id_), [])),
            outgoing=_ids(connectors, self._rows_by(connectors, "exit_lane_fid").get(int(id_), [])),
            baseline_path=self._baseline("lane_fid", id_),
            **self._boundaries(table, row),
            index=index,
            adjacent=(self._beside(table, group, index - 1), self._beside(table, group, index + 1)),
        )

    def _lane_connector(self, id_: str) -> MapLane:
        table, polygons = self.table(MapLayer.LANE_CONNECTOR), self.table(_CONNECTOR_POLYGONS)
        row, shape = self._row(table, id_), self._only(polygons, "lane_connector_fid", id_)
        lights = str(table.column("traffic_light_stop_line_fids")[row] or "")
        return MapLane(
            id=id_,
            is_connector=True,
            polygon=polygons.geometry[shape],
            roadblock_id=table.reference("lane_group_connector_fid", row) or "",
            speed_limit_mps=table.number("speed_limit_mps", row),
            incoming=_one(table.reference("exit_lane_fid", row)),
            outgoing=_one(table.reference("entry_lane_fid", row)),
            baseline_path=self._baseline("lane_connector_fid", id_),
            **self._boundaries(polygons, shape),
            traffic_light_stop_lines=tuple(light for light in lights.replace(" ", "").split(",") if light),
        )

    def _roadblock(self, id_: str) -> MapRoadblock:
        table, lanes = self.table(MapLayer.ROADBLOCK), self.table(MapLayer.LANE)
        connectors = self.table(MapLayer.ROADBLOCK_CONNECTOR)
        return MapRoadblock(
            id=id_,
            is_connector=False,
            polygon=table.geometry[self._row(table, id_)],
            interior=_ids(lanes, self._rows_by(lanes, "lane_group_fid").get(int(id_), [])),
            incoming=_ids(connectors, self._rows_by(connectors, "to_lane_group_fid").get(int(id_), [])),
            outgoing=_ids(connectors, self._rows_by(connectors, "from_lane_group_fid").get(int(id_), [])),
        )

    def _roadblock_connector(self, id_: str) -> MapRoadblock:
        table, lanes = self.table(MapLayer.ROADBLOCK_CONNECTOR), self.table(MapLayer.LANE_CONNECTOR)
        row = self._row(table, id_)
        return MapRoadblock(
            id=id_,
            is_connector=True,
            polygon=table.geometry[row],
            interior=_ids(lanes, self._rows_by(lanes, "lane_group_connector_fid").get(int(id_), [])),
            incoming=_one(table.reference("from_lane_group_fid", row)),
            outgoing=_one(table.reference("to_lane_group_fid", row)),
            intersection_id=table.reference("intersection_fid", row),
        )

    def _area(self, id_: str, layer: MapLayer) -> MapArea:
        table = self.table(layer)
        row = self._row(table, id_)
        stop = _stop_type(table.column("stop_polygon_type_fid")[row]) if layer is MapLayer.STOP_LINE else None
        return MapArea(id_, layer, table.geometry[row], stop)

    def _beside(self, lanes: FeatureTable, group: str, index: int) -> str | None:
        rows = self._rows_by(lanes, "lane_group_fid").get(int(group), []) if group else []
        found = [row for row in rows if lanes.integer("lane_index", row) == index]
        return str(lanes.fids[found[0]]) if found else None

    def _baseline(self, column: str, id_: str) -> MapLine:
        table = self.table(MapLayer.BASELINE_PATHS)
        row = self._only(table, column, id_)
        return MapLine(str(table.fids[row]), table.geometry[row])

    def _boundaries(self, table: FeatureTable, row: int) -> dict[str, Any]:
        """Return both boundaries and their types, named as in `MapLane`."""
        lines, found = self.table(MapLayer.BOUNDARIES), dict[str, Any]()
        for side in ("left_boundary", "right_boundary"):
            own = self._row(lines, table.reference(f"{side}_fid", row) or "(none)")
            found[side] = MapLine(str(lines.fids[own]), lines.geometry[own])
            found[f"{side}_type"] = lines.integer("boundary_type_fid", own)
        return found

    def _rows_by(self, table: FeatureTable, column: str) -> dict[int, list[int]]:
        return _remembered(self._rows, (table.name, column), lambda: table.rows_by(column))

    def _only(self, table: FeatureTable, column: str, id_: str) -> int:
        rows = self._rows_by(table, column).get(int(id_), [])
        if len(rows) != 1:
            raise LogError(self.path, table.name, f"has {len(rows)} rows with {column} {id_}, not one")
        return rows[0]

    def _row(self, table: FeatureTable, id_: str) -> int:
        row = table.row_of.get(_number(id_))
        if row is None:
            raise LogError(self.path, table.name, f"has no feature {id_}")
        return row


def _remembered(memory: dict[_Key, _Value], key: _Key, make: Callable[[], _Value]) -> _Value:
    if key not in memory:
        memory[key] = make()
    return memory[key]


def _ids(table: FeatureTable, rows: list[int]) -> tuple[str, ...]:
    return tuple(str(table.fids[row]) for row in rows)


def _number(id_: str) -> int:
    """Return the feature id of a text; -1, which no feature has, for a text that is none."""
    return int(id_) if id_.isascii() and id_.isdecimal() else -1


def _one(id_: str | None) -> tuple[str, ...]:
    return () if id_ is None else (id_,)


def _stop_type(value: object) -> StopLineType:
    known = str(value).isdecimal() and int(str(value)) in StopLineType.__members__.values()
    return StopLineType(int(str(value))) if known else StopLineType.UNKNOWN
