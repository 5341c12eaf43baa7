"""A Ray cluster makes what the processes of one machine make, also where an actor or a node is lost."""

import os
import socket
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from swerve.data.jobs import Execution, Resources, job_config, open_job, ray_pool, run_work
from swerve.data.jobs.job_progress import JobProgress
from swerve.data.jobs.ray_pool import TRIES, RayWorker
from swerve.data.jobs.schedule import Schedule, Task
from swerve.data.jobs.worker import PartFinished
from swerve.scenes import SwerveError
from tests.support.counting_work import LAYOUT, CountingWork, squares_of

CHUNKS = {"a": 3, "b": 1, "c": 2}
ROOT = Path(__file__).parents[3]


def run(folder, chunks=None, wrong=None, workers=2, on="ray"):
    chunks = chunks or CHUNKS
    with open_job(folder, job_config({}, [("simple", log) for log in chunks], ()), LAYOUT):
        work, execution = CountingWork(folder, chunks, wrong or {}), Execution(workers, on=on)
        return run_work(work, folder, list(chunks), {}, "squares", execution)


@pytest.mark.slow
def test_parts_are_made_on_a_cluster(tmp_path):
    """Two nodes with actors, of which one is lost in the middle of the job."""
    ray = pytest.importorskip("ray", reason="needs the extra ray")
    from ray.cluster_utils import Cluster

    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False})
    lost = cluster.add_node(num_cpus=2)
    cluster.add_node(num_cpus=1)
    ray.init(address=cluster.address, log_to_driver=False, logging_level="ERROR")
    try:
        outcome = run(tmp_path / "made", wrong={("a", 1): "bug", ("c", None): "refused", ("b", 0): "prints"})
        assert outcome.item_count == 3 * 3
        assert sorted((one.log, one.reason) for one in outcome.failures) == [
            ("a", "ZeroDivisionError: a fault of the program"),
            ("c", "this cannot be squared"),
        ]
        assert set(squares_of(tmp_path / "made")) == {"a-00000", "a-00002", "b-00000"}

        def lose():
            while len(list((tmp_path / "lost" / "squares").glob("*.json"))) < 10:
                time.sleep(0.01)
            cluster.remove_node(lost, allow_graceful=False)

        losing = threading.Thread(target=lose)
        losing.start()
        many = {"a": 60, "b": 60}
        outcome = run(tmp_path / "lost", many)
        losing.join()
        assert not outcome.failures
        squares = squares_of(tmp_path / "lost")
        assert squares == {f"{log}-{chunk:05d}": chunk**2 for log in many for chunk in range(60)}
        outcome = run(tmp_path / "killed", {"a": 2}, {("a", 1): "killed"}, workers=1)
        (failure,) = outcome.failures
        assert f"lost {TRIES} times" in failure.reason
    finally:
        ray.shutdown()
        cluster.shutdown()


def test_relative_paths_are_those_of_the_process_that_started_the_job(tmp_path, monkeypatch):
    """An actor on another node begins in a folder of its own."""
    (tmp_path / "job" / "squares").mkdir(parents=True)
    (tmp_path / "node").mkdir()
    monkeypatch.chdir(tmp_path / "node")
    monkeypatch.setattr(ray_pool, "tell_compilation", lambda tell: None)
    worker = RayWorker(CountingWork(Path("job"), {"a": 1}), str(tmp_path / "job"), str(tmp_path))
    assert isinstance(list(worker.run(Task("a", 0)))[-1], PartFinished)
    assert squares_of(tmp_path / "job") == {"a-00000": 0}


def test_places_are_checked():
    for text in ("dask", "ray:", "ray://", "ray://a b", "RAY"):
        with pytest.raises(SwerveError, match="--on"):
            Execution(on=text)
    assert Execution.parse(2, None, "bar", "ray://head:10001").on == "ray://head:10001"


@pytest.mark.parametrize(
    ("there", "needs", "actors"),
    [
        ({"CPU": 8.0}, Resources(), 8),
        ({"CPU": 8.0}, Resources(3), 2),
        ({"CPU": 8.0, "GPU": 2.0}, Resources(2, 1), 2),
        ({"CPU": 8.0}, Resources(2, 1), 1),
        ({}, Resources(), 1),
    ],
)
def test_a_cluster_holds_as_many_actors_as_its_resources_allow(there, needs, actors):
    """At least one, which waits where the cluster has too little: nodes may join it."""
    assert ray_pool.capacity(there, needs) == actors


class _Handle:
    """An actor's handle, whose method returns a reference."""

    def __init__(self):
        self.ready = SimpleNamespace(remote=lambda: "asked")


