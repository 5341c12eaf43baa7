"""Objects of a nuPlan map, with the properties that the devkit's classes have."""

import math
from dataclasses import dataclass
from enum import Enum, IntEnum

import numpy as np
import shapely
from jaxtyping import Float

from swerve.scenes.polyline import headings

# Distances in metres: between the two points of a heading, and between two of the three points of a curvature.
_HEADING_STEP, _CURVATURE_STEP = 0.5, 2.0
# Three points whose triangle is smaller count as straight: 16 times its squared area, m^4.
_STRAIGHT = 1e-6


class MapLayer(Enum):
    """Layer of a nuPlan map (the devkit's `SemanticMapLayer`); the value is its table in the GeoPackage."""

    LANE = "lanes_polygons"
    LANE_CONNECTOR = "lane_connectors"
    ROADBLOCK = "lane_groups_polygons"
    ROADBLOCK_CONNECTOR = "lane_group_connectors"
    STOP_LINE = "stop_polygons"
    CROSSWALK = "crosswalks"
    INTERSECTION = "intersections"
    WALKWAYS = "walkways"
    CARPARK_AREA = "carpark_areas"
    DRIVABLE_AREA = "drivable_area"
    BASELINE_PATHS = "baseline_paths"
    BOUNDARIES = "boundaries"


class StopLineType(IntEnum):
    """Kind of a stop polygon."""

    PED_CROSSING = 0
    STOP_SIGN = 1
    TRAFFIC_LIGHT = 2
    TURN_STOP = 3
    YIELD = 4
    UNKNOWN = 5


class BoundaryType(IntEnum):
    """Kind of a lane's boundary: painted lines, or none on the ground."""

    DASHED = 0
    SOLID = 2
    VIRTUAL = 3


@dataclass(frozen=True)
class MapLine:
    """Line of a map: a baseline path or a boundary.

    Attributes:
        id: feature id.
        geometry: shapely line, as stored. Boundaries may run against the driving direction.
    """

    id: str
    geometry: shapely.LineString

    @property
    def length(self) -> float:
        """Length in metres."""
        return float(self.geometry.length)

    @property
    def points(self) -> Float[np.ndarray, "n 2"]:
        """Vertices."""
        points: Float[np.ndarray, "n 2"] = shapely.get_coordinates(self.geometry)
        return points

    @property
    def discrete_path(self) -> Float[np.ndarray, "n 3"]:
        """Vertices (x, y) with the heading to the next one; the last keeps the heading before it."""
        points = self.points
        return np.column_stack([points, headings(points)])

    def nearest_arc_length(self, point: Float[np.ndarray, "2"]) -> float:
        """Return the arc length of the line's point nearest to a point."""
        return float(shapely.line_locate_point(self.geometry, shapely.Point(point)))

    def nearest_pose(self, point: Float[np.ndarray, "2"]) -> Float[np.ndarray, "3"]:
        """Return the line's point nearest to a point, with the heading over the next 0.5 m (at the end, the last)."""
        along = self.nearest_arc_length(point)
        here, ahead, behind = self._at([along, along + _HEADING_STEP, along - _HEADING_STEP])
        step = here - behind if (here == ahead).all() else ahead - here
        return np.array([*here, math.atan2(step[1], step[0])])

    def curvature_at(self, along: float) -> float:
        """Return the signed curvature (1/m, left positive) of the circle through points 2 m apart around `along`.

        Near the ends the three points move inside; a line shorter than 4 m is represented by its ends and middle.

        Raises:
            ValueError: `along` is outside the line.
        """
        length = self.length
        if not 0 <= along <= length:
            raise ValueError(f"arc length {along} is outside of 0..{length}")
        step = min(_CURVATURE_STEP, length / 2)
        middle = min(max(along, step), length - step)
        return _signed_curvature(*self._at([middle - step, middle, middle + step]))

    def _at(self, along: list[float]) -> Float[np.ndarray, "q 2"]:
        points: Float[np.ndarray, "q 2"] = shapely.get_coordinates(shapely.line_interpolate_point(self.geometry, along))
        return points


def _signed_curvature(
    first: Float[np.ndarray, "2"], second: Float[np.ndarray, "2"], third: Float[np.ndarray, "2"]
) -> float:
    """Return the inverse radius of the circle through three points: 4 area / (a b c), by Heron's formula."""
    a, b, c = (float(np.hypot(*step)) for step in (second - first, third - second, first - third))
    squared = (a + (b + c)) * (c - (a - b)) * (c + (a - b)) * (a + (b - c))
    if squared < _STRAIGHT or math.isclose(a * b * c, 0.0, abs_tol=1e-8):
        return 0.0
    (x, y), (u, v) = second - first, third - first
    return float(np.sign(x * v - y * u)) * math.sqrt(squared) / (a * b * c)


@dataclass(frozen=True)
class MapLane:
    """Lane, or lane connector.

    Attributes:
        id: feature id.
        is_connector: whether it leads through an intersection.
        polygon: shapely polygon.
        roadblock_id: its roadblock or roadblock connector.
        speed_limit_mps: None where unknown.
        incoming: ids of the connectors that lead to the lane, or the connector's one lane before it.
        outgoing: ids of the connectors that leave the lane, or the connector's one lane after it.
        baseline_path: centre line in driving direction.
        left_boundary: may run against the driving direction.
        right_boundary: may run against the driving direction.
        left_boundary_type: `boundary_type_fid`: a `BoundaryType` or another number.
        right_boundary_type: see `left_boundary_type`.
        index: number in the roadblock from the left; None for connectors.
        adjacent: ids of the lanes to the left and right in the roadblock; None for connectors.
        traffic_light_stop_lines: ids of the stop lines with traffic lights that control the connector.
    """

    id: str
    is_connector: bool
    polygon: shapely.Geometry
    roadblock_id: str
    speed_limit_mps: float | None
    incoming: tuple[str, ...]
    outgoing: tuple[str, ...]
    baseline_path: MapLine
    left_boundary: MapLine
    right_boundary: MapLine
    left_boundary_type: int
    right_boundary_type: int
    index: int | None = None
    adjacent: tuple[str | None, str | None] = (None, None)
    traffic_light_stop_lines: tuple[str, ...] = ()

    @property
    def has_traffic_lights(self) -> bool:
        """Test whether the map says that a traffic light controls the connector."""
        return bool(self.traffic_light_stop_lines)


@dataclass(frozen=True)
class MapRoadblock:
    """Roadblock (parallel lanes), or roadblock connector (connectors between two roadblocks).

    Attributes:
        id: feature id.
        is_connector: whether it leads through an intersection.
        polygon: shapely polygon.
        interior: ids of its lanes or lane connectors, in row order.
        incoming: ids of the roadblock connectors that lead to it, or the roadblock before a connector.
        outgoing: ids of the roadblock connectors that leave it, or the roadblock after a connector.
        intersection_id: of a connector.
    """

    id: str
    is_connector: bool
    polygon: shapely.Geometry
    interior: tuple[str, ...]
    incoming: tuple[str, ...]
    outgoing: tuple[str, ...]
    intersection_id: str | None = None


@dataclass(frozen=True)
class MapArea:
    """Object that is a polygon: crosswalk, intersection, walkway, car park or stop line.

    Attributes:
        id: feature id.
        layer: its layer.
        polygon: shapely polygon.
        stop_line_type: of a stop line.
    """

    id: str
    layer: MapLayer
    polygon: shapely.Geometry
    stop_line_type: StopLineType | None = None


MapObject = MapLane | MapRoadblock | MapArea
