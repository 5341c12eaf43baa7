"""The short form of `experiments.faults`: jobs that are killed or have no place to write end as they should."""

import os
import random
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.faults.jobs import JOBS
from experiments.faults.kills import Disturbed, disturb
from swerve.scenes import SwerveError
from tests.support.command import invoke

COMMANDS = {
    "augment": ("town:1",),
    "contexts": ("town:1", "SET"),
    "build": ("town:1",),
    "evaluate": ("BENCHMARK",),
    "study": ("BENCHMARK",),
    "drive": ("town:1",),
    "fit": ("town:1",),
    "train": ("SET",),
}
PLANNERS = ("--planners", "human")


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="workers are found by /proc")
def test_a_set_whose_makers_are_killed_at_random_is_the_undisturbed_one(tmp_path):
    small = ("augment", "town:1", "OUT", "--size", "96x54", "--scene-interval", "6", "--shard-scenes", "1")
    job = replace(JOBS["augment"], arguments=lambda *_: [*small, "--viewpoints", "logged"])
    counts = disturb(Disturbed(job, tmp_path, tmp_path / "jobs"), 2, random.Random(0))
    assert (counts.lost, counts.doubled, counts.equal) == (0, 0, counts.runs)
    assert counts.kills.total() >= 2


@pytest.fixture(scope="module")
def read_only(tmp_path_factory):
    """A file system that is read-only for root, too."""
    folder = tmp_path_factory.mktemp("read-only")
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "swerve-test", folder], check=False).returncode:
        pytest.skip("only root may mount a read-only file system")
    (folder / "begun").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("name", ["new", "begun"])
def test_a_read_only_folder_is_one_error_before_the_work(read_only, command, name):
    planners = PLANNERS if command in ("evaluate", "drive") else ()
    refused = invoke(command, *COMMANDS[command], read_only / name, *planners)
    assert isinstance(refused.exception, SwerveError)
    assert "\n" not in str(refused.exception)
    assert f"{read_only / name} cannot be made" in str(refused.exception)
    assert "is not writable" in str(refused.exception)
    assert [path.name for path in read_only.rglob("*")] == ["begun"]
