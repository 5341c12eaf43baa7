"""Writer of nuScenes tables and map expansions, to the schema of the data set."""

import hashlib
import json
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np
from scipy.spatial.transform import Rotation

LOCATION = "singapore-onenorth"
CHANNELS = {"LIDAR_TOP": "lidar", "RADAR_FRONT": "radar"}


def token(*words):
    """Return 32 hexadecimal digits that depend on the words alone."""
    return hashlib.md5(repr(words).encode(), usedforsecurity=False).hexdigest()


def quaternion(rotation):
    """Return w, x, y, z."""
    return Rotation.from_matrix(rotation).as_quat(scalar_first=True).tolist()


@dataclass
class SceneSpec:
    """A scene to write.

    Attributes:
        name: such as "scene-0061".
        key_frames: times of the samples, microseconds.
        pose_at: function of a time that returns global_from_ego.
        mounts: ego_from_sensor by channel.
        matrices: intrinsic matrix of each camera's channel.
        data: (channel, time, file name, whether it is of a key frame) of each piece of sensor data.
        boxes: (instance, category, sample, global_from_box, (width, length, height)) of each annotation.
        image_size: width and height of images.
    """

    name: str
    key_frames: list[int]
    pose_at: object
    mounts: dict
    matrices: dict
    data: list
    boxes: list = field(default_factory=list)
    image_size: tuple = (1600, 900)


def tables_of(scenes, location=LOCATION):
    """Return the tables by name, as lists of rows."""
    tables = {
        name: []
        for name in (
            *("scene", "sample", "sample_data", "ego_pose", "calibrated_sensor", "sensor", "sample_annotation"),
            *("instance", "category", "attribute", "visibility", "log", "map"),
        )
    }
    log = token("log")
    tables["log"].append(
        {"token": log, "logfile": "n015", "vehicle": "n015", "date_captured": "2018-07-24", "location": location}
    )
    for scene in scenes:
        _add_scene(tables, scene, log)
    for name in ("sensor", "category"):
        tables[name] = list({row["token"]: row for row in tables[name]}.values())
    return tables


def _add_scene(tables, scene, log):
    samples = [token(scene.name, "sample", step) for step in range(len(scene.key_frames))]
    own = token(scene.name)
    tables["scene"].append(
        {
            "token": own,
            "log_token": log,
            "nbr_samples": len(samples),
            "first_sample_token": samples[0],
            "last_sample_token": samples[-1],
            "name": scene.name,
            "description": 'Parked truck, "quoted" {braces} \\ backslash',
        }
    )
    linked = zip(samples, scene.key_frames, [*samples[1:], ""], ["", *samples[:-1]], strict=True)
    tables["sample"] += [
        {"token": sample, "timestamp": time, "prev": before, "next": after, "scene_token": own}
        for sample, time, after, before in linked
    ]
    for channel, mount in scene.mounts.items():
        _add_sensor(tables, scene, channel, mount)
    for channel, time, name, is_key_frame in scene.data:
        _add_data(tables, scene, samples, channel, time, name, is_key_frame)
    instances = {}
    for instance, category, step, global_from_box, size in scene.boxes:
        instances[instance] = category
        _add_box(tables, scene, samples[step], instance, global_from_box, size)
    tables["instance"] += [
        {"token": token(scene.name, instance), "category_token": token(category), "nbr_annotations": 1}
        for instance, category in instances.items()
    ]
    tables["category"] += [{"token": token(name), "name": name, "description": ""} for name in instances.values()]


def _add_sensor(tables, scene, channel, mount):
    sensor = token("sensor", channel)
    modality = CHANNELS.get(channel, "camera")
    tables["sensor"].append({"token": sensor, "channel": channel, "modality": modality})
    matrix = scene.matrices.get(channel)
    tables["calibrated_sensor"].append(
        {
            "token": token(scene.name, "calibrated", channel),
            "sensor_token": sensor,
            "translation": mount[:3, 3].tolist(),
            "rotation": quaternion(mount[:3, :3]),
            "camera_intrinsic": [] if matrix is None else np.asarray(matrix).tolist(),
        }
    )


def _add_data(tables, scene, samples, channel, time, name, is_key_frame):
    pose = scene.pose_at(time)
    own = token(scene.name, channel, time)
    nearest = int(np.abs(np.array(scene.key_frames) - time).argmin())
    size = scene.image_size if channel not in CHANNELS else (0, 0)
    tables["ego_pose"].append(
        {
            "token": own,
            "timestamp": time,
            "rotation": quaternion(pose[:3, :3]),
            "translation": pose[:3, 3].tolist(),
        }
    )
    tables["sample_data"].append(
        {
            "token": own,
            "sample_token": samples[nearest],
            "ego_pose_token": own,
            "calibrated_sensor_token": token(scene.name, "calibrated", channel),
            "timestamp": time,
            "fileformat": "jpg" if channel not in CHANNELS else "pcd",
            "is_key_frame": is_key_frame,
            "height": size[1],
            "width": size[0],
            "filename": name,
            "prev": "",
            "next": "",
        }
    )


