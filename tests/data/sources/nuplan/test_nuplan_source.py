"""Logs of a small data base of known contents, the official one, what is missing, and what is damaged."""

import logging
import os
import pickle

import numpy as np
import pytest
from PIL import Image

from swerve.data.sources.nuplan import NuplanSource
from swerve.data.sources.nuplan.nuplan_db import NuplanDb
from swerve.data.sources.nuplan.nuplan_records import heading_of
from swerve.data.sources.nuplan.nuplan_scenario import NuplanScenario
from swerve.data.sources.nuplan.point_cloud import read_point_cloud
from swerve.data.sources.nuplan.sqlite_file import opened
from swerve.data.sources.registry import open_source
from swerve.scenes import LightState, LogError, ObjectClass, SwerveError, extract_scenes
from swerve.scenes.transforms import rotation_from_quaternion
from tests.support.nuplan_writer import EAST, LOCATION, LOG, NORTH, START_US, change, write_cloud, write_db, write_maps


@pytest.fixture(autouse=True)
def no_variables(monkeypatch):
    for name in ("NUPLAN_MAPS_ROOT", "NUPLAN_SENSOR_ROOT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def root(tmp_path):
    write_maps(tmp_path)
    write_db(tmp_path)
    return tmp_path


@pytest.fixture
def file(root):
    return next(root.rglob("*.db"))


def load(root, text=""):
    source = open_source(f"nuplan:{root}{text}")
    return source.load(source.names()[0])


def write_sensors(folder, steps=range(0, 240, 20)):
    for channel, suffix in (("CAM_F0", "jpg"), ("MergedPointCloud", "pcd")):
        (folder / LOG / channel).mkdir(parents=True)
        for step in steps:
            path = folder / LOG / channel / f"{step}.{suffix}"
            if suffix == "jpg":
                Image.new("RGB", (32, 24)).save(path)
            else:
                write_cloud(path, np.array([[10, 1, 0.5, 7, 2, 4], [1, 0, 1, 9, 1, 0]]))


def test_the_log_is_what_was_driven(root):
    log = load(root)
    assert (log.name, log.source, log.split, log.vehicle.name) == (LOG, "nuplan", "train", "pacifica")
    assert len(log.times_us) == 120
    assert log.step == pytest.approx(0.1)
    assert log.origin == (EAST + 5, NORTH + 2, 10.0)
    # The axle is 0.36 m above the ground that the car ahead stands on.
    np.testing.assert_allclose(
        log.ego.positions, np.stack([0.8 * np.arange(120), 0 * np.arange(120), 0 * np.arange(120)], 1), atol=1e-9
    )
    np.testing.assert_array_equal(log.ego.velocity, np.tile([8.0, 0.0], (120, 1)))
    assert log.ego.measured
    assert log.route == ("31", "33", "32")
    assert len(extract_scenes(log)) == 10


def test_tracks_and_lights(root):
    log = load(root)
    assert len(log.tracks) == 1
    assert log.tracks.classes.tolist() == [ObjectClass.VEHICLE]
    np.testing.assert_allclose(log.tracks.positions[0, 0], [20.0, 0.0, 0.8])
    np.testing.assert_array_equal(log.tracks.sizes[0, 0], [5.0, 2.0, 1.6])
    np.testing.assert_array_equal(log.tracks.velocities[0, 0], [8.0, 0.0])
    assert log.lights.lane_ids == ("21",)
    np.testing.assert_allclose(log.lights.positions, [[75.0, 0.0, 5.0]], atol=0.01)
    assert np.cos(log.lights.headings[0]) == -1.0
    assert log.lights.states[0].tolist() == [LightState.RED] * 50 + [LightState.GREEN] * 70


def test_red_wins_where_a_light_is_named_twice(root, file):
    pc = b"pc000000"
    change(file, "INSERT INTO traffic_light_status VALUES (?, ?, 21, 'green')", b"tl999998", pc)
    change(file, "INSERT INTO traffic_light_status VALUES (?, ?, 99, 'red')", b"tl999999", pc)
    log = load(root)
    assert log.lights.lane_ids == ("21",)
    assert log.lights.states[0, 0] == LightState.RED


def test_velocities_that_are_not_stored_come_from_positions(root, file):
    change(file, "UPDATE lidar_box SET vx = NULL, vy = NULL")
    np.testing.assert_allclose(load(root).tracks.velocities[0, 10:], np.tile([8.0, 0.0], (110, 1)), atol=1e-6)


def test_the_camera_looks_where_it_is_mounted(root):
    (camera,) = load(root).cameras
    assert (camera.name, camera.width, camera.height, camera.fx) == ("CAM_F0", 320, 240, 300.0)
    assert (camera.cx, camera.cy) == (160.0, 120.0)  # pixel centres at +0.5
    assert camera.lens.coefficients == (-0.1, 0.0, 0.0, 0.0, 0.0)
    np.testing.assert_allclose(camera.ego_from_camera[:3, 3], [1.6, 0.0, 1.3 + 0.36])
    np.testing.assert_allclose(camera.ego_from_camera[:3, 2], [1.0, 0.0, 0.0], atol=1e-15)


def test_the_steps_are_those_of_the_images(root, file):
    change(file, "UPDATE image SET timestamp = timestamp + 50000")
    assert load(root).times_us[0] == START_US + 50_000


def test_the_heading_is_pyquaternions_yaw():
    yaw, pitch, roll = 0.7, 0.05, -0.03
    halves = np.array([yaw, pitch, roll]) / 2
    (cy, cp, cr), (sy, sp, sr) = np.cos(halves), np.sin(halves)
    # Hamilton's product of the rotations about x, then y, then z, in this order.
    about_x, about_y, about_z = np.array([cr, sr, 0, 0]), np.array([cp, 0, sp, 0]), np.array([cy, 0, 0, sy])

    def product(a, b):
        w, v = a[0] * b[0] - a[1:] @ b[1:], a[0] * b[1:] + b[0] * a[1:] + np.cross(a[1:], b[1:])
        return np.concatenate([[w], v])

    quaternion = product(product(about_x, about_y), about_z)
    assert heading_of(3 * quaternion[None])[0] == pytest.approx(yaw, abs=1e-12)
    rotation = rotation_from_quaternion(quaternion)
    assert abs(np.arctan2(rotation[1, 0], rotation[0, 0]) - yaw) > 4e-4


def test_photos_and_sweeps_that_are_there(root, caplog):
    write_sensors(root / "sensor_blobs" / "train")
    with caplog.at_level(logging.WARNING, "swerve"):
        log = load(root)
    assert len(log.photos) == len(log.sweeps) == 12
    assert [message.split(": ")[1].split(" are")[0] for message in caplog.messages] == [
        "108 of 120 images",
        "228 of 240 point clouds",
    ]
    assert log.photos[1].time_us == START_US + 1_000_000
    np.testing.assert_allclose(log.photos[1].world_from_ego[:3, 3], [8.0, 0.0, 0.0], atol=1e-9)
    # The second point is a return from the ego itself.
    np.testing.assert_allclose(log.sweeps[0].read(), [[10.0, 1.0, 0.5 + 0.36]], rtol=1e-6)


def test_complete_sensor_data_says_nothing(root, caplog):
    write_sensors(root / "sensor_blobs", range(240))
    with caplog.at_level(logging.WARNING, "swerve"):
        log = load(root)
    assert caplog.messages == []
    assert (len(log.photos), len(log.sweeps)) == (120, 240)


def test_without_maps_the_rest_is_read(tmp_path, caplog):
    write_db(tmp_path)
    with caplog.at_level(logging.WARNING, "swerve"):
        log = load(tmp_path)
    assert log.road_map is None
    assert (log.route, len(log.lights), len(log.tracks)) == ((), 0, 1)
    assert len(caplog.messages) == 3
    assert f"no map of {LOCATION}" in caplog.messages[0]
    assert "NUPLAN_MAPS_ROOT" in caplog.messages[0]


def test_variables_name_the_folders(tmp_path, monkeypatch):
    file = write_db(tmp_path / "logs")
    maps = write_maps(tmp_path / "elsewhere")
    write_sensors(tmp_path / "blobs")
    monkeypatch.setenv("NUPLAN_MAPS_ROOT", str(maps))
    monkeypatch.setenv("NUPLAN_SENSOR_ROOT", str(tmp_path / "blobs"))
    log = load(file)
    assert log.road_map is not None
    assert len(log.photos) == 12
    monkeypatch.setenv("NUPLAN_MAPS_ROOT", str(tmp_path / "nowhere"))
    with pytest.raises(LogError, match="NUPLAN_MAPS_ROOT: no such folder"):
        load(file)


@pytest.mark.parametrize("layout", ["nuplan-v1.1/splits/mini", "nuplan/splits/mini", "splits/mini", "mini", "."])
def test_layouts(tmp_path, layout):
    file = write_db(tmp_path / "made")
    folder = tmp_path / "root" / layout
    folder.mkdir(parents=True, exist_ok=True)
    file.rename(folder / file.name)
    for text in (f"nuplan:{tmp_path / 'root'}", str(tmp_path / "root"), str(folder / file.name)):
        assert open_source(text).names() == (LOG,)


def test_an_empty_folder_says_where_logs_are_looked_for(tmp_path):
    with pytest.raises(LogError, match=r"no \.db file there.*splits/SPLIT"):
        open_source(f"nuplan:{tmp_path}").names()


def test_two_files_of_one_name_are_refused(root):
    write_db(root / "other").rename(root / f"{LOG}.db")
    with pytest.raises(LogError, match="two files of this name"):
        open_source(f"nuplan:{root}").names()


def test_tags_choose_stretches(root):
    source = open_source(f"nuplan:{root}?tags=accelerating&before=1&after=2.5")
    start = START_US + 5_000_000
    assert source.names() == (f"{LOG}.{start}",)
    log = source.load(source.names()[0])
    assert (log.times_us[0], log.times_us[-1]) == (start, START_US + 9_400_000)
    assert log.origin == (EAST + 5, NORTH + 2, 10.0)  # of the whole log
    moments = [scene.times_us[scene.history] - START_US for scene in extract_scenes(log, 1.0, 2.5)]
    assert moments == [6_000_000, 6_500_000]
    tags = source.database(source.names()[0]).tags
    assert set(tags.types) == {"accelerating"}


@pytest.mark.parametrize("tags", ["parking", "accelerating,parking"])
def test_unknown_tags_name_the_known_ones(root, tags):
    with pytest.raises(LogError, match=r"no log of 1 has a scenario tagged parking\. They have accelerating"):
        open_source(f"nuplan:{root}?tags={tags}").names()


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("?", "no option"),
        ("?tag=a", "unknown option 'tag'"),
        ("?before=x", "before must be"),
        ("?after=-1", "after must be"),
        ("?after=61", "after must be"),
    ],
)
def test_wrong_options_are_told(root, query, message):
    with pytest.raises(SwerveError, match=message):
        open_source(f"nuplan:{root}{query}")


