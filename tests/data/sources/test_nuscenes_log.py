"""The nuScenes helper: two independent packagings of one scene agree, and photographs have their own pose."""

import pickle
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from swerve.data.sources.checks import check_log
from swerve.scenes.transforms import transform_points
from tests.support.nuscenes_log import key_frame, load_pickle, nuscenes_log


@pytest.fixture(scope="module")
def folder(test_data):
    return test_data / "nuscenes"


@pytest.fixture(scope="module")
def log(folder):
    return check_log(nuscenes_log(folder), folder)


def test_the_log_is_whole(log):
    assert (len(log.times_us), len(log.tracks), len(log.cameras), len(log.photos)) == (191, 225, 6, 6)
    assert [Image.open(BytesIO(photo.read())).size for photo in log.photos] == [(1600, 900)] * 6


def test_tracks_are_where_the_other_packaging_has_its_boxes(folder, log):
    """mmdet3d's boxes, from the lidar to the world, against ScenarioNet's tracks at step 0."""
    frame = key_frame(folder)
    boxes = np.array([instance["bbox_3d"] for instance in frame["instances"]], np.float64)
    world_from_lidar = np.array(frame["ego2global"]) @ np.array(frame["lidar_points"]["lidar2ego"])
    centres = transform_points(world_from_lidar, boxes[:, :3]) - log.origin
    tracks = log.tracks.positions[log.tracks.valid[:, 0], 0]
    gaps = np.linalg.norm(centres[:, None, :2] - tracks[None, :, :2], axis=2).min(axis=1)
    assert (gaps < 1e-3).sum() >= 68


def test_j10_box_centres_project_where_the_data_set_says(folder, log):
    """With each camera's pose at its own exposure; the original's pose of the sweep is off by up to 10 pixels."""
    cameras = {camera.name: camera for camera in log.cameras}
    off, off_with_sweep_pose = [], []
    ego = np.array(key_frame(folder)["ego2global"])
    ego[:3, 3] -= log.origin
    for photo in log.photos:
        wanted = np.array([box["center_2d"] for box in key_frame(folder)["cam_instances"][photo.camera]]) + 0.5
        for pose, into in ((photo.world_from_ego, off), (ego, off_with_sweep_pose)):
            points = log.tracks.positions[log.tracks.valid[:, 0], 0]
            pixels, _, _ = cameras[photo.camera].project_world(points, pose)
            into += np.nanmin(np.linalg.norm(wanted[:, None] - pixels[None], axis=2), axis=1).tolist()
    assert np.median(off) < 0.01
    assert np.percentile(off, 95) < 0.1
    assert np.median(off_with_sweep_pose) > 1.0


def test_the_unpickler_refuses_code(tmp_path):
    (tmp_path / "evil.pkl").write_bytes(pickle.dumps(eval))
    with pytest.raises(pickle.UnpicklingError, match="no business"):
        load_pickle(tmp_path / "evil.pkl")
