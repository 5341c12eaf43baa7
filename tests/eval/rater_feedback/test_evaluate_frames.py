"""Planners in WOD-E2E frames, and `swerve evaluate wod_e2e:PATH`."""

import csv
import json
import shutil

import numpy as np
import pyarrow.parquet as pq
import pytest

from swerve.data.sources.wod_e2e.wod_e2e_source import WodE2eSource
from swerve.eval.rater_feedback.evaluate_frames import scored_row
from swerve.eval.rater_feedback.frame_planning import FramePlan, observation_of, plan_frames, waypoints_of
from swerve.planners.load_planner import load_planner
from swerve.scenes import LogError, SwerveError
from swerve.scenes.planning import Trajectory
from tests.support.command import invoke
from tests.support.e2e_records import (
    SEQUENCES,
    MadeFrame,
    encode_frame,
    rated_frame,
    write_test_split,
    write_validation,
)
from tests.support.simple_planners import FailsAt, straight
from tests.support.waymo_log import write_records


@pytest.fixture(scope="module")
def validation(tmp_path_factory):
    return write_validation(tmp_path_factory.mktemp("val"))


def planner(spec):
    return load_planner(spec).planner


def frame_of(folder, name):
    source = WodE2eSource(folder)
    return source.frame(source.index().by_name[name])


# --- Trajectories as waypoints


def test_waypoints_are_at_four_hertz_and_linear_between_poses():
    seconds = 0.5 * np.arange(1, 11)
    poses = np.stack([seconds**2, -seconds, 0 * seconds], axis=1)
    found = waypoints_of(Trajectory(poses, 0.5))
    np.testing.assert_allclose(found[1::2], poses[:, :2])
    np.testing.assert_allclose(found[0], poses[0, :2] / 2)
    np.testing.assert_allclose(found[2], (poses[0, :2] + poses[1, :2]) / 2)


@pytest.mark.parametrize("interval", [0.1, 0.25, 0.4, 0.5, 1.0, 2.0])
def test_plans_that_end_early_keep_their_last_velocity(interval):
    np.testing.assert_allclose(waypoints_of(straight(8.0, 4.0, interval))[:, 0], 2.0 * np.arange(1, 21), atol=1e-9)
    bent = straight(8.0, 4.0, interval)
    bent.poses[-1, 1] = 1.0  # in the last step it leaves to the left
    rate = 1.0 / interval
    np.testing.assert_allclose(waypoints_of(bent)[-1], [40.0, 1.0 + rate], atol=1e-9)


def test_longer_plans_are_cut():
    np.testing.assert_allclose(waypoints_of(straight(8.0, 9.0))[:, 0], 2.0 * np.arange(1, 21))


# --- Observations


def test_observation(validation):
    frame = frame_of(validation, f"{SEQUENCES[3]}-001")
    seen = observation_of(frame, planner("tests.support.seeing_planners:Reddish"))
    assert [camera.name for camera in seen.cameras] == ["front"]
    assert seen.images["front"].shape == (108, 97, 3)
    assert abs(int(seen.images["front"][..., 0].mean()) - 20) <= 2  # the front camera's colour
    assert seen.command.name == "RIGHT"
    assert seen.privileged is None
    assert seen.recording is None
    np.testing.assert_allclose(seen.history.velocity[-1], [10.0, 0.0], atol=1e-5)
    assert frame.name not in seen.token


def test_planners_that_declare_no_cameras_get_all(validation):
    seen = observation_of(frame_of(validation, f"{SEQUENCES[3]}-001"), SeesAll())
    assert list(seen.images) == [camera.name for camera in seen.cameras]
    assert len(seen.images) == 8
    assert seen.images["rear"].shape == (55, 97, 3)


class SeesAll:
    """A planner that declares no cameras."""

    def plan(self, observation):
        return straight(len(observation.images))


def test_human_is_the_logged_driver(validation, tmp_path):
    frame = frame_of(validation, f"{SEQUENCES[2]}-003")
    (plan,) = plan_frames(planner("human"), [frame])
    np.testing.assert_array_equal(plan.waypoints, frame.future[:, :2])
    assert plan.horizon == 5.0
    row = scored_row("human", frame, plan)
    assert (row["rfs"], row["inside"], row["ade_3s"], row["ade_5s"]) == (9.0, True, 0.0, 0.0)
    hidden = frame_of(write_test_split(tmp_path), f"{SEQUENCES[2]}-001")
    with pytest.raises(SwerveError, match="its future is hidden"):
        plan_frames(planner("human"), [hidden])


