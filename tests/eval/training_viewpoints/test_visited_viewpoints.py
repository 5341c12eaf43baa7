"""Visited viewpoints: what is drawn is what the planner saw, byte for byte; targets and scores against oracles."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from swerve.data.dataset import AugmentOptions, augment
from swerve.data.dataset.image_encoding import decode_image
from swerve.data.dataset.read_manifest import read_manifest
from swerve.data.dataset.shards import dataset_digest
from swerve.data.storage.checked_npz import read_npz
from swerve.data.stream import ImageFit, Part, SampleStream, StreamOptions
from swerve.data.stream.shard_reader import ShardReader
from swerve.eval import score
from swerve.eval.benchmark.view_renderers import RasterRenderer
from swerve.eval.closed_loop import ClosedLoopOptions, RolloutViews, build_closed_loop_scene, drive_prepared
from swerve.eval.closed_loop.rollout_file import (
    FOLDER,
    LogRollouts,
    read_index,
    read_rollouts,
    record_of,
    rollouts_name,
    write_index,
    write_rollouts,
)
from swerve.eval.context.context_job import write_contexts
from swerve.eval.context.context_store import ContextStore
from swerve.eval.scoring.sub_scores import METRIC_NAMES
from swerve.eval.training_viewpoints import TrainingViewpointOptions, maker_of
from swerve.eval.training_viewpoints.training_maker import maker_of_set
from swerve.eval.training_viewpoints.visited_viewpoints import VisitedViewpoints
from swerve.planners.baselines.privileged import PdmClosed
from swerve.scenes import Scene, SwerveError, Vehicle
from swerve.scenes.planning import History, Observation
from swerve.scenes.viewpoints import Command, build_log_geometry, logged
from tests.support.simple_source import SimpleSource, small_log
from tests.support.wheel_planners import Keeps, Looks

SOURCE, NAME, NOW = SimpleSource(("train-0",)), "train-0", 30
DRIVEN = ClosedLoopOptions(rate=2.0, traffic="lane-following")
OPTIONS = AugmentOptions(("visited",), scene_interval=1.0, shard_scenes=3)


class Strays(Looks):
    """Planner that records its images, drives 20 % faster, and off to the left."""

    def plan(self, observation):
        self.told.append(observation)
        return Keeps(11.0, aside=1.2).plan(observation)


def driven(folder, log=None, planner=None, options=DRIVEN):
    """Record a rollout of a planner that strays, with the images of the set; return planner and rollout."""
    log, planner = log or small_log(NAME), planner or Strays()
    geometry = build_log_geometry(log)
    start = build_closed_loop_scene(logged(Scene(log, NOW, 20, 45), geometry), options, geometry=geometry)
    rollout = drive_prepared(start, planner, RolloutViews(RasterRenderer().prepare(log)))
    assert not rollout.error
    recorded = LogRollouts(log.name, "strays", "v1", options, (record_of(start, rollout),))
    write_index(folder / FOLDER, [write_rollouts(folder / FOLDER, recorded)])
    return planner, rollout


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A rollout and the set of its visited states: folder, planner, rollout."""
    folder = tmp_path_factory.mktemp("visited")
    planner, rollout = driven(folder / "driven")
    maker = maker_of(OPTIONS, TrainingViewpointOptions(visited=folder / "driven"))
    report = augment([SOURCE], folder / "set", OPTIONS, 1, maker=maker)
    assert report.summary["failures"] == 0
    return folder, planner, rollout


def samples(folder):
    """Samples of a set with their rows, in order."""
    reader, seen = ShardReader(folder), dict[str, int]()
    for row in read_manifest(folder, ("key", "shard", "split", "kind", "parameters")).to_pylist():
        number = seen.get(row["shard"], 0)
        seen[row["shard"]] = number + 1
        yield reader.sample(row["shard"], number, row["key"]), json.loads(row["parameters"])


def arrays(stored):
    return read_npz(stored.read("npz"), "npz")


