"""KITTI tracking: a made sequence against what is worked out by hand, the real one, and what is wrong with a folder."""

import pickle
import re

import numpy as np
import pytest
from scipy.spatial import cKDTree

from experiments.kitti_box_edges import edge_errors, table_of
from swerve.data.sources.kitti.oxts import mercator
from swerve.data.sources.kitti.velodyne import read_scan, untwisted
from swerve.data.sources.registry import open_source
from swerve.scenes import LogError, ObjectClass
from swerve.scenes.transforms import inverse, pose_from_yaw, transform_points, wrap_angle
from tests.support.kitti_recording import (
    ALTITUDE,
    BASELINE,
    CX,
    CY,
    FOCAL,
    FRAMES,
    LABELS,
    RADIUS,
    SPEED,
    YAW,
    numbers,
    oxts_record,
    write_tracking,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_tracking(tmp_path_factory.mktemp("kitti") / "training")


@pytest.fixture(scope="module")
def log(root):
    return open_source(f"kitti:{root}").load("0001")


@pytest.fixture(scope="module")
def real(test_data):
    folder = test_data / "kitti_tracking"
    if not folder.is_dir():
        pytest.skip(f"no KITTI tracking sequence at {folder}")
    return folder, open_source(f"kitti:{folder}").load("0001")


def test_a_sequence_becomes_a_log(log):
    assert (log.name, log.source, log.split, log.road_map) == ("0001", "kitti", "train", None)
    np.testing.assert_array_equal(log.times_us, 103_600 * np.arange(FRAMES))
    times = [(photo.camera, photo.time_us) for photo in log.photos]
    assert times == [("image_02", 0), ("image_02", 103_600), ("image_03", 103_600), ("image_02", 414_400)]
    assert [(camera.width, camera.height) for camera in log.cameras] == [(124, 38)] * 2


def test_the_car_drives_as_the_unit_says(log):
    """Straight on at 10 m/s; the unit is 0.93 m above the ground and 0.32 m to the left of the centre plane."""
    moved = log.ego.positions - log.ego.positions[0]
    steps = SPEED * 0.1 * np.arange(FRAMES)
    np.testing.assert_allclose(moved, steps[:, None] * [np.cos(YAW), np.sin(YAW), 0.0], atol=1e-4)
    np.testing.assert_allclose(log.ego.headings, YAW, atol=1e-9)
    assert log.ego.positions[0, 2] + log.origin[2] == pytest.approx(ALTITUDE - 0.93)
    np.testing.assert_allclose(log.ego.velocity, np.tile([SPEED, 0.2], (FRAMES, 1)))
    np.testing.assert_allclose(log.ego.acceleration, np.tile([0.5, -0.1], (FRAMES, 1)))
    assert log.ego.measured


def test_a_turning_car_is_faster_where_it_is_further_out(tmp_path):
    """The unit is to the left of the centre plane: in a left turn the plane's middle is faster."""
    root = write_tracking(tmp_path)
    records = [numbers(oxts_record(frame, yaw_rate=0.5)) for frame in range(FRAMES)]
    (root / "oxts" / "0001.txt").write_text("\n".join(records))
    log = open_source(f"kitti:{root}").load("0001")
    np.testing.assert_allclose(log.ego.velocity[0], [SPEED + 0.16, 0.2])
    np.testing.assert_allclose(log.ego.acceleration[0], [0.5, -0.1 + 0.08])


def test_mercator_coordinates_are_metres_on_the_ground():
    """A degree of longitude at 60 degrees is half as long as one at the equator; one of latitude is as long there."""
    east = mercator(np.array([60.0, 60.0]), np.array([8.0, 8.001]), np.array([1.0, 2.0]))
    np.testing.assert_allclose(np.diff(east, axis=0)[0], [RADIUS * np.pi / 180e3 / 2, 0.0, 1.0], rtol=1e-6)
    north = mercator(np.array([60.0, 60.001]), np.array([8.0, 8.0]), np.array([1.0, 1.0]))
    np.testing.assert_allclose(np.diff(north, axis=0)[0], [0.0, RADIUS * np.pi / 180e3, 0.0], rtol=1e-4)


def test_a_point_lies_where_the_projection_says(log):
    """3 m to the right, 1 m down, 20 m ahead of the rectified frame, 0.06 m to the right of the left colour camera."""
    left, right = log.cameras
    # The scanner is 0.81 m ahead of the unit and 0.80 m above it; the rectified frame 0.27 m ahead and 0.08 m above.
    np.testing.assert_allclose(left.ego_from_camera[:3, 3], [1.08, 0.06, 1.65], atol=1e-9)
    point = np.array([[1.08 + 20.0, -3.0, 1.65 - 1.0]])
    world = transform_points(log.ego.world_from_ego[1], point)
    for camera, shift in ((left, 0.06), (right, 0.06 - BASELINE)):
        (photo,) = [one for one in log.photos if one.camera == camera.name and one.time_us == 103_600]
        (pixel,), (depth,), _ = camera.project_world(world, photo.world_from_ego)
        assert depth == pytest.approx(20.0, abs=1e-6)
        wanted = [FOCAL * (3.0 + shift) / 20 + CX + 0.5, FOCAL / 20 + CY + 0.5]
        np.testing.assert_allclose(pixel, wanted, atol=1e-4)


def test_labels_become_tracks(log):
    tracks = log.tracks
    assert tracks.ids == ("3", "7")
    assert tracks.classes.tolist() == [ObjectClass.VEHICLE, ObjectClass.PEDESTRIAN]
    np.testing.assert_array_equal(np.flatnonzero(tracks.valid[0]), range(5))
    np.testing.assert_array_equal(np.flatnonzero(tracks.valid[1]), range(2, 8))
    for frame, track, _, height, width, length, x, y, z, turn in LABELS:
        row = tracks.ids.index(str(track))
        # In the ego frame: the camera's z is ahead, its x to the right, its y down; boxes are given by their bottoms.
        center = np.array([[1.08 + z, -x, 1.65 - y + height / 2]])
        world = transform_points(log.ego.world_from_ego[frame], center)[0]
        np.testing.assert_allclose(tracks.positions[row, frame], world, atol=1e-6)
        # A rotation of -pi / 2 heads straight on; it grows clockwise seen from above.
        assert wrap_angle(tracks.headings[row, frame] - (YAW - np.pi / 2 - turn)) == pytest.approx(0.0, abs=1e-9)
        np.testing.assert_allclose(tracks.sizes[row, frame], [length, width, height])


def test_points_are_moved_to_the_time_of_the_scan(log):
    """Counter-clockwise from behind: to the left a quarter turn, 26 ms, later, when the car was 0.26 m further on."""
    (sweep,) = log.sweeps
    assert sweep.time_us == 103_600
    # The point on the roof is the car's own. Sideways the car moves by 0.2 m/s. The scanner is at (0.81, 0, 1.73).
    quarter = 0.1036 / 4
    expected = [
        [20.81, 0.0, 0.73],
        [0.81 + SPEED * quarter, 20.0 + 0.2 * quarter, 0.73],
        [-19.19 + 2 * SPEED * quarter, 0.001 + 0.4 * quarter, 0.73],
        [0.81 - SPEED * quarter, -20.0 - 0.2 * quarter, 0.73],
    ]
    np.testing.assert_allclose(sweep.read(), expected, atol=1e-3)


def test_untwisting_undoes_a_drive_along_a_curve():
    """Points of standing objects, measured one by one from a car on a circle."""
    rng = np.random.default_rng(0)
    objects = np.column_stack([rng.uniform(-30, 30, (200, 2)), rng.uniform(-1, 2, 200)])
    speed, rate = 12.0, 0.4

    def scanner_at(seconds):
        return pose_from_yaw(
            np.array([speed / rate * np.sin(rate * seconds), speed / rate * (1 - np.cos(rate * seconds)), 0.0]),
            rate * seconds,
        )

    measured = []
    for place in objects:
        later = 0.0
        for _ in range(20):  # the time at which the scanner faces it
            seen = transform_points(inverse(scanner_at(later)), place[None])[0]
            later = np.arctan2(seen[1], seen[0]) / (2 * np.pi) * 0.1036
        measured.append(seen)
    found = untwisted(np.array(measured), np.array([speed, 0.0, 0.0]), rate)
    assert np.abs(np.array(measured) - objects).max() > 0.5
    np.testing.assert_allclose(found, objects, atol=0.02)


def test_what_is_missing_is_told(tmp_path, caplog):
    root = write_tracking(tmp_path)
    (root / "label_02" / "0001.txt").unlink()
    log = open_source(f"kitti:{root}").load("0001")
    assert (len(log.tracks), log.split) == (0, None)
    assert [re.sub(str(root), "ROOT", record.message) for record in caplog.records] == [
        "0001: no ROOT/label_02/0001.txt: the log has no boxes",
        "0001: 5 of 8 files of image_02 are not there",
        "0001: 7 of 8 files of image_03 are not there",
        "0001: 7 of 8 files of velodyne are not there",
    ]


def test_it_is_found_and_can_be_pickled(root):
    for text in (str(root), str(root.parent), f"kitti:{root.parent}"):
        source = open_source(text)
        assert (source.kind, source.names()) == ("kitti", ("0001",))
    log = pickle.loads(pickle.dumps(source.load("0001")))
    assert log.sweeps[0].read().shape == (4, 3)
    (rig,) = source.rigs(["0001"]).values()
    np.testing.assert_array_equal(rig[1].ego_from_camera, log.cameras[1].ego_from_camera)


def test_training_and_testing_need_a_choice(tmp_path):
    """Both have a sequence 0001."""
    write_tracking(tmp_path / "training")
    write_tracking(tmp_path / "testing")
    with pytest.raises(LogError, match=r"both training and testing, .* Give one of them: .*training or .*testing"):
        open_source(f"kitti:{tmp_path}").names()
    assert open_source(f"kitti:{tmp_path / 'testing'}").load("0001").split == "test"


def line(path, row, change):
    """Return a function that changes the words of a line."""

    def spoil(root):
        lines = (root / path).read_text().splitlines()
        lines[row] = " ".join(change(lines[row].split()))
        (root / path).write_text("\n".join(lines))

    return spoil


def word(path, row, column, value):
    return line(path, row, lambda words: [*words[:column], value, *words[column + 1 :]])


OXTS, LABEL, CALIB = "oxts/0001.txt", "label_02/0001.txt", "calib/0001.txt"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (word(OXTS, 2, 3, "nan"), "line 3: must be 30 finite numbers"),
        (word(OXTS, 2, 0, "91"), "record 2: is at latitude and longitude 91.0"),
        (word(OXTS, 2, 0, "49.1"), "m/s from step 1 to the next"),
        (
            lambda root: (root / OXTS).write_text("\n".join((root / OXTS).read_text().splitlines()[:3])),
            "line 5: is missing: ",
        ),
        (lambda root: (root / OXTS).write_text(""), "has no records"),
        (word(LABEL, 1, 2, "Spaceship"), "line 2: has the kind 'Spaceship'"),
        (word(LABEL, 1, 0, "99"), "line 2: is of frame 99; the sequence has 8"),
        (word(LABEL, 1, 10, "0"), "is a box without size"),
        (word(LABEL, 1, 13, "x"), "line 1: must be 16 finite numbers"),
        (word(LABEL, 2, 0, "0"), "a track has two boxes in one frame"),
        (word(CALIB, 4, 1, "5"), "R_rect: is not a rotation"),
        (word(CALIB, 4, 0, "R_other"), "R_rect or R0_rect: is missing"),
        (line(CALIB, 5, lambda words: words[:-1]), "Tr_velo_cam: has 11 numbers, not 3x4"),
        (word(CALIB, 2, 1, "-5"), "calibration of image_02: is not the projection of a rectified camera"),
        (lambda root: (root / "image_02" / "0001" / "000001.png").write_bytes(b"no image"), "image: cannot be read"),
        (
            lambda root: (root / "image_03" / "0001" / "000001.png").rename(root / "image_03" / "0001" / "000012.png"),
            "line 13: is missing: ",
        ),
    ],
)
def test_what_is_wrong_is_said(tmp_path, spoil, message):
    spoil(root := write_tracking(tmp_path))
    with pytest.raises(LogError, match=re.escape(message)):
        open_source(f"kitti:{root}").load("0001")


