"""OpenScene logs as a source: ten steps a second between frames, on files written here and on real ones."""

import logging

import numpy as np
import pytest
from PIL import Image

from swerve.data.sources.navsim.navsim_log import parts_of, steps_between
from swerve.data.sources.navsim.navsim_source import navsim_source
from swerve.data.sources.navsim.read_frames import read_log_frames
from swerve.data.sources.registry import open_source
from swerve.scenes import LightState, LogError, ObjectClass, split_windows
from swerve.scenes.transforms import yaw_of
from tests.support.navsim_files import HEADING, LOG, SPEED, START_US, frame, write_log
from tests.support.nuplan_files import nuplan_archives, unpack


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.delenv("NUPLAN_MAPS_ROOT", raising=False)
    write_log(tmp_path, [frame(index) for index in range(24)])
    return tmp_path


@pytest.fixture(scope="module")
def real(tmp_path_factory):
    return unpack(nuplan_archives(), tmp_path_factory.mktemp("openscene"))


def test_a_log_has_ten_steps_a_second(root):
    log = open_source(f"navsim:{root}").load(LOG)
    assert (len(log.times_us), log.source, log.split) == (23 * 5 + 1, "navsim", "test")
    np.testing.assert_array_equal(log.times_us, START_US + 100_000 * np.arange(116))
    np.testing.assert_array_equal(log.annotated_us, log.times_us[::5])
    along = (log.ego.positions[:, :2] - log.ego.positions[0, :2]) @ [np.cos(HEADING), np.sin(HEADING)]
    np.testing.assert_allclose(along, 0.1 * SPEED * np.arange(116), atol=1e-6)
    np.testing.assert_allclose(log.ego.headings, HEADING, atol=1e-12)
    np.testing.assert_array_equal(log.ego.velocity, np.repeat([[SPEED, 0.0]], 116, axis=0))


def test_boxes_are_those_of_the_frames_and_linear_between(root):
    tracks = open_source(f"navsim:{root}").load(LOG).tracks
    standing, walking = (tracks.ids.index(name) for name in ("standing", "walking"))
    assert tracks.classes[[standing, walking]].tolist() == [ObjectClass.VEHICLE, ObjectClass.PEDESTRIAN]
    assert tracks.valid.all()
    assert np.ptp(tracks.positions[standing], axis=0).max() < 1e-6
    moved = np.linalg.norm(np.diff(tracks.positions[walking, :, :2], axis=0), axis=1)
    np.testing.assert_allclose(moved, 0.1 * SPEED, atol=1e-6)
    np.testing.assert_allclose(np.cos(tracks.headings[walking]), np.cos(7.0 + HEADING), atol=1e-9)


def test_the_ego_between_frames_follows_their_velocities(tmp_path):
    """A frame's position error of 4 cm under 3 m/s2 would come of straight lines; the cubic has none."""
    frames = []
    for index in range(20):
        along = 0.5 * 3.0 * (0.5 * index) ** 2
        own = frame(index)
        start = frame(0)["ego2global_translation"]
        own["ego2global_translation"] = start + along * np.array([np.cos(HEADING), np.sin(HEADING), 0.0])
        own["ego_dynamic_state"] = [3.0 * 0.5 * index, 0.0, 3.0, 0.0]
        own["anns"] = {key: value[:0] for key, value in own["anns"].items()}
        frames.append(own)
    write_log(tmp_path, frames)
    log = open_source(f"navsim:{tmp_path}").load(LOG)
    along = np.linalg.norm(log.ego.positions - log.ego.positions[0], axis=1)
    np.testing.assert_allclose(along, 1.5 * (0.1 * np.arange(len(along))) ** 2, atol=1e-6)


