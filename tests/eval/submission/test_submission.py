"""Submission files: written without NAVSIM, loadable with stand-ins of its classes, checked before the upload."""

import dataclasses
import pickle
import pickletools
import re
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from swerve.data.sources.navsim.scene_filter import read_split
from swerve.eval.submission.check_submission import _Sampling, _sampling_fault, check_submission, expected_tokens
from swerve.eval.submission.pickled_names import pickled_names
from swerve.eval.submission.submission import Submission, SubmissionInfo, SubmittedTrajectory
from swerve.eval.submission.write_submission import NAMES, SAMPLING, TRAJECTORY, pickled_submission, write_submission
from swerve.scenes import SwerveError
from tests.support.small_navsim_data import write_split

INFO = SubmissionInfo("Team ü", "A, B", "a@b.org", "Home", "Nowhere")
FIRST, SECOND = [f"{index:016x}" for index in range(3)], [f"{index:017x}" for index in range(2)]


def trajectory(seed=0, dtype=np.float32):
    return SubmittedTrajectory(np.random.default_rng(seed).normal(size=(8, 3)).astype(dtype), 4.0, 0.5)


def submission():
    return Submission(
        INFO,
        {
            "first_stage_predictions": {token: trajectory(index) for index, token in enumerate(FIRST)},
            "second_stage_predictions": {token: trajectory(9 + index) for index, token in enumerate(SECOND)},
        },
    )


@pytest.fixture
def classes(monkeypatch):
    """NAVSIM's classes by their own names, as far as pickles are concerned."""

    @dataclasses.dataclass
    class Trajectory:
        poses: object
        trajectory_sampling: object

    @dataclasses.dataclass
    class TrajectorySampling:
        num_poses: object = None
        time_horizon: object = None
        interval_length: object = None

    for (module, name), kind in ((TRAJECTORY, Trajectory), (SAMPLING, TrajectorySampling)):
        kind.__module__, kind.__qualname__ = module, name
        parts = module.split(".")
        for count in range(1, len(parts) + 1):
            part = ".".join(parts[:count])
            monkeypatch.setitem(sys.modules, part, sys.modules.get(part) or types.ModuleType(part))
        setattr(sys.modules[module], name, kind)
    return Trajectory, TrajectorySampling


@pytest.mark.filterwarnings("ignore:numpy.core:DeprecationWarning")
def test_file_holds_navsims_objects(tmp_path, classes):
    path = tmp_path / "out" / "submission.pkl"
    made = submission()
    write_submission(made, path)
    content = pickle.loads(path.read_bytes())
    assert list(content) == [
        "team_name",
        "authors",
        "email",
        "institution",
        "country / region",
        "first_stage_predictions",
        "second_stage_predictions",
    ]
    assert content["team_name"] == "Team ü"
    for key, predictions in made.predictions.items():
        (found,) = content[key]
        assert list(found) == list(predictions)
        for token, wanted in predictions.items():
            assert type(found[token]) is classes[0]
            np.testing.assert_array_equal(found[token].poses, wanted.poses)
            assert found[token].poses.dtype == np.float32
            assert found[token].poses.flags.writeable
            assert found[token].trajectory_sampling == classes[1](8, 4.0, 0.5)
            assert [type(value) for value in vars(found[token].trajectory_sampling).values()] == [int, float, float]


@pytest.mark.filterwarnings("ignore:numpy.core:DeprecationWarning")
def test_double_precision_and_other_samplings_are_kept(classes):
    poses = np.random.default_rng(1).normal(size=(40, 3))
    data = pickled_submission(Submission(INFO, {"predictions": {"a": SubmittedTrajectory(poses, 4.0, 0.1)}}))
    (found,) = pickle.loads(data)["predictions"]
    assert found["a"].poses.dtype == np.float64
    np.testing.assert_array_equal(found["a"].poses, poses)
    assert found["a"].trajectory_sampling == classes[1](40, 4.0, 0.1)
    turned = SubmittedTrajectory(np.asfortranarray(poses[:8].astype(np.float16)), 4.0, 0.5)
    (found,) = pickle.loads(pickled_submission(Submission(INFO, {"predictions": {"a": turned}})))["predictions"]
    np.testing.assert_array_equal(found["a"].poses, turned.poses.astype(np.float32))


def test_file_names_only_what_navsim_and_numpy_1_have():
    data = pickled_submission(submission())
    assert pickled_names(data) == set(NAMES)
    assert {module for module, _ in NAMES} == {TRAJECTORY[0], SAMPLING[0], "numpy", "numpy.core.multiarray"}
    assert max(opcode.proto for opcode, _, _ in pickletools.genops(data)) == 4
    assert b"swerve" not in data


