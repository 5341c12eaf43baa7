"""The scoring map: labelled polygons in NAVSIM's order, and a grid for point queries."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from jaxtyping import Bool, Float, Int, UInt8

from swerve.eval.context.planar_geometry_kernels import polygon_touches_box
from swerve.eval.context.polygon_grid_kernels import build_grid
from swerve.eval.scoring.thresholds import GRID_CELL, MAP_RADIUS
from swerve.scenes import Area, Lane, LaneGroup, RoadMap
from swerve.scenes.polyline import ring_edges

Surface = Lane | LaneGroup | Area


class Layer(IntEnum):
    """Layers of map polygons. Car parks include the source's drivable areas, which the scores treat alike."""

    ROADBLOCK = 0
    LANE = 1
    LANE_CONNECTOR = 2
    INTERSECTION = 3
    CARPARK_AREA = 4


@dataclass(frozen=True)
class Surfaces:
    """Polygons around the ego, in NAVSIM's order.

    Attributes:
        ids: the map's names.
        layers: `Layer` of each.
        edges: (x0, y0, x1, y1) of all rings of all polygons.
        starts: polygon i has the edges starts[i]:starts[i + 1].
        corner: world (x, y) of the grid's corner.
        cells: polygons over each cell of the grid, row by row; cell c has cell_starts[c]:cell_starts[c + 1].
        covered: whether the cell lies wholly inside that polygon (else its outline passes through).
        cell_starts: see `cells`.
    """

    ids: tuple[str, ...]
    layers: UInt8[np.ndarray, "p"]
    edges: Float[np.ndarray, "e 4"]
    starts: Int[np.ndarray, "p1"]
    corner: Float[np.ndarray, "2"]
    cells: Int[np.ndarray, "c"]
    covered: Bool[np.ndarray, "c"]
    cell_starts: Int[np.ndarray, "g1"]


@dataclass(frozen=True)
class Polygons:
    """Polygons as sets of edges: polygon i has the edges starts[i]:starts[i + 1]."""

    edges: Float[np.ndarray, "e 4"]
    starts: Int[np.ndarray, "p1"]

    def of(self, rows: Int[np.ndarray, "k"]) -> "Polygons":
        """Select the given polygons."""
        parts = [self.edges[self.starts[row] : self.starts[row + 1]] for row in rows]
        ends = np.cumsum([len(part) for part in parts], dtype=np.int64)
        return Polygons(np.concatenate([np.zeros((0, 4)), *parts]), np.concatenate([[0], ends]).astype(np.int64))


def surfaces_around(road_map: RoadMap, center: Float[np.ndarray, "2"], radius: float = MAP_RADIUS) -> Surfaces:
    """Return the map's polygons that meet the axis-aligned square of `radius` metres around `center`.

    NAVSIM's order: all roadblocks; the lanes of each; the connectors of each roadblock connector; intersections; car
    parks. Connector roadblocks themselves are not surfaces.
    """

    def near(areas: tuple[Area, ...]) -> list[Area]:
        return [area for area in areas if _meets_square(area, center, radius)]

    areas = near(road_map.intersections), near(road_map.parking_areas) + near(road_map.drivable_areas)
    items, kinds, packed = _in_order(road_map, groups_near(road_map, center, radius), *areas)
    corner = center - radius
    cells = build_grid(packed.edges, packed.starts, corner, math.ceil(2 * radius / GRID_CELL))
    return Surfaces(tuple(item.id for item in items), kinds, packed.edges, packed.starts, corner, *cells)


def all_surfaces(road_map: RoadMap) -> tuple[list[Surface], UInt8[np.ndarray, "p"], "Polygons"]:
    """Return all polygons of a map in NAVSIM's order, see `surfaces_around`: surfaces, layers and outlines."""
    car_parks = [*road_map.parking_areas, *road_map.drivable_areas]
    return _in_order(road_map, road_map.lane_groups, road_map.intersections, car_parks)


def _in_order(
    road_map: RoadMap, groups: Sequence[LaneGroup], intersections: Sequence[Area], car_parks: Sequence[Area]
) -> tuple[list[Surface], UInt8[np.ndarray, "p"], "Polygons"]:
    """Return surfaces in NAVSIM's order, with their layers and outlines."""
    lanes = road_map.lane_by_id
    layers: tuple[Sequence[Surface], ...] = (
        [group for group in groups if not group.is_connector],
        [lanes[lane] for group in groups if not group.is_connector for lane in group.lane_ids],
        [lanes[lane] for group in groups if group.is_connector for lane in group.lane_ids],
        intersections,
        car_parks,
    )
    items = [item for layer in layers for item in layer]
    kinds = np.repeat(np.arange(len(layers), dtype=np.uint8), [len(layer) for layer in layers])
    return items, kinds, outlines_of(items)


def groups_near(road_map: RoadMap, center: Float[np.ndarray, "2"], radius: float) -> list[LaneGroup]:
    """Return the lane groups that intersect the square of `radius` metres around `center`."""
    bounds = road_map.group_bounds
    near = ((bounds[:, :2] - center <= radius) & (bounds[:, 2:] - center >= -radius)).all(axis=1)
    within = ((bounds[:, :2] - center >= -radius) & (bounds[:, 2:] - center <= radius)).all(axis=1)
    groups = road_map.lane_groups
    return [groups[row] for row in np.flatnonzero(near) if within[row] or _meets_square(groups[row], center, radius)]


def _meets_square(surface: Surface, center: Float[np.ndarray, "2"], radius: float) -> bool:
    """Return whether a surface intersects the square of `radius` metres around `center`."""
    edges = surface.edges
    return bool(polygon_touches_box(edges, 0, len(edges), np.array([*center, 1.0, 0.0, radius, radius])))


def outlines_of(surfaces: Sequence[Surface]) -> Polygons:
    """Return the outlines of surfaces, with their holes."""
    counts = [len(surface.edges) for surface in surfaces]
    edges = np.concatenate([np.zeros((0, 4)), *(surface.edges for surface in surfaces)])
    return Polygons(edges, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))


def pack(rings: list[tuple[Float[np.ndarray, "_ d"], ...]]) -> Polygons:
    """Pack polygons given as rings (outline, holes...), none of them closed."""
    parts = [ring_edges(ring) for polygon in rings for ring in polygon]
    counts = [sum(len(ring) for ring in polygon) for polygon in rings]
    edges = np.concatenate(parts) if parts else np.zeros((0, 4))
    return Polygons(edges, np.concatenate([[0], np.cumsum(counts)]).astype(np.int64))