def test_nothing_is_interpolated_over_a_gap(tmp_path):
    frames = [frame(index) for index in range(40) if index not in (20, 21, 22)]
    write_log(tmp_path, frames)
    log = open_source(f"navsim:{tmp_path}").load(LOG)
    assert np.diff(log.times_us).max() == 2_000_000
    assert len(log.times_us) == 19 * 5 + 1 + 16 * 5 + 1
    even, broken = split_windows(log, 2.0, 5.0, 0.5)
    assert broken
    assert all(np.diff(scene.times_us).max() == 100_000 for scene in even)


def test_a_track_that_a_frame_lacks_is_not_made_up(tmp_path):
    frames = [frame(index) for index in range(12)]
    for key, value in frames[5]["anns"].items():
        frames[5]["anns"][key] = value[:1]
    write_log(tmp_path, frames)
    tracks = open_source(f"navsim:{tmp_path}").load(LOG).tracks
    missing = np.flatnonzero(~tracks.valid[tracks.ids.index("walking")])
    np.testing.assert_array_equal(missing, np.arange(21, 30))


def test_what_is_missing_is_told_in_a_line_each(root, caplog):
    with caplog.at_level(logging.WARNING, logger="swerve"):
        log = open_source(f"navsim:{root}").load(LOG)
    interpolated, *told = [record.getMessage() for record in caplog.records]
    assert "interpolated to ten steps a second" in interpolated
    assert len(told) == 3
    assert "no map of us-nv-las-vegas-strip" in told[0]
    assert "24 of 24 images are not in" in told[1]
    assert "24 of 24 point clouds are not in" in told[2]
    assert (log.road_map, log.route, log.photos, log.sweeps, len(log.lights)) == (None, (), (), (), 0)
    assert [(camera.name, camera.width) for camera in log.cameras] == [("cam_f0", 1920)]


def test_images_that_are_there_are_photos(root):
    folder = root / "sensor_blobs" / "test" / LOG / "CAM_F0"
    folder.mkdir(parents=True)
    Image.new("RGB", (128, 64)).save(folder / f"{3:016x}.jpg")
    log = open_source(f"navsim:{root}").load(LOG)
    assert [photo.time_us for photo in log.photos] == [START_US + 1_500_000]
    assert (log.cameras[0].width, log.cameras[0].height, log.cameras[0].cx) == (128, 64, 64.5)


def test_long_logs_are_read_in_parts(tmp_path):
    write_log(tmp_path, [frame(index) for index in range(300)])
    source = open_source(f"navsim:{tmp_path}")
    names = source.names()
    assert names == (f"{LOG}.{START_US}", f"{LOG}.{START_US + 60_000_000}", f"{LOG}.{START_US + 120_000_000}")
    logs = [source.load(name) for name in names]
    assert [log.name for log in logs] == list(names)
    moments = [scene.log.times_us[scene.now] for log in logs for scene in split_windows(log, 2.0, 5.0, 0.5)[0]]
    whole = START_US + 2_000_000 + 500_000 * np.arange((300 - 1) - 4 - 10 + 1)
    assert sorted(moments) == sorted(set(moments)) == whole.tolist()
    with pytest.raises(LogError, match="no part"):
        source.load(f"{LOG}.5")


def test_parts_and_steps_by_hand():
    times = [500_000 * index for index in range(10)]
    assert parts_of(times, 10_000_000, 1, 1) == [(0, 9)]
    assert parts_of(times, 1_000_000, 2_000_000, 1_000_000) == [(0, 5), (4, 9)]
    steps = steps_between(np.array([0, 500_000, 2_000_000, 2_500_010]))
    before, after = [0, 100_000, 200_000, 300_000, 400_000, 500_000], [2_100_002, 2_200_004, 2_300_006, 2_400_008]
    assert steps.times_us.tolist() == [*before, 2_000_000, *after, 2_500_010]
    assert steps.at.tolist() == [0, 5, 6, 11]


