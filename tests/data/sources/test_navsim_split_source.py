"""Logs of NAVSIM with the scenes of a split, and nothing else, as scenes."""

import logging
from itertools import chain

import pytest

from swerve.data.dataset import AugmentOptions, augment
from swerve.data.dataset.read_manifest import read_manifest
from swerve.data.jobs import read_failures
from swerve.data.sources.navsim.folders import navsim_folders
from swerve.data.sources.navsim.navsim_source import NavsimSource
from swerve.data.sources.navsim.scene_filter import read_split
from swerve.data.sources.navsim.scene_windows import index_scenes
from swerve.data.sources.registry import open_source
from swerve.eval.benchmark.schedule import scene_group_steps
from swerve.scenes import SwerveError, split_windows
from swerve.scenes.log import listed_steps
from tests.support.command import invoke
from tests.support.navsim_files import LOG, START_US, frame, write_log, write_split
from tests.support.simple_source import ListedSource, small_log

OTHER = "2021.02.02.00.00.00_veh-02_00001_00002"


@pytest.fixture
def root(tmp_path, monkeypatch):
    monkeypatch.delenv("NUPLAN_MAPS_ROOT", raising=False)
    return tmp_path


def of_split(root, **given) -> NavsimSource:
    return open_source(f"navsim:{root}").of_split(write_split(root / "splits", **given))


def times_of(source):
    return {name: source.load(name).scene_times_us.tolist() for name in source.names()}


def test_scenes_are_those_that_navsim_s_index_has(root):
    write_log(root, [frame(index, roadblock_ids=["1"] * (index != 9)) for index in range(40)])
    write_log(root, [frame(100 + index, OTHER) for index in range(40)], log=OTHER)
    wanted = [f"{index:016x}" for index in (3, 4, 9, 20, 31, 32, 110)]
    source = of_split(root, tokens=wanted)
    known = index_scenes(navsim_folders(str(root)), read_split(root / "splits" / "own.yaml")).logged
    assert list(known) == [wanted[number] for number in (0, 1, 3, 4, 6)]  # 9 has no route, 32 not enough future
    frames = {LOG: (3, 4, 20, 31), OTHER: (110,)}
    assert times_of(source) == {log: [START_US + 500_000 * one for one in own] for log, own in frames.items()}
    scenes, broken = split_windows(source.load(LOG), 1.5, 4.0, 0.5)
    assert [scene.now for scene in scenes] == [15, 20, 100, 155]
    assert not broken


def test_each_scene_of_a_long_log_is_in_one_part_whole(root):
    write_log(root, [frame(index) for index in range(401)])
    source = of_split(root)
    found = times_of(source)
    assert len(found) == 4
    assert list(chain.from_iterable(found.values())) == [START_US + 500_000 * index for index in range(3, 393)]
    for name in found:
        log = source.load(name)
        assert len(split_windows(log, 1.5, 4.0, 0.5)[0]) == len(found[name])
    # Scene groups of a benchmark have 2 s before and 8 s after them: only those at the ends of the log are outside.
    groups = [scene_group_steps(source.load(name), 0.5) for name in found]
    assert sum(len(steps.kept) for steps in groups) == len(range(4, 401 - 16))
    assert [len(steps.outside) for steps in groups] == [1, 0, 0, 8]


def test_no_scene_is_lost_around_a_gap_between_parts(root):
    """The frames from 60 s to 66 s are missing: scenes there are in no part whole, and are told and not dropped."""
    write_log(root, [frame(index) for index in range(401) if not 120 <= index < 132])
    found = times_of(of_split(root))
    kept = [index for index in range(401) if not 120 <= index < 132][3:-8]
    assert sorted(chain.from_iterable(found.values())) == [START_US + 500_000 * index for index in kept]


def test_a_split_of_no_logs_has_none(root):
    write_log(root, [frame(index) for index in range(24)])
    with pytest.raises(SwerveError, match="no log that is there has a scene of the split"):
        of_split(root, log_names="[]").names()


def test_logs_that_are_not_of_the_split_are_left_out_and_missing_ones_are_told(root, caplog):
    write_log(root, [frame(index) for index in range(24)])
    write_log(root, [frame(index, OTHER) for index in range(24)], log=OTHER)
    with caplog.at_level(logging.WARNING, "swerve"):
        source = of_split(root, log_names=[OTHER, "gone"])
    assert source.names() == (OTHER,)
    assert "split own: 1 of 2 logs are missing, such as gone" in caplog.text
    assert [path.name for path in source.files_of(OTHER)] == [f"{OTHER}.pkl", "own.yaml", "own.yaml"]
    with pytest.raises(SwerveError, match="no log that is there has a scene of the split"):
        of_split(root, tokens=["ffff"]).names()
    with pytest.raises(SwerveError, match="max_scenes is of an evaluation"):
        of_split(root, max_scenes=5)


def test_scenes_of_the_split_that_are_not_there_are_told_once(root, caplog):
    write_log(root, [frame(index) for index in range(24)])
    (root / "navsim_logs" / "test" / f"{OTHER}.pkl").write_bytes(b"cut")
    source = of_split(root, tokens=[f"{index:016x}" for index in (4, 23)] + ["unknown"])
    with caplog.at_level(logging.WARNING, "swerve"):
        assert source.names() == (LOG, OTHER)  # the damaged one fails when it is read
        assert source.names() == (LOG, OTHER)
    told = [line for line in caplog.messages if "scenes are missing" in line]
    assert told == [f"split own: 2 of 3 scenes are missing, such as {23:016x}, unknown"]


def test_splits_are_of_navsim_alone(root, tmp_path):
    split = write_split(tmp_path, "own")
    for command in ("augment", "build", "fit"):
        told = str(invoke(command, "town:1", tmp_path / "out", "--navsim-split", split).exception)
        assert "town:1 is not navsim:ROOT, and has no splits of NAVSIM" in told


def test_a_set_has_the_listed_scenes_and_says_which_are_outside(tmp_path):
    options = AugmentOptions(viewpoints=("logged",), scene_interval=0.1)
    report = augment([ListedSource(("train-0",))], tmp_path / "set", options, workers=1)
    first = small_log("train-0").times_us[0]
    tokens = read_manifest(tmp_path / "set", ("token", "shard", "split"))["token"].to_pylist()
    assert [(int(token) - first) / 1e6 for token in tokens] == [3.0, 4.0]
    assert report.summary["rejections"] == {"scene": {"outside_log": 1}}
    assert not read_failures(tmp_path / "set")
    assert listed_steps(small_log()) == []
