"""Compares the map reader with the devkit's answers (`answers/map_*.json.gz`)."""

import numpy as np
import shapely

from swerve.data.sources.nuplan.geopackage import read_meta
from swerve.data.sources.nuplan.map_objects import MapLane, MapLayer, MapRoadblock
from swerve.data.sources.nuplan.nuplan_map import OBJECT_LAYERS
from swerve.data.sources.nuplan.nuplan_maps import load_nuplan_map, map_file
from tests.support.nuplan_files import answers_in

# The official ones are printed in full, and coordinates come out the same to the last bit.
TOLERANCE = 1e-6


def check(folder, root, tally):
    for name, answers in answers_in(folder, "map_*").items():
        check_map(answers, root / "maps", name, tally)


def check_map(answers, maps_root, where, tally):
    location = answers["location"]
    own = load_nuplan_map(maps_root, location)
    path = map_file(maps_root, location)
    tally.equal("map: version", where, [path.parent.name], [answers["version"]])
    tally.equal("map: coordinate system", where, [read_meta(path)["projectedCoordSystem"].lower()], [answers["crs"]])
    tally.equal(
        "map: layers of objects", where, sorted(layer.name for layer in OBJECT_LAYERS), sorted(answers["available"])
    )
    for layer, ids in answers["row_order"].items():
        tally.equal("map: ids in row order", f"{where} {layer}", own.ids(MapLayer[layer]), ids)
    for layer, entries in answers["objects"].items():
        for entry in entries:
            check_object(own, MapLayer[layer], entry, f"{where} {layer} {entry['id']}", tally)
    for entry in answers["points"]:
        check_point(own, entry, f"{where} {entry['name']}", tally)


def check_object(own, layer, golden, where, tally):
    item = own.map_object(golden["id"], layer)
    tally.close("objects: area", where, item.polygon.area, golden["area"], TOLERANCE)
    tally.close("objects: bounds", where, item.polygon.bounds, golden["bounds"], TOLERANCE)
    if "polygon" in golden:
        rings = [item.polygon.exterior, *item.polygon.interiors]
        tally.equal(
            "objects: rings of polygon", where, map(shapely.get_num_coordinates, rings), map(len, golden["polygon"])
        )
        for ring, theirs in zip(rings, golden["polygon"], strict=False):
            tally.close("objects: polygon", where, shapely.get_coordinates(ring), theirs, TOLERANCE)
    if isinstance(item, MapLane):
        check_lane(own, item, golden, where, tally)
    if isinstance(item, MapRoadblock):
        for side in ("interior", "incoming", "outgoing"):
            tally.equal(f"roadblocks: {side}", where, getattr(item, side), golden[side])
        if "intersection_id" in golden:
            tally.equal("roadblocks: intersection", where, [item.intersection_id], [golden["intersection_id"]])
    if "stop_line_type" in golden:
        tally.equal("stop lines: type", where, [int(item.stop_line_type)], [golden["stop_line_type"]])


def check_lane(own, lane, golden, where, tally):
    for side in ("incoming", "outgoing"):
        tally.equal(f"lanes: {side}", where, getattr(lane, side), golden[side])
    mine = {
        "roadblock_id": lane.roadblock_id,
        "speed_limit_mps": lane.speed_limit_mps,
        "baseline_id": lane.baseline_path.id,
        "left_boundary_id": lane.left_boundary.id,
        "right_boundary_id": lane.right_boundary.id,
        "num_vertices": len(lane.baseline_path.points),
        "index": lane.index,
        "adjacent": list(lane.adjacent),
        "has_traffic_lights": lane.has_traffic_lights,
        "stop_lines": list(own.stop_lines(lane)) if lane.is_connector else None,
    }
    for key, value in mine.items():
        if key in golden:
            tally.equal(f"lanes: {key}", where, [value], [golden[key]])
    path = lane.baseline_path
    tally.close("lanes: baseline length", where, path.length, golden["baseline_length"], TOLERANCE)
    tally.close("lanes: baseline ends", where, path.discrete_path[[0, -1]], golden["baseline_ends"], TOLERANCE)
    if "discrete_path" in golden:
        tally.close("lanes: discrete path", where, path.discrete_path, golden["discrete_path"], TOLERANCE)
    if "left_boundary" in golden:
        tally.close("lanes: left boundary", where, lane.left_boundary.points, golden["left_boundary"], TOLERANCE)
    if "probe" in golden:
        check_probe(lane, golden["probe"], where, tally)


def check_probe(lane, golden, where, tally):
    point, path = np.array([golden["x"], golden["y"]]), lane.baseline_path
    along = path.nearest_arc_length(point)
    tally.close("probes: arc length", where, along, golden["arc_length"], TOLERANCE)
    tally.close("probes: nearest pose", where, path.nearest_pose(point), golden["pose"], TOLERANCE)
    tally.close("probes: curvature", where, path.curvature_at(along), golden["curvature"], TOLERANCE)
    inside = bool(shapely.contains(lane.polygon, shapely.Point(point)))
    tally.equal("probes: contains point", where, [inside], [golden["contains_point"]])


def check_point(own, golden, where, tally):
    point = np.array([golden["x"], golden["y"]])
    for layer, inside in golden["is_in_layer"].items():
        if layer == "TURN_STOP":
            # The devkit answers False or raises ValueError, see its README.
            mine, theirs = bool(own.is_in_turn_stop(point[None])[0]), inside is not False
        else:
            mine, theirs = bool(own.is_in_layer(point[None], MapLayer[layer])[0]), inside
        tally.equal("points: is_in_layer", f"{where} {layer}", [mine], [theirs])
    for layer, ids in golden["all"].items():
        tally.equal("points: all objects", f"{where} {layer}", own.ids_at(point, MapLayer[layer]), ids)
    for layer, one in golden["one"].items():
        tally.equal("points: one object", f"{where} {layer}", [only(own, point, MapLayer[layer], one)], [one])
    for radius, layers in golden["proximal"].items():
        for layer, ids in layers.items():
            mine = own.proximal_ids(point, float(radius), MapLayer[layer])
            tally.equal("points: proximal objects", f"{where} {radius} m {layer}", mine, ids)
    for layer, (nearest, distance) in golden["nearest"].items():
        mine = own.nearest(point, MapLayer[layer])
        tally.equal("points: nearest object", f"{where} {layer}", mine[:1], [nearest])
        tally.close("points: distance to nearest", f"{where} {layer}", mine[1], distance, TOLERANCE)


def only(own, point, layer, golden):
    """The id of the one object at a point; the golden text for an error where there is one here too."""
    try:
        found = own.object_at(point, layer)
    except ValueError:
        return golden if golden is not None and "Error" in golden else "ValueError"
    return found and found.id
