"""DGP scenes against what is worked out by hand, DDAD's own 2D boxes, and what is wrong with a folder."""

import numpy as np
import pytest

from experiments.ddad_reprojection import edge_errors
from swerve.data.sources.dgp.dgp_documents import time_us_of
from swerve.data.sources.registry import open_source
from swerve.scenes import LensModel, LogError, ObjectClass
from swerve.scenes.transforms import pose_from_yaw
from tests.support.dgp_scene import (
    BOX_AT,
    BOX_SIZE,
    CX,
    CY,
    FIRST_US,
    FX,
    HEADING,
    START,
    edit_json,
    write_dgp,
)


def load(folder):
    source = open_source(f"dgp:{folder}")
    (name,) = source.names()
    return source.load(name)


def test_a_scene_becomes_a_log(tmp_path):
    log = load(write_dgp(tmp_path / "000007"))
    assert (log.name, log.source, log.road_map, len(log.lights)) == ("000007", "dgp", None, 0)
    np.testing.assert_array_equal(log.times_us, FIRST_US + 100_000 * np.arange(4))
    assert log.origin == (1000.0, -2000.0, 30.0)
    np.testing.assert_allclose(log.ego.positions[0] + log.origin, START, atol=1e-9)
    np.testing.assert_allclose(log.ego.headings, HEADING, atol=1e-9)
    np.testing.assert_allclose(log.ego.velocity, np.tile([10.0, 0.0], (4, 1)), atol=1e-6)
    assert [camera.name for camera in log.cameras] == ["CAMERA_01", "CAMERA_05"]
    assert [photo.time_us - FIRST_US for photo in log.photos[:3]] == [-10_000, -10_000, 90_000]


def test_boxes_become_tracks_in_the_world(tmp_path):
    """A parked car, 12 m ahead of the first pose and 3.3 m to the left; the sensor is turned by 90 degrees."""
    log = load(write_dgp(tmp_path / "seq"))
    assert (log.tracks.ids, log.tracks.classes.tolist()) == (("77",), [ObjectClass.VEHICLE])
    ahead = pose_from_yaw(np.array(START), HEADING) @ np.array([*BOX_AT, 1.0])
    np.testing.assert_allclose(log.tracks.positions[0] + log.origin, np.tile(ahead[:3], (4, 1)), atol=1e-9)
    np.testing.assert_allclose(log.tracks.headings, HEADING, atol=1e-9)
    np.testing.assert_allclose(log.tracks.sizes[0], np.tile(BOX_SIZE, (4, 1)))
    np.testing.assert_allclose(log.tracks.velocities, 0.0, atol=1e-9)


def test_a_point_lies_where_the_projection_says_at_the_time_of_its_photo(tmp_path):
    """Photos are 10 ms before the sweep, at 10 m/s: the car's rear is 0.1 m further away."""
    log = load(write_dgp(tmp_path / "seq"))
    rear = pose_from_yaw(np.array(START), HEADING) @ np.array([9.75, 3.3, 0.8, 1.0])
    photo = next(photo for photo in log.photos if photo.camera == "CAMERA_01")
    (pixel,), (depth,), _ = log.cameras[0].project_world((rear[:3] - log.origin)[None], photo.world_from_ego)
    away = 9.75 + 0.1 - 1.5
    assert depth == pytest.approx(away)
    # Principal points count from the first pixel's centre, ours from its corner.
    np.testing.assert_allclose(pixel, [CX + 0.5 - 3.3 * FX / away, CY + 0.5 + FX * 0.7 / away], atol=1e-6)


def test_points_are_read_in_the_ego_frame(tmp_path):
    log = load(write_dgp(tmp_path / "seq"))
    points = log.sweeps[1].read()
    # Of the car's rear face, 12 - 2.2 m ahead of the first pose, 1 m nearer at the second step.
    np.testing.assert_allclose(points[:, 0], 8.8, atol=1e-5)
    assert (np.abs(points[:, 1] - 3.3) < 0.9).all()
    assert (np.abs(points[:, 2] - 0.8) < 0.7).all()


