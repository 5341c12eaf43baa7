"""Conversion of a scene to triangles: static primitives once per log, dynamic ones once per timestamp."""

from collections.abc import Iterable, Iterator

import numpy as np
import shapely
from jaxtyping import Float

from swerve.scenes.primitives.cuboids import agent_cuboids, signal_cuboids
from swerve.scenes.primitives.primitives import Face, Primitives, Semantic
from swerve.scenes.primitives.ribbons import EDGE_WIDTH, STOP_LINE_WIDTH, paint_ribbons, ribbon
from swerve.scenes.primitives.terrain import Terrain
from swerve.scenes.road_map import Area, Lane, RoadMap, union_of
from swerve.scenes.tracks import Tracks, TrafficLights

FIRST_MAP_INSTANCE = 200_001

# Heights above the ground in metres, which order the layers. All layers follow the same terrain, so steps of
# millimetres suffice; ribbons have fewer vertices than the terrain and get centimetres.
_LIFTS = {
    Semantic.WALKWAY: -0.005,
    Semantic.ROAD: 0.0,
    Semantic.CAR_PARK: 0.004,
    Semantic.INTERSECTION: 0.008,
    Semantic.CROSSING: 0.016,
    Semantic.SPEED_BUMP: 0.02,
    Semantic.ROAD_EDGE: 0.03,
    Semantic.LINE_WHITE: 0.035,
    Semantic.LINE_YELLOW: 0.035,
    Semantic.LINE_BLUE: 0.035,
    Semantic.STOP_LINE: 0.04,
}
_PAINT_SEMANTICS = {"white": Semantic.LINE_WHITE, "yellow": Semantic.LINE_YELLOW, "blue": Semantic.LINE_BLUE}

Feature = tuple[Semantic, Float[np.ndarray, "_ 3 3"]]


def build_static(road_map: RoadMap | None) -> Primitives:
    """Build the static primitives of a map: surfaces, paint, kerbs and stop lines; empty without a map.

    Each feature is an instance of its own, numbered from `FIRST_MAP_INSTANCE`; overlapping surfaces of one kind count
    as one. Heights are the ground's, within `terrain.TOLERANCE`, plus a few centimetres that order the layers.
    """
    if road_map is None:
        return _gather([])
    surfaces = _surfaces(road_map)
    lines = [
        *(line.points for line in road_map.lines),
        *(edge.points for edge in road_map.edges),
        *(stop.points for stop in road_map.stop_lines),
    ]
    extent = _extent([*(shape for _, shape in surfaces), *lines])
    if extent is None:
        return _gather([])
    terrain = Terrain.over(road_map.ground, *extent)
    drawn = ((kind, terrain.drape(shape, _LIFTS[kind])) for kind, shape in surfaces)
    return _gather([*drawn, *_ribbons(road_map, terrain)])


def build_dynamic(tracks: Tracks, lights: TrafficLights, step: int) -> Primitives:
    """Build the primitives of agents and signal heads at one step of their windows."""
    return agent_cuboids(tracks, step).joined(signal_cuboids(lights, step))


def _surfaces(road_map: RoadMap) -> list[tuple[Semantic, shapely.Polygon]]:
    """Return all surface polygons with their classes; without drivable areas, lanes count as road."""
    road: Iterable[Area | Lane] = road_map.drivable_areas or (*road_map.lanes, *road_map.generic_drivable_areas)
    layers: dict[Semantic, Iterable[Area | Lane]] = {
        Semantic.WALKWAY: road_map.walkways,
        Semantic.ROAD: road,
        Semantic.CAR_PARK: road_map.car_parks,
        Semantic.INTERSECTION: road_map.intersections,
        Semantic.CROSSING: road_map.crossings,
        Semantic.SPEED_BUMP: road_map.speed_bumps,
    }
    return [(kind, polygon) for kind, areas in layers.items() for polygon in _united(areas)]


def _united(areas: Iterable[Area | Lane]) -> list[shapely.Polygon]:
    """Return the union of the areas as polygons that do not overlap."""
    return [part for part in shapely.get_parts(union_of(areas)) if part.geom_type == "Polygon"]


def _ribbons(road_map: RoadMap, terrain: Terrain) -> Iterator[Feature]:
    lift = _LIFTS[Semantic.ROAD_EDGE]
    for edge in road_map.edges:
        yield Semantic.ROAD_EDGE, ribbon(edge.points, EDGE_WIDTH, terrain, lift)
    for line in road_map.lines:
        if line.paint.strokes:
            kind = _PAINT_SEMANTICS[line.paint.color]
            yield kind, np.concatenate(paint_ribbons(line.points, line.paint, terrain, _LIFTS[kind]))
    lift = _LIFTS[Semantic.STOP_LINE]
    for stop in road_map.stop_lines:
        yield Semantic.STOP_LINE, ribbon(stop.points, STOP_LINE_WIDTH, terrain, lift)


def _extent(
    shapes: Iterable[shapely.Polygon | Float[np.ndarray, "_ 3"]],
) -> tuple[Float[np.ndarray, "2"], Float[np.ndarray, "2"]] | None:
    """Return the least and greatest (x, y) of polygons and lines."""
    parts = [shapely.get_coordinates(s) if isinstance(s, shapely.Polygon) else s[:, :2] for s in shapes]
    if not any(len(part) for part in parts):
        return None
    points = np.concatenate(parts)
    return points.min(axis=0), points.max(axis=0)


def _gather(features: list[Feature]) -> Primitives:
    """Assemble primitives from features given as loose triangles."""
    triangles = np.concatenate([np.zeros((0, 3, 3)), *(drawn for _, drawn in features)])
    counts = np.array([len(drawn) for _, drawn in features], int)
    kinds = np.array([kind for kind, _ in features], np.uint8)
    numbers = np.arange(FIRST_MAP_INSTANCE, FIRST_MAP_INSTANCE + len(features), dtype=np.int32)
    return Primitives.in_chunks(
        vertices=triangles.reshape(-1, 3),
        triangles=np.arange(3 * len(triangles), dtype=np.int32).reshape(-1, 3),
        semantics=np.repeat(kinds, counts),
        faces=np.full(len(triangles), Face.NONE, np.uint8),
        instances=np.repeat(numbers, counts),
    )
