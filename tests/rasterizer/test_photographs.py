"""Rasters align with photos: lane paint on a nuScenes photo, vehicles on four of Waymo's."""

import io

import numpy as np
import pytest
from PIL import Image

from swerve.data import open_source
from swerve.rasterizer import render
from swerve.scenes.polyline import offset_line, subdivide
from swerve.scenes.primitives import Semantic, agent_cuboids, build_static
from tests.support.nuscenes_log import nuscenes_log


@pytest.fixture(scope="module")
def log(test_data):
    return nuscenes_log(test_data / "nuscenes")


def brightness(log, name):
    (photo,) = [photo for photo in log.photos if photo.camera == name]
    image = np.asarray(Image.open(io.BytesIO(photo.read())).convert("L")).astype(float)
    (camera,) = [camera for camera in log.cameras if camera.name == name]
    return image, camera, photo.world_from_ego


def profile(image, camera, pose, line, offsets, nearest, farthest):
    """Mean brightness beside a line in the world, per lateral offset in metres; NaN where too little is in sight."""
    values = []
    for offset in offsets:
        pixels, depth, visible = camera.project_world(offset_line(subdivide(line, 0.1), offset), pose)
        seen = visible & (depth > nearest) & (depth < farthest)
        u, v = np.floor(pixels[seen]).astype(int).T
        values.append(image[v, u].mean() if seen.sum() > 50 else np.nan)
    return np.array(values)


def test_lane_paint_lies_on_the_lane_paint(log):
    """Across the two lane dividers in plain sight, 8 to 40 m ahead, the photo is brightest where the line is drawn.

    To within 0.1 m, which is the map's own accuracy. A third divider stands behind a lorry and shows no contrast.
    """
    image, camera, pose = brightness(log, "CAM_FRONT")
    offsets = np.arange(-1.2, 1.21, 0.05)
    profiles = [profile(image, camera, pose, line.points, offsets, 8, 40) for line in log.road_map.road_lines]
    seen = np.array([values for values in profiles if not np.isnan(values).any()])
    contrast = seen - np.median(seen, axis=1, keepdims=True)
    peaks = offsets[contrast.argmax(axis=1)][contrast.max(axis=1) > 8]
    assert len(peaks) == 2
    np.testing.assert_allclose(peaks, 0.0, atol=0.101)


def test_paint_is_drawn_where_the_camera_projects_it(log):
    """The raster's own lines and the projection of the map's lines are the same pixels."""
    _, camera, pose = brightness(log, "CAM_FRONT")
    static = build_static(log.road_map)
    semantic = render(static, [camera], pose[None], outputs=("semantic",))[0][0].semantic
    rows, columns = np.nonzero(semantic == Semantic.LINE_WHITE)
    lines = [subdivide(line.points, 0.02) for line in log.road_map.road_lines]
    pixels, depth, visible = camera.project_world(np.concatenate(lines), pose)
    pixels, depth = pixels[visible & (depth < 120)], depth[visible & (depth < 120)]
    drawn = np.stack([columns + 0.5, rows + 0.5], axis=1)
    nearest = np.array([np.hypot(*(pixels - point).T).argmin() for point in drawn[::7]])
    distance = np.hypot(*(pixels[nearest] - drawn[::7]).T)
    # Half the width of the paint where it is nearest, and a pixel.
    assert (distance <= 0.06 * camera.fx / depth[nearest] + 1.5).all()


def test_vehicle_boxes_cover_the_vehicles_that_people_outlined(test_data):
    """Waymo's annotators outlined every vehicle in the images: boxes drawn through the lens cover 98 % of them.

    In the front camera the vehicles are far away, and some have no box: they are left out here.
    """
    dataset_pb2 = pytest.importorskip("waymo_open_dataset.dataset_pb2")
    path = test_data / "waymo" / "pvps_data_one_frame.tfrecord"
    log = open_source(f"waymo:{path}").load(path.stem)
    # A record is 8 bytes of length, 4 of checksum, the data and 4 of checksum; this file holds one.
    frame = dataset_pb2.Frame.FromString(path.read_bytes()[12:-4])
    boxes = agent_cuboids(log.tracks, 0)
    photos = {photo.camera: photo for photo in log.photos}
    for image in frame.images:
        name = dataset_pb2.CameraName.Name.Name(image.name).lower()
        if name != "front":
            (camera,) = [camera for camera in log.cameras if camera.name == name]
            drawn = render(boxes, [camera], photos[name].world_from_ego[None], outputs=("semantic",))[0][0].semantic
            outlined = outlined_vehicles(image.camera_segmentation_label)
            both = (drawn == Semantic.VEHICLE) & outlined
            assert both.sum() / outlined.sum() > 0.98
            # A box is larger than the car in it, but not by much.
            assert both.sum() / ((drawn == Semantic.VEHICLE) | outlined).sum() > 0.55


def outlined_vehicles(label):
    """Pixels of cars, trucks, buses and other large vehicles: classes 2 to 5 of the panoptic labels."""
    numbers = np.asarray(Image.open(io.BytesIO(label.panoptic_label))).astype(int)
    return np.isin(numbers // label.panoptic_label_divisor, (2, 3, 4, 5))
