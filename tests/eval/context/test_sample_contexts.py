"""Contexts of viewpoints: of the seat that is looked from, whoever recorded the log."""

import json
import shutil
from dataclasses import fields, is_dataclass, replace
from functools import partial

import numpy as np
import pytest

from swerve import contexts_command
from swerve.data.dataset import AugmentOptions, augment
from swerve.data.dataset.set_config import read_options
from swerve.data.dataset.set_layout import read_records
from swerve.data.dataset.shards import Sample, ShardWriter, dataset_digest
from swerve.data.jobs import Execution
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.data.storage.files import commit
from swerve.data.stream import ImageFit, Part, SampleStream, StreamOptions
from swerve.eval import build_context, score
from swerve.eval.context import context_records
from swerve.eval.context.context_job import ContextWork, _members, write_contexts
from swerve.eval.context.context_records import (
    context_record_path,
    count_contexts,
    finished_contexts,
    remove_damaged,
)
from swerve.eval.context.context_store import ContextStore
from swerve.eval.context.sample_contexts import agent_route, context_of, driven_scene
from swerve.scenes import Ego, Lane, LaneGroup, Scene, SwerveError, Vehicle
from swerve.scenes.transforms import pose_from_yaw, relative_poses
from swerve.scenes.viewpoints import (
    RecoveryOptions,
    ViewpointKind,
    ViewpointOptions,
    build_log_geometry,
    build_viewpoints,
)
from tests.support.command import invoke
from tests.support.simple_log import simple_log
from tests.support.simple_source import SimpleSource, small_log
from tests.support.town_logs import town

ALL = (ViewpointKind.LOGGED, ViewpointKind.RECOVERY, ViewpointKind.CROSS_AGENT)


def made(log, now, kinds=ALL):
    """Viewpoints of one scene by kind."""
    scene = Scene(log, now, 20, 50)
    return build_viewpoints(scene, kinds, ViewpointOptions(), 0, build_log_geometry(log))[0]


def plan_of(viewpoint):
    """Its target as a trajectory of 4 s at 2 Hz."""
    return relative_poses(viewpoint.world_from_ego, viewpoint.target[4:40:5])


def assert_same(a, b, where="context", **tolerance):
    """Two dataclasses are the same, to the last bit unless a tolerance is given."""
    for field in fields(a):
        one, other, name = getattr(a, field.name), getattr(b, field.name), f"{where}.{field.name}"
        if is_dataclass(one):
            assert_same(one, other, name, **tolerance)
        elif isinstance(one, np.ndarray) and tolerance and one.dtype.kind == "f":
            np.testing.assert_allclose(one, other, err_msg=name, **tolerance)
        elif isinstance(one, np.ndarray):
            np.testing.assert_array_equal(one, other, err_msg=name)
        else:
            assert one == other, name


@pytest.mark.parametrize("make", [simple_log, partial(town, 3)], ids=["simple", "town"])
def test_a_logged_viewpoint_has_the_scenes_own_context(make):
    (viewpoint,) = made(make(), 60, [ViewpointKind.LOGGED])
    own = build_context(viewpoint.scene, lane_following=False)
    assert_same(context_of(viewpoint), own)
    # The log cut to the scene's window gives the same: the context depends on nothing else.
    assert_same(build_context(driven_scene(viewpoint), lane_following=False), own)


def test_a_follow_up_has_no_human():
    (viewpoint,) = made(simple_log(), 40, [ViewpointKind.LOGGED])
    context = context_of(replace(viewpoint, kind=ViewpointKind.FOLLOW_UP))
    assert context.follow_up
    assert context.human is None


def seat_of_the_right_car():
    """The car on the right lane as recording vehicle, put together by hand; it brakes by 1 m/s2 from 12 m/s at x = 40.

    Its rear axle lies 0.29 of its 4.2 m behind its middle (overhang 0.21).
    """
    log = small_log()
    seconds = (log.times_us - log.times_us[0]) * 1e-6
    x = 40.0 + 12.0 * seconds - 0.5 * seconds**2 - 0.29 * 4.2
    poses = pose_from_yaw(np.stack([x, np.full_like(x, -5.25), np.zeros_like(x)], axis=1), np.zeros_like(x))
    still = np.zeros_like(x)
    motion = (np.stack([12.0 - seconds, still], axis=1), np.stack([still - 1.0, still], axis=1), still)
    recorder = log.tracks.select_tracks(np.array([0]))
    middle = log.ego.positions + np.array([log.vehicle.rear_axle_to_center, 0.0, log.vehicle.height / 2])
    recorder = replace(
        recorder,
        ids=("ego",),
        positions=middle[None],
        sizes=np.broadcast_to(log.vehicle.size, (1, len(x), 3)).copy(),
        velocities=np.broadcast_to([10.0, 0.0], (1, len(x), 2)).copy(),
    )
    others = log.tracks.select_tracks(np.array([0, 2, 3, 4, 5])).concatenate(recorder)
    return replace(log, ego=Ego(poses, *motion), tracks=others, vehicle=Vehicle.from_box(4.2, 1.8, 1.5))


