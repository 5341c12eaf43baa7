"""Benchmarks of small logs: content, reproducibility, and refusal of damaged files."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from swerve.data.dataset.shards import dataset_digest
from swerve.eval import build_context
from swerve.eval.benchmark.benchmark_store import VERSION, open_benchmark
from swerve.eval.benchmark.build.admissibility import violation
from swerve.eval.benchmark.build.build_job import build
from swerve.eval.benchmark.build.build_workers import _group_steps
from swerve.eval.benchmark.build_options import BuildOptions
from swerve.eval.benchmark.scene_group import SceneViews
from swerve.eval.benchmark.view_renderers import RasterRenderer, snapshot_of
from swerve.scenes import SwerveError
from swerve.scenes.viewpoints import Command, ViewpointKind
from tests.support.flat_renderer import FlatRenderer, flat
from tests.support.simple_source import ListedSource, SimpleSource, small_log

LOGS = ("train-0", "none-0", "broken-0")
OPTIONS = BuildOptions(scene_interval=1.0, max_follow_ups=6, size=(32, 18), traffic="log-replay", seed=3)


def run(folder, logs=LOGS, options=OPTIONS, workers=1):
    return build([SimpleSource(logs)], folder, options, workers, renderers={"raster": FlatRenderer()})


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    folder = tmp_path_factory.mktemp("benchmark")
    return folder, run(folder)


def test_frames_are_where_and_when_they_should_be(built):
    """Three moments of each log: 2, 3 and 4 s."""
    benchmark = open_benchmark(built[0])
    assert benchmark.logs == ("none-0", "train-0")
    assert benchmark.scene_groups("train-0") == ("train-0-00000", "train-0-00001", "train-0-00002")
    log = small_log("train-0")
    for number, name in enumerate(benchmark.scene_groups("train-0")):
        scene_group, now = benchmark.scene_group(name), 20 + 10 * number
        assert scene_group.log == "train-0"
        assert set(scene_group.scenes) == set(scene_group.group.tokens)
        assert {one.traffic_seed for one in scene_group.scenes.values()} == {OPTIONS.seed}
        first, before = (
            scene_group.scenes[token].viewpoint for token in (scene_group.group.now, scene_group.group.before)
        )
        assert scene_group.group.now == f"train-0-{log.times_us[now]}-now"
        np.testing.assert_array_equal(first.world_from_ego, log.ego.world_from_ego[now])
        np.testing.assert_array_equal(before.world_from_ego, log.ego.world_from_ego[now - 5])
        assert first.kind == before.kind == ViewpointKind.LOGGED
        assert first.command == Command.STRAIGHT
        assert OPTIONS.min_follow_ups <= len(scene_group.group.follow_ups) <= OPTIONS.max_follow_ups
        for pair in scene_group.group.follow_ups:
            check_pair(scene_group, pair, log, now)


def check_pair(scene_group, pair, log, now):
    frames = [scene_group.scenes[token] for token in pair]
    later, earlier = (frame.viewpoint for frame in frames)
    assert all(frame.follow_up and frame.token == token for frame, token in zip(frames, pair, strict=True))
    times = [view.scene.log.times_us[view.scene.now] for view in (later, earlier)]
    assert times == [log.times_us[now] + 4_000_000, log.times_us[now] + 3_500_000]
    # The start is on the grid around the human's pose after 4 s: on a straight road, lateral and longitudinal are y and
    # x.
    offset = later.world_from_ego[:2, 3] - log.ego.positions[now + 40, :2]
    asked = np.array([later.parameters["longitudinal"], later.parameters["lateral"]])
    np.testing.assert_allclose(offset, asked, atol=0.05)
    np.testing.assert_allclose(asked / [5.0, 0.5], np.round(asked / [5.0, 0.5]), atol=1e-9)
    # Both frames are of one drive, which goes on standing where it started.
    ego = later.scene.log.ego
    np.testing.assert_array_equal(later.ego.world_from_ego[:-5], earlier.ego.world_from_ego[5:])
    np.testing.assert_array_equal(ego.world_from_ego[21:], np.repeat(later.world_from_ego[None], 40, axis=0))
    assert not ego.velocity[21:].any()
    # The logged ego is at its logged pose.
    np.testing.assert_array_equal(later.human, log.ego.world_from_ego[now + 41 : now + 81])
    np.testing.assert_array_equal(earlier.human, log.ego.world_from_ego[now + 36 : now + 76])
    for frame in frames:
        assert violation(frame.viewpoint.scene) is None
        assert build_context(frame.viewpoint.scene, frame.token, True).start_us in times


def test_tables_and_counts_say_what_is_there(built):
    folder, report = built
    benchmark = open_benchmark(folder)
    rows = benchmark.scenes().to_pylist()
    tokens = [
        token
        for log in benchmark.logs
        for name in benchmark.scene_groups(log)
        for token in benchmark.scene_group(name).group.tokens
    ]
    assert sorted(row["token"] for row in rows) == sorted(tokens)
    assert len(set(tokens)) == len(tokens) == report.counts["scenes"]
    scene_group = benchmark.scene_group("none-0-00001")
    for row in rows:
        if row["scene_group"] == "none-0-00001":
            frame = scene_group.scenes[row["token"]]
            place = frame.viewpoint.world_from_ego[:2, 3]
            assert (row["x"], row["y"]) == tuple(place)
            assert row["stage"] == (2 if frame.follow_up else 1)
            assert row["speed"] == pytest.approx(np.hypot(*frame.viewpoint.ego.velocity[-1]))
            assert row["origin"] in (("bank", "synthesis") if frame.follow_up else ("log",))
    pairs = sum(row["stage"] == 2 for row in rows) / 2
    assert sum(report.counts["follow_ups_by_origin"].values()) == report.counts["follow_ups"] == pairs
    reasons = benchmark.rejections().column("reason").to_pylist()
    assert {reason: reasons.count(reason) for reason in set(reasons)} == report.counts["rejected_starts"]
    # The car ahead is 30 m away, and starts reach up to 32 m ahead.
    assert {"collision", "over_cap"} <= set(reasons)
    assert (report.counts["logs"], report.counts["scene_groups"]) == (2, 6)
    failed = [(failure.log, failure.reason) for failure in report.failures]
    assert failed == [("broken-0", "broken-0.feather: x: is not a number")]


def test_views_are_those_of_the_renderer(built):
    benchmark = open_benchmark(built[0])
    scene_group = benchmark.scene_group("train-0-00000")
    assert isinstance(scene_group.views, SceneViews)
    for token in (scene_group.group.before, scene_group.group.follow_ups[-1][0]):
        frame = scene_group.scenes[token]
        cameras = scene_group.views.cameras(frame)
        assert [(camera.name, camera.width, camera.height) for camera in cameras] == [
            ("front", 32, 18),
            ("back", 32, 18),
        ]
        images = scene_group.views.images(frame, ["back"])
        np.testing.assert_array_equal(images["back"], flat(frame.viewpoint, cameras[1]))
        with pytest.raises(SwerveError, match="no camera 'top'; there are: front, back"):
            scene_group.views.images(frame, ["top"])


def test_only_the_cameras_that_are_wanted_are_there(tmp_path):
    known = [camera.name for camera in small_log("train-0").cameras]
    options = replace(OPTIONS, scene_interval=10.0, cameras=(known[-1],))
    assert not run(tmp_path / "one", LOGS[:1], options).failures
    benchmark = open_benchmark(tmp_path / "one")
    scene_group = benchmark.scene_group(benchmark.scene_groups("train-0")[0])
    assert {camera.name for frame in scene_group.scenes.values() for camera in frame.viewpoint.cameras} == {known[-1]}
    with pytest.raises(SwerveError, match="has no camera 'roof'; it has"):
        run(tmp_path / "none", LOGS[:1], replace(options, cameras=("roof",)))


@pytest.mark.usefixtures("worker_processes")
def test_the_same_build_makes_the_same_bytes_and_goes_on_where_it_was(built, tmp_path):
    """Half of the files removed, as after a kill: a half-written file, a scene group without record, a record without
    views."""
    whole, folder = dataset_digest(built[0]), tmp_path / "again"
    shutil.copytree(built[0], folder)
    (folder / "benchmark.json").unlink()
    (folder / "scenes.parquet").unlink()
    (folder / "scene_groups" / "train-0-00002.npz.part").write_bytes(b"half")
    (folder / "records" / "train-0-00000.json").unlink()
    (folder / "views-raster" / "none-0-00001.tar").unlink()
    kept = (folder / "scene_groups" / "none-0-00000.npz").stat().st_mtime_ns
    report = run(folder, workers=2)
    assert dataset_digest(folder) == whole
    assert report.counts == built[1].counts
    assert report.timing["scenes"] < report.counts["scenes"]
    assert (folder / "scene_groups" / "none-0-00000.npz").stat().st_mtime_ns == kept


def test_other_options_and_useless_logs_are_refused(built, tmp_path):
    with pytest.raises(SwerveError, match=r"holds another job: options.max_follow_ups was 6, is 7"):
        run(built[0], options=replace(OPTIONS, max_follow_ups=7))
    with pytest.raises(SwerveError, match="no log can be used; the first: broken-0"):
        run(tmp_path / "none", ("broken-0",))


def test_scene_groups_are_at_the_listed_scenes_and_those_outside_are_told(tmp_path):
    report = build([ListedSource(("train-0",))], tmp_path / "out", replace(OPTIONS, views=()), 1)
    benchmark = open_benchmark(tmp_path / "out")
    groups = [benchmark.scene_group(name) for name in benchmark.scene_groups("train-0")]
    first = small_log("train-0").times_us[0]
    assert [int(one.group.now.split("-")[-2]) - first for one in groups] == [3_000_000, 4_000_000]
    assert report.counts["dropped_scene_groups"] == {"outside_log": 1}
    (row,) = (row for row in benchmark.rejections().to_pylist() if row["index"] == -1)
    assert (row["time_us"] - first, row["reason"]) == (11_000_000, "outside_log")
    assert not report.failures


def test_a_log_whose_listed_scenes_are_all_outside_says_so(tmp_path):
    with pytest.raises(SwerveError, match="too little before or after each of the 1 scenes that the split lists"):
        build([LateSource(("train-0",))], tmp_path / "out", OPTIONS, 1)


class LateSource(ListedSource):
    """Logs with the last of these scenes alone."""

    def load(self, name):
        log = super().load(name)
        return replace(log, scene_times_us=log.scene_times_us[2:])


def test_a_log_without_map_fails_by_that_name(tmp_path):
    with pytest.raises(SwerveError, match="no log can be used; the first: mapless-0: has no map"):
        run(tmp_path / "none", ("mapless-0",))


def test_what_is_no_benchmark_is_refused(built, tmp_path):
    with pytest.raises(SwerveError, match=r"not a finished benchmark\. Make one with `swerve build`"):
        open_benchmark(tmp_path)
    folder = tmp_path / "old"
    shutil.copytree(built[0], folder)
    info = json.loads((folder / "benchmark.json").read_bytes())
    (folder / "scene_groups" / "train-0-00000.npz").write_bytes(b"damaged")
    (folder / "views-raster" / "train-0-00001.tar").write_bytes(b"damaged")
    benchmark = open_benchmark(folder)
    with pytest.raises(SwerveError, match=r"train-0-00000.npz: cannot be read"):
        benchmark.scene_group("train-0-00000")
    scene_group = benchmark.scene_group("train-0-00001")
    with pytest.raises(SwerveError, match=r"train-0-00001.tar: damaged"):
        scene_group.views.images(scene_group.scenes[scene_group.group.now], ["front"])
    with pytest.raises(SwerveError, match="has no scene group 'train-9-00000'"):
        benchmark.scene_group("train-9-00000")
    with pytest.raises(SwerveError, match="has no log 'train-9'"):
        benchmark.scene_groups("train-9")
    (folder / "benchmark.json").write_text(json.dumps({**info, "version": VERSION + 1}))
    with pytest.raises(SwerveError, match=f"benchmark of version {VERSION + 1}, this is version {VERSION}"):
        open_benchmark(folder)
    (folder / "benchmark.json").write_text("{}")
    with pytest.raises(SwerveError, match="not of a benchmark of Swerve"):
        open_benchmark(folder)


def test_views_that_are_not_stored_are_drawn(built, tmp_path):
    """The same images, rendered as rasters here: the stored scenes are lossless."""
    folder = tmp_path / "bare"
    shutil.copytree(built[0], folder)
    info = json.loads((folder / "benchmark.json").read_bytes())
    info["options"]["views"] = []
    (folder / "benchmark.json").write_text(json.dumps(info))
    scene_group = open_benchmark(folder, renderers={"raster": FlatRenderer()}).scene_group("train-0-00000")
    frame = scene_group.scenes[scene_group.group.follow_ups[0][1]]
    stored = open_benchmark(built[0]).scene_group("train-0-00000").views.images(frame, ["front", "back"])
    drawn = scene_group.views.images(frame, ["front", "back"])
    assert list(drawn) == list(stored)
    for name in drawn:
        np.testing.assert_array_equal(drawn[name], stored[name])
    rasters = open_benchmark(folder).scene_group("train-0-00000").views.images(frame, ["front"])["front"]
    camera = scene_group.views.cameras(frame)[0]
    expected = RasterRenderer("rap").prepare(small_log()).render(snapshot_of(frame.viewpoint), [camera])[0]
    np.testing.assert_array_equal(rasters, expected)
    assert len(np.unique(rasters.reshape(-1, 3), axis=0)) > 3


def test_a_part_around_a_tag_that_is_too_short_says_what_to_ask_for():
    log = small_log("train-0")
    rows = np.arange(71)
    short = replace(
        log, times_us=log.times_us[rows], ego=log.ego.at(rows), tracks=log.tracks.at(rows), lights=log.lights.at(rows)
    )
    with pytest.raises(SwerveError, match=r"is too short\. A scene group takes 10 s: .* 8 s of future$"):
        _group_steps(short, OPTIONS)
    with pytest.raises(SwerveError, match=r"8 s of future\. Of nuplan:ROOT\?tags=TYPE, take .*tags=TYPE&after=8$"):
        _group_steps(replace(short, source="nuplan"), OPTIONS)