def _add_box(tables, scene, sample, instance, global_from_box, size):
    tables["sample_annotation"].append(
        {
            "token": token(scene.name, instance, sample),
            "sample_token": sample,
            "instance_token": token(scene.name, instance),
            "visibility_token": "4",
            "attribute_tokens": [],
            "translation": global_from_box[:3, 3].tolist(),
            "size": list(size),
            "rotation": quaternion(global_from_box[:3, :3]),
            "prev": "",
            "next": "",
            "num_lidar_pts": 1,
            "num_radar_pts": 0,
        }
    )


def write_tables(root: Path, tables, version="v1.0-mini"):
    """Write tables below a root, as the data set has them, and return the root."""
    folder = root / version
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in tables.items():
        (folder / f"{name}.json").write_text(json.dumps(rows, indent=0))
    return root


class MapSpec:
    """A map expansion in the making: `content` is the JSON document."""

    def __init__(self):
        layers = ("polygon", "line", "node", "drivable_area", "road_segment", "road_block", "lane", "ped_crossing")
        more = (
            "walkway",
            "stop_line",
            "carpark_area",
            "road_divider",
            "lane_divider",
            "traffic_light",
            "lane_connector",
        )
        self.content = {"version": "1.3", "canvas_edge": [1585.6, 2025.0]}
        self.content |= {name: [] for name in (*layers, *more)}
        self.content |= {"arcline_path_3": {}, "connectivity": {}}

    def nodes(self, points):
        """Add nodes and return their tokens."""
        tokens = [f"node-{len(self.content['node']) + index}" for index in range(len(points))]
        self.content["node"] += [
            {"token": own, "x": float(x), "y": float(y)} for own, (x, y) in zip(tokens, points, strict=True)
        ]
        return tokens

    def polygon(self, points, holes=()):
        """Add a polygon and return its token."""
        own = f"polygon-{len(self.content['polygon'])}"
        rings = [{"node_tokens": self.nodes(hole)} for hole in holes]
        self.content["polygon"].append({"token": own, "exterior_node_tokens": self.nodes(points), "holes": rings})
        return own

    def area(self, layer, name, points, **more):
        """Add a row of a layer of polygons."""
        polygon = self.polygon(points)
        geometry = {"polygon_tokens": [polygon]} if layer == "drivable_area" else {"polygon_token": polygon}
        self.content[layer].append({"token": name, **geometry, **more})

    def divider(self, layer, name, points, kinds=None):
        """Add a road divider, or a lane divider with the kind of the segment after each of its nodes."""
        nodes = self.nodes(points)
        line = f"line-{len(self.content['line'])}"
        self.content["line"].append({"token": line, "node_tokens": nodes})
        row = {"token": name, "line_token": line}
        if kinds is not None:
            row["lane_divider_segments"] = segments(nodes, kinds)
        self.content[layer].append(row)

    def lane(self, name, points, paths, left=(), right=()):
        """Add a lane; left and right are the kinds of its dividers."""
        self.area(
            "lane",
            name,
            points,
            lane_type="CAR",
            left_lane_divider_segments=segments(self.nodes([(0, 0)] * len(left)), left),
            right_lane_divider_segments=segments(self.nodes([(0, 0)] * len(right)), right),
        )
        self.content["arcline_path_3"][name] = paths

    def connector(self, name, paths):
        """Add a lane connector."""
        self.content["lane_connector"].append({"token": name})
        self.content["arcline_path_3"][name] = paths

    def connect(self, *names):
        """Connect lanes and connectors in order."""
        links = self.content["connectivity"]
        for name in names:
            links.setdefault(name, {"incoming": [], "outgoing": []})
        for one, other in pairwise(names):
            links[one]["outgoing"].append(other)
            links[other]["incoming"].append(one)

    def write(self, root, location=LOCATION):
        """Write it where nuScenes has it, and return its path."""
        path = root / "maps" / "expansion" / f"{location}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.content))
        return path


def segments(nodes, kinds):
    """Return divider segments."""
    return [{"node_token": node, "segment_type": kind} for node, kind in zip(nodes, kinds, strict=True)]


def arcline(start, shape, radius, lengths):
    """Return a row of an arcline path."""
    return {
        "start_pose": list(start),
        "end_pose": [0.0, 0.0, 0.0],
        "shape": shape,
        "radius": radius,
        "segment_length": list(lengths),
    }


def straight(x, y, heading, length):
    """Return the arcline path of a straight line."""
    return [arcline((x, y, heading), "LSL", 999.999, (0.0, length, 0.0))]