def test_a_cross_agent_is_scored_as_if_it_had_recorded_the_log():
    """Oracle: the same scene of a log in which the agent is the recording vehicle. Its states are smoothed ones."""
    viewpoint = next(one for one in made(small_log(), 30) if one.kind is ViewpointKind.CROSS_AGENT)
    assert viewpoint.index == 1
    found = context_of(viewpoint)
    known = build_context(Scene(seat_of_the_right_car(), 30, 20, 50), "1030", lane_following=False)
    assert found.token.endswith("-cross_agent-1")
    assert found.traffic.ids == known.traffic.ids == ("track0", "track2", "track3", "track4", "track5", "ego")
    assert_same(replace(found, token=known.token), known, atol=0.02, rtol=1e-3)
    plan, faster, aside = plan_of(viewpoint), np.array([1.3, 1.0, 1.0]), np.array([0.0, 1.8, 0.0])
    plans = np.stack([plan, plan * faster, plan + aside])
    np.testing.assert_allclose(score(found, plans).metrics, score(known, plans).metrics, atol=0.01)


def test_a_recovery_is_scored_from_where_it_stands():
    log = town(3)
    found = [one for now in (50, 70) for one in made(log, now, [ViewpointKind.RECOVERY])]
    assert len(found) >= 2
    for viewpoint in found:
        context, logged = context_of(viewpoint), build_context(viewpoint.scene)
        np.testing.assert_allclose(context.ego[:2], viewpoint.world_from_ego[:2, 3])
        np.testing.assert_allclose(context.ego[3:5], viewpoint.causal_ego.velocity[-1], rtol=1e-6)
        np.testing.assert_allclose(context.human, plan_of(viewpoint), atol=1e-9)
        assert_same(context.traffic, logged.traffic)
        # The tracker lags behind as on the logged drive, and knows of no steering at first.
        states = score(context, plan_of(viewpoint)[None]).states[0]
        tracked = score(logged, logged.human[None]).states[0]
        lag = np.linalg.norm(tracked[40, :2] - log.ego.positions[viewpoint.scene.now + 40, :2])
        assert np.linalg.norm(states[40, :2] - viewpoint.target[39, :2, 3]) < lag + 1.0


def test_targets_score_well_in_their_own_contexts():
    """What a viewpoint should do neither collides nor leaves road and route, and gets on."""
    for viewpoint in made(town(3), 60):
        metrics = score(context_of(viewpoint), plan_of(viewpoint)[None]).metrics[0]
        np.testing.assert_array_equal(metrics[:4], 1.0, err_msg=f"{viewpoint.kind} {viewpoint.index}")
        assert metrics[4] > 0.5


def test_a_cross_agents_route_is_its_own_and_goes_on():
    assert agent_route(simple_log(), 1) == ("east",)
    assert agent_route(simple_log(), 2) == ("west",)
    assert agent_route(replace(simple_log(), road_map=None), 1) == ()
    longer = with_another_road(simple_log())
    # It is last seen at x = 154, 46 m before the end of its lane: 100 m are not over within the next 50.
    assert agent_route(longer, 1) == ("east", "on", "further")
    assert agent_route(longer, 2) == ("west",)


