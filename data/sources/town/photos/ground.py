"""Ground geometry: the map's features with materials, and grass elsewhere."""

import numpy as np
import shapely
from jaxtyping import Float

from swerve.data.sources.town.photos.look import TownAppearance
from swerve.data.sources.town.photos.solids import Material, Solid, joined
from swerve.scenes import RoadMap
from swerve.scenes.primitives import Primitives, Semantic, build_static
from swerve.scenes.primitives.terrain import Terrain
from swerve.scenes.road_map import union_of

# Margin of grass beyond the map and under paved areas, and its depth below them, metres.
_BEYOND, _UNDER, _BELOW = 260.0, 0.6, 0.08
_WHITE, _YELLOW = (0.60, 0.60, 0.57), (0.55, 0.36, 0.05)
_MATERIALS = {
    Semantic.ROAD: Material.ASPHALT,
    Semantic.INTERSECTION: Material.ASPHALT,
    Semantic.CAR_PARK: Material.ASPHALT,
    Semantic.SPEED_BUMP: Material.ASPHALT,
    Semantic.WALKWAY: Material.PAVEMENT,
    Semantic.CROSSING: Material.ZEBRA,
    Semantic.LINE_WHITE: Material.PAINT,
    Semantic.LINE_YELLOW: Material.PAINT,
    Semantic.LINE_BLUE: Material.PAINT,
    Semantic.STOP_LINE: Material.PAINT,
    Semantic.ROAD_EDGE: Material.KERB,
}


def paved_area(road_map: RoadMap) -> shapely.Geometry:
    """Return the union of all areas for driving, walking or parking."""
    areas = (*road_map.drivable_areas, *road_map.walkways, *road_map.parking_areas, *road_map.crosswalks)
    return union_of((*areas, *road_map.lanes))


def build_ground(road_map: RoadMap, paved: shapely.Geometry, look: TownAppearance) -> Solid:
    """Build the triangles of `build_static` in the same places with the map features' instances, and grass around."""
    drawn = build_static(road_map)
    return joined([_mapped(drawn, road_map, look), _grass(road_map, paved, look)])


def _mapped(drawn: Primitives, road_map: RoadMap, look: TownAppearance) -> Solid:
    """Convert the map's primitives to textured triangles."""
    corners = drawn.vertices[drawn.triangles]
    materials = np.zeros(len(Semantic), np.uint8)
    tints = np.zeros((len(Semantic), 3))
    paints = {
        Semantic.LINE_YELLOW: _YELLOW,
        Semantic.LINE_BLUE: (0.03, 0.08, 0.35),
        Semantic.ROAD_EDGE: (0.27, 0.27, 0.26),
    }
    bay = look.asphalt * [0.86, 0.86, 0.88]
    grounds = {Semantic.ROAD: look.asphalt, Semantic.INTERSECTION: 0.94 * look.asphalt, Semantic.CAR_PARK: bay}
    for kind, material in _MATERIALS.items():
        materials[kind] = material
        tints[kind] = grounds.get(kind, np.array(paints.get(kind, _WHITE)))
    tints[Semantic.WALKWAY] = look.paving
    frames = np.zeros((len(drawn), 8))
    frames[:, 3] = 1.0
    frames[:, 7] = float(look.paving[0] > 0.29)
    _aim_zebras(frames, corners, drawn.semantics == Semantic.CROSSING, road_map)
    solid = Solid.of(corners, materials[drawn.semantics], tints[drawn.semantics], frame=frames)
    return Solid(corners, solid.normals, solid.materials, solid.reflectances, frames, drawn.instances)


def _aim_zebras(
    frames: Float[np.ndarray, "f 8"], corners: Float[np.ndarray, "f 3 3"], rows: np.ndarray, road_map: RoadMap
) -> None:
    """Orient the stripes of each crossing along its longer side, from kerb to kerb."""
    if not rows.any() or not road_map.crosswalks:
        return
    outlines = [shapely.Polygon(crossing.polygon[:, :2]) for crossing in road_map.crosswalks]
    boxes = [np.array(outline.minimum_rotated_rectangle.exterior.coords) for outline in outlines]
    axes = []
    for corner in boxes:
        sides = corner[1:3] - corner[:2]
        longer = sides[int(np.linalg.norm(sides, axis=1).argmax())]
        axes.append([*corner[0], *(longer / np.linalg.norm(longer))])
    middles = shapely.points(corners[rows].mean(axis=1)[:, :2])
    nearest = shapely.STRtree(outlines).nearest(middles)
    chosen = np.array(axes)[nearest]
    frames[np.flatnonzero(rows)[:, None], np.array([0, 1, 3, 4])] = chosen


def _grass(road_map: RoadMap, paved: shapely.Geometry, look: TownAppearance) -> Solid:
    """Build grass on unpaved ground, slightly below and overlapping the paved area."""
    low, high = (np.array(bound) for bound in (paved.bounds[:2], paved.bounds[2:]))
    terrain = Terrain.over(road_map.ground, low - _BEYOND, high + _BEYOND)
    around = shapely.box(*(low - _BEYOND), *(high + _BEYOND))
    open_ground = around.difference(paved.buffer(-_UNDER))
    pieces = [terrain.drape(part, -_BELOW) for part in shapely.get_parts(open_ground) if part.geom_type == "Polygon"]
    return Solid.of(np.concatenate(pieces), Material.GRASS, np.broadcast_to(look.grass, (sum(map(len, pieces)), 3)))
