"""A job that is killed at any moment goes on, and its set is the undisturbed one's, byte for byte."""

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import pytest

from swerve.data.dataset import augment_job as run_module
from swerve.data.dataset.augment_job import augment
from swerve.data.dataset.augment_options import AugmentOptions
from swerve.data.dataset.shards import dataset_digest
from swerve.data.jobs import folder as job_folder
from swerve.data.jobs import read_failures
from swerve.scenes import SwerveError
from swerve.scenes.source_digest import code_digest
from swerve.scenes.viewpoints import CrossAgentOptions
from tests.support.simple_source import SimpleSource

LOGS = ("train-0", "val-0", "test-0", "train-1", "none-0")
KILLS = 5


def options():
    return AugmentOptions(scene_interval=0.5, shard_scenes=1, extra_outputs=("depth",), size=(480, 270))


def run(folder, workers=2):
    return augment([SimpleSource(LOGS)], Path(folder), options(), workers=workers)


def start(folder):
    """The job in a process of its own; one worker, which encodes in threads where there are several cores."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    code += f"if __name__ == '__main__':\n    from test_augment_resume import run\n    run({str(folder)!r}, workers=1)"
    paths = os.pathsep.join([str(Path(__file__).parents[3]), *sys.path])
    return subprocess.Popen([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": paths})


def wait_for(folder, records, process):
    """Until there are more than so many records."""
    end = time.monotonic() + 60
    while len(list(folder.glob("records/*.json"))) <= records:
        assert process.poll() is None, "the job ended before it could be killed"
        assert time.monotonic() < end, "the job makes no progress"
        time.sleep(0.005)


@pytest.mark.slow
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


def test_a_full_disk_at_the_start_is_one_error_and_no_obstacle(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "job.json.part")

    with monkeypatch.context() as patch:
        patch.setattr(job_folder, "write_atomically", full)
        with pytest.raises(SwerveError, match=r"cannot be written .*No space left"):
            augment([SimpleSource(("train-0",))], tmp_path / "set", AugmentOptions(scene_interval=5.0), workers=1)
    assert augment_few(tmp_path / "set", "train-0").summary["samples"] > 0


def augment_few(folder, *names, split=None, **changes):
    options = AugmentOptions(**{"scene_interval": 2.5, "shard_scenes": 1, "viewpoints": ("logged",), **changes})
    return augment([SimpleSource(names, split=split)], folder, options, workers=1)


def test_a_full_disk_at_the_end_is_one_error(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "manifest.parquet.part")

    with monkeypatch.context() as patch:
        patch.setattr(run_module, "write_manifest", full)
        with pytest.raises(SwerveError, match=r"cannot be written .*No space left"):
            augment_few(tmp_path / "set", "train-0")
    assert augment_few(tmp_path / "set", "train-0").timing["samples"] == 0


def test_a_log_that_changed_its_split_does_not_go_on_in_the_other(tmp_path):
    """Killed between naming a shard and its record; then the log was moved from train to val."""
    augment_few(tmp_path, "none-0", split="train")
    (tmp_path / "records" / "none-0-00001.json").unlink()
    report = augment_few(tmp_path, "none-0", split="val")
    assert report.summary["failures"] == 1
    assert "none-0 is of split 'val' now, its earlier parts are of 'train'" in read_failures(tmp_path)[0].reason
    assert sorted(path.name for path in tmp_path.rglob("*.tar")) == ["none-0-00000.tar", "none-0-00002.tar"]
    assert augment_few(tmp_path, "none-0", split="train").summary["samples_by_split"] == {"train": 3}


def test_a_shard_without_a_record_does_not_stay_beside_its_heir(tmp_path):
    """No record tells that the log was in train: it is made anew in val, and is not left in train."""
    augment_few(tmp_path, "none-0", split="train")
    for record in (tmp_path / "records").iterdir():
        record.unlink()
    assert augment_few(tmp_path, "none-0", split="val").summary["samples_by_split"] == {"val": 3}
    assert not list((tmp_path / "train").iterdir())


def test_logs_whose_names_begin_alike_are_told_apart(tmp_path):
    """The records of "a-1" are not those of "a"."""
    augment_few(tmp_path, "val-0", "val-0-1")
    for part in range(3):
        (tmp_path / "records" / f"val-0-{part:05d}.json").unlink()
    assert augment_few(tmp_path, "val-0", "val-0-1").summary["failures"] == 0


def test_a_job_without_a_sample_gives_way_to_another(tmp_path):
    """Nothing was made, perhaps because an option was wrong: it can be mended without another folder."""
    nobody = CrossAgentOptions(max_per_scene=0)
    before = augment_few(tmp_path, "broken-0", "train-0", viewpoints=("cross_agent",), cross_agent=nobody)
    assert before.summary["samples"] == 0
    assert list((tmp_path / "records").iterdir())
    assert augment_few(tmp_path, "train-1").summary["samples"] == 3
    assert [path.name for path in sorted((tmp_path / "records").iterdir())] == [
        f"train-1-{part:05d}.json" for part in range(3)
    ]
    with pytest.raises(SwerveError, match="holds another job"):
        augment_few(tmp_path, "train-0")


def test_half_written_files_of_others_are_left_alone(tmp_path):
    augment_few(tmp_path, "train-0")
    (tmp_path / "video.mkv.part").write_bytes(b"mine")
    (tmp_path / "train" / "train-0-00000.tar.part").write_bytes(b"half")
    with pytest.raises(SwerveError, match=r"video\.mkv\.part is not of this job"):
        augment_few(tmp_path, "train-0")
    (tmp_path / "video.mkv.part").rename(tmp_path.parent / "video.mkv.part")
    augment_few(tmp_path, "train-0")
    assert not list(tmp_path.rglob("*.part"))


def test_the_versions_that_the_bytes_depend_on_are_told(tmp_path):
    augment_few(tmp_path, "train-0")
    versions = json.loads((tmp_path / "job.json").read_text())["versions"]
    assert versions.pop("code") == code_digest()
    assert versions == {package: version(package) for package in versions}
    assert {"swerve", "numpy", "numba", "llvmlite", "zlib-ng", "simplejpeg", "pyarrow"} <= set(versions)


@dataclass(frozen=True)
class CountingSource(SimpleSource):
    """Counts how often its names are asked for: a scan of the whole archive."""

    asked: list[int] = field(default_factory=list)

    def names(self):
        self.asked.append(1)
        return super().names()


def test_an_archive_is_scanned_once(tmp_path):
    source = CountingSource(("train-0",))
    augment([source], tmp_path / "set", AugmentOptions(scene_interval=5.0, viewpoints=("logged",)), workers=1)
    assert len(source.asked) == 1