def with_another_road(log):
    """The log with two more roads of 50 m after the eastbound one; the last forks to the left."""

    def lane(name, x0, x1, y1, group):
        line = np.array([[x0, -5.25, 0.0], [x1, y1, 0.0]])
        side = np.array([0, 1.75, 0])
        left, right = line + side, line - side
        return Lane(name, line, np.concatenate([left, right[::-1]]), left, right, group_id=group, speed_limit=13.9)

    more = (
        replace(lane("on", 200.0, 250.0, -5.25, "on"), successors=("left", "further"), predecessors=("east_right",)),
        replace(lane("left", 250.0, 300.0, 40.0, "left"), predecessors=("on",)),
        replace(lane("further", 250.0, 300.0, -5.25, "further"), predecessors=("on",)),
    )
    lanes = [replace(one, successors=("on",)) if one.id == "east_right" else one for one in log.road_map.lanes]
    groups = tuple(LaneGroup(one.group_id, (one.id,), one.polygon) for one in more)
    road_map = replace(log.road_map, lanes=(*lanes, *more), lane_groups=log.road_map.lane_groups + groups)
    return replace(log, road_map=road_map)


def test_what_cannot_be_scored_says_so():
    (viewpoint,) = made(replace(simple_log(), road_map=None), 40, [ViewpointKind.LOGGED])
    with pytest.raises(SwerveError, match="needs a map"):
        context_of(viewpoint)


KINDS = ViewpointOptions(RecoveryOptions(samples_per_scene=3))
SOURCE = SimpleSource(("train-0",))


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """A set of three scenes, each a part of its own."""
    folder = tmp_path_factory.mktemp("contexts") / "set"
    augment([SOURCE], folder, AugmentOptions(scene_interval=2.5, shard_scenes=1, recovery=KINDS.recovery), workers=1)
    return folder


@pytest.fixture(scope="module")
def store(dataset, tmp_path_factory):
    folder = tmp_path_factory.mktemp("contexts") / "store"
    return folder, write_contexts([SOURCE], dataset, folder, workers=1)


@pytest.fixture(scope="module")
def batch(dataset):
    parts = (Part("raster_only"), Part("recovery"), Part("cross_agent"))
    return SampleStream(dataset, StreamOptions(parts, ImageFit((64, 36)), batch_size=9)).batch(0)


def test_a_batchs_contexts_are_those_of_its_viewpoints(dataset, store, batch):
    known = {}
    for now in (20, 45, 70):
        scene = Scene(small_log("train-0"), now, 20, 50)
        for one in build_viewpoints(scene, ALL, KINDS, 0, build_log_geometry(scene.log))[0]:
            known[scene.token, one.kind, one.index] = one
    found = ContextStore(store[0], dataset)
    for origin, context in zip(batch.provenance, found.contexts(batch.provenance, threads=2), strict=True):
        assert_same(context, context_of(known[origin.token, origin.kind, origin.index]))
        assert found.reason(origin) is None
    assert {origin.kind for origin in batch.provenance} == set(ALL)


def test_the_summary_counts_every_sample(dataset, store):
    manifest = json.loads((dataset / "summary.json").read_text())
    assert store[1].summary["scored"] == manifest["samples_by_kind"]
    assert store[1].summary["unscored"] == {}
    assert json.loads((store[0] / "contexts.json").read_text()) == store[1].summary


def test_a_stopped_job_makes_what_is_missing_and_the_same(dataset, store, tmp_path):
    """As after a kill: one shard is half-written, and contexts.json is not there yet."""
    folder = tmp_path / "store"
    shutil.copytree(store[0], folder)
    lost, *_, kept = sorted((folder / "train").glob("*.tar"))
    (folder / "contexts.json").unlink()
    lost.rename(lost.with_name(lost.name + ".part"))
    with pytest.raises(SwerveError, match=r"no contexts\.json: not finished"):
        ContextStore(folder, dataset)
    before = kept.stat().st_mtime_ns
    write_contexts([SOURCE], dataset, folder, workers=1)
    assert kept.stat().st_mtime_ns == before
    assert dataset_digest(folder) == dataset_digest(store[0])


def test_samples_that_cannot_be_scored_are_noted(dataset, store, batch, tmp_path):
    (viewpoint,) = made(replace(small_log(), road_map=None), 40, [ViewpointKind.LOGGED])
    members = _members(viewpoint, None)
    folder, origin = tmp_path / "store", batch.provenance[0]
    shutil.copytree(store[0], folder)
    keys = [one["key"] for one in read_records_of(dataset, origin.shard)]
    with ShardWriter(folder / origin.shard, "train") as writer:
        for key in keys:
            writer.add(Sample(key, "train", members, {}))
        writer.finish()
    commit(folder / origin.shard)
    found = ContextStore(folder, dataset)
    assert found.context(origin) is None
    assert "needs a map" in found.reason(origin)


