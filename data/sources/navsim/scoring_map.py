"""A nuPlan map as the official scores use it: roadblocks, lanes, connectors, intersections and car parks, in row order.

Other drivable areas are left out: the official scores do not look at them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np
import shapely
from jaxtyping import Float

from swerve.data.sources.nuplan.map_objects import MapArea, MapLane, MapLayer, MapRoadblock
from swerve.data.sources.nuplan.nuplan_map import NuplanMap
from swerve.scenes import Area, GroundHeight, Lane, LaneGroup, RoadMap

Ring = Float[np.ndarray, "_ 3"]
CONNECTOR_POLYGONS: Final = "gen_lane_connectors_scaled_width_polygons"


@dataclass(frozen=True)
class MapRegion:
    """A square of a map.

    Attributes:
        center: x, y, global.
        radius: half a side, metres.
    """

    center: Float[np.ndarray, "2"]
    radius: float


def scoring_map(
    nuplan_map: NuplanMap, region: MapRegion, route: Iterable[str], origin: Float[np.ndarray, "3"]
) -> RoadMap:
    """Return the part of a map that meets a region, with all of a route.

    Args:
        nuplan_map: of the location.
        region: around the scene; wider than what scores look at, so that the route can be joined and followed.
        route: ids of roadblocks; those that the map lacks are left out.
        origin: global coordinates of the log's zero.

    Raises:
        LogError: the map's file is damaged.
    """
    groups = _groups(nuplan_map, region, set(route))
    lanes = _lanes(nuplan_map, groups)
    flat = np.zeros((2, 2), np.float32)
    return RoadMap(
        lanes=tuple(_lane(lane, origin) for lane in lanes),
        ground=GroundHeight(
            np.zeros((2, 2), np.float32), region.center - region.radius - origin[:2], 2 * region.radius
        ),
        lane_groups=tuple(_group(group, origin) for group in groups),
        intersections=_areas(nuplan_map, region, MapLayer.INTERSECTION, origin),
        car_parks=_areas(nuplan_map, region, MapLayer.CARPARK_AREA, origin),
        has_height=False,
    )


def _groups(nuplan_map: NuplanMap, region: MapRegion, route: set[str]) -> list[MapRoadblock]:
    """Return roadblocks, then roadblock connectors, each in row order."""
    found = list[MapRoadblock]()
    for layer in (MapLayer.ROADBLOCK, MapLayer.ROADBLOCK_CONNECTOR):
        near = set(nuplan_map.proximal_ids(region.center, region.radius, layer)) | route
        found += [nuplan_map.roadblock(id_) for id_ in nuplan_map.ids(layer) if id_ in near]
    return found


def _lanes(nuplan_map: NuplanMap, groups: Iterable[MapRoadblock]) -> list[MapLane]:
    """Return the groups' lanes in row order, then their connectors in the order of the table of their polygons."""
    wanted = {lane for group in groups for lane in group.interior}
    connectors = map(str, nuplan_map.table(CONNECTOR_POLYGONS).column("lane_connector_fid"))
    return [nuplan_map.lane(id_) for id_ in (*nuplan_map.ids(MapLayer.LANE), *connectors) if id_ in wanted]


def _lane(lane: MapLane, origin: Float[np.ndarray, "3"]) -> Lane:
    outline, *others = _rings(lane.polygon, origin)
    return Lane(
        id=lane.id,
        centerline=_shifted(lane.baseline_path.points, origin),
        polygon=outline,
        is_connector=lane.is_connector,
        group_id=lane.roadblock_id,
        predecessors=lane.incoming,
        successors=lane.outgoing,
        speed_limit=lane.speed_limit_mps,
        holes=tuple(others),
    )


def _group(group: MapRoadblock, origin: Float[np.ndarray, "3"]) -> LaneGroup:
    outline, *others = _rings(group.polygon, origin)
    return LaneGroup(
        group.id, group.interior, outline, group.is_connector, group.incoming, group.outgoing, tuple(others)
    )


def _areas(
    nuplan_map: NuplanMap, region: MapRegion, layer: MapLayer, origin: Float[np.ndarray, "3"]
) -> tuple[Area, ...]:
    found = []
    for area in nuplan_map.proximal_objects(region.center, region.radius, layer):
        assert isinstance(area, MapArea)
        outline, *others = _rings(area.polygon, origin)
        found.append(Area(area.id, outline, tuple(others)))
    return tuple(found)


def _rings(shape: shapely.Geometry, origin: Float[np.ndarray, "3"]) -> list[Ring]:
    """Return the rings of a polygon, or of the parts of one: the first is an outline, together they bound the area."""
    parts = sorted(shapely.get_parts(shape), key=shapely.area, reverse=True)
    rings = [ring for part in parts for ring in (part.exterior, *part.interiors)]
    return [_shifted(shapely.get_coordinates(ring)[:-1], origin) for ring in rings]


def _shifted(points: Float[np.ndarray, "n 2"], origin: Float[np.ndarray, "3"]) -> Ring:
    return np.column_stack([points - origin[:2], np.zeros(len(points))])
