"""Plans of a submission to Waymo's challenge are records of a job: made once, and again where the planner failed."""

import numpy as np
import pytest

from swerve.data.sources.wod_e2e.wod_e2e_source import WodE2eSource
from swerve.eval.benchmark.evaluate.observations import hash_token
from swerve.eval.benchmark.evaluate.planner_records import PlannerSpec
from swerve.eval.planner_process import PlannerLimits
from swerve.eval.rater_feedback.plan_job import plan_all
from swerve.planners.open_planner import PlannerLoader
from swerve.scenes import SwerveError
from swerve.scenes.planning import Trajectory
from tests.support.e2e_records import SEQUENCES, write_test_split
from tests.support.noted_plans import NOTES, forget_plans, note_plan, noted

FAILING = f"{SEQUENCES[2]}-002"
SPEC = PlannerSpec("it", f"{__name__}:Noting", "version 1")


class Noting:
    """Planner that notes its scenes, and fails in one of them until its folder has the file `mended`."""

    cameras = ()

    def plan(self, observation):
        note_plan(observation.token, hash_token(FAILING))
        return Trajectory(np.linspace([0, 0, 0], [30, 6, 0], 21)[1:], interval=0.25)


@pytest.fixture
def planned(tmp_path, monkeypatch):
    """Return a function that runs the job, and returns its results and the number of plans."""
    (tmp_path / "notes").mkdir()
    monkeypatch.setenv(NOTES, str(tmp_path / "notes"))
    source = WodE2eSource(write_test_split(tmp_path / "test"))
    entries = [entry for entry in source.index().entries if entry.name.endswith("-002")]

    def run(spec=SPEC):
        forget_plans(tmp_path / "notes")
        load = PlannerLoader(PlannerLimits(in_process=True))
        found = plan_all(spec, load, source, entries, tmp_path / "out", 1, frames_per_part=2)
        return *found, len(noted(tmp_path / "notes"))

    return run


def test_only_what_is_missing_or_failed_is_planned_again(planned, tmp_path):
    found, failed, count = planned()
    assert (len(found), list(failed), count) == (5, [FAILING], 6)
    assert "ValueError: no idea" in failed[FAILING]
    (tmp_path / "notes/mended").touch()
    found, failed, count = planned()
    assert (failed, count) == ({}, 2)
    for waypoints in found.values():
        np.testing.assert_allclose(waypoints, np.linspace([0, 0], [30, 6], 21)[1:], atol=1e-12)
    assert planned()[2] == 0
    next((tmp_path / "out/job/records").glob("*.parquet")).unlink()
    # A run that may end without a submission does not leave that of an earlier one.
    (tmp_path / "out/submission.tar.gz").touch()
    assert planned()[2] == 2
    assert not (tmp_path / "out/submission.tar.gz").exists()
    assert planned(PlannerSpec("it", SPEC.spec, "version 2"))[2] == 6


def test_planners_that_need_the_future_are_refused(planned):
    with pytest.raises(SwerveError, match="needs the future, which nobody has in the test split"):
        planned(PlannerSpec("human", "human", ""))
