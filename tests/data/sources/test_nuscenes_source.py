"""nuScenes scenes made to the schema, against what is worked out by hand, and what is wrong with a folder."""

import json
import pickle
import re

import numpy as np
import pytest

from swerve.data.sources.nuscenes import table_index
from swerve.data.sources.nuscenes.json_rows import scan_table
from swerve.data.sources.nuscenes.official_splits import official_split
from swerve.data.sources.registry import open_source
from swerve.scenes import LogError, ObjectClass, SwerveError
from swerve.scenes.transforms import wrap_angle
from tests.support.nuscenes_scene import (
    CX,
    CY,
    EAST,
    FOCAL,
    HEADING,
    KEY_FRAMES,
    NAME,
    NORTH,
    SPEED,
    START,
    ahead,
    pose_at,
    write_scene,
)
from tests.support.nuscenes_tables import token


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_scene(tmp_path_factory.mktemp("nuscenes"))


@pytest.fixture(scope="module")
def log(root):
    return open_source(f"nuscenes:{root}").load(NAME)


def seen(pose, origin):
    """A global pose in the log's world."""
    moved = pose.copy()
    moved[:3, 3] -= origin
    return moved


def test_steps_are_tenths_of_a_second_from_the_first_key_frame(log):
    np.testing.assert_array_equal(log.times_us, START + 100_000 * np.arange(16))
    np.testing.assert_array_equal(log.annotated_us, KEY_FRAMES)
    assert (log.name, log.source, log.split, log.origin) == (NAME, "nuscenes", "train", (EAST, NORTH, 0.0))


def test_the_ego_is_where_its_poses_are(log):
    for time, pose in zip(log.times_us, log.ego.world_from_ego, strict=True):
        np.testing.assert_allclose(pose, seen(pose_at(time), log.origin), atol=1e-9)
    np.testing.assert_allclose(log.ego.velocity, np.tile([SPEED, 0.0], (16, 1)), atol=1e-6)


def test_boxes_lie_between_those_of_the_key_frames(log):
    (car,), (walker,) = (
        [row for row, name in enumerate(log.tracks.ids) if name == token(NAME, who)] for who in ("car", "walker")
    )
    tracks = log.tracks
    assert [tracks.classes[row] for row in (car, walker)] == [ObjectClass.VEHICLE, ObjectClass.PEDESTRIAN]
    # The third key frame comes after 0.95 s, and the car is not in the fourth.
    np.testing.assert_array_equal(np.flatnonzero(tracks.valid[car]), np.arange(10))
    for step in range(10):
        seconds = 0.1 * step
        share = seconds / 0.5 if seconds <= 0.5 else 1 + (seconds - 0.5) / 0.45
        pose = seen(ahead(20.0 + 2.0 * share, 3.0, 0.8), log.origin)
        np.testing.assert_allclose(tracks.positions[car, step], pose[:3, 3], atol=1e-9)
        # The heading passes pi.
        turned = wrap_angle(tracks.headings[car, step] - (HEADING + 3.1 + 0.1 * share))
        np.testing.assert_allclose(turned, 0.0, atol=1e-9)
        np.testing.assert_allclose(tracks.sizes[car, step], [4.5, 1.9, 1.6])
    # In the second and the last key frame only, never in two in a row: it is at the step that one of them is at.
    np.testing.assert_array_equal(np.flatnonzero(tracks.valid[walker]), [5, 15])


def test_a_point_lies_where_the_intrinsic_matrix_says(log):
    (camera,), (photo,) = log.cameras, log.photos
    assert (camera.name, camera.width, camera.height) == ("CAM_FRONT", 64, 36)
    assert photo.time_us == START - 30_000
    np.testing.assert_allclose(photo.world_from_ego, seen(pose_at(photo.time_us), log.origin), atol=1e-9)
    # 20 m ahead of the camera, 2 m to the left and 1 m up, at the photo's time.
    point = photo.world_from_ego @ [21.7, 2.0, 2.5, 1.0]
    (pixel,), (depth,), _ = camera.project_world(point[None, :3], photo.world_from_ego)
    assert depth == pytest.approx(20.0)
    np.testing.assert_allclose(pixel, [CX + 0.5 - FOCAL * 2 / 20, CY + 0.5 - FOCAL * 1 / 20], atol=1e-5)


