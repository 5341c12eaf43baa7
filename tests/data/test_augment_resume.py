"""A job that is killed at any moment goes on, and its set is the undisturbed one's, byte for byte."""

import fcntl
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from simple_source import SimpleSource

from swerve.data.augment.run import augment
from swerve.data.options import AugmentOptions
from swerve.data.samples.shards import dataset_digest
from swerve.scenes import SwerveError

LOGS = ("train-0", "val-0", "test-0", "train-1", "none-0")
KILLS = 5


def options():
    return AugmentOptions(every=0.5, shard_scenes=1, extra=("depth",), size=(480, 270))


def run(folder):
    return augment([SimpleSource(LOGS)], Path(folder), options(), workers=2)


def start(folder):
    """The job in a process of its own."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    code += f"if __name__ == '__main__':\n    from test_augment_resume import run\n    run({str(folder)!r})"
    paths = os.pathsep.join([str(Path(__file__).parents[1] / "support"), *sys.path])
    return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths})


def wait_for(folder, records, process):
    """Until there are more than so many records."""
    end = time.monotonic() + 60
    while len(list(folder.glob("records/*.json"))) <= records:
        assert process.poll() is None, "the job ended before it could be killed"
        assert time.monotonic() < end, "the job makes no progress"
        time.sleep(0.005)


def test_killed_at_five_random_moments_the_set_is_the_undisturbed_one(tmp_path):
    """J5, J6: the original counted half-written files as done, and its workers needed globals of a fork."""
    folder, rng, counts = tmp_path / "killed", random.Random(5), []
    for _ in range(KILLS):
        before = len(list(folder.glob("records/*.json")))
        process = start(folder)
        wait_for(folder, before, process)
        time.sleep(rng.uniform(0.0, 0.05))
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (folder / "manifest.parquet").exists(), "killed too late to show anything"
        counts.append(len(list(folder.glob("records/*.json"))))
    resumed = run(folder)
    undisturbed = run(tmp_path / "undisturbed")
    assert counts == sorted(set(counts)), "every run went on where the last one stood"
    assert 0 < resumed.timing["samples"] < undisturbed.timing["samples"]
    assert resumed.summary == undisturbed.summary
    assert dataset_digest(folder) == dataset_digest(tmp_path / "undisturbed")
    assert not list(folder.rglob("*.part"))


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="children are found by /proc")
def test_workers_end_with_their_parent(tmp_path):
    """An orphan would go on writing beside the next run."""
    process = start(tmp_path / "set")
    wait_for(tmp_path / "set", 0, process)
    workers = children_of(process.pid)
    assert workers
    process.send_signal(signal.SIGKILL)
    process.wait()
    end = time.monotonic() + 10
    while any(map(is_running, workers)):
        assert time.monotonic() < end, "a worker outlives its parent"
        time.sleep(0.02)


def children_of(pid):
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_two_jobs_do_not_write_to_one_folder(tmp_path):
    with open(tmp_path / "job.lock", "wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(SwerveError, match="another job is writing there"):
            run(tmp_path)
