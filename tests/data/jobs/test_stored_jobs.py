"""Jobs whose output is at a URL make what they make in a folder, whatever the store answers, and exclude each other."""

import os
import re
import resource
import signal
import subprocess
import sys
import threading
from dataclasses import asdict, replace

import pytest

from swerve.data.dataset import AugmentOptions, augment
from swerve.data.dataset.shards import dataset_digest
from swerve.data.jobs import ArrayPart, ArrayPartDone, Execution, job_config, lease, open_job
from swerve.data.jobs.job_status import job_status
from swerve.data.jobs.lease import Holder
from swerve.data.storage.files import to_json
from swerve.data.storage.fsspec_store import open_store
from swerve.data.storage.mirror import output_folder, snapshot
from swerve.scenes import SwerveError
from swerve.scenes.errors import WriteError
from tests.support.counting_work import LAYOUT, squares_of
from tests.support.s3_server import KINDS, Faults, s3_server
from tests.support.simple_source import SimpleSource
from tests.support.stored_jobs import CHUNKS, count, download, patience

SQUARES = {f"{log}-{chunk:05d}": chunk**2 for log, chunks in CHUNKS.items() for chunk in range(chunks)}
SOURCE = SimpleSource(("train-a", "val-b"))
OPTIONS = AugmentOptions(scene_interval=4.0, shard_scenes=1)


@pytest.fixture(scope="module")
def faults():
    return Faults(delay=0.02)


@pytest.fixture(scope="module")
def s3(faults):
    with s3_server(faults) as url:
        yield url


@pytest.fixture(autouse=True)
def scratch(tmp_path, monkeypatch, faults):
    faults.share, faults.kinds = 0.0, KINDS
    monkeypatch.setenv("SWERVE_SCRATCH", str(tmp_path / "scratch"))
    yield tmp_path / "scratch"
    faults.share = 0.0


@pytest.fixture
def url(s3, request):
    return f"{s3}/{re.sub('[^a-z0-9]', '-', request.node.name)}"


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed") / "set"
    augment([SOURCE], folder, OPTIONS, workers=1)
    return folder


def test_a_job_in_memory_leaves_everything_there(tmp_path, scratch):
    count("memory://swerve-test/job")
    assert squares_of(download("memory://swerve-test/job", tmp_path / "copy")) == SQUARES
    assert [path.name for path in scratch.rglob("*") if path.is_dir()] == [f"swerve-store-{os.getuid()}"]


def test_a_set_in_a_store_is_that_of_a_folder_and_takes_no_space_here(url, undisturbed, tmp_path):
    with output_folder(url) as folder:
        augment([SOURCE], folder, OPTIONS, workers=1)
        shards = list(folder.rglob("*.tar"))
        assert len(shards) > 1
        assert sum(path.stat().st_blocks for path in shards) == 0
    assert dataset_digest(download(url, tmp_path / "copy")) == dataset_digest(undisturbed)


def test_a_job_goes_on_after_a_store_that_failed_and_ends_with_the_same_bytes(url, faults, undisturbed, tmp_path):
    faults.after, faults.kinds = faults.counts["PUT"] + 12, ("500", "503", "reset")
    with patience(1), pytest.raises(WriteError, match=f"{url}.*Fix the cause"), output_folder(url) as folder:
        augment([SOURCE], folder, OPTIONS, workers=1)
    faults.after, faults.share, faults.kinds = None, 0.1, KINDS
    with output_folder(url) as folder:
        augment([SOURCE], folder, OPTIONS, workers=1)
    faults.share = 0.0
    assert dataset_digest(download(url, tmp_path / "copy")) == dataset_digest(undisturbed)


def test_a_resumed_job_makes_only_what_is_missing(url, tmp_path):
    assert count(url, wrong={("c", 2): "refused"}).item_count == 3 * (len(SQUARES) - 1)
    assert count(url).item_count == 3
    assert squares_of(download(url, tmp_path)) == SQUARES