def test_times_that_fall_and_unknown_names_are_errors(tmp_path):
    write_log(tmp_path, [frame(0), frame(2), frame(1)])
    source = navsim_source(str(tmp_path))
    assert source.names() == (LOG,)
    with pytest.raises(LogError, match="does not increase"):
        source.load(LOG)
    with pytest.raises(LogError, match="no NAVSIM log"):
        source.load("nothing")


def test_a_log_in_two_splits_is_an_error(root):
    write_log(root, [frame(index) for index in range(5)], "mini")
    with pytest.raises(LogError, match="in two splits"):
        open_source(f"navsim:{root}").names()
    assert open_source(f"navsim:{root}/navsim_logs/mini").load(LOG).split is None


def test_a_hostile_log_is_named_and_not_run(root):
    marker = root / "marker"
    (root / "navsim_logs" / "test" / "bad.pkl").write_bytes(
        b"cos\nsystem\n(S'touch " + str(marker).encode() + b"'\ntR."
    )
    source = open_source(f"navsim:{root}")
    assert source.names() == (LOG, "bad")
    with pytest.raises(LogError, match=r"bad\.pkl: pickle: refers to os\.system"):
        source.load("bad")
    assert not marker.exists()


def test_a_truncated_log_is_one_error(root):
    path = root / "navsim_logs" / "test" / f"{LOG}.pkl"
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(LogError, match=r"pickle: cannot be read: it ends"):
        navsim_source(str(root)).load(LOG)


def test_real_frames_are_steps_of_their_log(real):
    source = open_source(f"navsim:{real}")
    for name in source.names():
        log, frames = source.load(name), read_log_frames(real / "navsim_logs" / "test" / f"{name}.pkl")
        at = np.searchsorted(log.times_us, [one.timestamp_us for one in frames])
        np.testing.assert_array_equal(log.times_us[at], [one.timestamp_us for one in frames])
        poses = np.array([one.ego_pose for one in frames])
        np.testing.assert_allclose(log.ego.positions[at, :2] + log.origin[:2], poses[:, :2], atol=1e-8)
        np.testing.assert_allclose(yaw_of(log.ego.world_from_ego[at]), poses[:, 2], atol=1e-12)
        assert (log.lights.states == LightState.RED).any()
        assert log.route
        assert len(log.photos) == 8 * len(frames)
        points = log.sweeps[0].read()
        assert len(points) > 100
        # Rear axles of cars are a wheel's radius over the road.
        assert (
            0.25 < log.cameras[0].ego_from_camera[2, 3] - frames[0].cameras["cam_f0"].sensor2lidar_translation[2] < 0.5
        )


def test_boxes_of_real_photographs_project_to_the_same_pixels(real):
    """Through OpenScene's own chain (box in the ego frame, camera in the ego frame) and through the log's world."""
    source = open_source(f"navsim:{real}")
    log = source.load(source.names()[0])
    frames = read_log_frames(real / "navsim_logs" / "test" / f"{log.name}.pkl")
    one, camera = frames[6], next(camera for camera in log.cameras if camera.name == "cam_f0")
    photo = next(photo for photo in log.photos if photo.camera == "cam_f0" and photo.time_us == one.timestamp_us)
    own = one.cameras["cam_f0"]
    local = one.boxes.boxes[:, :3].astype(float)
    seen = (local - own.sensor2lidar_translation) @ own.sensor2lidar_rotation
    step = int(np.searchsorted(log.times_us, one.timestamp_us))
    rows = [log.tracks.ids.index(token) for token in one.boxes.track_tokens]
    pixels, depth, _ = camera.project_world(log.tracks.positions[rows, step], photo.world_from_ego)
    np.testing.assert_allclose(depth, seen[:, 2], atol=1e-6)
    known = camera.project(seen)[0]
    ahead = (seen[:, 2] > 1.0) & np.isfinite(known).all(axis=1)
    assert ahead.sum() > 5
    np.testing.assert_allclose(pixels[ahead], known[ahead], atol=1e-4)