def test_sweeps_are_in_the_ego_frame_without_the_car(log):
    (sweep,) = log.sweeps
    np.testing.assert_allclose(sweep.read(), [[10.94, 0.0, 0.0]], atol=1e-5)


def test_what_is_missing_on_disk_is_told_in_a_line_each(root, tmp_path, caplog):
    other = write_scene(tmp_path, with_map=False)
    log = open_source(f"nuscenes:{other}").load(NAME)
    assert (log.road_map, log.route) == (None, ())
    told = [record.message for record in caplog.records]
    assert [re.sub(str(other), "ROOT", line) for line in told] == [
        "scene-0061: no map expansion of singapore-onenorth in ROOT/maps/expansion: the log has no map and no route",
        "scene-0061: 15 of 16 images are not in ROOT",
        "scene-0061: 30 of 31 LiDAR sweeps are not in ROOT",
    ]


def test_a_source_is_found_and_can_be_pickled(root):
    for text in (str(root), str(root / "v1.0-mini"), f"nuscenes:{root}", f"nuscenes:{root / 'v1.0-mini'}"):
        source = pickle.loads(pickle.dumps(open_source(text)))
        assert (source.kind, source.names()) == ("nuscenes", (NAME,))
    (camera,) = source.rigs([NAME, "no such scene"])[NAME]
    np.testing.assert_array_equal(camera.ego_from_camera, source.load(NAME).cameras[0].ego_from_camera)


def test_each_scene_has_its_own_rows(tmp_path):
    names = ("scene-0061", "scene-0103", "scene-0916")
    source = open_source(f"nuscenes:{write_scene(tmp_path, with_map=False, names=names)}")
    assert source.names() == names
    assert [source.load(name).split for name in names] == ["train", "val", "val"]
    for name in names:
        assert set(source.load(name).tracks.ids) == {token(name, "car"), token(name, "walker")}


def test_several_versions_need_a_choice(tmp_path):
    write_scene(tmp_path)
    (tmp_path / "v1.0-mini").rename(tmp_path / "v1.0-trainval")
    write_scene(tmp_path)
    with pytest.raises(LogError, match=r"several versions: v1\.0-mini, v1\.0-trainval\. Choose one: nuscenes:"):
        open_source(f"nuscenes:{tmp_path}").names()
    # As one of all scenes it is for validation too, but has another list there.
    assert open_source(f"nuscenes:{tmp_path / 'v1.0-trainval'}").load(NAME).split == "train"


@pytest.mark.parametrize(
    ("scene", "version", "split"),
    [
        ("scene-0001", "v1.0-trainval", "train"),
        ("scene-0003", "v1.0-trainval", "val"),
        ("scene-0061", "v1.0-trainval", "train"),
        ("scene-0077", "v1.0-test", "test"),
        ("scene-0103", "v1.0-trainval", "val"),
        ("scene-0553", "v1.0-trainval", "val"),
        ("scene-0553", "v1.0-mini", "train"),
        ("scene-0625", "v1.0-trainval", "val"),
        ("scene-1043", "v1.0-test", "test"),
        ("scene-1110", "v1.0-trainval", "train"),
        ("scene-1111", "v1.0-trainval", None),
        ("my scene", "v1.0-trainval", None),
    ],
)
def test_official_splits(scene, version, split):
    assert official_split(scene, version) == split


