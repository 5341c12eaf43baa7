"""Exported frames: cameras under NAVSIM's names, and poses and boxes that NAVSIM's planar rotation brings back."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from swerve.data.export_navsim.log_frames import ExportedLog, FrameInputs, axle_pose, log_frames
from swerve.data.export_navsim.rig import AXLE_HEIGHT, camera_record, navsim_names
from swerve.data.sources.default_rigs import default_rig
from swerve.data.sources.navsim.cameras import camera_of
from swerve.data.sources.navsim.read_frames import heading_of, read_log_frames
from swerve.data.sources.navsim.scene_log import global_boxes
from swerve.data.storage.write_pickle import pickled
from swerve.scenes.transforms import rigid_transform, wrap_angle, yaw_of
from swerve.scenes.viewpoints import Command
from tests.support.town_logs import town

OFFSET = np.array([331_000.0, 4_690_500.0, 12.0])


def test_cameras_get_names_by_their_directions():
    """The town's side cameras have fisheye lenses, which NAVSIM's files cannot describe."""
    cameras = town(3).cameras
    assert navsim_names(cameras) == {
        "front": "cam_f0",
        "front_left": "cam_l0",
        "front_right": "cam_r0",
        "back_left": "cam_l2",
        "back_right": "cam_r2",
        "back": "cam_b0",
    }
    renamed = [replace(camera, name="cam_b0") for camera in cameras[:1]]
    assert navsim_names(renamed) == {"cam_b0": "cam_b0"}
    twins = [replace(cameras[0], name=name) for name in ("a", "b")]
    assert sorted(navsim_names(twins).values()) == ["cam_f0"]
    assert navsim_names(()) == {}


def test_the_default_rig_has_all_eight():
    assert len(navsim_names(default_rig())) == len(default_rig()) == 8


def test_calibration_comes_back(tmp_path):
    for camera in default_rig():
        frames = log_frames(exported(), [10], lambda _, own=camera: FrameInputs(Command.LEFT, {"cam_f0": record(own)}))
        (tmp_path / "log.pkl").write_bytes(pickled(frames))
        (frame,) = read_log_frames(tmp_path / "log.pkl")
        read = camera_of("cam_f0", frame.cameras["cam_f0"], (camera.width, camera.height), AXLE_HEIGHT, Path("x"))
        np.testing.assert_allclose(read.ego_from_camera, camera.ego_from_camera, atol=1e-12)
        assert (read.fx, read.fy, read.cx, read.cy) == (camera.fx, camera.fy, camera.cx, camera.cy)
        assert read.lens == camera.lens
        assert frame.driving_command.tolist() == [1, 0, 0, 0]


def record(camera):
    return camera_record(camera, "log/CAM_F0/a.png")


def exported():
    return ExportedLog("log", town(3), "us-ma-boston", OFFSET, (7, 8), ((0, 5),))


angles = st.floats(-np.pi, np.pi)
small = st.floats(-0.3, 0.3)


@given(angles, small, small)
def test_navsim_s_heading_is_the_ego_s(yaw, pitch, roll):
    """NAVSIM takes another angle than the x axis's direction where the ego rolls and pitches."""
    rotation = Rotation.from_euler("ZYX", [yaw, pitch, roll]).as_matrix()
    pose = rigid_transform(rotation, np.array([3.0, 4.0, 5.0]))
    found = axle_pose(pose, OFFSET)
    np.testing.assert_allclose(found[:3, 3], pose[:3, 3] + OFFSET + [0.0, 0.0, AXLE_HEIGHT], rtol=0, atol=1e-9)
    x, y, z, w = Rotation.from_matrix(found[:3, :3]).as_quat()
    assert abs(float(wrap_angle(heading_of(np.array([w, x, y, z])) - yaw_of(pose)))) < 2e-15
    turned = Rotation.from_matrix(found[:3, :3].T @ rotation).magnitude()
    assert turned <= 0.6 * (abs(pitch) + abs(roll)) ** 2 + 1e-7, "a second-order correction"


def test_frames_come_back(tmp_path):
    """Pose, motion, boxes, lights and route of a town that rolls and pitches; read by NAVSIM's planar rotation."""
    log, steps = town(3), [0, 5, 10, 100]
    assert np.abs(log.ego.world_from_ego[:, 2, :2]).max() > 0.005
    (tmp_path / "log.pkl").write_bytes(pickled(log_frames(exported(), steps, lambda _: FrameInputs(Command.RIGHT))))
    frames = read_log_frames(tmp_path / "log.pkl")
    for frame, step in zip(frames, steps, strict=True):
        assert frame.timestamp_us == log.times_us[step]
        assert frame.ego_pose[:2] == pytest.approx(log.ego.positions[step, :2] + OFFSET[:2], abs=1e-9)
        assert frame.ego_pose[2] == pytest.approx(log.ego.headings[step], abs=2e-15)
        np.testing.assert_array_equal(frame.ego_velocity, log.ego.velocity[step].astype(np.float32))
        assert (frame.roadblock_ids, frame.cameras) == (("7", "8"), {})
        rows = np.flatnonzero(log.tracks.valid[:, step])
        order = sorted(rows, key=lambda row: log.tracks.ids[row])
        assert frame.boxes.track_tokens == tuple(log.tracks.ids[row] for row in order)
        back = global_boxes(frame.boxes, frame.ego_pose, OFFSET)
        assert back[:, :2] == pytest.approx(log.tracks.positions[order, step, :2], abs=1e-8)
        assert wrap_angle(back[:, 2] - log.tracks.headings[order, step]) == pytest.approx(0.0, abs=1e-12)
        assert back[:, 3:6] == pytest.approx(log.tracks.sizes[order, step], abs=1e-12)
    assert len({frame.token for frame in frames}) == len(steps)
    assert {len(frame.token) for frame in frames} == {16}