def test_names_are_found_in_pickles_of_all_protocols():
    for protocol in range(6):
        names = pickled_names(pickle.dumps([Path("a"), np.zeros(3), Path("b"), np.zeros(2)], protocol))
        assert {("numpy", "ndarray"), ("numpy", "dtype")} <= names or protocol == 5
        assert any(name == type(Path()).__name__ for _, name in names)


def test_trajectories_are_checked():
    with pytest.raises(SwerveError, match="not finite"):
        SubmittedTrajectory(np.full((8, 3), np.nan), 4.0, 0.5)
    with pytest.raises(SwerveError, match=r"7 poses every 0.5 s do not end after 4.0 s"):
        SubmittedTrajectory(np.zeros((7, 3)), 4.0, 0.5)


def expected(tmp_path):
    return expected_tokens(read_split(write_split(tmp_path, "small", "test", FIRST, SECOND)))


def checked(tmp_path, content, name="submission.pkl", protocol=4):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else pickle.dumps(content, protocol))
    return check_submission(path, expected(tmp_path))


def as_python(classes, **changed):
    """Return the content of a good file, made of the stand-ins, with changes."""
    sampling = classes[1](8, 4.0, 0.5)
    good = dict.fromkeys(("team_name", "authors", "email", "institution", "country / region"), "x")
    good["first_stage_predictions"] = [{token: classes[0](np.zeros((8, 3)), sampling) for token in FIRST}]
    good["second_stage_predictions"] = [{token: classes[0](np.zeros((8, 3)), sampling) for token in SECOND}]
    return {**good, **changed}


def test_good_files_pass(tmp_path, classes):
    for content in (pickled_submission(submission()), as_python(classes)):
        found = checked(tmp_path, content)
        assert [error for error in found.errors if "numpy._core" not in error] == []
        assert found.warnings == ()
        assert found.counts == {"first_stage_predictions": 3, "second_stage_predictions": 2}
    assert checked(tmp_path, pickled_submission(submission())).errors == ()


def test_missing_and_unknown_tokens_are_counted(tmp_path):
    predictions = {
        "first_stage_predictions": {FIRST[0]: trajectory(), SECOND[0]: trajectory(), "zz": trajectory()},
        "second_stage_predictions": {SECOND[0]: trajectory()},
    }
    found = checked(tmp_path, pickled_submission(Submission(INFO, predictions)))
    assert found.errors == (
        f"first_stage_predictions: 2 of 3 tokens are missing, such as {FIRST[1]}, {FIRST[2]}",
        f"first_stage_predictions: 2 tokens are not of the split, such as {SECOND[0]}, zz; some belong to "
        "second_stage_predictions",
        f"second_stage_predictions: 1 of 2 tokens are missing, such as {SECOND[1]}",
    )


def test_numpy_2_pickles_are_told(tmp_path, classes):
    if np.lib.NumpyVersion(np.__version__) < "2.0.0":
        pytest.skip("numpy 1 writes names that the server has")
    found = checked(tmp_path, as_python(classes))
    assert len(found.errors) == 1
    assert "names numpy._core.multiarray, which numpy 2 writes" in found.errors[0]


BAD_POSES = [
    (np.full((8, 3), np.nan), None, "poses that are not finite in 1 scenes, such as 0000000000000000"),
    (np.zeros((8, 2)), None, r"poses of shape \(8, 2\)"),
    (np.zeros((1, 8, 3)), None, r"poses of shape \(1, 8, 3\)"),
    (np.zeros((7, 3)), None, "7 poses with a sampling of 8"),
    (np.zeros((8, 3), dtype=bool), None, "poses of type bool"),
    ([[0.0] * 3] * 8, None, "poses are a list"),
    (np.zeros((8, 3)), (8, 4.0, 0.1), "8 poses every 0.1 s with a horizon of 4.0 s"),
    (np.zeros((8, 3)), (8, None, 0.5), "horizon None"),
]


@pytest.mark.parametrize(("poses", "sampling", "message"), BAD_POSES)
def test_faults_of_trajectories_are_told(tmp_path, classes, poses, sampling, message):
    content = as_python(classes)
    content["first_stage_predictions"][0][FIRST[0]] = classes[0](poses, classes[1](*(sampling or (8, 4.0, 0.5))))
    assert re.search(message, "\n".join(checked(tmp_path, content).errors))


