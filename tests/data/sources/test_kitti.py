"""KITTI odometry sequences against what is worked out by hand, and what is wrong with a folder."""

import re

import numpy as np
import pytest
from PIL import Image

from swerve.data.sources.registry import open_source
from swerve.data.stream.image_decoding import decode_rgb
from swerve.scenes import LogError
from swerve.scenes.transforms import rigid_transform, transform_points
from tests.support.kitti_sequence import BASELINE, CX, CY, FX, camera_poses, write_kitti


def load(folder):
    source = open_source(f"kitti:{folder}")
    (name,) = source.names()
    return source.load(name)


def test_a_point_lies_where_the_projection_says(tmp_path):
    log = load(write_kitti(tmp_path / "seq"))
    left, right = log.cameras
    assert (left.name, right.name, left.width, left.height) == ("left", "right", 64, 32)
    # 3 m to the right, 1 m down and 20 m ahead of the left camera at frame 0, whose ego frame is the world.
    world = transform_points(left.ego_from_camera, np.array([[3.0, 1.0, 20.0]]))
    # The camera is 1.08 m ahead of the axle and 1.65 m up; right is -y.
    np.testing.assert_allclose(world, [[21.08, -3.0, 0.65]], atol=1e-12)
    pose = camera_poses(6)[4]
    for photo in (photo for photo in log.photos if photo.time_us == 400_000):
        camera = {"left": left, "right": right}[photo.camera]
        (pixel,), (depth,), _ = camera.project_world(world, photo.world_from_ego)
        x, y, z = pose[:3, :3].T @ (np.array([3.0, 1.0, 20.0]) - pose[:3, 3])
        shift = 0.0 if photo.camera == "left" else BASELINE
        assert depth == pytest.approx(z, abs=1e-5)
        # KITTI's principal point counts from the first pixel's centre, ours from its corner.
        np.testing.assert_allclose(pixel, [FX * (x - shift) / z + CX + 0.5, FX * y / z + CY + 0.5], atol=1e-4)


def test_a_camera_that_looks_down_is_mounted_so(tmp_path):
    """Three degrees down, on a flat road: the ego stays at its height, and does not pitch."""
    down = np.deg2rad(3.0)
    turn = np.array([[1, 0, 0], [0, np.cos(down), -np.sin(down)], [0, np.sin(down), np.cos(down)]])
    poses = rigid_transform(np.tile(np.eye(3), (20, 1, 1)), np.arange(20)[:, None] * (turn @ [0.0, 0.0, 1.0]))
    log = load(write_kitti(tmp_path / "seq", count=16, first=4, poses=poses))
    np.testing.assert_allclose(log.ego.positions, np.arange(4, 20)[:, None] * [1.0, 0.0, 0.0], atol=1e-5)
    np.testing.assert_allclose(log.ego.world_from_ego[:, :3, :3], np.tile(np.eye(3), (16, 1, 1)), atol=1e-6)
    looks = log.cameras[0].ego_from_camera[:3, 2]
    np.testing.assert_allclose(np.rad2deg(np.arcsin(looks[2])), -3.0, atol=1e-3)


def test_a_sequence_becomes_a_log(tmp_path):
    log = load(write_kitti(tmp_path / "seq", count=4, first=2))
    assert (log.name, log.source, len(log.tracks), log.road_map) == ("seq", "kitti", 0, None)
    np.testing.assert_array_equal(log.times_us, [200_000, 300_000, 400_000, 500_000])
    assert [(photo.camera, photo.time_us) for photo in log.photos[:3]] == [
        ("left", 200_000),
        ("right", 200_000),
        ("left", 300_000),
    ]
    with Image.open(tmp_path / "seq" / "image_r" / "000002.png") as image:
        np.testing.assert_array_equal(decode_rgb(log.photos[1].read(), (1.0, 1.0)), np.array(image.convert("RGB")))
    # 1 m every 0.1 s.
    np.testing.assert_allclose(log.ego.velocity[:, 0], 10.0, atol=0.3)


