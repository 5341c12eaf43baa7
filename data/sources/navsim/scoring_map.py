"""A nuPlan map as the official scores query it."""

from collections.abc import Collection
from dataclasses import replace
from typing import Final

import numpy as np
from jaxtyping import Float

from swerve.data.sources.nuplan.map_objects import MapLayer
from swerve.data.sources.nuplan.nuplan_map import NuplanMap
from swerve.data.sources.nuplan.nuplan_road_map import road_map_of
from swerve.scenes import RoadMap

CONNECTOR_POLYGONS: Final = "gen_lane_connectors_scaled_width_polygons"


def scoring_map(
    nuplan_map: NuplanMap,
    center: Float[np.ndarray, "2"],
    radius: float,
    route: Collection[str],
    origin: Float[np.ndarray, "3"],
) -> RoadMap:
    """Return the part of a map that meets a square, with all of a route.

    Lanes come in the order of their rows, connectors in that of their polygons, as queries of the devkit answer: of
    connectors that begin alike, reactive vehicles take the first.

    Args:
        nuplan_map: of the location.
        center: middle of the square, global.
        radius: half its side, metres; more than scores look at, so that the route can be joined and followed.
        route: ids of roadblocks; those that the map lacks are left out.
        origin: global coordinates of the log's zero.

    Raises:
        LogError: the map's file is damaged.
    """
    found = road_map_of(nuplan_map, center, radius, roadblocks=route, origin=origin[:2])
    connectors = map(str, nuplan_map.table(CONNECTOR_POLYGONS).column("lane_connector_fid"))
    order = {id_: row for row, id_ in enumerate((*nuplan_map.ids(MapLayer.LANE), *connectors))}
    return replace(found, lanes=tuple(sorted(found.lanes, key=lambda lane: order[lane.id])))
