"""A small made scene of nuScenes with a map, written to the schema."""

import numpy as np
from PIL import Image

from swerve.scenes import FORWARD
from swerve.scenes.transforms import pose_from_yaw, rigid_transform, rotation_about_z
from tests.support.nuscenes_tables import MapSpec, SceneSpec, arcline, straight, tables_of, write_tables

NAME = "scene-0061"
START = 1_532_402_927_647_951
KEY_FRAMES = [START + offset for offset in (0, 500_000, 950_000, 1_500_000)]
EAST, NORTH, SPEED, HEADING = 400.0, 1200.0, 10.0, 0.3
SIZE = (64, 36)
FOCAL, CX, CY = 50.0, 31.5, 17.5
MOUNT = rigid_transform(FORWARD, np.array([1.7, 0.0, 1.5]))
LIDAR_MOUNT = rigid_transform(rotation_about_z(-np.pi / 2), np.array([0.94, 0.0, 1.84]))


def pose_at(time):
    """Return global_from_ego: straight ahead at a constant speed."""
    along = SPEED * (time - START) * 1e-6
    place = np.array([EAST + along * np.cos(HEADING), NORTH + along * np.sin(HEADING), 0.0])
    return pose_from_yaw(place, HEADING)


def ahead(forward, left=0.0, up=0.0, turn=0.0):
    """Return the global pose of something relative to the ego at the start."""
    return pose_at(START) @ pose_from_yaw(np.array([forward, left, up]), turn)


def scene_spec(name=NAME, heading=3.1):
    """Return a scene of four key frames, with images at 10 Hz and sweeps at 20 Hz.

    A car, which heads so from the ego's heading, is in the first three key frames, drives 2 m further and turns by 0.1
    in each; a pedestrian is in the
    second and the last.
    """
    end = KEY_FRAMES[-1]
    data = [
        ("CAM_FRONT", time, f"{'samples' if index % 5 == 0 else 'sweeps'}/CAM_FRONT/{time}.jpg", index % 5 == 0)
        for index, time in enumerate(range(START - 30_000, end, 100_000))
    ]
    data += [
        ("LIDAR_TOP", time, f"sweeps/LIDAR_TOP/{time}.pcd.bin", time in KEY_FRAMES)
        for time in range(START, end + 1, 50_000)
    ]
    data += [("RADAR_FRONT", START, "samples/RADAR_FRONT/0.pcd", True)]
    boxes = [
        ("car", "vehicle.car", step, ahead(20.0 + 2.0 * step, 3.0, 0.8, heading + 0.1 * step), (1.9, 4.5, 1.6))
        for step in range(3)
    ]
    boxes += [("walker", "human.pedestrian.adult", step, ahead(8.0, -4.0, 0.9), (0.7, 0.8, 1.8)) for step in (1, 3)]
    mounts = {"CAM_FRONT": MOUNT, "LIDAR_TOP": LIDAR_MOUNT, "RADAR_FRONT": LIDAR_MOUNT}
    matrices = {"CAM_FRONT": [[FOCAL, 0, CX], [0, FOCAL, CY], [0, 0, 1]]}
    return SceneSpec(name, KEY_FRAMES, pose_at, mounts, matrices, data, boxes, SIZE)


def write_scene(root, with_map=True, names=(NAME,), heading=3.1):
    """Write scenes with an image and a sweep on disk each, and return the root."""
    specs = [scene_spec(name, heading) for name in names]
    write_tables(root, tables_of(specs))
    image, sweep = specs[0].data[0][2], f"sweeps/LIDAR_TOP/{START}.pcd.bin"
    for name in (image, sweep):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", SIZE, (90, 120, 60)).save(root / image)
    # One point 10 m ahead of the scanner, whose y axis points ahead, and one on the car's bonnet.
    np.array([[0, 10, -1.84, 7, 3], [0.2, 1.0, -1.0, 7, 3]], "<f4").tofile(root / sweep)
    if with_map:
        map_spec().write(root)
    return root


def along_road(*points):
    """Return points given as metres along and to the left of the ego's path, in the map's coordinates."""
    return [tuple((pose_at(START) @ [x, y, 0.0, 1.0])[:2]) for x, y in points]


def strip(start, end, right, left):
    """Return the corners of a strip along the road."""
    return along_road((start, right), (end, right), (end, left), (start, left))


def map_spec():
    """Return a road of two lanes that leads into a connector, a left turn and a lane beyond."""
    spec = MapSpec()
    for name, right in (("right", -1.75), ("left", 1.75)):
        (start,) = along_road((-10.0, right + 1.75))
        spec.lane(
            name,
            strip(-10.0, 40.0, right, right + 3.5),
            straight(*start, HEADING, 50.0),
            left=("DOUBLE_DASHED_WHITE",) * 3 if name == "right" else (),
        )
    (middle,), (turn,) = along_road((40.0, 0.0)), along_road((40.0, 3.5))
    spec.connector("ahead", straight(*middle, HEADING, 20.0))
    quarter = 10.0 * np.pi / 2
    spec.connector("turn", [arcline((*turn, HEADING), "LSL", 10.0, (quarter, 0.0, 0.0))])
    (beyond,) = along_road((60.0, 0.0))
    spec.lane("beyond", strip(60.0, 90.0, -2.0, 2.0), straight(*beyond, HEADING, 30.0))
    spec.connect("right", "ahead", "beyond")
    spec.connect("left", "turn")
    spec.area("road_block", "block", strip(-10.0, 40.0, -1.75, 5.25))
    spec.area("road_segment", "segment", strip(-10.0, 40.0, -1.75, 5.25), is_intersection=False)
    spec.area("road_segment", "crossing", strip(40.0, 60.0, -5.0, 15.0), is_intersection=True)
    # Further than any part of the map that a log needs.
    spec.area("drivable_area", "surface", strip(-2000.0, 2000.0, -5.0, 15.0))
    spec.area("ped_crossing", "zebra", strip(38.0, 40.0, -1.75, 5.25))
    spec.area("walkway", "pavement", strip(-10.0, 90.0, 15.0, 18.0))
    spec.area("carpark_area", "bay", strip(0.0, 10.0, -5.0, -2.0))
    spec.area("stop_line", "stop", strip(36.0, 38.0, -1.75, 5.25), stop_line_type="TRAFFIC_LIGHT")
    spec.area("stop_line", "turn stop", strip(41.0, 42.0, 1.75, 5.25), stop_line_type="TURN_STOP")
    kinds = ("DOUBLE_DASHED_WHITE", "SINGLE_SOLID_WHITE", "SINGLE_SOLID_WHITE", "NIL", "NIL")
    spec.divider(
        "lane_divider", "divider", along_road((-10, 1.75), (0, 1.75), (20, 1.75), (30, 1.75), (40, 1.75)), kinds
    )
    spec.divider("road_divider", "opposite", along_road((-10, 5.25), (40, 5.25)))
    return spec
