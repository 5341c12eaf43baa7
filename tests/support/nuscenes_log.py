"""Log of nuScenes scene 0061, for tests with real photos: tracks and map from ScenarioNet, photos from mmdet3d.

The photos belong to step 0 and carry full ego poses; the log's own ego poses are flat. nuScenes has no heights: the
ground is at z = 0, the height of the ego poses.
"""

import pickle
from pathlib import Path

import numpy as np
from numpy._core import multiarray

from swerve.scenes import (
    Camera,
    Ego,
    GroundHeight,
    Lane,
    LaneMarking,
    Log,
    ObjectClass,
    Photo,
    RoadEdge,
    RoadLine,
    RoadMap,
    Tracks,
    TrafficLights,
    Vehicle,
)
from swerve.scenes.transforms import inverse, pose_from_yaw, rigid_transform

KEY_FRAME = "n015-2018-07-24-11-22-45+0800.pkl"
SCENE = "sd_nuscenes_v1.0-mini_scene-0061.pkl"
_CLASSES = {
    "VEHICLE": ObjectClass.VEHICLE,
    "PEDESTRIAN": ObjectClass.PEDESTRIAN,
    "CYCLIST": ObjectClass.BICYCLE,
    "TRAFFIC_CONE": ObjectClass.TRAFFIC_CONE,
    "TRAFFIC_BARRIER": ObjectClass.BARRIER,
}
_PAINTS = {
    "ROAD_LINE_BROKEN_SINGLE_WHITE": LaneMarking.DASHED_WHITE,
    "ROAD_LINE_SOLID_SINGLE_WHITE": LaneMarking.SOLID_WHITE,
    "ROAD_LINE_SOLID_SINGLE_YELLOW": LaneMarking.SOLID_YELLOW,
}


def nuscenes_log(folder: Path) -> Log:
    """Read 19 s at 10 Hz; `folder` is the test data's `nuscenes`."""
    frame, scene = key_frame(folder), load_pickle(folder / SCENE)
    origin = np.round(np.array(frame["ego2global"])[:3, 3])
    times = round(frame["timestamp"] * 1e6) + np.round(scene["metadata"]["ts"] * 1e6).astype(np.int64)
    own = scene["tracks"]["ego"]["state"]
    flat = np.concatenate([own["position"][:, :2] - origin[:2], np.zeros((len(times), 1))], axis=1)
    return Log(
        name="scene-0061",
        source="nuscenes",
        times_us=times,
        ego=Ego.from_poses(pose_from_yaw(flat, own["heading"]), times),
        vehicle=Vehicle("renault_zoe", length=4.084, width=1.73, height=1.562, wheelbase=2.588, rear_overhang=0.64),
        tracks=_tracks({key: track for key, track in scene["tracks"].items() if key != "ego"}, origin),
        lights=TrafficLights.empty(len(times)),
        road_map=_map(scene["map_features"], origin),
        cameras=tuple(_camera(name, image) for name, image in frame["images"].items()),
        origin=tuple(origin.tolist()),
        photos=tuple(_photo(name, image, frame, origin, folder) for name, image in frame["images"].items()),
    )


def key_frame(folder: Path) -> dict:
    """Read mmdet3d's record of the one frame."""
    return load_pickle(folder / KEY_FRAME)["data_list"][0]


def load_pickle(path: Path):
    """Load a pickle of plain Python and numpy values; anything else raises."""
    with open(path, "rb") as stream:
        return _NumpyOnly(stream).load()


class _NumpyOnly(pickle.Unpickler):
    def find_class(self, module, name):
        allowed = {
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
            ("numpy.core.multiarray", "_reconstruct"): multiarray._reconstruct,
            ("numpy.core.multiarray", "scalar"): multiarray.scalar,
            ("_codecs", "encode"): lambda text, encoding: text.encode(encoding),
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"{module}.{name} has no business in this file")
        return allowed[module, name]


def _moved(pose, origin):
    return rigid_transform(pose[:3, :3], pose[:3, 3] - origin)


def _camera(name, image) -> Camera:
    """Convert a camera; nuScenes counts pixels from their centres."""
    matrix = np.array(image["cam2img"])
    mount = np.array(image["cam2ego"])
    return Camera(name, 1600, 900, matrix[0, 0], matrix[1, 1], matrix[0, 2] + 0.5, matrix[1, 2] + 0.5, mount)


def _photo(name, image, frame, origin, folder) -> Photo:
    """Convert a photo; lidar2cam spans the time from sweep to exposure, so it includes the ego pose at the latter."""
    world_from_lidar = np.array(frame["ego2global"]) @ np.array(frame["lidar_points"]["lidar2ego"])
    world_from_camera = world_from_lidar @ inverse(np.array(image["lidar2cam"]))
    world_from_ego = world_from_camera @ inverse(np.array(image["cam2ego"]))
    return Photo(name, round(image["timestamp"] * 1e6), _moved(world_from_ego, origin), folder / image["img_path"])


def _tracks(tracks, origin) -> Tracks:
    states = [track["state"] for track in tracks.values()]
    sizes = [np.concatenate([state[name] for name in ("length", "width", "height")], axis=1) for state in states]
    return Tracks(
        ids=tuple(tracks),
        classes=np.array([_CLASSES[track["type"]] for track in tracks.values()], np.uint8),
        positions=np.stack([state["position"] for state in states]) - origin,
        headings=np.stack([state["heading"] for state in states]),
        sizes=np.stack(sizes),
        velocities=np.stack([state["velocity"] for state in states]),
        valid=np.stack([state["valid"] > 0 for state in states]),
    )


def _map(features, origin) -> RoadMap:
    """Convert lanes with a polygon, painted lines, and the drivable surface's boundaries ("boundary_...")."""

    def points(line):
        flat = np.array([vertex[:2] for vertex in line], np.float64) - origin[:2]
        return np.concatenate([flat, np.zeros((len(flat), 1))], axis=1)

    lanes, lines, edges = [], [], []
    for key, feature in features.items():
        line = points(feature["polyline"])
        if "polygon" in feature:
            lanes.append(Lane(key, line, points(feature["polygon"])))
        elif feature["type"] in _PAINTS and key.startswith("boundary"):
            edges.append(RoadEdge(key, line))
        elif feature["type"] in _PAINTS:
            lines.append(RoadLine(key, line, _PAINTS[feature["type"]]))
    every = np.concatenate([lane.centerline for lane in lanes])
    ground = GroundHeight.from_points(every, spacing=10.0)
    return RoadMap(tuple(lanes), ground, road_lines=tuple(lines), road_edges=tuple(edges), has_height=False)
