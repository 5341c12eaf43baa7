"""Maps of 123D: a row per map object, with its features in MessagePack, as a RoadMap."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, Final

import numpy as np
import shapely
from jaxtyping import Float

from swerve.data.sources.derived_surfaces import union_shapes
from swerve.data.sources.py123d.arrow_file import read_arrow
from swerve.data.storage.msgpack import unpack
from swerve.scenes import (
    Area,
    GroundHeight,
    Lane,
    LaneGroup,
    LaneMarking,
    LaneType,
    LogError,
    RoadLine,
    RoadMap,
    StopLine,
)
from swerve.scenes.road_map import RoadEdge

Line = Float[np.ndarray, "_ 3"]


class MapLayer(IntEnum):
    """Kinds of map objects."""

    LANE = 0
    LANE_GROUP = 1
    INTERSECTION = 2
    CROSSWALK = 3
    WALKWAY = 4
    CARPARK = 5
    GENERIC_DRIVABLE = 6
    STOP_ZONE = 7
    ROAD_EDGE = 8
    ROAD_LINE = 9
    SPEED_BUMP = 10


# `RoadLineType` in its order; py123d reads DASH_SOLID from left to right, as `LaneMarking` does.
MARKINGS: Final = (
    LaneMarking.NONE,
    LaneMarking.UNKNOWN,
    LaneMarking.DASHED_SOLID_YELLOW,
    LaneMarking.DASHED_SOLID_WHITE,
    LaneMarking.DASHED_WHITE,
    LaneMarking.DASHED_YELLOW,
    LaneMarking.DOUBLE_SOLID_YELLOW,
    LaneMarking.DOUBLE_SOLID_WHITE,
    LaneMarking.DOUBLE_DASHED_YELLOW,
    LaneMarking.DOUBLE_DASHED_WHITE,
    LaneMarking.SOLID_YELLOW,
    LaneMarking.SOLID_WHITE,
    LaneMarking.SOLID_DASHED_WHITE,
    LaneMarking.SOLID_DASHED_YELLOW,
    LaneMarking.SOLID_BLUE,
)
# `LaneType`: undefined, freeway, street, bicycle lane, bus lane.
LANE_TYPES: Final = (LaneType.VEHICLE, LaneType.VEHICLE, LaneType.VEHICLE, LaneType.BICYCLE, LaneType.BUS)
# `StopZoneType` of those that are painted as lines: traffic light, stop sign, yield sign.
_PAINTED_STOPS: Final = (1, 2, 3)
# Data sets whose generic drivable areas NAVSIM's scores do not count.
_GENERIC_DATASETS: Final = ("nuplan",)
_WIDEST: Final = 1e5


@dataclass(frozen=True)
class _Object:
    """One map object: id, features, and the shape of its well-known binary."""

    path: Path
    id: str
    features: Mapping[str, Any]
    shape: shapely.Geometry

    def line(self, name: str, origin: Float[np.ndarray, "3"], least: int = 2) -> Line:
        """Return a line of the features in the log's world; height zero where it has none."""
        found = self.features.get(name)
        if not isinstance(found, np.ndarray) or found.ndim != 2 or found.shape[1] not in (2, 3):
            raise LogError(self.path, f"object {self.id}", f"{name} is no line of points")
        return self.placed(found.astype(np.float64), name, origin, least)

    def placed(self, points: np.ndarray, name: str, origin: Float[np.ndarray, "3"], least: int) -> Line:
        """Return points in the log's world."""
        solid = np.column_stack([points, np.full(len(points), origin[2])]) if points.shape[1] == 2 else points
        if len(solid) < least or not (np.abs(solid - origin) < _WIDEST).all():
            problem = f"{name} needs {least} finite points or more within 100 km, has {len(solid)}"
            raise LogError(self.path, f"object {self.id}", problem)
        return np.asarray(solid - origin)

    def outline(self, origin: Float[np.ndarray, "3"]) -> Line:
        """Return the outline, not closed."""
        ring = self.line("outline", origin, least=3)
        return ring[:-1] if np.array_equal(ring[0], ring[-1]) else ring

    def ids(self, name: str) -> tuple[str, ...]:
        """Return a list of ids."""
        found = self.features.get(name)
        if not isinstance(found, list):
            raise LogError(self.path, f"object {self.id}", f"{name} is no list of ids")
        return tuple(str(item) for item in found)

    def choice(self, name: str, choices: tuple[Any, ...]) -> Any:  # noqa: ANN401 one of the choices
        """Return the choice that a number stands for."""
        found = self.features.get(name)
        if type(found) is not int or not 0 <= found < len(choices):
            raise LogError(self.path, f"object {self.id}", f"{name} is {found!r}, not one of 0 to {len(choices) - 1}")
        return choices[found]