def test_a_visited_state_is_the_planners_own_observation_of_that_step(made):
    folder, planner, rollout = made
    found = list(samples(folder / "set"))
    steps = [parameters["step"] for _, parameters in found]
    assert len(steps) > 4
    assert set(steps) <= {5.0 * number for number in range(1, 9)}
    assert max(abs(parameters["lateral"]) for _, parameters in found) > 0.5
    for stored, parameters in found:
        step = int(parameters["step"])
        told, details, values = planner.told[step // 5], json.loads(stored.read("json")), arrays(stored)
        assert details["time_us"] == told.time_us
        assert Command[details["command"].upper()] is told.command
        assert len(told.images) > 1
        for name, image in told.images.items():
            np.testing.assert_array_equal(decode_image(stored.read(f"{name}.png")), image)
        np.testing.assert_array_equal(details["world_from_ego"][0][3], rollout.states[step, 0])
        known = values["history_valid"]
        assert known.sum() == len(told.history.seconds) == 16
        np.testing.assert_allclose(values["history_pose"][known], told.history.poses, atol=1e-6)
        for name in ("velocity", "acceleration", "yaw_rate"):
            np.testing.assert_array_equal(
                values[f"history_{name}"][known], getattr(told.history, name).astype(np.float32)
            )


def test_agents_are_where_the_rollout_had_them(made):
    folder, _, rollout = made
    for stored, parameters in samples(folder / "set"):
        step, values, details = int(parameters["step"]), arrays(stored), json.loads(stored.read("json"))
        world = np.array(details["world_from_ego"])
        places = values["box_center"] @ world[:3, :3].T + world[:3, 3]
        traffic = rollout.traffic
        here = {name: row for row, name in enumerate(traffic.ids) if traffic.present[step, row]}
        assert set(values["box_id"]) == set(here)
        rows = [here[name] for name in values["box_id"]]
        np.testing.assert_allclose(places[:, :2], traffic.poses[step, rows, :2], atol=1e-4)


def test_the_human_is_the_log_s(made):
    folder, _, _ = made
    log = small_log(NAME)
    for stored, parameters in samples(folder / "set"):
        values, details = arrays(stored), json.loads(stored.read("json"))
        world, now = np.array(details["world_from_ego"]), NOW + int(parameters["step"])
        human = np.column_stack([values["human_10hz"][:, :2], np.zeros(50), np.ones(50)]) @ world.T
        np.testing.assert_allclose(human[:40, :2], log.ego.positions[now + 1 : now + 41, :2], atol=1e-4)
        assert values["human_10hz_valid"].sum() == 40


def test_every_state_is_used_or_rejected_with_a_reason(made):
    folder, _, rollout = made
    summary = json.loads((folder / "set" / "summary.json").read_text())
    states = (len(rollout.states) - 1) // 5
    rejected = summary["rejections"]["visited"]
    assert rejected["rollout_ends"] == 8
    assert summary["samples"] + sum(rejected.values()) == states
    without = sum(summary["rejections"].get("visited_way_back", {}).values())
    assert without == sum(not parameters["way_back"] for _, parameters in samples(folder / "set"))


def test_the_target_is_the_way_back_or_else_the_pseudo_expert(made):
    folder, _, _ = made
    for stored, parameters in samples(folder / "set"):
        values, expert = arrays(stored), json.loads(stored.read("json"))["expert"]
        assert values["target_10hz_valid"].sum() == 40
        np.testing.assert_array_equal(values["expert_10hz"][4::5], values["expert_2hz"])
        assert (expert["target_score"] is not None) == bool(parameters["way_back"])
        if not parameters["way_back"]:
            np.testing.assert_allclose(values["target_10hz"][:40], values["expert_10hz"][:40], atol=1e-5)


def test_pseudo_experts_score_what_the_scorer_says_and_no_anchor_scores_more(made):
    """The contexts are those that training scores proposals in."""
    folder, _, _ = made
    maker = maker_of_set(folder / "set", folder / "driven")
    report = write_contexts([SOURCE], folder / "set", folder / "contexts", 1, maker=maker)
    count = len(list(samples(folder / "set")))
    assert report.summary["scored"] == {"visited": count}
    store = ContextStore(folder / "contexts", folder / "set")
    stream = SampleStream(folder / "set", StreamOptions((Part("visited"),), ImageFit((32, 18)), batch_size=count))
    batch = stream.batch(0)
    for row, (context, place) in enumerate(zip(store.contexts(batch.provenance), batch.provenance, strict=True)):
        assert place.kind.value == "visited"
        stored = next(one for one, _ in samples(folder / "set") if one.key == place.key)
        expert = json.loads(stored.read("json"))["expert"]
        poses = batch.expert_10hz[row].astype(np.float64)[None]
        again = score(context, poses, interval=0.1)
        assert float(again.pdm_score[0]) == expert["score"] == pytest.approx(batch.expert_score[row], abs=1e-6)
        assert dict(zip(METRIC_NAMES, again.metrics[0].tolist(), strict=True)) == expert["metrics"]
        assert expert["score"] >= score(context, plan_of(context), interval=0.1).pdm_score[0]
        if expert["target_score"] is not None:
            target = batch.target_10hz[row, :40].astype(np.float64)[None]
            assert float(score(context, target, interval=0.1).pdm_score[0]) == expert["target_score"]


def plan_of(context):
    """PDM-Closed's own plan."""
    still = History(np.zeros(1), np.zeros((1, 3)), np.zeros((1, 2)), np.zeros((1, 2)), np.zeros(1))
    observation = Observation("", 0, Vehicle.pacifica(), still, Command.STRAIGHT, privileged=context.privileged_input)
    return PdmClosed().plan(observation).poses.astype(np.float32).astype(np.float64)[None]


def test_sets_are_mixed_in_one_stream(made, tmp_path):
    folder, _, _ = made
    augment([SOURCE], tmp_path / "base", replace(OPTIONS, viewpoints=("logged", "recovery")), 1)
    parts = (Part("raster_only"), Part("recovery"), Part("visited", 2.0))
    options = StreamOptions(parts, ImageFit((32, 18)), batch_size=8)
    stream = SampleStream([tmp_path / "base", folder / "set"], options)
    batch = stream.batch(0)
    assert [one.dataset for one in batch.provenance] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert np.isnan(batch.expert_score[:4]).all()
    assert not np.isnan(batch.expert_score[4:]).any()
    assert not batch.expert_10hz_valid[:4].any()
    alone = SampleStream(folder / "set", replace(options, parts=(Part("visited"),), batch_size=4)).batch(0)
    order = {one.key: row for row, one in enumerate(alone.provenance)}
    for row in range(4, 8):
        if batch.provenance[row].key in order:
            np.testing.assert_array_equal(batch.raster[row], alone.raster[order[batch.provenance[row].key]])
    assert stream.identity["set"] != SampleStream(tmp_path / "base", replace(options, parts=parts[:2])).identity["set"]
    with pytest.raises(SwerveError, match="each once"):
        SampleStream([folder / "set", folder / "set"], options)


@pytest.mark.usefixtures("worker_processes")
def test_the_same_bytes_in_two_workers_and_from_another_folder(made, tmp_path):
    folder, _, _ = made
    driven(tmp_path / "elsewhere")
    maker = maker_of(OPTIONS, TrainingViewpointOptions(visited=tmp_path / "elsewhere"))
    augment([SOURCE], tmp_path / "again", OPTIONS, 2, maker=maker)
    assert dataset_digest(tmp_path / "again") == dataset_digest(folder / "set")


def test_recorded_files_are_checked(made, tmp_path):
    _, _, rollout = made
    driven(tmp_path)
    (entry,) = read_index(tmp_path)
    path = tmp_path / FOLDER / entry.file
    recorded, _ = read_rollouts(path)
    np.testing.assert_array_equal(recorded.rollouts[0].states, rollout.states)
    np.testing.assert_array_equal(recorded.rollouts[0].traffic.poses, rollout.traffic.poses)
    assert recorded.options == DRIVEN
    moved = replace(recorded.rollouts[0], states=recorded.rollouts[0].states + 0.01)
    write_rollouts(tmp_path / FOLDER, replace(recorded, rollouts=(moved,)))
    maker = maker_of(OPTIONS, TrainingViewpointOptions(visited=tmp_path))
    geometry = build_log_geometry(small_log(NAME))
    with pytest.raises(SwerveError, match="not the file of its index"):
        maker.open(geometry, ())
    states = VisitedViewpoints((replace(recorded, rollouts=(moved,)),), geometry, scenes_of(geometry), OPTIONS, 5)
    with pytest.raises(SwerveError, match="has changed since"):
        [states.make(scene) for scene in scenes_of(geometry)]
    traffic = replace(recorded.rollouts[0].traffic, ids=("gone", *recorded.rollouts[0].traffic.ids[1:]))
    gone = replace(recorded, rollouts=(replace(recorded.rollouts[0], traffic=traffic),))
    states = VisitedViewpoints((gone,), geometry, scenes_of(geometry), OPTIONS, 5)
    with pytest.raises(SwerveError, match="has changed since"):
        [states.make(scene) for scene in scenes_of(geometry)]
    with pytest.raises(SwerveError, match="in none of the sources"):
        maker.check(["another"])
    with pytest.raises(SwerveError, match="no recorded rollouts"):
        maker_of(OPTIONS, TrainingViewpointOptions(visited=Path("nowhere")))
    with pytest.raises(SwerveError, match="needs --visited"):
        maker_of(OPTIONS, TrainingViewpointOptions())
    with pytest.raises(SwerveError, match="Name visited among the --viewpoints"):
        maker_of(replace(OPTIONS, viewpoints=("logged",)), TrainingViewpointOptions(visited=tmp_path))
    with pytest.raises(SwerveError, match="needs a maker"):
        augment([SOURCE], tmp_path / "set", OPTIONS, 1)


def test_no_two_pairs_of_log_and_planner_share_a_file():
    assert rollouts_name("a-b", "c") != rollouts_name("a", "b-c")


def scenes_of(geometry):
    return (Scene(geometry.log, 40, 20, 50),)


@pytest.mark.parametrize(("kind", "frames", "history"), [("follow_up", 4, 2.0), ("visited", 3, 1.5)])
def test_past_frames_of_before_a_viewpoints_history_are_refused_at_once(kind, frames, history):
    options, training = AugmentOptions((kind,), history=4.0), TrainingViewpointOptions()
    with pytest.raises(SwerveError, match=f"{kind} viewpoints have {history:g} s of history"):
        maker_of(replace(options, past_frames=frames + 1), training)
    if kind == "follow_up":
        assert maker_of(replace(options, past_frames=frames), training) is not None
    else:
        with pytest.raises(SwerveError, match="visited needs --visited"):
            maker_of(replace(options, past_frames=frames), training)
