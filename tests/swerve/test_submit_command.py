"""`swerve submit navsim` and `swerve submit check`, on small data sets."""

from dataclasses import replace

import numpy as np
import pytest

from swerve.cli import run
from swerve.data.jobs import read_failures
from swerve.data.storage.fsspec_store import open_store
from swerve.data.storage.restricted_pickle import PickledRecord, load_pickle
from swerve.eval.submission.write_submission import SAMPLING, TRAJECTORY
from swerve.scenes import SwerveError, notices
from tests.support.small_navsim_data import follow_up_of, hidden, one_stage, token_of

AGENTS = "navsim:tests.support.navsim_agents"
INFO = [
    *("--team-name", "Team", "--authors", "A", "--email", "a@b.org"),
    *("--institution", "Home", "--country", "Nowhere"),
]


def content_of(path):
    allowed = {name: type("Stand", (PickledRecord,), {"__slots__": ()}) for name in (TRAJECTORY, SAMPLING)}
    return load_pickle(path.read_bytes(), path, allowed)


def submit(root, split, out, planner, *more):
    return run(["submit", "navsim", str(root), str(out), "--split", str(split), "--planner", planner, *INFO, *more])


def test_v1_submission_of_an_agent(tmp_path, capsys):
    pytest.importorskip("torch", reason="NAVSIM agents need torch")
    split = one_stage(tmp_path)
    planner = f"{AGENTS}.simple_agents.ConstantVelocity"
    assert submit(tmp_path, split, tmp_path / "out", planner, "--planner-option", "factor=0.5") == 0
    assert "predictions: 3 trajectories\nthe file is complete" in capsys.readouterr().out
    content = content_of(tmp_path / "out/submission.pkl")
    assert content["country / region"] == "Nowhere"
    (predictions,) = content["predictions"]
    assert sorted(predictions) == [token_of(index) for index in (3, 4, 5)]
    for one in predictions.values():
        np.testing.assert_array_equal(one.values["poses"][:, 0], np.float32(1.5 * np.arange(1, 9)))
    file = str(tmp_path / "out/submission.pkl")
    assert run(["submit", "check", file, "--split", str(split)]) == 0
    assert run(["submit", "check", file, "--split", str(one_stage(tmp_path, tokens=4))]) == 1
    told = capsys.readouterr().out
    assert "error: predictions: 1 of 4 tokens are missing, such as 0000000000000006" in told
    assert "1 error: do not upload this file. The server takes one submission a day" in told


def test_hidden_test_with_cameras(tmp_path):
    """The second stage's images lie in another folder; the agent asks for frames of the history."""
    pytest.importorskip("torch", reason="NAVSIM agents need torch")
    split = hidden(tmp_path)
    assert submit(tmp_path, split, tmp_path / "out", f"{AGENTS}.red_camera_agent.RedCameraAgent") == 0
    content = content_of(tmp_path / "out/submission.pkl")
    assert sorted(content["first_stage_predictions"][0]) == [token_of(index) for index in (3, 4, 13, 14)]
    assert sorted(content["second_stage_predictions"][0]) == [follow_up_of(index) for index in (3, 4, 103, 104)]
    assert submit(tmp_path, split, tmp_path / "seen", f"{AGENTS}.simple_agents.Seeing") == 0
    seen = content_of(tmp_path / "seen/submission.pkl")["second_stage_predictions"][0]
    for token, grey in ((follow_up_of(3), 30), (follow_up_of(104), 40)):
        np.testing.assert_allclose(seen[token].values["poses"][-1, 0], 4 * grey / 10, rtol=0.02)


def test_planner_of_swerve(tmp_path):
    split = one_stage(tmp_path)
    assert submit(tmp_path, split, tmp_path / "out", "constant-velocity") == 0
    for one in content_of(tmp_path / "out/submission.pkl")["predictions"][0].values():
        np.testing.assert_allclose(one.values["poses"][-1], [24, 0, 0], atol=1e-5)
    assert submit(tmp_path, split, tmp_path / "seen", "tests.swerve.test_submit_command:Greyish") == 0
    seen = content_of(tmp_path / "seen/submission.pkl")["predictions"][0]
    np.testing.assert_allclose(seen[token_of(5)].values["poses"][-1, 0], 50, atol=2)