def test_a_long_log_is_read_in_parts_that_share_no_scene(tmp_path):
    write_db(tmp_path, seconds=131.0)
    source = open_source(f"nuplan:{tmp_path}")
    assert len(source.names()) == 3
    moments = [scene.times_us[scene.history] for name in source.names() for scene in extract_scenes(source.load(name))]
    assert moments == list(range(START_US + 2_000_000, moments[-1] + 1, 500_000))
    assert moments[-1] >= START_US + 125_000_000


def test_a_source_travels_to_workers(root):
    source = pickle.loads(pickle.dumps(open_source(f"nuplan:{root}?tags=accelerating")))
    assert isinstance(source, NuplanSource)
    assert source.tags == ("accelerating",)


class Bomb:
    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("column", ["translation", "rotation", "intrinsic", "distortion"])
def test_a_pickle_that_calls_is_refused_and_does_not_run(root, file, column):
    made = root / "made"
    change(file, f"UPDATE camera SET {column} = ?", pickle.dumps(Bomb(str(made))))
    with pytest.raises(LogError, match=rf"camera\.{column}: .*posix\.mkdir, which is refused"):
        load(root)
    assert not made.exists()


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.95])
def test_a_truncated_data_base_is_one_log_and_one_error(root, file, share):
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    source = open_source(f"nuplan:{root}")
    (name,) = source.names()
    with pytest.raises(LogError, match=r"\.db") as error:
        source.load(name)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DROP TABLE lidar_box", "no such table: lidar_box"),
        ("ALTER TABLE lidar_box DROP COLUMN yaw", "no such column: lb.yaw"),
        ("UPDATE lidar_box SET x = 'far'", r"lb\.x: has a value of another type"),
        ("UPDATE lidar_box SET length = NULL", r"lb\.length: .*NULL or not finite"),
        ("UPDATE lidar_box SET length = 0.0", "tracks.sizes"),
        ("UPDATE lidar_pc SET timestamp = 'now'", "times that are not integers"),
        ("UPDATE lidar_pc SET token = 'text'", r"lp\.token: has a value of another type"),
        ("UPDATE ego_pose SET qw = 0.0", "quaternion of length zero"),
        ("UPDATE ego_pose SET x = 9e999", r"ep\.x: .*not finite"),
        ("DELETE FROM ego_pose", "has a value of another type"),
        ("DELETE FROM log", "log: has 0 rows"),
        ("DELETE FROM lidar_pc", "lidar_pc"),
        ("DELETE FROM lidar", "lidar_pc: has no rows"),
        ("DELETE FROM scene", "scene"),
        ("UPDATE category SET name = 'ghost'", "category.name: is unknown: 'ghost'"),
        ("UPDATE camera SET width = 0", "camera"),
        ("UPDATE camera SET distortion = NULL", "camera.distortion"),
        ("UPDATE image SET filename_jpg = '/etc/passwd'", "leads out of the folder"),
        ("UPDATE image SET filename_jpg = '../../secret.jpg'", "leads out of the folder"),
    ],
)
def test_damage_is_one_error_that_names_its_place(root, file, statement, message):
    write_sensors(root / "sensor_blobs" / "train")
    change(file, statement)
    with pytest.raises(LogError, match=message):
        load(root)


