"""Frames, scenes and filters of NAVSIM data sets, from files written here."""

import numpy as np
import pytest

from swerve.data.jobs import file_reader
from swerve.data.jobs.file_reader import FileReader
from swerve.data.sources.navsim.folders import is_navsim, navsim_folders
from swerve.data.sources.navsim.read_frames import heading_of, read_log_frames
from swerve.data.sources.navsim.scene_filter import read_split
from swerve.data.sources.navsim.scene_windows import index_scenes
from swerve.data.sources.navsim.synthetic_scenes import read_synthetic_scene
from swerve.scenes import LogError, SwerveError
from tests.support.navsim_files import (
    HEADING,
    LOG,
    ORIGIN,
    SPEED,
    START_US,
    frame,
    write_log,
    write_split,
)
from tests.support.navsim_synthetic import write_synthetic


@pytest.fixture
def root(tmp_path):
    write_log(tmp_path, [frame(index) for index in range(20)])
    return tmp_path


def test_a_frame_is_decoded(root):
    found = read_log_frames(root / "navsim_logs" / "test" / f"{LOG}.pkl")[4]
    assert (found.token, found.timestamp_us, found.log_name) == (f"{4:016x}", START_US + 2_000_000, LOG)
    assert found.traffic_lights == ((7, True), (8, False))
    np.testing.assert_allclose(found.ego_pose, [*ORIGIN[:2] + 8 * np.array([np.cos(0.5), np.sin(0.5)]), HEADING])
    assert found.ego_velocity.dtype == np.float32
    assert found.ego_velocity.tolist() == [SPEED, 0.0]
    assert found.driving_command.tolist() == [0, 1, 0, 0]
    assert found.boxes.names == ("vehicle", "pedestrian")
    assert type(found.boxes.boxes) is np.ndarray
    assert list(found.cameras) == ["cam_f0"]


def test_heading_is_the_first_of_three_angles():
    """With yaw, then pitch, then roll about axes that turn along, as pyquaternion takes them; here pitch matters."""
    yaw, pitch = 0.7, 0.2
    # Rotation about z by yaw applied after one about y by pitch, in pyquaternion's order of angles.
    about_y, about_z = np.array([np.cos(pitch / 2), 0.0, np.sin(pitch / 2), 0.0]), np.array([0.0] * 4)
    about_z[[0, 3]] = np.cos(yaw / 2), np.sin(yaw / 2)
    w, x, y, z = about_y
    a, b, c, d = about_z
    product = [w * a - x * b - y * c - z * d, w * b + x * a + y * d - z * c]
    product += [w * c - x * d + y * a + z * b, w * d + x * c - y * b + z * a]
    assert heading_of(np.array(product)) == pytest.approx(yaw, abs=1e-12)
    assert heading_of(2.0 * np.array(product)) == pytest.approx(yaw, abs=1e-12)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"token": None, "anns": None, "cams": None}, "frame 2"),
        ({"ego2global_rotation": [1.0, 0.0]}, "ego2global_rotation"),
        ({"ego_dynamic_state": [np.nan, 0, 0, 0]}, "not finite"),
        ({"driving_command": [1]}, "driving_command"),
        ({"lidar_path": "/etc/passwd"}, "leads out"),
        ({"lidar_path": "../../up.pcd"}, "leads out"),
        ({"cams": {"CAM_F0": {"data_path": "x.jpg"}}}, "sensor2lidar_rotation"),
        ({"traffic_lights": [5]}, "malformed"),
    ],
)
def test_a_malformed_frame_is_one_error(tmp_path, change, problem):
    path = write_log(tmp_path, [frame(0), frame(1), frame(2, **change)])
    with pytest.raises(LogError, match=problem):
        read_log_frames(path)


def test_a_missing_field_is_named(tmp_path):
    broken = frame(0)
    del broken["roadblock_ids"]
    with pytest.raises(LogError, match="roadblock_ids: is missing"):
        read_log_frames(write_log(tmp_path, [broken]))


def test_unknown_classes_and_double_tracks_are_errors(tmp_path):
    for key, value, problem in (
        ("gt_names", np.array(["vehicle", "horse"]), "horse"),
        ("track_tokens", ["same", "same"], "a track twice"),
        ("gt_boxes", np.zeros((3, 7)), r"\(3, 7\)"),
    ):
        own = frame(0)
        own["anns"][key] = value
        with pytest.raises(LogError, match=problem):
            read_log_frames(write_log(tmp_path, [own]))


def test_frames_without_annotations_are_read(tmp_path):
    hidden = frame(0)
    del hidden["anns"]
    assert read_log_frames(write_log(tmp_path, [hidden]))[0].boxes is None