def test_oddities_of_trajectories_are_told(tmp_path, classes):
    far, turned = np.full((8, 3), 2000.0), np.full((8, 3), 90.0)
    for poses, sampling, message in (
        (far, (8, 4.0, 0.5), "farther than 1000 m"),
        (turned, (8, 4.0, 0.5), "must be radians"),
        (np.zeros((6, 3)), (6, 3.0, 0.5), "a horizon of 3.0 s"),
    ):
        content = as_python(classes)
        content["second_stage_predictions"][0][SECOND[0]] = classes[0](poses, classes[1](*sampling))
        found = checked(tmp_path, content)
        assert any(message in warning for warning in found.warnings), found


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"team_name": 3}, "team_name is a int instead of text"),
        ({"predictions": []}, "keys that this benchmark does not have: 'predictions'"),
        ({"first_stage_predictions": {}}, "must be a list with a dict"),
        ({"first_stage_predictions": [{}, {}]}, "has 2 dicts in its list, the server takes exactly one"),
        ({"first_stage_predictions": []}, "has 0 dicts"),
        ({"first_stage_predictions": [{FIRST[0]: "text"}]}, "a str instead of navsim"),
    ],
)
def test_faults_of_keys_and_containers_are_told(tmp_path, classes, changed, message):
    found = checked(tmp_path, as_python(classes, **changed))
    assert any(message in error for error in found.errors), found.errors


def test_missing_keys_and_empty_texts_are_told(tmp_path, classes):
    content = as_python(classes, email="")
    del content["country / region"]
    found = checked(tmp_path, content, name="mine.pkl")
    assert "keys are missing: 'country / region'" in found.errors
    assert found.warnings == ("the file is named mine.pkl: the server wants submission.pkl", "email is empty")


def test_foreign_names_and_damage_are_told_and_nothing_runs(tmp_path):
    class Evil:
        def __reduce__(self):
            return (open, (str(tmp_path / "run"), "w"))

    found = checked(tmp_path, {"team_name": Evil()})
    assert any("open" in error for error in found.errors)
    assert not (tmp_path / "run").exists()
    assert checked(tmp_path, b"nothing").errors
    assert checked(tmp_path, pickled_submission(submission())[:-9]).errors
    assert checked(tmp_path, ["a"]).errors == ("holds a list instead of a dict",)
    with pytest.raises(SwerveError, match="cannot be read"):
        check_submission(tmp_path / "missing.pkl", expected(tmp_path))


def test_splits_without_tokens_or_with_one_stage(tmp_path):
    split = read_split(write_split(tmp_path, "one", "test", FIRST))
    assert expected_tokens(split) == {"predictions": frozenset(FIRST)}
    without = dataclasses.replace(split, scene_filter=dataclasses.replace(split.scene_filter, tokens=None))
    with pytest.raises(SwerveError, match="lists no tokens"):
        expected_tokens(without)


def test_file_loads_in_a_process_without_swerve(tmp_path):
    """The classes are defined under NAVSIM's names by a program that imports nothing of ours."""
    write_submission(submission(), tmp_path / "submission.pkl")
    program = (
        "import sys, types, pickle, warnings; warnings.simplefilter('ignore')\n"
        f"for module, name in {(TRAJECTORY, SAMPLING)!r}:\n"
        "    for n in range(1, module.count('.') + 2):\n"
        "        part = '.'.join(module.split('.')[:n]); sys.modules.setdefault(part, types.ModuleType(part))\n"
        "    setattr(sys.modules[module], name, type(name, (), {'__module__': module}))\n"
        f"content = pickle.load(open({str(tmp_path / 'submission.pkl')!r}, 'rb'))\n"
        "assert not any(m.startswith('swerve') for m in sys.modules)\n"
        "print(sum(len(one[0]) for key, one in content.items() if key.endswith('predictions')))\n"
    )
    done = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "5"


@pytest.mark.parametrize("content", [b"\x80", b"\x80\x04\x93.", b""])
def test_files_cut_short_are_faults(tmp_path, content):
    file = tmp_path / "submission.pkl"
    file.write_bytes(content)
    assert check_submission(file, {"predictions": frozenset({"a"})}).errors


def test_a_horizon_that_is_no_number_is_a_fault():
    sampling = _Sampling.__new__(_Sampling)
    object.__setattr__(sampling, "values", {"num_poses": 8, "time_horizon": float("nan"), "interval_length": 0.5})
    assert _sampling_fault(sampling, 8) is not None
