"""Road map: lanes and their topology, surfaces, markings, and ground height."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property

import numpy as np
import scipy
import shapely
from jaxtyping import Float, Float32

from swerve.scenes.polyline import arc_lengths, headings, ring_edges

# Nodes of a grid of heights that is made from points.
_MOST_NODES = 2**23
# Anonymous axis: each line has its own number of points.
Line = Float[np.ndarray, "_ 3"]


class LaneMarking(Enum):
    """Road marking: colour, and strokes from left to right in the line's direction."""

    NONE = ("none", ())
    UNKNOWN = ("white", ("unknown",))
    SOLID_WHITE = ("white", ("solid",))
    DASHED_WHITE = ("white", ("dashed",))
    DOUBLE_SOLID_WHITE = ("white", ("solid", "solid"))
    DOUBLE_DASHED_WHITE = ("white", ("dashed", "dashed"))
    SOLID_DASHED_WHITE = ("white", ("solid", "dashed"))
    DASHED_SOLID_WHITE = ("white", ("dashed", "solid"))
    SOLID_YELLOW = ("yellow", ("solid",))
    DASHED_YELLOW = ("yellow", ("dashed",))
    DOUBLE_SOLID_YELLOW = ("yellow", ("solid", "solid"))
    DOUBLE_DASHED_YELLOW = ("yellow", ("dashed", "dashed"))
    SOLID_DASHED_YELLOW = ("yellow", ("solid", "dashed"))
    DASHED_SOLID_YELLOW = ("yellow", ("dashed", "solid"))
    SOLID_BLUE = ("blue", ("solid",))

    @property
    def color(self) -> str:
        """Colour: 'white', 'yellow', 'blue' or 'none'."""
        color: str = self.value[0]
        return color

    @property
    def strokes(self) -> tuple[str, ...]:
        """Strokes from left to right: 'solid', 'dashed' or 'unknown' (rendered solid)."""
        strokes: tuple[str, ...] = self.value[1]
        return strokes


class LaneType(Enum):
    """Road users that a lane is for."""

    VEHICLE = "vehicle"
    BUS = "bus"
    BICYCLE = "bicycle"


class _Surface:
    """Base class of features with an outline; derived properties are cached."""

    polygon: Line
    holes: tuple[Line, ...]

    @cached_property
    def edges(self) -> Float[np.ndarray, "e 4"]:
        """Edges (x0, y0, x1, y1) of the outline and of the holes."""
        return np.concatenate([ring_edges(ring) for ring in (self.polygon, *self.holes)])

    @cached_property
    def bounds(self) -> Float[np.ndarray, "4"]:
        """Bounding box: least x and y and greatest x and y."""
        return _bounds(self.polygon)


@dataclass(frozen=True)
class Lane(_Surface):
    """A lane between two junctions, or a connector through one.

    Attributes:
        id: unique among lanes.
        centerline: in driving direction.
        polygon: outline, not closed.
        left_boundary: left boundary in driving direction; empty where the source has none.
        right_boundary: right boundary in driving direction; empty where the source has none.
        left_marking: marking of the left boundary.
        right_marking: marking of the right boundary.
        kind: road users that the lane is for.
        is_connector: whether the lane leads through an intersection.
        group_id: the lane group ("roadblock") of the lane.
        predecessors: ids of the preceding lanes, in the source's order.
        successors: ids of the following lanes, in the source's order.
        left_neighbor: id of the adjacent lane of the same direction, if any.
        right_neighbor: id of the adjacent lane of the same direction, if any.
        speed_limit: m/s, None where unknown.
        holes: outlines cut from the polygon.
    """

    id: str
    centerline: Line
    polygon: Line
    left_boundary: Line = field(default_factory=lambda: np.zeros((0, 3)))
    right_boundary: Line = field(default_factory=lambda: np.zeros((0, 3)))
    left_marking: LaneMarking = LaneMarking.NONE
    right_marking: LaneMarking = LaneMarking.NONE
    kind: LaneType = LaneType.VEHICLE
    is_connector: bool = False
    group_id: str = ""
    predecessors: tuple[str, ...] = ()
    successors: tuple[str, ...] = ()
    left_neighbor: str | None = None
    right_neighbor: str | None = None
    speed_limit: float | None = None
    holes: tuple[Line, ...] = ()

    @cached_property
    def lengths(self) -> Float[np.ndarray, "c"]:
        """Arc length of the centreline at its vertices, metres."""
        return arc_lengths(self.centerline)

    @cached_property
    def headings(self) -> Float[np.ndarray, "c"]:
        """Direction of the centreline at its vertices, to the next one."""
        return headings(self.centerline)