def test_cameras_by_role_are_those_of_the_data(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(notices, "_SAID", set())
    split = one_stage(tmp_path)
    found = {}
    for name in ("Greyish", "GreyishByRole"):
        assert submit(tmp_path, split, tmp_path / name, f"tests.swerve.test_submit_command:{name}", "--in-process") == 0
        found[name] = content_of(tmp_path / name / "submission.pkl")["predictions"][0]
    for token, one in found["Greyish"].items():
        np.testing.assert_array_equal(found["GreyishByRole"][token].values["poses"], one.values["poses"])
    assert caplog.messages == ["note: cameras of GreyishByRole, which are here by other names: front is cam_f0"]
    with pytest.raises(SwerveError, match=r"needs camera 'left'; there are: cam_f0.* or else roles"):
        submit(tmp_path, split, tmp_path / "left", "tests.swerve.test_submit_command:Leftish", "--in-process")


def test_a_submission_in_a_store_is_named_by_its_url(tmp_path, capsys):
    pytest.importorskip("fsspec", reason="stores need the extra cloud")
    out = "memory://submissions/out"
    assert submit(tmp_path, one_stage(tmp_path), out, "constant-velocity") == 0
    assert f"wrote {out}/submission.pkl" in capsys.readouterr().out
    assert "submission.pkl" in {one.name for one in open_store(out).list()}


class GreyishByRole:
    """The same, which asks for its camera by role."""

    cameras = ("front",)

    def plan(self, observation):
        (own,) = observation.cameras
        assert own.name == "front"
        named = replace(
            observation, cameras=(replace(own, name="cam_f0"),), images={"cam_f0": observation.images["front"]}
        )
        return Greyish().plan(named)


class Leftish(GreyishByRole):
    """Planner that wants a camera that the data have not."""

    cameras = ("left",)


class Greyish:
    """Planner that drives as far as its front image is bright."""

    cameras = ("cam_f0",)

    def plan(self, observation):
        from swerve.scenes.planning import Trajectory

        assert observation.cameras[0].name == "cam_f0"
        np.testing.assert_allclose(observation.history.poses[[0, 5, 10, 15], 0], [-9, -6, -3, 0], atol=1e-9)
        far = observation.images["cam_f0"].mean()
        return Trajectory(np.linspace(0, far, 9)[1:, None] * [1.0, 0, 0])


class Failing:
    """Planner that fails in one scene."""

    cameras = ()

    def plan(self, observation):
        if observation.token == token_of(4):
            raise ValueError("no idea")
        return Greyish.plan

    def plan_batch(self, observations):
        from swerve.scenes.planning import Trajectory

        for one in observations:
            self.plan(one)
        return [Trajectory(np.zeros((8, 3)))] * len(observations)


def test_failures_are_told_and_incomplete_files_are_not_written(tmp_path, capsys):
    split, planner = one_stage(tmp_path), "tests.swerve.test_submit_command:Failing"
    assert submit(tmp_path, split, tmp_path / "out", planner) == 1
    told = capsys.readouterr().out
    assert f"failed in {token_of(4)}" in told
    assert "ValueError: no idea" in told
    assert not (tmp_path / "out/submission.pkl").exists()
    assert [(one.token, one.reason) for one in read_failures(tmp_path / "out")] == [
        (token_of(4), "ValueError: no idea")
    ]
    assert submit(tmp_path, split, tmp_path / "out", planner, "--incomplete") == 1
    assert len(content_of(tmp_path / "out/submission.pkl")["predictions"][0]) == 2
    assert "1 of 3 tokens are missing" in capsys.readouterr().out


def test_missing_images_are_told(tmp_path, capsys):
    pytest.importorskip("torch", reason="NAVSIM agents need torch")
    split = one_stage(tmp_path)
    image = next((tmp_path / "sensor_blobs/test").rglob(f"CAM_F0/{token_of(5)}.jpg"))
    image.unlink()
    assert submit(tmp_path, split, tmp_path / "out", f"{AGENTS}.simple_agents.Seeing") == 1
    told = capsys.readouterr().out
    assert "the planner failed in 1 scenes" in told
    assert "image cannot be read" in told
    assert "Traceback" not in told


def test_agents_that_submissions_do_not_allow_are_refused(tmp_path):
    split = one_stage(tmp_path)
    for planner in ("human", f"{AGENTS}.simple_agents.Human"):
        with pytest.raises(SwerveError, match="submissions do not allow"):
            submit(tmp_path, split, tmp_path / "out", planner)
    with pytest.raises(SwerveError, match="has one stage"):
        submit(tmp_path, split, tmp_path / "out", "constant-velocity", "--version", "v2")


def test_sensors_that_frames_do_not_have_are_told(tmp_path, capsys):
    pytest.importorskip("torch", reason="NAVSIM agents need torch")
    split = one_stage(tmp_path)
    assert submit(tmp_path, split, tmp_path / "out", f"{AGENTS}.simple_agents.Seeing,lidar=true") == 1
    assert "asks for lidar_pc" in capsys.readouterr().out
