"""A training whose OUT is in a store: what a killed run leaves there, and whom it excludes."""

import pytest

from swerve.data.jobs.folder_locks import held
from swerve.data.storage.fsspec_store import open_store
from swerve.data.storage.mirror import output_folder
from swerve.planners.baselines.kinematic import ConstantVelocity
from swerve.planners.fingerprint import fingerprint
from swerve.planners.learning.training_log import METRICS, TrainingLog
from swerve.planners.load_planner import LoadedPlanner
from swerve.planners.trained_file import trained_path
from swerve.scenes import SwerveError
from tests.support.command import invoke
from tests.support.s3_server import s3_server


@pytest.fixture(scope="module")
def url():
    with s3_server() as there:
        yield f"{there}/runs"


def test_the_table_of_steps_is_in_the_store_before_a_checkpoint(url, tmp_path):
    """A run that is killed after its checkpoint resumes elsewhere without losing rows."""
    with output_folder(f"{url}/tables") as folder:
        log = TrainingLog(folder, 0)
        for step in (1, 2):
            log.step({"step": step, "total": 0.5})
        log.flush()
        store = open_store(f"{url}/tables")
        store.get(METRICS, tmp_path / METRICS)
        assert (tmp_path / METRICS).read_text() == "step,total\n1,0.5\n2,0.5\n"
    with output_folder(f"{url}/tables") as folder:
        TrainingLog(folder, 1).step({"step": 2, "total": 0.25})
        assert (folder / METRICS).read_text() == "step,total\n1,0.5\n2,0.25\n"


def test_of_two_trainings_in_one_store_one_goes_on(url):
    with output_folder(f"{url}/held") as one, output_folder(f"{url}/held") as other, held(one):
        with pytest.raises(SwerveError, match="is writing to"), held(other):
            pass
        with held(one / "round-0"):
            pass


def test_rounds_are_refused_in_a_store_before_the_work(url):
    refused = invoke("train", "nowhere", f"{url}/rounds", "--rounds", 2, "--round-sources", "town:1")
    assert "is in a store, and a round reads the sets of earlier ones" in str(refused.exception), refused


def test_a_planner_in_a_store_is_read_anew_where_it_has_changed(url, tmp_path, monkeypatch):
    monkeypatch.setenv("SWERVE_CACHE", str(tmp_path))
    store, place = open_store(f"{url}/planners"), f"{url}/planners/planner.safetensors"
    with pytest.raises(SwerveError, match="no such file"):
        trained_path(place)
    identities = set[str]()
    for content in (b"first", b"second", b"second"):
        store.write("planner.safetensors", content)
        assert trained_path(place).read_bytes() == content
        identities.add(fingerprint(LoadedPlanner("label", ConstantVelocity(), place)))
    assert len(identities) == 2