@dataclass(frozen=True)
class LaneGroup(_Surface):
    """Parallel lanes of one direction (nuPlan's "roadblock"), or the connectors between two such groups."""

    id: str
    lane_ids: tuple[str, ...]
    polygon: Line
    is_connector: bool = False
    predecessors: tuple[str, ...] = ()
    successors: tuple[str, ...] = ()
    holes: tuple[Line, ...] = ()


@dataclass(frozen=True)
class Area(_Surface):
    """Area of ground: outline (not closed) and holes."""

    id: str
    polygon: Line
    holes: tuple[Line, ...] = ()


@dataclass(frozen=True)
class RoadLine:
    """Road marking line, stored once however many lanes it borders."""

    id: str
    points: Line
    paint: LaneMarking


@dataclass(frozen=True)
class RoadEdge:
    """Boundary of the drivable surface: kerbs, barriers, medians."""

    id: str
    points: Line


@dataclass(frozen=True)
class StopLine:
    """Stop line across the lanes that it controls."""

    id: str
    points: Line
    lane_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class GroundHeight:
    """Height of the ground on a regular grid.

    Attributes:
        heights: metres; row = y, column = x; no NaN.
        origin: world (x, y) of the node heights[0, 0].
        spacing: metres between nodes.
    """

    heights: Float32[np.ndarray, "rows columns"]
    origin: Float[np.ndarray, "2"]
    spacing: float

    def at(self, points: Float[np.ndarray, "*b 2"]) -> Float[np.ndarray, "*b"]:
        """Interpolate the height at (x, y) bilinearly; beyond the grid, the boundary's height is used."""
        grid = (points.reshape(-1, 2) - self.origin) / self.spacing
        flat = scipy.ndimage.map_coordinates(self.heights, grid.T[::-1], output=np.float64, order=1, mode="nearest")
        heights: Float[np.ndarray, "*b"] = flat.reshape(points.shape[:-1])
        return heights

    @classmethod
    def from_raster(
        cls, heights: Float[np.ndarray, "rows columns"], corner: Float[np.ndarray, "2"], spacing: float
    ) -> "GroundHeight":
        """Build from a raster with gaps (NaN), which take the height of the nearest node that has one.

        Raises:
            ValueError: every node is NaN.
        """
        gaps = np.isnan(heights)
        if gaps.all():
            raise ValueError("ground height raster has no height at all")
        rows, columns = scipy.ndimage.distance_transform_edt(gaps, return_distances=False, return_indices=True)
        return cls(heights[rows, columns].astype(np.float32), corner, spacing)

    @classmethod
    def from_points(cls, points: Float[np.ndarray, "n 3"], spacing: float = 2.0) -> "GroundHeight":
        """Build from scattered points: Delaunay interpolation, and the nearest point's height beyond their convex hull.

        An approximation: between map lines the true surface may differ by its crown and kerbs, some 0.1 m.

        Raises:
            ValueError: a point is not finite, or the grid would have more than 2^23 nodes: a square of 5.8 km.
        """
        low, high = points[:, :2].min(axis=0) - spacing, points[:, :2].max(axis=0) + spacing
        nodes = np.ceil((high - low) / spacing) + 1
        if not np.isfinite(points).all() or not nodes.prod() <= _MOST_NODES:
            raise ValueError(f"points {np.ptp(points[:, 0]):.0f} m by {np.ptp(points[:, 1]):.0f} m apart are no map")
        size = np.maximum(nodes.astype(int), 2)
        x, y = np.meshgrid(low[0] + spacing * np.arange(size[0]), low[1] + spacing * np.arange(size[1]))
        if np.ptp(points[:, 2]) < 1e-6:
            return cls(np.full(x.shape, points[0, 2], np.float32), low, spacing)

        heights = scipy.interpolate.LinearNDInterpolator(points[:, :2], points[:, 2])(x, y)
        outside = np.isnan(heights)
        heights[outside] = scipy.interpolate.NearestNDInterpolator(points[:, :2], points[:, 2])(x[outside], y[outside])
        return cls(heights.astype(np.float32), low, spacing)