def test_scenarios_of_the_small_log(root, file):
    db = NuplanDb(file)
    # Four scenes: none has two before it and two after it.
    assert db.scenario_tokens() == []
    scenario = NuplanScenario(db, b"pc000100".hex(), duration=2.0, offset=-0.5, subsample=0.5)
    np.testing.assert_array_equal(scenario.times_us - START_US, np.arange(4_500_000, 6_500_001, 100_000))
    assert scenario.route() == ("31", "33", "32")
    np.testing.assert_allclose(scenario.expert_goal(), [EAST + 5 + 8 * 6.5, NORTH + 2, 0.0])
    assert scenario.lights(0) == [(21, "red")]
    ((times, poses),) = scenario.predictions(0, 2.0, 0.5).values()
    np.testing.assert_array_equal(times - START_US, 4_500_000 + 500_000 * np.arange(5))
    np.testing.assert_allclose(poses[:, 0], EAST + 25 + 8 * (4.5 + 0.5 * np.arange(5)))


def test_point_clouds_by_names_of_fields(tmp_path):
    path = tmp_path / "cloud.pcd"
    fields, types = ("x", "y", "z", "intensity", "lidar_info", "ring"), ("F4",) * 3 + ("U1",) * 3
    write_cloud(path, np.array([[1, 2, 3, 200, 4, 30]]), fields, types, end=b"\0" * 64)
    cloud = read_point_cloud(path)
    assert cloud.dtype == np.float32
    assert cloud[:, 0].tolist() == [1, 2, 3, 200, 30, 4]