def test_idle_actors_are_asked_whether_they_live_when_another_is_lost(tmp_path):
    """A node takes all of its actors with it: parts given to them would use up their tries."""
    fake = SimpleNamespace(put=lambda work: work, remote=lambda **_: lambda kind: kind)
    schedule = Schedule(["a"], {})
    listener = JobProgress(Console(quiet=True), schedule, "squares")
    work = CountingWork(tmp_path, {"a": 9})
    pool = ray_pool._RayPool(fake, work, tmp_path, schedule, (4, Resources()), listener, ray_pool.HeadWatch(""))
    lost, busy, idle, beginning = (ray_pool._Actor(number, _Handle(), None) for number in range(4))
    lost.task, busy.task, beginning.starting = Task("a", 0), Task("a", 1), "begins"
    pool._actors = [lost, busy, idle, beginning]
    pool._bury(lost, RuntimeError("the node is gone"))
    assert [one.starting for one in pool._actors] == [None, "asked", "begins"]
    assert pool._again == [Task("a", 0)]


def test_a_head_that_is_gone_ends_the_job_with_one_error(monkeypatch):
    """Ray would end the process a minute later, without a word on the job."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        place = f"127.0.0.1:{server.getsockname()[1]}"
        head = ray_pool.HeadWatch(place)
        monkeypatch.setattr(ray_pool, "_LOOK_PERIOD", 0.0)
        head.check()
    head.check()  # it may come back
    assert not head.is_lost
    monkeypatch.setattr(ray_pool, "_HEAD_PATIENCE", 0.0)
    with pytest.raises(SwerveError, match=rf"{place}\) is gone. Start the cluster anew, then the same command"):
        head.check()
    assert head.is_lost


def test_one_failed_look_after_a_stall_does_not_end_the_job(monkeypatch):
    """This process may be suspended, or write to a slow store: it has not looked meanwhile."""
    now = [0.0]
    monkeypatch.setattr(ray_pool.time, "monotonic", lambda: now[0])
    with socket.create_server(("127.0.0.1", 0)) as server:
        head = ray_pool.HeadWatch(f"127.0.0.1:{server.getsockname()[1]}")
    for now[0] in (100.0, 103.0, 129.0):
        head.check()
    now[0] = 131.0
    head.check()  # too soon after the last look
    now[0] = 133.0
    with pytest.raises(SwerveError, match="is gone"):
        head.check()


def test_a_later_job_of_the_process_does_not_use_the_connection_to_a_lost_head(tmp_path, monkeypatch):
    ended, connected = [], []
    fake = SimpleNamespace(
        is_initialized=lambda: bool(connected),
        get_runtime_context=lambda: SimpleNamespace(gcs_address="127.0.0.1:1"),
        cluster_resources=dict,
        shutdown=lambda: ended.append(True),
    )

    class Pool:
        def __init__(self, *given):
            self.head = given[-1]

        def run(self):
            raise self.head.lost()

    monkeypatch.setattr(ray_pool, "_LOST", set())
    monkeypatch.setattr(ray_pool, "_ray", lambda: fake)
    monkeypatch.setattr(ray_pool, "_connect", lambda ray, address: connected.append(address))
    monkeypatch.setattr(ray_pool, "_RayPool", Pool)
    for message in (r"is gone\. Start the cluster anew", r"head that is gone \(127\.0\.0\.1:1\): start Python anew"):
        with pytest.raises(SwerveError, match=message):
            run(tmp_path)
    assert (connected, ended) == (["ray"], [])


@pytest.mark.parametrize("address", ["", "nowhere", "127.0.0.1:1"])
def test_a_head_that_cannot_be_reached_from_here_is_not_watched(monkeypatch, address):
    monkeypatch.setattr(ray_pool, "_LOOK_PERIOD", 0.0)
    monkeypatch.setattr(ray_pool, "_HEAD_PATIENCE", 0.0)
    head = ray_pool.HeadWatch(address)
    head.check()
    assert not head.is_lost


def test_a_lost_head_is_not_asked_to_end_actors(tmp_path):
    """Asking it would block for a minute, until Ray ends the process."""
    killed = []
    fake = SimpleNamespace(
        put=lambda work: work,
        remote=lambda **_: lambda kind: SimpleNamespace(remote=lambda *_: _Handle()),
        wait=lambda refs, **_: ([], refs),
        kill=killed.append,
    )

    class LostHead(ray_pool.HeadWatch):
        def check(self):
            self.is_lost = True
            raise SwerveError("gone")

    schedule = Schedule(["a"], {})
    listener, work = JobProgress(Console(quiet=True), schedule, "squares"), CountingWork(tmp_path, {"a": 9})
    pool = ray_pool._RayPool(fake, work, tmp_path, schedule, (1, Resources()), listener, LostHead(""))
    with pytest.raises(SwerveError, match="gone"):
        pool.run()
    assert not killed