def test_windows_are_navsims(root):
    """20 frames, 4 + 8 a scene: 9 windows; every 12th frame for those that do not overlap: 1."""
    split = read_split(write_split(root))
    assert list(index_scenes(navsim_folders(str(root)), split).logged) == [f"{index:016x}" for index in range(3, 12)]
    apart = read_split(write_split(root, "apart", frame_interval="null"))
    index = index_scenes(navsim_folders(str(root)), apart)
    assert list(index.logged) == [f"{3:016x}"]
    scene = index.load(f"{3:016x}")
    assert (scene.now, len(scene.frames), scene.token) == (3, 12, f"{3:016x}")
    np.testing.assert_allclose(scene.relative_future(8)[:, 0], SPEED * 0.5 * np.arange(1, 9), atol=1e-8)
    np.testing.assert_allclose(scene.relative_history()[:, 0], SPEED * 0.5 * np.arange(-3, 1), atol=1e-8)


def test_windows_without_a_route_or_not_asked_for_are_left_out(tmp_path):
    frames = [frame(index, roadblock_ids=[] if index in (4, 5) else ["1"]) for index in range(15)]
    write_log(tmp_path, frames)
    tokens = [f"{index:016x}" for index in (3, 4, 6, 30)]
    split = read_split(write_split(tmp_path, tokens=tokens, log_names=[LOG, "another"]))
    index = index_scenes(navsim_folders(str(tmp_path)), split)
    assert list(index.logged) == [f"{3:016x}", f"{6:016x}"]
    assert len(index.missing) == 2
    assert "1 of 2 logs are missing, such as another" in index.missing[0]
    assert "2 of 4 scenes are missing" in index.missing[1]
    anywhere = read_split(write_split(tmp_path, "anywhere", has_route="false", max_scenes=2))
    assert list(index_scenes(navsim_folders(str(tmp_path)), anywhere).logged) == [f"{3:016x}", f"{4:016x}"]


def test_tokens_of_digits_stay_text(tmp_path):
    """YAML would read 0000000000000010 as the number 8, and 1e10 as a float."""
    write_log(tmp_path, [frame(index) for index in range(30)])
    split = write_split(tmp_path, tokens=["0000000000000010"])
    filter_file = split.parent / "scene_filter" / "own.yaml"
    filter_file.write_text(filter_file.read_text().replace("'", ""))
    assert list(index_scenes(navsim_folders(str(tmp_path)), read_split(split)).logged) == ["0000000000000010"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("data_split: test\n", "defaults"),
        ("defaults:\n- scene_filter: own\n", "data_split"),
        ("defaults:\n- scene_filter: own\ndata_split: test\nsurprise: 1\n", "surprise"),
        ("defaults:\n- scene_filter: none\ndata_split: test\n", "none.yaml"),
        ("defaults:\n- scene_filter: own\ndata_split: test\nreactive_all_mapping: [[1, 2]]\n", "reactive_all_mapping"),
        ("defaults:\n- scene_filter: own\ndata_split: test\ntwo_stage_mapping: {}\n", "earlier NAVSIM"),
        ("defaults:\n- scene_filter: own\ndata_split: ../../elsewhere\n", "data_split: is not the name of a folder"),
        ("defaults:\n- scene_filter: ../own\ndata_split: test\n", "scene_filter: is not the name of a file"),
        ("[1, 2]\n", "not a NAVSIM split"),
        ("a: [\n", "cannot be read"),
        ("num_history_frames: 4\ntokens: []\ndata_split: test\n", "scene filter"),
    ],
)
def test_a_wrong_split_is_one_error(tmp_path, text, problem):
    write_split(tmp_path)
    (tmp_path / "wrong.yaml").write_text(text)
    with pytest.raises(LogError, match=problem):
        read_split(tmp_path / "wrong.yaml")


def test_wrong_fields_of_a_filter_are_named(tmp_path):
    wrong = [("num_history_frames", "four"), ("has_route", "perhaps"), ("surprise", 1), ("tokens", 3)]
    for key, value in (*wrong, ("num_future_frames", "null")):
        with pytest.raises(LogError, match=key):
            read_split(write_split(tmp_path, **{key: value}))


def test_a_split_is_found_by_name_in_a_checkout(tmp_path, monkeypatch):
    folder = tmp_path / "navsim/planning/script/config/common/train_test_split"
    folder.mkdir(parents=True)
    write_split(folder, "navtest")
    monkeypatch.delenv("NAVSIM_DEVKIT_ROOT", raising=False)
    with pytest.raises(SwerveError, match="NAVSIM_DEVKIT_ROOT is not set"):
        read_split("navtest")
    monkeypatch.setenv("NAVSIM_DEVKIT_ROOT", str(tmp_path))
    assert read_split("navtest").name == "navtest"
    assert read_split("navtest.yaml").data_split == "test"
    with pytest.raises(SwerveError, match="nonsense"):
        read_split("nonsense")