@pytest.mark.parametrize(
    ("text", "time_us"),
    [
        ("2464-11-12T01:04:10.027900Z", 1_561_645_825_002_790),
        ("2019-06-27T14:30:25.002790Z", 1_561_645_825_002_790),
        ("2019-06-27T14:30:25Z", 1_561_645_825_000_000),
        ("2019-06-27T14:30:25.123456789Z", 1_561_645_825_123_456),
    ],
)
def test_times_ten_times_too_long_are_divided_by_ten(tmp_path, text, time_us):
    assert time_us_of(text, tmp_path) == time_us


def test_a_scene_with_true_times_is_the_same_log(tmp_path):
    logs = [load(write_dgp(tmp_path / name / "seq", tenfold=name == "ddad")) for name in ("ddad", "other")]
    np.testing.assert_array_equal(logs[0].times_us, logs[1].times_us)
    assert [photo.time_us for photo in logs[0].photos] == [photo.time_us for photo in logs[1].photos]


def test_the_split_is_that_of_the_data_sets_file(tmp_path):
    for name in ("000000", "000150"):
        write_dgp(tmp_path / "ddad_train_val" / name, steps=2)
    listed = {"0": ["000000/scene_0123.json"], "1": ["000150/scene_0123.json"]}
    splits = ", ".join(f'"{key}": {{"filenames": ["{names[0]}"]}}' for key, names in listed.items())
    (tmp_path / "ddad_train_val" / "ddad.json").write_text('{"scene_splits": {' + splits + "}}")
    source = open_source(tmp_path / "ddad_train_val")
    assert (source.kind, source.names()) == ("dgp", ("000000", "000150"))
    assert [source.load(name).split for name in source.names()] == ["train", "val"]
    assert open_source(tmp_path / "ddad_train_val" / "000150").load("000150").split == "val"
    assert load(write_dgp(tmp_path / "test" / "seq")).split is None
    assert open_source(tmp_path / "test").load("seq").split == "test"


def test_a_lens_with_distortion_is_browns(tmp_path):
    folder = write_dgp(tmp_path / "seq", steps=2)
    edit_json(folder / "calibration/rig.json", "intrinsics", 1, "k1", value=-0.2)
    edit_json(folder / "calibration/rig.json", "intrinsics", 1, "p2", value=0.01)
    front, left = load(folder).cameras
    assert front.lens.model == LensModel.BROWN
    assert front.lens.coefficients == (-0.2, 0, 0, 0.01, 0, 0, 0, 0)
    assert left.lens.model == LensModel.PINHOLE


def test_sweeps_without_annotations_have_no_boxes(tmp_path):
    """Public DDAD has none."""
    folder = write_dgp(tmp_path / "seq", steps=2)
    for datum in (0, 3):
        edit_json(folder / "scene_0123.json", "data", datum, "datum", "point_cloud", "annotations", value=None)
    assert len(load(folder).tracks) == 0


SCENE, RIG = "scene_0123.json", "calibration/rig.json"
BOXES = "bounding_box_3d/LIDAR/1.json"