def test_the_official_layout_is_read(tmp_path):
    """dataset/sequences/00 and dataset/poses/00.txt, names before the rows of calib.txt, times.txt."""
    folder = write_kitti(tmp_path / "dataset" / "sequences" / "00", first=0, names=("image_0", "image_1"))
    (tmp_path / "dataset" / "poses").mkdir()
    (folder / "poses.txt").rename(tmp_path / "dataset" / "poses" / "00.txt")
    calib = (folder / "calib.txt").read_text().splitlines()
    (folder / "calib.txt").write_text(f"P0: {calib[0]}\nP1: {calib[1]}\n")
    (folder / "times.txt").write_text("0.0\n1.036224e-01\n2.071573e-01\n3.107924e-01\n")
    for text in (f"kitti:{tmp_path / 'dataset'}", str(tmp_path / "dataset"), str(folder)):
        source = open_source(text)
        assert (source.kind, source.names()) == ("kitti", ("00",))
    np.testing.assert_array_equal(source.load("00").times_us, [0, 103_622, 207_157, 310_792])


def spoiled(text, row, words):
    lines = text.splitlines()
    lines[row] = words
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda f: (f / "image_r" / "000003.png").unlink(), "frame 3: has no image of the right camera"),
        (lambda f: [(f / d / "000004.png").unlink() for d in ("image_l", "image_r")], "frame 4: has no image"),
        (lambda f: [p.unlink() for p in (f / "image_l").iterdir()], "image_l: images: no PNG file"),
        (lambda f: (f / "image_r").rename(f / "other"), "image_1 or image_r: no such folder"),
        (lambda f: (f / "poses.txt").unlink(), "poses.txt: no such file"),
        (lambda f: (f / "poses.txt").write_text("1 2 3"), "line 6: there are 1 lines, and images up to 5"),
        (lambda f: (f / "calib.txt").write_text("1 2 3"), "line 1: must be 12 finite numbers"),
        (lambda f: (f / "image_l" / "000002.png").write_bytes(b"no image"), "000002.png: image: cannot be read"),
        (lambda f: Image.new("L", (8, 8)).save(f / "image_r" / "000005.png"), "is 8x8, others 64x32"),
        (
            lambda f: (f / "poses.txt").write_text(spoiled((f / "poses.txt").read_text(), 3, "2 " * 12)),
            "line 4: is not a rigid transform",
        ),
        (
            lambda f: (f / "calib.txt").write_text(spoiled((f / "calib.txt").read_text(), 1, "1 1 0 0 " * 3)),
            "line 2: is not the projection",
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path, spoil, message):
    spoil(folder := write_kitti(tmp_path / "seq"))
    with pytest.raises(LogError, match=re.escape(message)):
        load(folder)


def test_no_sequence_and_no_such_log(tmp_path):
    with pytest.raises(LogError, match="no KITTI sequence"):
        open_source(f"kitti:{tmp_path}").names()
    with pytest.raises(LogError, match="no KITTI sequence of that name"):
        open_source(f"kitti:{write_kitti(tmp_path / 'seq')}").load("other")


def test_the_real_sequence(test_data):
    """What its README says of it."""
    folder = test_data / "kitti"
    if not folder.is_dir():
        pytest.skip(f"no KITTI sequence at {folder}")
    log = load(folder)
    assert len(log.times_us) == 36
    assert len(log.photos) == 72
    assert [camera.fx for camera in log.cameras] == [707.0912] * 2
    across = log.cameras[1].ego_from_camera[:3, 3] - log.cameras[0].ego_from_camera[:3, 3]
    assert np.linalg.norm(across) == pytest.approx(379.8145 / 707.0912)
    assert log.times_us[0] == 1_500_000
    # The car drives ahead, at 40 to 50 km/h, on ground that stays below it.
    assert (log.ego.velocity[:, 0] > 9).all()
    assert np.ptp(log.ego.positions[:, 2]) < 0.3