def read_map(path: Path, origin: Float[np.ndarray, "3"], height: float) -> RoadMap:
    """Read a map relative to `origin`.

    Lanes have no markings, which are lines of their own. A lane is a connector if its group is of an intersection.
    References to objects outside the map are dropped. Generic drivable areas are the drivable surface, but in nuPlan's
    maps, as in its own reader.

    Args:
        path: the file.
        origin: of the log's world.
        height: of the ground in the log's world where the map has none.

    Raises:
        LogError: the file or an object in it is malformed, or there are neither lanes nor drivable areas.
    """
    file = read_arrow(path)
    layers = _layers(path, file.table)
    has_height = bool(file.metadata.get("map_has_z", True))
    if not has_height and not any(_has_heights(item) for item in layers[MapLayer.LANE]):
        origin = np.array([origin[0], origin[1], -height])
    lanes = _lanes(layers, origin)
    ground = _ground(path, lanes, layers, origin)
    areas = {layer: _areas(layers[layer], origin) for layer in _AREA_LAYERS}
    generic = file.metadata.get("dataset") in _GENERIC_DATASETS
    return RoadMap(
        lanes=lanes,
        ground=ground,
        lane_groups=_groups(layers, origin),
        drivable_areas=() if generic else _drivable(layers[MapLayer.GENERIC_DRIVABLE], ground, origin),
        generic_drivable_areas=areas[MapLayer.GENERIC_DRIVABLE] if generic else (),
        intersections=areas[MapLayer.INTERSECTION],
        crosswalks=areas[MapLayer.CROSSWALK],
        walkways=areas[MapLayer.WALKWAY],
        parking_areas=areas[MapLayer.CARPARK],
        speed_bumps=areas[MapLayer.SPEED_BUMP],
        road_lines=tuple(
            RoadLine(item.id, _drawn(item, origin), item.choice("road_line_type", MARKINGS))
            for item in layers[MapLayer.ROAD_LINE]
        ),
        road_edges=tuple(RoadEdge(item.id, _drawn(item, origin)) for item in layers[MapLayer.ROAD_EDGE]),
        stop_lines=tuple(_stop_lines(layers, origin)),
        has_height=has_height,
    )


_AREA_LAYERS: Final = (
    MapLayer.INTERSECTION,
    MapLayer.CROSSWALK,
    MapLayer.WALKWAY,
    MapLayer.CARPARK,
    MapLayer.GENERIC_DRIVABLE,
    MapLayer.SPEED_BUMP,
)


def _layers(path: Path, table: Any) -> dict[MapLayer, list[_Object]]:  # noqa: ANN401 pyarrow has no types
    """Return the objects of each layer."""
    names = ("object_id", "map_layer", "features", "wkb")
    if missing := [name for name in names if name not in table.column_names]:
        raise LogError(path, missing[0], "no such column", "py123d writes maps with it")
    found: dict[MapLayer, list[_Object]] = {layer: [] for layer in MapLayer}
    for number, layer, features, wkb in zip(*(table[name].to_pylist() for name in names), strict=True):
        if type(layer) is not int or layer not in found:
            raise LogError(path, "map_layer", f"is {layer!r} for object {number}, not one of 0 to {len(MapLayer) - 1}")
        try:
            unpacked = unpack(features or b"")
            shape = shapely.from_wkb(wkb)
        except (ValueError, TypeError, shapely.errors.ShapelyError) as error:
            raise LogError(path, f"object {number}", f"cannot be read ({error})") from error
        own = unpacked if isinstance(unpacked, dict) else {}
        found[MapLayer(layer)].append(_Object(path, str(number), own, shape))
    return found


def _lanes(layers: Mapping[MapLayer, list[_Object]], origin: Float[np.ndarray, "3"]) -> tuple[Lane, ...]:
    connecting = {item.id for item in layers[MapLayer.LANE_GROUP] if item.features.get("intersection_id") is not None}
    known = {item.id: item for item in layers[MapLayer.LANE]}
    return tuple(_lane(item, known, connecting, origin) for item in known.values())


def _lane(item: _Object, known: Mapping[str, _Object], connecting: set[str], origin: Float[np.ndarray, "3"]) -> Lane:
    group = item.features.get("lane_group_id")
    return Lane(
        item.id,
        item.line("centerline", origin),
        item.outline(origin),
        item.line("left_boundary", origin),
        item.line("right_boundary", origin),
        kind=item.choice("lane_type", LANE_TYPES),
        is_connector=str(group) in connecting,
        group_id="" if group is None else str(group),
        predecessors=tuple(lane for lane in item.ids("predecessor_ids") if lane in known),
        successors=tuple(lane for lane in item.ids("successor_ids") if lane in known),
        left_neighbor=_beside(item, "left_lane_id", known, origin),
        right_neighbor=_beside(item, "right_lane_id", known, origin),
        speed_limit=_speed_limit(item),
    )


