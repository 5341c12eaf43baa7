"""A submission's plans are records of a job: nothing is planned twice, and failures are tried again."""

import numpy as np
import pytest

from swerve.data.jobs.execution import ArrayPartDone, Execution
from swerve.data.jobs.folder_locks import lock_job
from swerve.data.sources.navsim.folders import navsim_folders
from swerve.data.sources.navsim.scene_filter import read_split
from swerve.data.sources.navsim.scene_windows import index_scenes
from swerve.eval.benchmark.evaluate.planner_records import PlannerSpec
from swerve.eval.planner_process import PlannerLimits
from swerve.planners.navsim.submission_job import predict_all
from swerve.planners.open_planner import PlannerLoader
from swerve.scenes import SwerveError
from swerve.scenes.planning import Trajectory
from tests.support.noted_plans import NOTES, forget_plans, note_plan, noted
from tests.support.small_navsim_data import one_stage, token_of

SPEC = PlannerSpec("it", f"{__name__}:Noting", "version 1")


class Noting:
    """Planner that notes which scenes it plans for, and fails in one of them until its folder has the file `mended`."""

    cameras = ()

    def plan(self, observation):
        note_plan(observation.token, token_of(4))
        return Trajectory(np.arange(24.0).reshape(8, 3) / 100 + int(observation.token, 16))


class Turned(Noting):
    """Another planner, which plans elsewhere, and fails nowhere."""

    def plan(self, observation):
        return Trajectory(-np.arange(24.0).reshape(8, 3) - int(observation.token, 16))


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """Return a function that runs the job and returns its results and the scenes planned for."""
    (tmp_path / "notes").mkdir()
    monkeypatch.setenv(NOTES, str(tmp_path / "notes"))
    split = read_split(one_stage(tmp_path))
    scenes = index_scenes(navsim_folders(str(tmp_path)), split)

    def run(out="out", workers=1, spec=SPEC):
        forget_plans(tmp_path / "notes")
        load = PlannerLoader(PlannerLimits(in_process=True))
        tokens = {"predictions": list(scenes.logged)}
        found = predict_all(spec, load, scenes, tokens, tmp_path / out, workers, scenes_per_part=1)
        return *found, noted(tmp_path / "notes")

    return run


def test_only_what_is_missing_or_failed_is_planned_again(planned, tmp_path):
    found, failed, asked = planned()
    assert sorted(found["predictions"]) == [token_of(3), token_of(5)]
    assert [one.token for one in failed] == [token_of(4)]
    assert failed[0].reason.endswith("ValueError: no idea")
    assert set(asked) == {token_of(3), token_of(4), token_of(5)}
    (tmp_path / "notes/mended").touch()
    found, failed, asked = planned()
    assert (failed, asked) == ([], [token_of(4)])
    for token, trajectory in found["predictions"].items():
        expected = np.float32(np.arange(24.0).reshape(8, 3) / 100 + int(token, 16))
        np.testing.assert_array_equal(trajectory.poses, expected)
        assert (trajectory.poses.dtype, trajectory.horizon, trajectory.interval) == (np.float32, 4.0, 0.5)
    assert planned()[2] == []
    next((tmp_path / "out/job/records").glob("*.parquet")).unlink()
    # A run that may end without a submission does not leave that of an earlier one.
    for name in ("submission.pkl", "submission.pkl.node-12.part"):
        (tmp_path / "out" / name).touch()
    assert len(planned()[2]) == 1
    assert not list((tmp_path / "out").glob("submission.pkl*"))
    assert len(planned(spec=PlannerSpec("it", SPEC.spec, "version 2"))[2]) == 3


def test_runs_of_an_array_make_what_one_run_does(planned, tmp_path):
    (tmp_path / "notes/mended").touch()
    whole = planned()[0]["predictions"]
    for part in ("1/2", "2/2"):
        with pytest.raises(ArrayPartDone):
            planned("array", Execution.parse(1, part, "bar"))
    found, failed, asked = planned("array", Execution.parse(1, "finish", "bar"))
    assert (failed, asked) == ([], [])
    assert list(found["predictions"]) == list(whole)
    for token, trajectory in found["predictions"].items():
        np.testing.assert_array_equal(trajectory.poses, whole[token].poses)


def test_another_folder_is_refused(planned, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/mine.txt").touch()
    with pytest.raises(SwerveError, match=r"holds mine\.txt"):
        planned()


def test_runs_of_an_array_try_only_their_own_scenes_again(planned, tmp_path):
    def run(part, workers=1):
        with pytest.raises(ArrayPartDone):
            planned("array", Execution.parse(workers, part, "bar"))
        notes = tmp_path / "notes/planned"
        return notes.read_text().split() if notes.exists() else []

    tokens = {part: run(part) for part in ("1/2", "2/2")}
    (owner,) = (part for part, own in tokens.items() if token_of(4) in own)
    (other,) = set(tokens) - {owner}
    assert run(other) == []
    finish = Execution.parse(1, "finish", "bar")
    found, failed, asked = planned("array", finish)
    assert (len(found["predictions"]), [one.token for one in failed], asked) == (2, [token_of(4)], [])
    (tmp_path / "notes/mended").touch()
    assert run(owner) == [token_of(4)]
    assert planned("array", finish)[1] == []


def test_another_planner_in_the_folder_does_not_get_the_plans_and_errors_of_the_first(planned, tmp_path):
    another = PlannerSpec("another", f"{__name__}:Turned", "version 1")
    assert planned(spec=another)[1] == []
    # The first planner fails in a scene, which is nothing to the other one.
    assert len(planned()[1]) == 1
    found, failed, asked = planned(spec=another)
    assert (failed, asked) == ([], [])
    for token, trajectory in found["predictions"].items():
        np.testing.assert_array_equal(trajectory.poses, np.float32(-np.arange(24.0).reshape(8, 3) - int(token, 16)))


def test_a_run_that_is_refused_removes_no_failed_scenes(planned, tmp_path):
    planned()
    records = sorted((tmp_path / "out/job/records").iterdir())
    with lock_job(tmp_path / "out/job"), pytest.raises(SwerveError, match="another job is writing to this folder"):
        planned()
    assert sorted((tmp_path / "out/job/records").iterdir()) == records