def test_runs_of_an_array_share_a_store(url, tmp_path):
    for number in (2, 1):
        with pytest.raises(ArrayPartDone):
            count(url, Execution(1, ArrayPart(number, 2)))
    with snapshot(url) as folder:
        assert job_status(folder).array == 2
    assert count(url, Execution(finish=True)).item_count == 3 * len(SQUARES)
    assert squares_of(download(url, tmp_path)) == SQUARES


def held(url, **changes):
    """Write a lease of a run on another machine."""
    holder = replace(Holder("whole", "0" * 16, "elsewhere boot space", 1, "1", "held"), **changes)
    open_store(url).write(f"runs/{holder.run}.{holder.number}.lease", to_json(asdict(holder)))


@pytest.mark.parametrize(
    ("theirs", "mine"), [("whole", None), ("2-of-3", None), ("2-of-3", "2/3"), ("2-of-3", "1/2"), ("whole", "1/2")]
)
def test_a_run_that_goes_on_elsewhere_is_told(url, theirs, mine):
    held(url, run=theirs)
    with pytest.raises(SwerveError, match=f"{url}: .* is writing to this folder .process 1 on elsewhere"):
        count(url, Execution.parse(1, mine, "bar"))
    assert [one.name for one in open_store(url).list("runs")] == [f"runs/{theirs}.{'0' * 16}.lease"]


def test_other_runs_of_the_same_array_go_on(url):
    held(url, run="2-of-3")
    with pytest.raises(ArrayPartDone):
        count(url, Execution(1, ArrayPart(1, 3)))


def test_a_run_that_died_is_forgotten(url, monkeypatch):
    own = Holder("whole", "1" * 16, lease._host(), 2**22 - 1, "5", "held")  # no process of this machine
    held(url, **asdict(own))
    assert count(url).item_count == 3 * len(SQUARES)
    monkeypatch.setattr(lease, "EXPIRY", -1.0)
    held(url)
    assert count(url).item_count == 0
    assert not [one for one in open_store(url).list("runs") if one.name.endswith(".lease")]


def test_of_jobs_that_start_at_once_one_goes_on(url, tmp_path):
    outcomes, barrier = [], threading.Barrier(4)

    def start():
        barrier.wait()
        try:
            outcomes.append(count(url).item_count)
        except SwerveError as error:
            outcomes.append(str(error))

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told = [one for one in outcomes if isinstance(one, str)]
    assert all("another job is writing to this folder" in one for one in told)
    assert sum(one for one in outcomes if isinstance(one, int)) == 3 * len(SQUARES)
    assert squares_of(download(url, tmp_path)) == SQUARES


def test_two_jobs_of_other_options_are_not_mixed_whatever_the_leases_say(url, monkeypatch):
    """The second one began when it saw nothing of the first, as after a break of the network."""

    def begin_both():
        with output_folder(url) as folder:
            count(url, options={"seed": 1})
            monkeypatch.setattr("swerve.data.jobs.folder.refresh", lambda _: None)
            with open_job(folder, job_config({"seed": 2}, [("simple", "a")], ()), LAYOUT):
                pass

    with pytest.raises(SwerveError, match="another job has begun"):
        begin_both()
    monkeypatch.undo()
    with pytest.raises(SwerveError, match="seed was 1, is 2"):
        count(url, options={"seed": 2})


def test_what_a_killed_run_left_here_is_removed(url, scratch):
    child = "import sys; from tests.support.stored_jobs import hang; hang(sys.argv[1])"
    process = subprocess.Popen([sys.executable, "-c", child, url], stdout=subprocess.PIPE)
    assert process.stdout is not None
    left = process.stdout.readline().decode().strip()
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert os.path.isdir(left)
    os.utime(os.path.dirname(left), (1.0, 1.0))
    assert count(url).item_count == 3 * len(SQUARES)
    assert not os.path.exists(left)


def test_a_full_disk_is_one_error_and_the_job_goes_on_later(url, scratch):
    """Of the scratch folder; a limit on the size of files stands for a full disk."""
    with output_folder(url) as folder:
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, limit[1]))
        try:
            with pytest.raises(WriteError, match=r"cannot be written.*run the same command again"):
                count(folder)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert count(url).item_count == 3 * len(SQUARES)