def read_records_of(dataset, shard):
    return next(record.rows for record in read_records(dataset) if record.shard == shard)


def test_a_changed_source_is_refused(dataset, tmp_path):
    """The log's ego is a centimetre ahead of where it was when the set was made."""
    work = ContextWork(tmp_path, dataset, (SOURCE,), {"train-0": 0}, read_options(dataset))
    opened = work.open("train-0", Stopwatch())
    poses = opened.log.ego.world_from_ego.copy()
    poses[:, 0, 3] += 0.01
    log = replace(opened.log, ego=replace(opened.log.ego, world_from_ego=poses))
    moved = replace(
        opened, log=log, scenes=[replace(scene, log=log) for scene in opened.scenes], geometry=build_log_geometry(log)
    )
    (tmp_path / "train").mkdir()
    (tmp_path / "maps").mkdir()
    with pytest.raises(SwerveError, match="has another pose in the log now: the source or Swerve has changed"):
        moved.make(0, lambda token, count, share: None)
    with pytest.raises(SwerveError, match="is not produced from the log any more: the source or Swerve has changed"):
        replace(opened, scenes=[]).make(0, lambda token, count, share: None)


def test_another_set_is_refused(dataset, store, tmp_path):
    (tmp_path / "manifest.parquet").write_bytes(b"another")
    with pytest.raises(SwerveError, match="these contexts are of another set"):
        ContextStore(store[0], tmp_path)
    with pytest.raises(SwerveError, match="its log train-0 is in none of the sources"):
        write_contexts([SimpleSource(("val-1",))], dataset, tmp_path / "store", workers=1)
    with pytest.raises(SwerveError, match=r"no job\.json: not a set\. Make one with"):
        write_contexts([SOURCE], tmp_path, tmp_path / "store", workers=1)


def test_the_command_says_what_it_made(dataset, store, tmp_path, monkeypatch):
    calls = []

    def told(*arguments):
        calls.append(arguments[:4])
        return replace(store[1], summary={**store[1].summary, "unscored": {"cross_agent": 2}})

    monkeypatch.setattr(contexts_command, "write_contexts", told)
    result = invoke("contexts", "town:1", "town:2", dataset, tmp_path, "--workers", 3)
    assert result.exit_code == 0, result.output
    assert "samples can be scored" in result.output
    assert "2 cannot (2 cross_agent)" in result.output
    ((sources, *rest),) = calls
    assert [source.kind for source in sources] == ["town", "town"]
    assert rest == [dataset, tmp_path, Execution(3)]


def test_damaged_records_of_contexts_are_parts_to_make_again(store, dataset, tmp_path):
    folder, parts = tmp_path / "store", list(read_records(dataset))
    shutil.copytree(store[0], folder)
    assert not remove_damaged(folder, parts)
    whole = {log: ({*range(count)}, count) for log, (_, count) in finished_contexts(folder, parts).items()}
    assert finished_contexts(folder, parts) == whole
    first, second, *_ = paths = [context_record_path(folder, part) for part in parts if part.shard]
    content = first.read_bytes()
    foreign = content.replace(b"true", b"true,\n  true", 1)
    for wrong in (b"", content[:-30], second.read_bytes(), foreign, b"{}"):
        first.write_bytes(wrong)
        assert remove_damaged(folder, parts) == [first], wrong
        assert finished_contexts(folder, parts) != whole
        assert count_contexts(folder, parts, 0)["bytes"] < store[1].summary["bytes"]
    first.write_bytes(content)
    (folder / "records" / "stranger-00000.json").write_bytes(content)
    assert [path.name for path in remove_damaged(folder, parts)] == ["stranger-00000.json"]
    shard = folder / parts[0].shard
    shard.write_bytes(shard.read_bytes()[:-1])
    assert finished_contexts(folder, parts) != whole
    assert len(paths) > 1


def test_records_that_another_run_writes_meanwhile_stay(dataset, store, tmp_path, monkeypatch):
    folder, parts = tmp_path / "copy", list(read_records(dataset))
    shutil.copytree(store[0], folder)
    path, original = context_record_path(folder, parts[0]), context_records.read_context_record
    content = path.read_bytes()
    path.unlink()

    def while_another_writes(folder, part):
        found = original(folder, part)
        path.write_bytes(content)
        return found

    monkeypatch.setattr(context_records, "read_context_record", while_another_writes)
    assert not remove_damaged(folder, parts)
    assert path.is_file()
