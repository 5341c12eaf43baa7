"""Layers and columns of nuPlan's maps."""

from collections.abc import Mapping
from typing import Final

from swerve.data.export_navsim.write_geopackage import LayerSchema

_EDGES: Final = ("from_edge_fid INTEGER", "to_edge_fid INTEGER")
_SIDES: Final = ("left_boundary_fid INTEGER", "right_boundary_fid INTEGER")
_CREATOR: Final = "creator_id TEXT(256)"

SCHEMA: Final[Mapping[str, LayerSchema]] = {
    "baseline_paths": LayerSchema(
        "LINESTRING",
        (
            "path_type_fid INTEGER",
            _CREATOR,
            "lane_fid INTEGER",
            "lane_connector_fid INTEGER",
            "dubins_node_fids TEXT(256)",
        ),
    ),
    "boundaries": LayerSchema(
        "LINESTRING",
        ("boundary_segment_fids TEXT(256)", "has_reflectors BOOLEAN", "boundary_type_fid INTEGER", _CREATOR),
    ),
    "carpark_areas": LayerSchema("POLYGON", ("heading REAL", _CREATOR)),
    "crosswalks": LayerSchema(
        "POLYGON", ("intersection_fids TEXT(256)", "lane_fids TEXT(256)", _CREATOR, "is_marked BOOLEAN")
    ),
    "dubins_nodes": LayerSchema("POINT", ("radius REAL", "heading REAL", _CREATOR)),
    "gen_lane_connectors_scaled_width_polygons": LayerSchema(
        "POLYGON", ("baseline_path_fid INTEGER", "lane_connector_fid INTEGER", *_EDGES, *_SIDES)
    ),
    "generic_drivable_areas": LayerSchema("POLYGON", (_CREATOR,)),
    "intersections": LayerSchema("POLYGON", (_CREATOR, "intersection_type_fid INTEGER", "is_mini BOOLEAN")),
    "lane_connectors": LayerSchema(
        "LINESTRING",
        (
            "exit_lane_group_fid INTEGER",
            "exit_lane_fid INTEGER",
            "entry_lane_group_fid INTEGER",
            "lane_group_connector_fid INTEGER",
            "entry_lane_fid INTEGER",
            "intersection_fid INTEGER",
            "turn_type_fid INTEGER",
            "bulb_fids TEXT(256)",
            "traffic_light_stop_line_fids TEXT(256)",
            "overlap MEDIUMINT",
            _CREATOR,
            "reflector_side_fid INTEGER",
            "left_has_reflectors BOOLEAN",
            "right_has_reflectors BOOLEAN",
            "speed_limit_mps REAL",
        ),
    ),
    "lane_group_connectors": LayerSchema(
        "POLYGON",
        (
            "intersection_fid INTEGER",
            "from_lane_group_fid INTEGER",
            "to_lane_group_fid INTEGER",
            _CREATOR,
            *_EDGES,
            *_SIDES,
        ),
    ),
    "lane_groups_polygons": LayerSchema("POLYGON", (_CREATOR, *_SIDES, *_EDGES)),
    "lanes_polygons": LayerSchema(
        "POLYGON",
        (
            "lane_group_fid INTEGER",
            "lane_fid INTEGER",
            "lane_index MEDIUMINT",
            _CREATOR,
            "name TEXT(256)",
            "road_type_fid INTEGER",
            "lane_type_fid INTEGER",
            "width MEDIUMINT",
            "left_offset REAL",
            "right_offset REAL",
            "min_speed REAL",
            "max_speed REAL",
            "stops MEDIUMINT",
            *_SIDES,
            "speed_limit_mps REAL",
            "left_has_reflectors BOOLEAN",
            "right_has_reflectors BOOLEAN",
            *_EDGES,
        ),
    ),
    "road_segments": LayerSchema("POLYGON", ("lane_group_fids TEXT(256)",)),
    "stop_polygons": LayerSchema(
        "POLYGON",
        (
            "stop_polygon_type_fid INTEGER",
            "lane_group_fid INTEGER",
            "lane_fids TEXT(256)",
            "lane_connector_fids TEXT(256)",
            "traffic_light_fids TEXT(256)",
            "crosswalk_fids TEXT(256)",
            "precedence_area_fids TEXT(256)",
            _CREATOR,
        ),
    ),
    "traffic_lights": LayerSchema("POINT", (_CREATOR,)),
    "walkways": LayerSchema("POLYGON", (_CREATOR,)),
}
