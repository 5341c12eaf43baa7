"""A neutral log as a JSON document."""

import json

import numpy as np


def document():
    """Two seconds at 10 Hz on one lane, with a car that is listed before another only sometimes."""
    frames = []
    for step in range(25):
        a = ["a", "vehicle", 10.0 + step, 0.0, 0.0, 4.0, 2.0, 1.5, 10.0, 0.0]
        b = ["b", "pedestrian", 5.0, 3.0, 1.0, 0.6, 0.6, 1.8, 0.0, 0.0]
        ego = {"x": float(step), "y": 0.0, "heading": 0.1, "vx": 10.0, "vy": 0.0, "ax": 0.0, "ay": 0.0}
        objects = [b, a] if step > 3 else [a]
        lights = [["l1", "green"], ["l1", "red"]] if step == 7 else []
        frames.append({"t_us": 10**15 + step * 100_000, "ego": ego, "objects": objects, "traffic_lights": lights})
    square = [[0, -2], [60, -2], [60, 2], [0, 2]]
    lane = {"id": "l1", "roadblock_id": "g1", "type": "lane", "polygon": square, "centerline": [[0, 0], [60, 0]]}
    lane |= {"predecessors": [], "successors": [], "speed_limit_mps": None}
    group = {
        "id": "g1",
        "type": "roadblock",
        "polygon": square,
        "lane_ids": ["l1"],
        "predecessors": [],
        "successors": [],
    }
    empty = {key: [] for key in ("intersections", "carparks", "drivable_areas", "crosswalks")}
    vehicle = {"name": "pacifica", "width": 2.297, "front_length": 4.049, "rear_length": 1.127, "wheel_base": 3.089}
    return {
        "schema": "ps-neutral-log/1",
        "log_name": "made",
        "vehicle": vehicle | {"height": 1.777},
        "navsim_stride": 5,
        "frames": frames,
        "map": {"lanes": [lane], "roadblocks": [group], **empty},
        "route_roadblock_ids": ["g1"],
        "scenes": [
            {"token": "0123456789abcdef", "frame": 5, "num_history_frames": 2, "num_future_frames": 3},
            {
                "token": "0123456789abcdef0",
                "frame": 5,
                "num_history_frames": 2,
                "num_future_frames": 3,
                "route_roadblock_ids": [],
                "traffic_lights": [[], [["l1", "red"]], [], [["l1", "green"]], []],
                "extra_objects": [[], [["x", "barrier", 1, 2, 0, 1, 1, 1, 0, 0]], [], [], []],
                "ego_offset": [1.0, 2.0, 0.5],
            },
        ],
    }


CLASS_NAMES = ("generic_object", "vehicle", "pedestrian", "bicycle", "traffic_cone", "barrier", "czone_sign")


def document_of(log, scene):
    """The document of a log with one scene (now, frames of history, of the future), at the log's own steps."""
    return {
        "schema": "ps-neutral-log/1",
        "log_name": log.name,
        "vehicle": {
            "name": "pacifica",
            "width": log.vehicle.width,
            "front_length": log.vehicle.length - log.vehicle.rear_overhang,
            "rear_length": log.vehicle.rear_overhang,
            "wheel_base": log.vehicle.wheelbase,
            "height": log.vehicle.height,
        },
        "navsim_stride": 5,
        "frames": [_frame(log, step) for step in range(len(log.times_us))],
        "map": {
            "lanes": [
                _area(lane, type="connector" if lane.is_connector else "lane")
                | {"roadblock_id": lane.group_id, "centerline": lane.centerline[:, :2].tolist()}
                | {"speed_limit_mps": lane.speed_limit}
                | _linked(lane)
                for lane in log.road_map.lanes
            ],
            "roadblocks": [
                _area(group, type="roadblock_connector" if group.is_connector else "roadblock")
                | {"lane_ids": list(group.lane_ids)}
                | _linked(group)
                for group in log.road_map.lane_groups
            ],
            "intersections": [_area(area) for area in log.road_map.intersections],
            "carparks": [_area(area) for area in log.road_map.parking_areas],
            "drivable_areas": [_area(area) for area in log.road_map.drivable_areas],
            "crosswalks": [_area(area) for area in log.road_map.crosswalks],
        },
        "route_roadblock_ids": list(log.route),
        "scenes": [dict(zip(("token", "frame", "num_history_frames", "num_future_frames"), scene, strict=True))],
    }


def shifted(document, shift):
    """A copy of a document whose world lies elsewhere: all coordinates plus a shift (x, y)."""
    x, y = shift
    moved = json.loads(json.dumps(document))
    for frame in moved["frames"]:
        frame["ego"]["x"] += x
        frame["ego"]["y"] += y
        frame["objects"] = [[*item[:2], item[2] + x, item[3] + y, *item[4:]] for item in frame["objects"]]
    for items in moved["map"].values():
        for item in items:
            for key in item.keys() & {"polygon", "centerline"}:
                item[key] = [[point[0] + x, point[1] + y] for point in item[key]]
            if item.get("holes"):
                item["holes"] = [[[point[0] + x, point[1] + y] for point in ring] for ring in item["holes"]]
    return moved


def _frame(log, step):
    names = ("unknown", "red", "yellow", "green")
    ego = {"x": log.ego.positions[step, 0], "y": log.ego.positions[step, 1], "heading": log.ego.headings[step]}
    ego |= dict(zip(("vx", "vy", "ax", "ay"), (*log.ego.velocity[step], *log.ego.acceleration[step]), strict=True))
    tracks = log.tracks
    values = np.concatenate(
        [
            tracks.positions[:, step, :2],
            tracks.headings[:, step, None],
            tracks.sizes[:, step],
            tracks.velocities[:, step],
        ],
        axis=1,
    )
    return {
        "t_us": int(log.times_us[step]),
        "ego": {key: float(value) for key, value in ego.items()},
        "objects": [
            [tracks.ids[row], CLASS_NAMES[tracks.classes[row]], *values[row].tolist()]
            for row in np.flatnonzero(tracks.valid[:, step])
        ],
        "traffic_lights": [
            [lane, names[state]] for lane, state in zip(log.lights.lane_ids, log.lights.states[:, step], strict=True)
        ],
    }


def _area(area, **more):
    holes = [ring[:, :2].tolist() for ring in area.holes]
    return {"id": area.id, "polygon": area.polygon[:, :2].tolist(), "holes": holes, **more}


def _linked(item):
    return {"predecessors": list(item.predecessors), "successors": list(item.successors)}