@pytest.mark.parametrize(
    ("change_text", "message"),
    [
        (lambda text: text[:40], "header"),
        (lambda text: text[:-1], "fewer than the header says"),
        (lambda text: text.replace(b"DATA binary", b"DATA ascii"), "only binary"),
        (lambda text: text.replace(b" ring", b" wing"), "fields|ring"),
        (lambda text: text.replace(b"SIZE 4", b"SIZE 3"), "header"),
        (lambda text: text.replace(b"POINTS 1", b"POINTS x"), "damaged"),
        (lambda text: b"", "header"),
    ],
)
def test_damaged_point_clouds_are_told(tmp_path, change_text, message):
    path = tmp_path / "cloud.pcd"
    write_cloud(path, np.array([[1, 2, 3, 4, 5, 6]]))
    path.write_bytes(change_text(path.read_bytes()))
    with pytest.raises(LogError, match=message):
        read_point_cloud(path)


def test_official_logs(nuplan_root, caplog):
    source = open_source(f"nuplan:{nuplan_root}")
    assert len(source.names()) == 2
    for name in source.names():
        with caplog.at_level(logging.WARNING, "swerve"):
            log = source.load(name)
        assert len(log.times_us) == 156 + name.endswith("3b3570b4")
        assert log.split == "test"
        assert len(log.photos) == 8 * len(log.sweeps)
        assert set(log.route) <= set(log.road_map.group_by_id)
        # The car's axle is 0.33 m above the ground of the data set that the log was made from.
        height = NuplanDb(next(nuplan_root.rglob(f"{name}.db"))).lidar_pcs.poses.positions[0, 2]
        assert height - log.origin[2] - log.ego.positions[0, 2] == pytest.approx(0.33, abs=0.02)
    missing = [message for message in caplog.messages if "compiling kernels" not in message]  # told once in a process
    assert len(missing) == 4


@pytest.mark.parametrize(
    "statements",
    [
        ["ALTER TABLE lidar_pc RENAME TO real", "CREATE VIEW lidar_pc AS SELECT zeroblob(100000000) AS token"],
        ["CREATE TABLE more (key TEXT, value AS (hex(zeroblob(100000000))))"],
    ],
)
def test_files_that_compute_their_values_are_refused(tmp_path, statements):
    file = write_db(tmp_path)
    for statement in statements:
        change(file, statement)
    with pytest.raises(LogError, match="computes its values"), opened(file):
        pass
