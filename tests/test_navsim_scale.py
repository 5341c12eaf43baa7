"""Scripts that measure evaluation at the size of NAVSIM's splits: copies of logs, traces, extrapolation."""

import io
import os
import sys
import tarfile
import time

import numpy as np
import pytest

from experiments.navsim_copies import scenes_of_logs, write_copies
from experiments.navsim_scale import rows
from experiments.navsim_two_stage_copies import Sizes, write_two_stage_copies
from experiments.navtrain_cost import RAP_BYTES, RAP_SAMPLES, Cost, photo_bytes
from experiments.process_trace import Moment, family, holdings, stages, traced
from swerve.data.sources.navsim.folders import navsim_folders
from swerve.data.sources.navsim.scene_filter import NavsimSplit, SceneFilter, read_split
from swerve.data.sources.navsim.scene_windows import index_scenes
from tests.support.navsim_files import LOG, frame, write_log, write_split
from tests.support.navsim_synthetic import write_synthetic

SPLIT = NavsimSplit("few", "test", SceneFilter(frame_interval=1, tokens=frozenset(f"{i:016x}" for i in (4, 6))))


@pytest.fixture
def data(tmp_path):
    root = tmp_path / "data"
    write_log(root, [frame(index) for index in range(20)])
    (root / "maps").mkdir()
    (root / "sensor_blobs").mkdir()
    return root


def test_copies_are_scenes_of_their_own_with_the_same_contents(data, tmp_path):
    split = read_split(write_copies(navsim_folders(str(data)), SPLIT, tmp_path / "copies", scenes=7, logs=2))
    index = index_scenes(navsim_folders(str(tmp_path / "copies")), split)
    assert not index.missing
    assert sorted(map(len, index.per_log().values())) == [3, 4]
    original = index_scenes(navsim_folders(str(data)), SPLIT)
    expected = [original.load(token) for token in original.logged]
    for log in index.per_log().values():
        scenes = [index.load(token) for token in log]
        for number, scene in enumerate(scenes):
            known = expected[number % 2]
            np.testing.assert_array_equal(scene.current.ego_pose, known.current.ego_pose)
            np.testing.assert_array_equal(scene.relative_future(8), known.relative_future(8))
            assert [one.path for one in scene.current.cameras.values()] == [f"{LOG}/CAM_F0/{known.token}.jpg"]
        times = [scene.current.timestamp_us for scene in scenes]
        assert times == sorted(times)


def test_copies_of_two_stages_are_groups_of_their_own(tmp_path):
    """A group of one pair, whose stage-one windows are those of frames 4 and 3, and end with frames 12 and 11."""
    root, later, earlier = tmp_path / "data", "a" * 17, "b" * 17
    write_log(root, [frame(index) for index in range(20)])
    for folder in ("maps", "sensor_blobs", "navhard_two_stage/sensor_blobs"):
        (root / folder).mkdir(parents=True)
    for token, last in ((later, 12), (earlier, 11)):
        write_synthetic(root / f"navhard_two_stage/synthetic_scene_pickles/{token}.pkl", original=f"{last:016x}")
    tokens = [f"{index:016x}" for index in (4, 3)]
    given = {"include_synthetic_scenes": "true", "reactive_synthetic_initial_tokens": [later, earlier]}
    mapping = [[*tokens, [[later, earlier]]]]
    original = read_split(write_split(tmp_path, mapping=mapping, tokens=tokens, **given))
    sizes = Sizes(groups=5, logs=2, pairs=3)
    split = read_split(write_two_stage_copies(navsim_folders(str(root)), original, tmp_path / "copies", sizes))
    opened = index_scenes(navsim_folders(str(tmp_path / "copies")), split)
    assert not opened.missing
    assert [len(split.mapping), len(opened.logged), len(opened.synthetic)] == [5, 10, 30]
    assert sizes.scenes == 40
    assert sorted(len(own) for own in opened.per_log().values()) == [16, 24]
    ends = {
        opened.load(token).frames[-1].token: group for group in split.mapping for token in (group.now, group.before)
    }
    for group in split.mapping:
        scenes = [opened.load(token) for pair in group.follow_ups for token in pair]
        assert all(ends[one.original_scene] == group for one in scenes)
        assert {one.log_name for one in scenes} == {opened.logged[group.now].log_name}


def test_scenes_are_spread_evenly():
    assert scenes_of_logs(12_146, 136).count(90) == 12_146 - 89 * 136
    assert sum(scenes_of_logs(12_146, 136)) == 12_146


def test_a_command_is_traced_with_its_processes():
    """The child holds 64 MiB more than an empty interpreter, and three more files."""
    child = "import time; held = bytearray(b'x') * 2**26; files = [open('/dev/null') for _ in range(3)]; time.sleep(3)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}])"
    began = time.monotonic()
    code, moments = traced([sys.executable, "-c", parent], lambda: min(1.0, (time.monotonic() - began) / 2), 0.2)
    assert code == 0
    late = [one for one in moments if 1.5 < one.seconds < 2.5]
    assert {one.processes for one in late} == {2}
    computed = [one.cpu_seconds for one in moments]
    assert computed == sorted(computed)
    assert all(64 < one.largest_mib < 64 + 60 for one in late)
    assert all(one.memory_mib > 64 for one in late)
    assert all(one.files >= 2 * 3 + 3 for one in late)


def test_a_process_that_has_ended_holds_nothing():
    assert holdings(2**22 + 1) is None
    assert family(os.getpid())[0] == os.getpid()
    before = time.process_time()
    while time.process_time() < before + 0.3:
        pass
    assert holdings(os.getpid())[3] == pytest.approx(sum(os.times()[:4]), abs=0.1)


def test_stages_are_told_apart():
    """Ten seconds of start, twenty of each half of the work, five of tables."""
    done = [0.0] * 10 + [min(0.99, 0.01 + second / 40) for second in range(40)] + [1.0] * 5
    moments = [Moment(float(t), share, 100.0 + t, 50.0, 7, 3, 2.0 * t) for t, share in enumerate(done)]
    found = stages(moments, parts=2)
    assert [one["seconds"] for one in found] == [10, 20, 20, 4]
    assert [one["stage"] for one in found] == [0, 1, 2, 3]
    assert found[0]["memory, MiB"] == pytest.approx(104.5)
    quick = rows(moments, 400, parts=2)
    assert [one["stage"] for one in quick] == ["start", "scenes 1 of 2", "scenes 2 of 2", "tables"]
    assert [one["scenes/s"] for one in quick[1:3]] == [10, 10]
    assert [one["per CPU second"] for one in quick[1:3]] == [5, 5]


def test_the_cost_of_a_set_grows_with_its_scenes():
    cost = Cost(scenes=36, samples=200, bytes=14_000_000, core_seconds=18.0)
    assert cost.of(72) == {"samples": 400, "TB": pytest.approx(28e-6), "core hours": pytest.approx(0.01)}
    assert pytest.approx(18.7e12, rel=0.002) == RAP_SAMPLES * RAP_BYTES


def test_photos_are_counted_as_they_are_stored(tmp_path):
    path = tmp_path / "shard.tar"
    with tarfile.open(path, "w") as archive:
        for name, size in (("a.cam_f0.photo.jpg", 513), ("a.cam_f0.png", 700), ("b.cam_f0.photo.jpg", 512)):
            entry = tarfile.TarInfo(name)
            entry.size = size
            archive.addfile(entry, io.BytesIO(bytes(size)))
    assert photo_bytes([path]) == 512 * (1 + 2) + 512 * (1 + 1)
