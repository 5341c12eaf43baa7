"""The real nuScenes scene of the test data, written as the data set's own tables and map expansion.

Key frames are every fifth step of ScenarioNet's record; the photos and the sweep are mmdet3d's of the first one. So the
reader's log can be compared with `nuscenes_log`, which comes from the same records by another way, and with the steps
between the key frames, which ScenarioNet has interpolated itself.
"""

import numpy as np
import shapely

from swerve.scenes.transforms import pose_from_yaw, rigid_transform
from tests.support.nuscenes_log import SCENE, key_frame, load_pickle, nuscenes_log
from tests.support.nuscenes_tables import MapSpec, SceneSpec, straight, tables_of, write_tables

NAME = "scene-0061"
_CATEGORIES = {
    "VEHICLE": "vehicle.car",
    "PEDESTRIAN": "human.pedestrian.adult",
    "CYCLIST": "vehicle.bicycle",
    "TRAFFIC_CONE": "movable_object.trafficcone",
    "TRAFFIC_BARRIER": "movable_object.barrier",
}
_KINDS = {
    "ROAD_LINE_BROKEN_SINGLE_WHITE": "DOUBLE_DASHED_WHITE",
    "ROAD_LINE_SOLID_SINGLE_WHITE": "SINGLE_SOLID_WHITE",
    "ROAD_LINE_SOLID_SINGLE_YELLOW": "SINGLE_SOLID_YELLOW",
}


def write_real_nuscenes(folder, root, with_map=True):
    """Write the scene of the test data's folder `nuscenes` below a root, and return the root."""
    scene = load_pickle(folder / SCENE)
    spec = scene_spec(folder, scene)
    write_tables(root, tables_of([spec]))
    link_files(folder, root, spec)
    if with_map:
        map_spec(scene["map_features"]).write(root)
    return root


def scene_spec(folder, scene):
    """Return the scene with a sample every 0.5 s and a pose every 0.1 s."""
    frame, log = key_frame(folder), nuscenes_log(folder)
    start = round(frame["timestamp"] * 1e6)
    own = scene["tracks"]["ego"]["state"]
    steps = [start + round(seconds * 1e6) for seconds in scene["metadata"]["ts"]]
    poses = {
        time: pose_from_yaw(np.array([*position[:2], 0.0]), heading)
        for time, position, heading in zip(steps, own["position"], own["heading"], strict=True)
    }
    poses[start] = np.array(frame["ego2global"])
    origin = np.array(log.origin)
    for photo in log.photos:
        poses[photo.time_us] = rigid_transform(photo.world_from_ego[:3, :3], photo.world_from_ego[:3, 3] + origin)
    images = frame["images"]
    mounts = {name: rounded(image["cam2ego"]) for name, image in images.items()}
    mounts["LIDAR_TOP"] = rounded(frame["lidar_points"]["lidar2ego"])
    data = [(photo.camera, photo.time_us, f"samples/{photo.camera}/{photo.file.name}", True) for photo in log.photos]
    data += [
        ("LIDAR_TOP", time, lidar_name(frame) if time == start else f"sweeps/LIDAR_TOP/{time}.pcd.bin", index % 5 == 0)
        for index, time in enumerate(steps)
    ]
    matrices = {name: image["cam2img"] for name, image in images.items()}
    return SceneSpec(NAME, steps[::5], poses.__getitem__, mounts, matrices, data, boxes_of(scene["tracks"]))


def rounded(matrix):
    """Return a rigid transform with an exact rotation of a matrix that was stored in single precision."""
    matrix = np.array(matrix, np.float64)
    u, _, vt = np.linalg.svd(matrix[:3, :3])
    return rigid_transform(u @ vt, matrix[:3, 3])


def lidar_name(frame):
    """Return the file name of the key frame's sweep."""
    return f"samples/LIDAR_TOP/{frame['lidar_points']['lidar_path']}"


def boxes_of(tracks):
    """Return the boxes of every fifth step."""
    found = []
    for name, track in tracks.items():
        state = track["state"]
        for step in range(0, len(state["valid"]), 5):
            if name != "ego" and state["valid"][step] > 0:
                size = [float(state[side][step, 0]) for side in ("width", "length", "height")]
                pose = pose_from_yaw(state["position"][step], float(state["heading"][step]))
                found.append((name, _CATEGORIES[track["type"]], step // 5, pose, size))
    return found


def link_files(folder, root, spec):
    """Link the photos and the sweep that are there."""
    for channel, _, name, _ in spec.data:
        source = folder / name.rpartition("/")[2]
        if source.is_file():
            (root / "samples" / channel).mkdir(parents=True, exist_ok=True)
            (root / name).symlink_to(source)


def map_spec(features):
    """Return ScenarioNet's map as an expansion: lanes as chains of straight paths, connected where their ends meet."""
    spec, lanes = MapSpec(), {}
    rings = []
    for name, feature in features.items():
        line = np.array([vertex[:2] for vertex in feature["polyline"]], np.float64)
        if feature["type"] == "LANE_SURFACE_STREET":
            lanes[name] = line
            paths = chain_of(line)
            if "polygon" in feature:
                ring = np.array([vertex[:2] for vertex in feature["polygon"]], np.float64)
                spec.lane(name, ring[:-1] if (ring[0] == ring[-1]).all() else ring, paths)
            else:
                spec.connector(name, paths)
        elif name.startswith("boundary"):
            rings.append(shapely.Polygon(line))
        else:
            spec.divider("lane_divider", name, line, [_KINDS[feature["type"]]] * len(line))
    add_surface(spec, rings)
    for name, line in lanes.items():
        spec.connect(name)
        for other, ahead in lanes.items():
            if other != name and np.linalg.norm(line[-1] - ahead[0]) < 0.3:
                spec.connect(name, other)
    return spec


def add_surface(spec, rings):
    """Add the drivable surface: rings within others are holes."""
    surface = shapely.Polygon()
    for ring in sorted(rings, key=lambda one: -one.area):
        surface = surface.symmetric_difference(shapely.make_valid(ring))
    tokens = [
        spec.polygon(
            shapely.get_coordinates(part.exterior)[:-1], [shapely.get_coordinates(hole)[:-1] for hole in part.interiors]
        )
        for part in shapely.get_parts(surface)
        if isinstance(part, shapely.Polygon)
    ]
    spec.content["drivable_area"].append({"token": "surface", "polygon_tokens": tokens})


def chain_of(line):
    """Return straight arcline paths along a line."""
    steps = np.diff(line, axis=0)
    return [
        straight(float(x), float(y), float(np.arctan2(dy, dx)), float(np.hypot(dx, dy)))[0]
        for (x, y), (dx, dy) in zip(line[:-1], steps, strict=True)
        if np.hypot(dx, dy) > 1e-6
    ]