@dataclass(frozen=True)
class RoadMap:
    """Road map of a log in its world frame.

    Attributes:
        lanes: lanes and connectors.
        lane_groups: groups of parallel lanes.
        drivable_areas: surface that may be driven on.
        generic_drivable_areas: surface of which the same holds but which NAVSIM's scores do not count: nuPlan's road
            segments and generic drivable areas.
        intersections: areas where roads cross.
        crosswalks: pedestrian crossings.
        walkways: pavements.
        parking_areas: parking areas.
        speed_bumps: speed bumps.
        road_lines: painted lines.
        road_edges: ends of the drivable surface.
        stop_lines: stop lines.
        ground: height of the ground everywhere.
        has_height: False where the source is flat and the heights are synthetic.
    """

    lanes: tuple[Lane, ...]
    ground: GroundHeight
    lane_groups: tuple[LaneGroup, ...] = ()
    drivable_areas: tuple[Area, ...] = ()
    generic_drivable_areas: tuple[Area, ...] = ()
    intersections: tuple[Area, ...] = ()
    crosswalks: tuple[Area, ...] = ()
    walkways: tuple[Area, ...] = ()
    parking_areas: tuple[Area, ...] = ()
    speed_bumps: tuple[Area, ...] = ()
    road_lines: tuple[RoadLine, ...] = ()
    road_edges: tuple[RoadEdge, ...] = ()
    stop_lines: tuple[StopLine, ...] = ()
    has_height: bool = True

    @cached_property
    def lane_by_id(self) -> dict[str, Lane]:
        """Lanes by id."""
        return {lane.id: lane for lane in self.lanes}

    @cached_property
    def group_by_id(self) -> dict[str, LaneGroup]:
        """Lane groups by id."""
        return {group.id: group for group in self.lane_groups}

    @cached_property
    def centerline_bounds(self) -> Float[np.ndarray, "l 4"]:
        """Bounding box (least x and y, greatest x and y) of each lane's centreline."""
        return np.array([_bounds(lane.centerline) for lane in self.lanes]).reshape(-1, 4)

    @cached_property
    def lane_bounds(self) -> Float[np.ndarray, "l 4"]:
        """Bounding box of each lane's outline."""
        return np.array([lane.bounds for lane in self.lanes]).reshape(-1, 4)

    @cached_property
    def group_bounds(self) -> Float[np.ndarray, "g 4"]:
        """Bounding box of each lane group's outline."""
        return np.array([group.bounds for group in self.lane_groups]).reshape(-1, 4)


def _bounds(line: Line) -> Float[np.ndarray, "4"]:
    return np.concatenate([line[:, :2].min(axis=0), line[:, :2].max(axis=0)])


def union_of(pieces: Iterable[Area | Lane]) -> shapely.Geometry:
    """Compute the union of areas seen from above; self-intersecting outlines are repaired.

    Snapped to a micrometre: exact unions of outlines that share edges have lost whole streets (GEOS 3.13).
    """
    outlines = [
        shapely.Polygon(piece.polygon[:, :2], [hole[:, :2] for hole in piece.holes])
        for piece in pieces
        if len(piece.polygon) >= 3
    ]
    return shapely.union_all(shapely.make_valid(np.array(outlines, dtype=object)), grid_size=1e-6)