def test_folders_are_found_by_root_split_and_variable(root, monkeypatch):
    assert is_navsim(root)
    assert is_navsim(root / "navsim_logs" / "test")
    assert not is_navsim(root / "scene_filter")
    assert navsim_folders(str(root / "navsim_logs" / "test")).root == root
    monkeypatch.delenv("OPENSCENE_DATA_ROOT", raising=False)
    with pytest.raises(SwerveError, match="OPENSCENE_DATA_ROOT"):
        navsim_folders("")
    monkeypatch.setenv("OPENSCENE_DATA_ROOT", str(root))
    assert navsim_folders("").splits == ("test",)
    monkeypatch.setenv("NUPLAN_MAPS_ROOT", str(root / "elsewhere"))
    assert navsim_folders("").maps == root / "elsewhere"
    (root / "maps").mkdir()
    assert navsim_folders("").maps == root / "maps"
    with pytest.raises(SwerveError, match=r"trainval.*Splits that are there: test"):
        navsim_folders("").logs("trainval")
    with pytest.raises(SwerveError, match="no NAVSIM data"):
        navsim_folders(str(root / "maps"))
    with pytest.raises(SwerveError, match=r"trainval: no logs .*Splits that are there: test"):
        navsim_folders(str(root / "navsim_logs/trainval"))


def test_a_synthetic_scene_is_decoded(tmp_path):
    scene = read_synthetic_scene(write_synthetic(tmp_path / f"{'a' * 17}.pkl"))
    assert scene.synthetic
    assert (scene.token, scene.num_history_frames, len(scene.future_boxes)) == ("a" * 17, 4, 8)
    assert scene.current.boxes.boxes.dtype == np.float32
    assert list(scene.current.cameras) == ["cam_f0"]
    later = scene.future_boxes[0]
    assert (later.track_tokens, later.names) == (("walking",), ("pedestrian",))
    np.testing.assert_array_equal(later.boxes, [[1.0, 2.0, 0.25, 0.6, 0.5, 1.7]])
    np.testing.assert_array_equal(later.velocities, [[1.0, -1.0]])
    assert scene.future_lights[0][0].status == "RED"


def test_a_synthetic_scene_is_named_as_its_file(tmp_path):
    path = write_synthetic(tmp_path / f"{'a' * 17}.pkl")
    with pytest.raises(LogError, match="the file is named"):
        read_synthetic_scene(path.rename(tmp_path / f"{'b' * 17}.pkl"))


def test_synthetic_scenes_follow_the_last_frame_of_a_loaded_scene(root):
    folder = root / "navhard_two_stage" / "synthetic_scene_pickles"
    write_synthetic(folder / f"{'a' * 17}.pkl")
    write_synthetic(folder / f"{'b' * 17}.pkl", original=f"{1:016x}")
    tokens = [f"{3:016x}"]
    given = {"include_synthetic_scenes": "true", "tokens": tokens, "log_names": [LOG]}
    wanted = ["a" * 17, "b" * 17]
    split = read_split(write_split(root, reactive_synthetic_initial_tokens=wanted, **given))
    index = index_scenes(navsim_folders(str(root)), split)
    assert list(index.synthetic) == ["a" * 17]
    assert index.reactive_stage_two == ("a" * 17,)
    assert index.per_log() == {LOG: (tokens[0], "a" * 17)}
    assert "1 of 2 synthetic scenes are missing" in index.missing[0]


def test_scenes_are_the_same_read_in_several_processes(root, monkeypatch):
    monkeypatch.setattr(file_reader, "_BYTES_EACH", 1000)
    folder = root / "navhard_two_stage" / "synthetic_scene_pickles"
    for name in "abcd":
        write_synthetic(folder / f"{name * 17}.pkl", **({"original": f"{1:016x}"} if name == "b" else {}))
    split = read_split(write_split(root, include_synthetic_scenes="true", tokens=[f"{3:016x}"], log_names=[LOG]))
    folders, asked = navsim_folders(str(root)), []
    in_turn, reader = index_scenes(folders, split), FileReader(2)

    def read_files(read, files, noun):
        asked.append((noun, len(files)))
        return reader(read, files, noun)

    assert index_scenes(folders, split, read_files) == in_turn
    assert asked == [("logs", 1), ("synthetic scenes", 4)]
    assert list(in_turn.synthetic) == ["a" * 17, "c" * 17, "d" * 17]
    (folder / f"{'c' * 17}.pkl").write_bytes(b"broken")
    with pytest.raises(LogError, match=r"ccc\.pkl: pickle: cannot be read"):
        index_scenes(folders, split, read_files)