@pytest.mark.parametrize("content", [b"1234567", np.full(4, np.inf, "<f4").tobytes()])
def test_a_damaged_scan_is_refused(tmp_path, content):
    (sweep,) = open_source(f"kitti:{write_tracking(tmp_path)}").load("0001").sweeps
    sweep.file.write_bytes(content)
    with pytest.raises(LogError, match="points: are not 4 finite float32"):
        sweep.read()


def test_the_real_sequence_has_what_its_readme_says(real):
    _, log = real
    assert (len(log.times_us), len(log.photos), len(log.sweeps)) == (447, 7, 2)
    assert len(log.tracks) == 98
    # Speeds that are measured are those of the poses, over five steps.
    moved = np.linalg.norm(log.ego.positions[5:] - log.ego.positions[:-5], axis=1) / (5 * log.step)
    measured = np.linalg.norm(log.ego.velocity, axis=1)
    assert np.median(np.abs(moved - (measured[5:] + measured[:-5]) / 2)) < 0.15


def test_boxes_lie_in_the_real_photos_where_they_were_drawn(real):
    """Median error of the edges below a pixel (0.68 measured); below 0.5 (0.31) for boxes upright in the camera."""
    folder, log = real
    errors = edge_errors(folder / "oxts" / "0001", log)
    known = np.isfinite(errors.log).all(axis=1)
    assert known.sum() == 3001
    assert np.median(np.abs(errors.log[known])) < 0.8
    assert np.median(np.abs(errors.labelled[known])) < 0.4
    assert np.percentile(np.abs(errors.log[known]), 90) < 3.0
    assert len(table_of(errors).splitlines()) == 5


def test_real_scans_lie_on_the_ground_and_on_each_other(real):
    folder, log = real
    first, second = log.sweeps
    points = first.read()
    near = points[(np.abs(points[:, 1]) < 3) & (np.abs(points[:, 0]) < 12) & (np.abs(points[:, 2]) < 0.3)]
    assert abs(np.median(near[:, 2])) < 0.05
    clouds = [transform_points(sweep.world_from_ego, sweep.read().astype(np.float64)) for sweep in (first, second)]
    walls = clouds[0][(points[:, 2] > 0.5) & (np.linalg.norm(points, axis=1) < 20)][::20]
    assert np.median(cKDTree(clouds[1]).query(walls)[0]) < 0.06
    raw = read_scan(folder / "velodyne" / "0001" / "000000.bin")
    assert 0.9 * len(raw) < len(points) < len(raw)