@pytest.mark.parametrize(
    ("file", "keys", "value", "message"),
    [
        (SCENE, ("samples", 0, "datum_keys", 0), "nothing", "there is no datum nothing"),
        (SCENE, ("samples", 0, "datum_keys", 0), "CAMERA_01-0", r"samples\[0\]: has 0 LiDAR sweeps, not one"),
        (SCENE, ("samples", 0, "calibration_key"), "other", "2 calibrations: a log has one rig"),
        (SCENE, ("data", 0, "id", "timestamp"), "yesterday", "'yesterday', not a time"),
        (SCENE, ("data", 0, "id", "timestamp"), "2464-13-12T01:04:10Z", "not a time"),
        (SCENE, ("data", 3, "id", "timestamp"), "2464-11-12T01:04:10.027900Z", "times do not increase"),
        (SCENE, ("data", 0, "id", "name"), "RADAR", "RADAR is not in the calibration"),
        (SCENE, ("data", 1, "datum", "image", "width"), 63, "images of CAMERA_01 differ in size"),
        (SCENE, ("data", 1, "datum", "image", "filename"), "../../x.jpg", "not the path of a file in the scene"),
        (SCENE, ("data", 1, "datum", "image", "pose", "rotation"), {"qw": 0.5}, "the quaternion's length is 0.5"),
        (SCENE, ("ontologies",), {}, "there is none of 3D boxes"),
        (RIG, ("extrinsics",), [], "has 0 entries for 3 names"),
        (RIG, ("intrinsics", 1, "fx"), None, "the focal length of CAMERA_01 is not positive"),
        (RIG, ("intrinsics", 1, "fisheye"), 1, "CAMERA_01 has fisheye: of a lens model that is not read"),
        (BOXES, ("annotations", 0, "class_id"), 9, "9 is not in the scene's ontology"),
        (BOXES, ("annotations", 0, "box", "length"), None, "is a box without size"),
        ("ontology/classes.json", ("items", 2, "name"), "Spaceship", "2 .Spaceship. is unknown"),
    ],
)
def test_what_is_wrong_with_a_scene_gives_one_error(tmp_path, file, keys, value, message):
    folder = write_dgp(tmp_path / "seq", steps=2)
    edit_json(folder / file, *keys, value=value)
    with pytest.raises(LogError, match=message):
        load(folder)


def test_two_boxes_of_one_track_at_a_time_are_refused(tmp_path):
    folder = write_dgp(tmp_path / "seq", steps=2)
    text = (folder / BOXES).read_text()
    (folder / BOXES).write_text(
        text.replace(
            '[{"class_id"',
            '[{"class_id": 2, "instance_id": 77,'
            + text.split('"instance_id": 77,')[1].rpartition("]")[0]
            + ', {"class_id"',
            1,
        )
    )
    with pytest.raises(LogError, match="77 has two boxes"):
        load(folder)


@pytest.mark.parametrize("array", [np.zeros(3), np.zeros((3, 2)), np.zeros((3, 4), int), np.full((3, 4), np.nan)])
def test_a_damaged_sweep_gives_one_error_when_it_is_read(tmp_path, array):
    folder = write_dgp(tmp_path / "seq", steps=2)
    np.savez(folder / "point_cloud/LIDAR/0.npz", data=array)
    sweep = load(folder).sweeps[0]
    with pytest.raises(LogError, match=r"0\.npz: data"):
        sweep.read()


def test_ddad_projects_onto_its_own_2d_boxes(test_data):
    """Their corners are whole pixels, and one near car stands on a slope, where our boxes are upright."""
    errors = edge_errors(test_data / "ddad")
    assert errors.shape == (39, 4)
    assert np.median(np.abs(errors)) <= 1.0
    assert np.abs(errors).max() < 5.0


def test_ddad_is_read_as_it_was_recorded(test_data):
    log = open_source(f"dgp:{test_data / 'ddad'}").load("ddad")
    assert (len(log.times_us), len(log.tracks), len(log.photos), len(log.sweeps)) == (3, 13, 18, 3)
    np.testing.assert_allclose(log.ego.velocity[:, 0], 12.65, atol=0.1)
    np.testing.assert_allclose(log.step, 0.1, atol=2e-3)
    assert log.times_us[0] == 1_561_645_825_002_790
    points = log.sweeps[0].read()
    ahead = points[(np.abs(points[:, 1]) < 1.8) & (points[:, 0] > 4) & (points[:, 0] < 14) & (points[:, 2] < 1)]
    assert np.median(ahead[:, 2]) == pytest.approx(0.09, abs=0.03)