def _speed_limit(item: _Object) -> float | None:
    speed = item.features.get("speed_limit_mps")
    if speed is None:
        return None
    if type(speed) not in (int, float) or not np.isfinite(speed):
        raise LogError(item.path, f"object {item.id}", f"speed_limit_mps is {speed!r:.40}, not a speed")
    return float(speed)


def _beside(item: _Object, name: str, known: Mapping[str, _Object], origin: Float[np.ndarray, "3"]) -> str | None:
    """Return the neighbour if it is of the same direction; py123d keeps also those of the other."""
    other = known.get(str(item.features.get(name)))
    if other is None:
        return None
    lines = [one.line("centerline", origin) for one in (item, other)]
    own, theirs = (line[-1, :2] - line[0, :2] for line in lines)
    return other.id if own @ theirs > 0 else None


def _groups(layers: Mapping[MapLayer, list[_Object]], origin: Float[np.ndarray, "3"]) -> tuple[LaneGroup, ...]:
    lanes = {item.id for item in layers[MapLayer.LANE]}
    known = {item.id for item in layers[MapLayer.LANE_GROUP]}
    return tuple(
        LaneGroup(
            item.id,
            tuple(lane for lane in item.ids("lane_ids") if lane in lanes),
            item.outline(origin),
            item.features.get("intersection_id") is not None,
            tuple(group for group in item.ids("predecessor_ids") if group in known),
            tuple(group for group in item.ids("successor_ids") if group in known),
        )
        for item in layers[MapLayer.LANE_GROUP]
    )


def _has_heights(item: _Object) -> bool:
    """Tell whether a lane has heights; in a flat map they are zero, unless the writer has made some up."""
    line = item.features.get("centerline")
    return isinstance(line, np.ndarray) and line.ndim == 2 and line.shape[1] == 3 and bool(line[:, 2].any())


def _areas(items: list[_Object], origin: Float[np.ndarray, "3"]) -> tuple[Area, ...]:
    return tuple(Area(item.id, item.outline(origin)) for item in items)


def _drawn(item: _Object, origin: Float[np.ndarray, "3"]) -> Line:
    """Return the line of the object's well-known binary."""
    points = shapely.get_coordinates(item.shape, include_z=item.shape is not None and shapely.has_z(item.shape))
    return item.placed(points, "wkb", origin, 2)


def _drivable(items: list[_Object], ground: GroundHeight, origin: Float[np.ndarray, "3"]) -> tuple[Area, ...]:
    """Return the union of surfaces, holes included."""
    parts = (part for item in items for part in shapely.get_parts(item.shape))
    own = [part for part in parts if isinstance(part, shapely.Polygon)]
    moved = shapely.transform(np.array(own, dtype=object), lambda points: points - origin[:2])
    return union_shapes(list(moved), ground, "drivable") if own else ()


def _stop_lines(layers: Mapping[MapLayer, list[_Object]], origin: Float[np.ndarray, "3"]) -> Iterator[StopLine]:
    """Yield the middle line, along the longer side, of each zone that is painted as a line."""
    lanes = {item.id for item in layers[MapLayer.LANE]}
    for item in layers[MapLayer.STOP_ZONE]:
        if item.features.get("stop_zone_type") in _PAINTED_STOPS:
            ring = item.outline(origin)
            corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(shapely.Polygon(ring[:, :2])))[:4]
            sides = (corners + np.roll(corners, -1, axis=0)) / 2
            line = max(sides[[0, 2]], sides[[1, 3]], key=lambda ends: float(np.linalg.norm(ends[1] - ends[0])))
            points = np.column_stack([line, np.full(2, ring[:, 2].mean())])
            yield StopLine(item.id, points, tuple(lane for lane in item.ids("lane_ids") if lane in lanes))


def _ground(
    path: Path,
    lanes: tuple[Lane, ...],
    layers: Mapping[MapLayer, list[_Object]],
    origin: Float[np.ndarray, "3"],
) -> GroundHeight:
    """Interpolate the heights of the lanes' boundaries, or else of the drivable areas."""
    lines = [line for lane in lanes for line in (lane.left_boundary, lane.right_boundary)]
    lines = lines or [item.outline(origin) for item in layers[MapLayer.GENERIC_DRIVABLE]]
    if not lines:
        raise LogError(path, "map_layer", "there are neither lanes nor drivable areas")
    try:
        return GroundHeight.from_points(np.concatenate(lines))
    except ValueError as error:
        raise LogError(path, "features", str(error)) from error