def test_a_two_stage_split_without_synthetic_scenes_is_one_error(root):
    split = read_split(write_split(root, include_synthetic_scenes="true"))
    with pytest.raises(SwerveError, match=r"synthetic_scene_pickles.*none"):
        index_scenes(navsim_folders(str(root)), split)
    (root / "navhard_two_stage" / "synthetic_scene_pickles").mkdir(parents=True)
    with pytest.raises(SwerveError, match="no synthetic scenes"):
        index_scenes(navsim_folders(str(root)), split)


def test_a_hostile_synthetic_scene_is_not_run(tmp_path):
    path = tmp_path / f"{'a' * 17}.pkl"
    path.write_bytes(b"cos\nsystem\n(S'touch " + str(tmp_path / "marker").encode() + b"'\ntR.")
    with pytest.raises(LogError, match=r"os\.system"):
        read_synthetic_scene(path)
    assert not (tmp_path / "marker").exists()


def nested(depth=40):
    """A list that holds itself's parts 2^40 times when it is written out."""
    made = ["x"]
    for _ in range(depth):
        made = [made, made]
    return made


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"timestamp": 10**30}, "timestamp is beyond"),
        ({"timestamp": -1}, "timestamp is beyond"),
        ({"timestamp": True}, "timestamp is not a whole number"),
        ({"timestamp": "12"}, "timestamp is not a whole number"),
        ({"token": ["a"]}, "token is a list, not a text"),
        ({"token": "a\x1b[31m"}, "token has a character that is not printable"),
        ({"log_name": ""}, "log_name has 0 characters"),
        ({"roadblock_ids": "12"}, "roadblock_ids is a str, not a list"),
        ({"roadblock_ids": [None]}, "roadblock_ids is a NoneType"),
        ({"driving_command": np.full(4, np.nan)}, "driving_command is not made of zeros and ones"),
        ({"driving_command": [0, 1, 0, 2]}, "driving_command is not made of zeros and ones"),
        ({"driving_command": [True, False, False, False]}, "driving_command is not made of numbers"),
        ({"ego_dynamic_state": ["1", "nan", "0", "0"]}, "ego_dynamic_state is not made of numbers"),
        ({"ego2global_translation": [10**400, 0, 0]}, "ego2global_translation is not made of numbers|malformed"),
        ({"traffic_lights": [(10**30, True)]}, "traffic_lights is beyond"),
        ({"ego_dynamic_state": [1e39, 0, 0, 0]}, "ego_dynamic_state has the value 1e[+]39"),
        ({"ego2global_rotation": [0, 1e-9, 0, 0]}, "ego2global_rotation is no unit quaternion"),
        ({"lidar_path": ["a"]}, "path is a list"),
        ({"lidar_path": "../x"}, ".*leads out"),
    ],
)
def test_hostile_values_of_frames_are_one_error_that_names_the_field(tmp_path, change, problem):
    path = write_log(tmp_path, [frame(0), frame(1, **change)])
    with pytest.raises(LogError, match=rf"frame 1: is malformed \({problem}"):
        read_log_frames(path)


def test_a_list_named_many_times_is_refused(tmp_path):
    """Each level names the one before twice: a token of 40 levels would be a text of a terabyte."""
    path = write_log(tmp_path, [frame(0, token=nested())])
    with pytest.raises(LogError, match="names its objects so often"):
        read_log_frames(path)


def test_texts_of_a_synthetic_scene_are_texts(tmp_path):
    path = write_synthetic(tmp_path / f"{'a' * 17}.pkl", original=["a"])
    with pytest.raises(LogError, match="corresponding_original_scene is a list, not a text"):
        read_synthetic_scene(path)


def test_tokens_of_a_split_are_texts(tmp_path):
    """YAML can name one list many times; written out it would be of any length."""
    split = write_split(tmp_path, tokens=["a"])
    chosen = split.parent / "scene_filter" / split.name
    levels = "\n".join(f"x{level}: &x{level} [*x{level - 1}, *x{level - 1}]" for level in range(1, 40))
    chosen.write_text(f"x0: &x0 [a]\n{levels}\ntokens: *x39\n")
    with pytest.raises(LogError, match=r"x0: is not a field"):
        read_split(split)
    chosen.write_text("tokens: [&x [a], *x]\n")
    with pytest.raises(LogError, match="tokens: has a list of 1, which is no name"):
        read_split(split)


def test_a_log_that_changes_is_read_anew(root):
    from swerve.data.sources.navsim.navsim_source import navsim_source

    source = navsim_source(str(root))
    assert len(source.load(LOG).times_us) == 96
    write_log(root, [frame(index) for index in range(10)])
    assert len(source.load(LOG).times_us) == 46