def test_an_index_is_kept_and_used_again(tmp_path, monkeypatch):
    root = write_scene(tmp_path, with_map=False)
    expected = open_source(f"nuscenes:{root}").load(NAME)
    assert not (root / "v1.0-mini" / table_index.FOLDER).exists()  # small tables are not worth it
    monkeypatch.setattr(table_index, "_SMALL", 0)
    open_source(f"nuscenes:{root}").load(NAME)
    kept = sorted((root / "v1.0-mini" / table_index.FOLDER).iterdir())
    assert [file.name.partition("-")[0] for file in kept] == ["ego_pose", "sample_annotation", "sample_data"]
    with monkeypatch.context() as patch:
        patch.setattr(table_index, "scan_table", None)  # nothing is scanned
        again = open_source(f"nuscenes:{root}").load(NAME)
    np.testing.assert_array_equal(again.tracks.positions, expected.tracks.positions)
    # A changed table is indexed again, and the old index removed.
    path = root / "v1.0-mini" / "sample_annotation.json"
    rows = json.loads(path.read_text())
    path.write_text(json.dumps(rows[1:]))
    assert open_source(f"nuscenes:{root}").load(NAME).tracks.valid.sum() < expected.tracks.valid.sum()
    assert len(list((root / "v1.0-mini" / table_index.FOLDER).iterdir())) == 3


def test_an_index_of_other_tables_gives_one_error(tmp_path, monkeypatch):
    """A folder may come with an index, which is not believed."""
    root = write_scene(tmp_path, with_map=False, names=(NAME, "scene-0103"))
    monkeypatch.setattr(table_index, "_SMALL", 0)
    open_source(f"nuscenes:{root}").load(NAME)
    for file in (root / "v1.0-mini" / table_index.FOLDER).glob("sample_annotation-*.npy"):
        rows = np.load(file)
        rows["scene"] = 0
        np.save(file, rows)
    with pytest.raises(LogError, match=r"is of another scene.*Remove \.swerve_index"):
        open_source(f"nuscenes:{root}").load(NAME)


def test_rows_are_found_wherever_the_pieces_of_a_file_end(tmp_path, monkeypatch):
    rows = [{"token": f"{n:032x}", "text": 'a "{[}\\" b' * (n % 3), "more": [[n], {"x": n}]} for n in range(50)]
    path = tmp_path / "table.json"
    path.write_text(json.dumps(rows, indent=1))
    content = path.read_bytes()
    for size in (7, 64, 1000, 10**6):
        monkeypatch.setattr("swerve.data.sources.nuscenes.json_rows._CHUNK", size)
        found = [
            (json.loads(content[start : start + length]), text.decode())
            for piece in scan_table(path, ("token",))
            for start, length, text in zip(piece.starts, piece.lengths, piece.texts[0], strict=True)
        ]
        assert found == [(row, row["token"]) for row in rows]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "row 0: is cut off"),
        ("{}", "row 0: is not in a JSON list"),
        ('[{"token": "a"}', "row 1: is cut off"),
        ('[{"token": "a"}, {"tok', "row 1: is cut off"),
        ('[{"token": "a"} {"token": "b"}]', "row 0: is not in a JSON list"),
        ('[{"token": "a"}, {"name": "b"}]', "row 1: token: is missing"),
        ('[{"token": "a", "token": "b"}]', "row 0: token: occurs twice"),
        ('[{"token": "%s"}]' % ("a" * 33), "row 0: token: is missing or longer than 32"),
        ("[}", "row 0: has a brace too many"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path, content, message):
    path = tmp_path / "table.json"
    path.write_text(content)
    with pytest.raises(LogError, match=re.escape(message)):
        list(scan_table(path, ("token",)))


def test_an_empty_table_has_no_rows(tmp_path):
    (tmp_path / "table.json").write_text("[ ]\n")
    assert list(scan_table(tmp_path / "table.json", ("token",))) == []


def changed(table, change):
    """Return a function that changes the first row of a table, or the table where the change returns another."""

    def spoil(root):
        path = root / "v1.0-mini" / f"{table}.json"
        rows = json.loads(path.read_text())
        other = change(rows)
        path.write_text(json.dumps(rows if other is None else other))

    return spoil


