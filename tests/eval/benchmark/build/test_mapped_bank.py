"""A bank in a mapped file is the bank in memory, and makes the same scene groups, byte by byte."""

import numpy as np

from swerve.data.jobs.array_runs import RUNS
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.data.storage.files import make_folder, safe_name
from swerve.eval.benchmark.build.build_workers import GroupWork, LogWork, bank_digest
from swerve.eval.benchmark.build.mapped_bank import bank_path, load_bank, mapped_bank, remove_mapped_bank
from swerve.eval.benchmark.build_options import BuildOptions
from tests.support.simple_source import SimpleSource

LOGS = ("train-0", "none-0", "val-0")
OPTIONS = BuildOptions(scene_interval=2.0, views=(), traffic="log-replay", max_follow_ups=6)


def copied(folder):
    """Make the logs' files and parts of the bank."""
    for name in ("logs", "bank", "scene_groups", "records"):
        make_folder(folder / name)
    work = LogWork(folder, (SimpleSource(LOGS),), dict.fromkeys(LOGS, 0), OPTIONS, {})
    for log in LOGS:
        work.open(log, Stopwatch()).make(0, lambda *_: None)
    return bank_digest(folder, LOGS)


def in_memory(folder):
    parts = [load_bank(bank_path(folder, safe_name(log))) for log in LOGS]
    return parts[0].concatenate(*parts[1:])


def test_a_mapped_bank_makes_the_same_scene_groups(tmp_path):
    made = {}
    for kind in ("mapped", "memory"):
        folder = tmp_path / kind
        work = GroupWork(folder, LOGS, copied(folder), OPTIONS, {})
        if kind == "memory":
            work.__dict__["bank"] = in_memory(folder)
        opened = work.open("none-0", Stopwatch())
        for chunk in range(opened.chunks):
            opened.make(chunk, lambda *_: None)
        paths = [path for name in ("scene_groups", "records") for path in sorted((folder / name).iterdir())]
        made[kind] = {path.name: path.read_bytes() for path in paths}
    assert made["mapped"] == made["memory"]
    assert any(name.endswith(".npz") for name in made["memory"])


def test_the_arrays_are_those_of_the_parts_and_lie_in_files(tmp_path):
    digest = copied(tmp_path)
    mapped, wanted = mapped_bank(tmp_path, LOGS, digest), in_memory(tmp_path)
    for name in ("positions", "headings", "speeds", "accelerations", "curvatures", "logs"):
        np.testing.assert_array_equal(getattr(mapped, name), getattr(wanted, name))
        assert not getattr(mapped, name).flags.owndata
    assert mapped.names == wanted.names
    np.testing.assert_array_equal(mapped.keys.ends, wanted.positions[:, -1])
    before = [path.stat().st_mtime_ns for path in sorted((tmp_path / RUNS).iterdir())]
    mapped_bank(tmp_path, LOGS, digest)
    assert [path.stat().st_mtime_ns for path in sorted((tmp_path / RUNS).iterdir())] == before
    remove_mapped_bank(tmp_path)
    assert not list((tmp_path / RUNS).iterdir())