def test_disturbed_human_takes_part(validation):
    frame = frame_of(validation, f"{SEQUENCES[1]}-003")
    (plan,) = plan_frames(planner("human,distance_factor=0.5"), [frame])
    assert 0 < plan.waypoints[11, 0] < frame.future[11, 0]


def test_planners_that_need_more_are_refused(validation):
    frame = frame_of(validation, f"{SEQUENCES[1]}-003")
    with pytest.raises(SwerveError, match="planner Idm: needs map and boxes"):
        plan_frames(planner("idm"), [frame])
    with pytest.raises(SwerveError, match="planner DisturbedPlanner: needs map and boxes"):
        plan_frames(planner("pdm-closed,delay=0.5"), [frame])


def test_scores_of_a_row_worked_by_hand(tmp_path):
    # 8 m/s straight: the tolerance factor is 0.5 + 0.5 * 6.6 / 9.6.
    made = rated_frame(MadeFrame(f"{SEQUENCES[0]}-000", speed=8.0, curvature=0.0))
    write_records(tmp_path / "val.tfrecord", encode_frame(made))
    frame = frame_of(tmp_path, made.name)
    plan = FramePlan(np.stack([2.0 * np.arange(1, 21), np.full(20, 1.2)], axis=1), 5.0, "", 0.0)
    row = scored_row("beside", frame, plan)
    scale = 0.5 + 0.5 * 6.6 / 9.6
    # Beside the first (9): d = 1.2 / scale at 3 s. The third (3) is 0.9 m left at 3 s and 2.5 m at 5 s.
    at_three, at_five = 9.0 * 0.1 ** (1.2 / scale - 1), 9.0 * 0.1 ** max(1.2 / (1.8 * scale) - 1, 0)
    assert row["inside"] is True  # of the third's region at both times
    assert row["rfs"] == pytest.approx((at_three + at_five) / 2, abs=1e-5)
    assert (row["ade_3s"], row["ade_5s"]) == (pytest.approx(1.2), pytest.approx(1.2))


# --- The command


@pytest.mark.slow
def test_evaluate(validation, tmp_path):
    out = tmp_path / "out"
    done = invoke("evaluate", f"wod_e2e:{validation}", out, "--workers", 1, "--planners", "stationary", "human",
                  "tests.support.seeing_planners:Reddish,label=seer")  # fmt: skip
    assert done.exit_code == 0, done.exception
    assert "6 rated frames; means over 3 scenario clusters" in done.output
    assert "stationary, seer: plans end before 5 s" in done.output
    rows = [line.split() for line in done.output.splitlines()]
    assert ["human", "9.000", "0.000", "0.000", "100", "-"] in rows
    summary = json.loads((out / "summary.json").read_text())
    assert summary["mean_over"] == "clusters"
    assert summary["planners"]["human"]["score"] == 9.0
    table = pq.read_table(out / "results.parquet").to_pylist()
    assert len(table) == 18
    seer = [row for row in table if row["planner"] == "seer"]
    # 4 m/s and a 32nd of the front camera's red, from its JPEG.
    np.testing.assert_allclose([row["x"][3] for row in seer], 4 + 20 / 32, atol=0.1)
    assert [row["cluster"] for row in seer] == ["Construction", "Intersections", "Cyclists"] * 2
    own = {name: [row["rfs"] for row in seer if row["cluster"] == name] for name in {row["cluster"] for row in seer}}
    mean = np.mean([np.mean(values) for values in own.values()])
    assert summary["planners"]["seer"]["score"] == pytest.approx(mean)
    with open(out / "scores" / "seer.csv") as stream:
        listed = list(csv.DictReader(stream))
    assert float(listed[-1]["rfs"]) == pytest.approx(mean)
    assert [row["frame"] for row in listed[-2:]] == ["mean_over_frames", "mean_over_clusters"]
    assert [row["frame"] for row in listed[:6]] == [f"{sequence}-003" for sequence in SEQUENCES]


def test_failures_are_listed_and_score_zero(validation, tmp_path):
    failing = FailsAt(f"{SEQUENCES[2]}-003", lambda: 1 / 0)
    frame = frame_of(validation, failing.token)
    (plan,) = plan_frames(failing, [frame])
    assert scored_row("failing", frame, plan)["rfs"] == 0.0
    spec = "tests.eval.rater_feedback.test_evaluate_frames:failing_in_one,label=failing"
    out = tmp_path / "out"
    done = invoke("evaluate", f"wod_e2e:{validation}", out, "--workers", 1, "--planners", spec)
    assert done.exit_code == 1
    assert f"failed: failing in {SEQUENCES[2]}-003: ZeroDivisionError" in done.output
    summary = json.loads((out / "summary.json").read_text())["planners"]["failing"]
    assert summary["failures"] == 1
    # Displacement errors are of the other five.
    rows = [row for row in pq.read_table(out / "results.parquet").to_pylist() if not row["error"]]
    assert summary["mean_over_frames"]["ade_3s"] == pytest.approx(np.mean([row["ade_3s"] for row in rows]))
    assert summary["mean_over_frames"]["rfs"] == pytest.approx(sum(row["rfs"] for row in rows) / 6)