def put(field, value):
    return lambda rows: rows[0].update({field: value})


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (changed("sample", put("scene_token", "x")), "refers to a scene that is not there"),
        (changed("sample", put("timestamp", KEY_FRAMES[1])), "samples at"),
        (changed("sample", put("timestamp", 1)), "samples of a scene are more than an hour apart"),
        (
            changed("ego_pose", lambda rows: [{**row, "timestamp": index + 1} for index, row in enumerate(rows)]),
            "the poses are from 1 us to",
        ),
        (changed("scene", put("log_token", "x")), "log.json: scene scene-0061: refers to x, which is not in log"),
        (changed("scene", lambda rows: rows * 2), "scene.json: token: 2 rows have 1 different tokens"),
        (changed("sample_data", put("sample_token", "x")), "row 0: sample_token: no sample 'x'"),
        (changed("sample_data", put("ego_pose_token", "x")), "refers to pose x, which is not in ego_pose"),
        (changed("sample_data", put("calibrated_sensor_token", "x")), "refers to x, which is not in calibrated_sensor"),
        (changed("sample_data", put("filename", "../../etc/passwd")), "filename: is '../../etc/passwd', not a path in"),
        (changed("sample_data", put("width", -3)), "width: is -3"),
        (changed("ego_pose", put("rotation", [0, 0, 0, 0])), "rotation [0, 0, 0, 0] is no quaternion"),
        (changed("ego_pose", put("translation", [0, 0, 1e9])), "translation: has a number that is not finite"),
        (changed("ego_pose", lambda rows: rows[:1]), "which is not in ego_pose"),
        (changed("sample_annotation", put("size", [0, 1, 1])), "is a box without size"),
        (changed("sample_annotation", put("instance_token", "x")), "refers to x, which is not in instance"),
        (changed("sample_annotation", lambda rows: [rows[0], *rows]), "has two boxes in one sample"),
        (changed("category", put("name", "flat.driveable_surface")), "is a category that Swerve does not know"),
        (changed("calibrated_sensor", put("camera_intrinsic", [])), "is a camera without intrinsic matrix"),
        (changed("calibrated_sensor", put("camera_intrinsic", [[0, 0, 0]] * 3)), "must be positive and finite"),
        (lambda root: (root / "v1.0-mini" / "ego_pose.json").unlink(), "ego_pose.json: file: no such file"),
        (lambda root: (root / "v1.0-mini" / "sensor.json").write_text("[1"), "sensor.json: file: is not JSON"),
        (lambda root: (root / "v1.0-mini" / "log.json").write_text("[NaN]"), "NaN is not a number"),
        (changed("log", put("location", "../../x")), "location: is '../../x', not the name of a file"),
        (changed("log", put("location", "a" * 300)), "not the name of a file"),
        (changed("sample", put("token", "\xe9")), "token: is not of at most 32 ASCII characters"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, spoil, message):
    spoil(root := write_scene(tmp_path, with_map=False))
    with pytest.raises(SwerveError, match=re.escape(message)) as error:
        open_source(f"nuscenes:{root}").load(NAME)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"1234567", "points: are not 5 finite"), (np.full(5, np.nan, "<f4").tobytes(), "are not 5")],
)
def test_a_damaged_sweep_is_refused(tmp_path, content, message):
    (sweep,) = open_source(f"nuscenes:{write_scene(tmp_path, with_map=False)}").load(NAME).sweeps
    sweep.file.write_bytes(content)
    with pytest.raises(LogError, match=message):
        sweep.read()


def test_no_tables_and_no_such_scene(tmp_path):
    with pytest.raises(LogError, match="no tables of nuScenes"):
        open_source(f"nuscenes:{tmp_path}").names()
    with pytest.raises(LogError, match=r"scene-0062: no scene of that name"):
        open_source(f"nuscenes:{write_scene(tmp_path)}").load("scene-0062")


def test_a_scene_without_boxes_is_read(tmp_path):
    """The test split has none."""
    root = write_scene(tmp_path, with_map=False)
    for table in ("sample_annotation", "instance"):
        (root / "v1.0-mini" / f"{table}.json").write_text("[]")
    log = open_source(f"nuscenes:{root}").load(NAME)
    assert (len(log.tracks), log.annotated_us) == (0, None)
