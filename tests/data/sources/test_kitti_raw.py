"""KITTI's raw data: a made drive against what is worked out by hand, and what is wrong with a folder."""

import re

import numpy as np
import pytest

from swerve.data.sources.registry import open_source
from swerve.scenes import LogError, ObjectClass
from swerve.scenes.transforms import transform_points, wrap_angle
from tests.support.kitti_recording import FRAMES, SPEED, YAW, write_raw

DRIVE = "2011_09_26_drive_0001_sync"
# 13:02:25 on that day.
SECOND = 1_317_042_145_000_000


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_raw(tmp_path_factory.mktemp("kitti"))


@pytest.fixture(scope="module")
def log(root):
    return open_source(f"kitti:{root}").load(DRIVE)


def test_a_drive_becomes_a_log(log):
    assert (log.name, log.source, log.road_map) == (DRIVE, "kitti", None)
    np.testing.assert_array_equal(log.times_us, SECOND + 1_000 + 100_000 * np.arange(FRAMES))
    moved = log.ego.positions - log.ego.positions[0]
    steps = SPEED * 0.1 * np.arange(FRAMES)
    np.testing.assert_allclose(moved, steps[:, None] * [np.cos(YAW), np.sin(YAW), 0.0], atol=1e-4)


def test_photos_and_scans_have_the_pose_of_their_own_times(log):
    """4, 4.5 and 2 ms after a record; the last images come after the last record, and are left out."""
    assert len(log.photos) == 2 * (FRAMES - 1)
    offsets = {"image_02": 4_000, "image_03": 4_500}
    for photo in log.photos:
        step = int(photo.file.stem)
        assert photo.time_us == log.times_us[step] + offsets[photo.camera]
        along = np.linalg.norm(photo.world_from_ego[:3, 3] - log.ego.positions[step])
        assert along == pytest.approx(SPEED * offsets[photo.camera] * 1e-6, abs=1e-5)
    (sweep,) = log.sweeps
    assert sweep.time_us == log.times_us[2] + 2_000
    assert sweep.read().shape == (4, 3)


def test_tracklets_become_tracks(log):
    """10 m ahead of the scanner, which is 0.81 m ahead of the axle, 1.73 m up; from frame 2 on, turning left."""
    tracks = log.tracks
    assert (tracks.ids, tracks.classes.tolist()) == (("0",), [ObjectClass.VEHICLE])
    np.testing.assert_array_equal(np.flatnonzero(tracks.valid[0]), [2, 3, 4])
    for index, frame in enumerate((2, 3, 4)):
        center = transform_points(log.ego.world_from_ego[frame], np.array([[10.81, -2.0, 1.73 - 1.7 + 1.0]]))[0]
        np.testing.assert_allclose(tracks.positions[0, frame], center, atol=1e-9)
        assert wrap_angle(tracks.headings[0, frame] - YAW - 0.1 * index) == pytest.approx(0.0, abs=1e-9)
        np.testing.assert_allclose(tracks.sizes[0, frame], [5.0, 1.9, 2.0])


def test_both_forms_of_calibration_are_one(log, tmp_path):
    """The tracking benchmark's and the raw data's, of the same sensors."""
    from tests.support.kitti_recording import write_tracking

    other = open_source(f"kitti:{write_tracking(tmp_path)}").load("0001")
    for one, two in zip(log.cameras, other.cameras, strict=True):
        np.testing.assert_allclose(one.ego_from_camera, two.ego_from_camera, atol=1e-12)
        np.testing.assert_array_equal(one.matrix, two.matrix)


def test_drives_are_found_wherever_they_are_named(root):
    for path in (root, root / DRIVE[:10], root / DRIVE[:10] / DRIVE):
        source = open_source(str(path))
        assert (source.kind, source.names()) == ("kitti", (DRIVE,))
    assert len(source.rigs([DRIVE])[DRIVE]) == 2


def test_a_drive_without_tracklets_has_no_boxes(tmp_path, caplog):
    log = open_source(f"kitti:{write_raw(tmp_path, with_tracklets=False)}").load(DRIVE)
    assert len(log.tracks) == 0
    assert f"{DRIVE}: no tracklet_labels.xml: the log has no boxes" in [record.message for record in caplog.records]


def replaced(name, old, new):
    """Return a function that replaces a text in a file of the drive."""

    def spoil(folder):
        path = folder / name
        path.write_text(path.read_text().replace(old, new))

    return spoil


def in_utf16(name):
    """Return a function that writes a file of the drive in UTF-16."""

    def spoil(folder):
        text = (folder / name).read_text()
        (folder / name).write_bytes(text.replace("UTF-8", "UTF-16").encode("utf-16"))

    return spoil


XML = "tracklet_labels.xml"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (replaced(XML, "<finished>", "<finish"), "tracklet_labels.xml: file: cannot be read"),
        (replaced(XML, "boost_serialization>\n", 'b [<!ENTITY a "b">]>\n'), "defines entities"),
        (in_utf16(XML), "defines entities, or is not UTF-8"),
        (replaced(XML, "<first_frame>2", "<first_frame>2.5"), "first_frame: is 2.5, not a whole number"),
        (replaced(XML, "Van", "Spaceship"), "tracklet 0: has the kind 'Spaceship'"),
        (replaced(XML, "<h>2.0</h>", ""), "tracklet 0: h: is missing"),
        (replaced(XML, "<tx>10.0", "<tx>nan"), "tracklet 0: tx: is missing or not a finite number"),
        (replaced(XML, "<first_frame>2", "<first_frame>6"), "is of frames 6 to 8; the drive has 8"),
        (replaced("oxts/timestamps.txt", "2011-09-26 13:02:25.3", "soon"), "line 4: is not a time such as"),
        (replaced("image_02/timestamps.txt", "2011-09-26 13", "2011-09-66 13"), "line 1: is not a time such as"),
        (replaced("../calib_imu_to_velo.txt", "T:", "X:"), "calib_imu_to_velo.txt: T: is missing"),
        (replaced("../calib_cam_to_cam.txt", "P_rect_02: 70.0", "P_rect_02: 1e999"), "has a number that is not finite"),
        (lambda folder: (folder / "oxts" / "data" / "0000000003.txt").unlink(), "must be numbered from 0 on"),
        (lambda folder: (folder / "oxts" / "timestamps.txt").unlink(), "timestamps.txt: file: cannot be read"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, spoil, message):
    spoil(write_raw(tmp_path) / DRIVE[:10] / DRIVE)
    with pytest.raises(LogError, match=re.escape(message)):
        open_source(f"kitti:{tmp_path}").load(DRIVE)