def failing_in_one():
    """A planner that fails in one frame; worker processes import it."""
    return FailsAt(f"{SEQUENCES[2]}-003", lambda: 1 / 0)


class WantsNavsimsCamera:
    """A planner for other cameras."""

    cameras = ("cam_f0",)

    def plan(self, observation):
        return straight(1.0)


@pytest.mark.slow
def test_evaluation_resumes_and_adds_planners(validation, tmp_path):
    out, folder = tmp_path / "out", f"wod_e2e:{validation}"
    assert invoke("evaluate", folder, out, "--workers", 1, "--planners", "stationary").exit_code == 0
    first = (out / "scores" / "stationary.csv").read_bytes()
    done = invoke("evaluate", folder, out, "--workers", 1, "--planners", "stationary", "constant-velocity")
    assert done.exit_code == 0
    assert "6 plans in" in done.output
    assert (out / "scores" / "stationary.csv").read_bytes() == first


@pytest.mark.slow
def test_without_clusters_the_mean_is_over_frames(validation, tmp_path):
    folder = tmp_path / "data"
    folder.mkdir()
    for file in validation.glob("*.tfrecord*"):
        shutil.copy(file, folder)
    done = invoke("evaluate", f"wod_e2e:{folder}", tmp_path / "out", "--workers", 1, "--planners", "constant-velocity")
    assert done.exit_code == 0, done.exception
    assert "is not beside the data, and no --clusters" in done.output
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["mean_over"] == "frames"
    named = validation / "val_sequence_name_to_scenario_cluster.json"
    done = invoke("evaluate", f"wod_e2e:{folder}", tmp_path / "named", "--workers", 1, "--planners", "stationary",
                  "--clusters", named)  # fmt: skip
    assert "3 scenario clusters" in done.output


def test_damaged_frame_ends_without_scores(validation, tmp_path):
    folder = tmp_path / "data"
    shutil.copytree(validation, folder)
    source = WodE2eSource(folder)
    entry = source.index().rated[2]
    content = bytearray(entry.file.read_bytes())
    content[entry.start + entry.length // 2] ^= 1
    entry.file.write_bytes(content)
    done = invoke("evaluate", f"wod_e2e:{folder}", tmp_path / "out", "--workers", 1, "--planners", "stationary")
    assert done.exit_code == 2
    assert f"1 of 6 frames could not be evaluated, the first: {entry.name}" in str(done.exception)
    assert "bad checksum of the data" in str(done.exception)
    assert not (tmp_path / "out" / "summary.json").exists()


@pytest.mark.parametrize(
    ("options", "match"),
    [
        (("--planners", "idm"), "needs map and boxes"),
        (("--planners", "stationary", "--views", "photo"), "leave out --views"),
        (("--planners", "stationary", "--traffic", "log-replay"), "leave out --traffic"),
        (("--planners", "stationary", "--weighting", "stable"), "leave out --weighting"),
        (("--planners", "stationary", "--split", "navtest"), "--split is one of"),
        (("--planners", "stationary", "--split", "train"), "no frame of split train"),
        (("--planners", f"{__name__}:WantsNavsimsCamera"), "needs camera 'cam_f0'; there are: front, front_left"),
    ],
)
def test_what_the_data_do_not_have_is_one_error(validation, tmp_path, options, match):
    done = invoke("evaluate", f"wod_e2e:{validation}", tmp_path / "out", *options)
    assert isinstance(done.exception, SwerveError)
    assert match in str(done.exception)


def test_no_rated_frame_is_one_error(tmp_path):
    folder = write_test_split(tmp_path / "test")
    done = invoke("evaluate", f"wod_e2e:{folder}", tmp_path / "out", "--planners", "stationary")
    assert "no frame has ratings" in str(done.exception)


def test_missing_image_names_the_frame(tmp_path):
    record = encode_frame(rated_frame(MadeFrame(f"{SEQUENCES[0]}-000", images={1: b"\xff\xd8\xff"})))
    write_records(tmp_path / "val.tfrecord", record)
    with pytest.raises(LogError, match=f"frame {SEQUENCES[0]}-000: image of front: cannot be decoded"):
        plan_frames(planner("tests.support.seeing_planners:Reddish"), [frame_of(tmp_path, f"{SEQUENCES[0]}-000")])
