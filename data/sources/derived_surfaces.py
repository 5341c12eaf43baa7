"""Surfaces derived from lanes and areas: unions, intersections, edges."""

from collections.abc import Sequence

import numpy as np
import shapely
from jaxtyping import Float

from swerve.scenes import Area, GroundHeight, Lane, RoadEdge

# Gap in metres up to which pieces of a surface are merged; gaps between neighbouring polygons are a few centimetres.
_SEAM = 0.15
# Connectors closer than this belong to one intersection.
_REACH = 1.0


def union_areas(
    polygons: Sequence[Float[np.ndarray, "_ 3"]], ground: GroundHeight, prefix: str, seam: float = _SEAM
) -> tuple[Area, ...]:
    """Compute the union of polygons as areas with holes, at the height of the ground.

    Args:
        polygons: outlines.
        ground: height of the union's vertices.
        prefix: prefix of the areas' ids.
        seam: gaps of up to twice this many metres are closed.
    """
    return union_shapes([shapely.Polygon(polygon[:, :2]) for polygon in polygons], ground, prefix, seam)


def union_shapes(
    shapes: Sequence[shapely.Geometry], ground: GroundHeight, prefix: str, seam: float = _SEAM
) -> tuple[Area, ...]:
    """Compute the union of shapely polygons, holes included; see `union_areas`."""
    shapes = shapely.make_valid(np.array(shapes, dtype=object))
    grown = shapely.union_all(shapely.buffer(shapes, seam, join_style="mitre"))
    union = shapely.simplify(shapely.buffer(grown, -seam, join_style="mitre"), 0.02)
    parts = [part for part in shapely.get_parts(shapely.make_valid(union)) if isinstance(part, shapely.Polygon)]
    return tuple(
        Area(f"{prefix}{index}", _ring(part.exterior, ground), tuple(_ring(hole, ground) for hole in part.interiors))
        for index, part in enumerate(parts)
        if part.area > 0.1
    )


def intersections_of(lanes: Sequence[Lane], ground: GroundHeight) -> tuple[Area, ...]:
    """Compute intersections: the union of the connectors' polygons, merged within 2 m.

    Islands between connectors are part of the intersection; it ends where the connectors do.
    """
    connectors = [lane.polygon for lane in lanes if lane.is_connector]
    areas = union_areas(connectors, ground, "intersection", seam=_REACH) if connectors else ()
    return tuple(Area(area.id, area.polygon) for area in areas)


def edges_of(areas: Sequence[Area]) -> tuple[RoadEdge, ...]:
    """Return the outlines of areas and of their holes, as closed lines."""
    rings = [ring for area in areas for ring in (area.polygon, *area.holes)]
    return tuple(RoadEdge(f"edge{index}", np.concatenate([ring, ring[:1]])) for index, ring in enumerate(rings))


def middle_line(polygon: shapely.Geometry) -> Float[np.ndarray, "2 2"]:
    """Return the line through the middle of the smallest rectangle around a polygon, along its longer side."""
    corners = shapely.get_coordinates(shapely.minimum_rotated_rectangle(polygon))[:4]
    sides = (corners + np.roll(corners, -1, axis=0)) / 2
    first, second = sides[[0, 2]], sides[[1, 3]]
    line: Float[np.ndarray, "2 2"] = max(first, second, key=lambda ends: float(np.linalg.norm(ends[1] - ends[0])))
    return line


def _ring(ring: shapely.LinearRing, ground: GroundHeight) -> Float[np.ndarray, "n 3"]:
    points = shapely.get_coordinates(ring)[:-1]
    return np.concatenate([points, ground.at(points)[:, None]], axis=1)
