"""Follow-up viewpoints of training sets: a benchmark's follow-ups at random start points, with a way back."""

import json
from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from swerve.data.dataset import AugmentOptions, augment
from swerve.data.dataset.augment_worker import _labelled
from swerve.data.dataset.capture import image_requests
from swerve.data.dataset.read_manifest import read_manifest
from swerve.data.dataset.sample import SampleRenderer
from swerve.data.dataset.targets import ego_history, trajectory_arrays
from swerve.data.dataset.viewpoint_maker import ExpertTarget
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.eval import build_context
from swerve.eval.benchmark.assemble import follow_up_scenes
from swerve.eval.benchmark.build.advance_traffic import advanced_tracks
from swerve.eval.benchmark.build.make_scene_group import build_scene_group
from swerve.eval.benchmark.build_options import BuildOptions
from swerve.eval.benchmark.evaluate.observations import observation_of
from swerve.eval.benchmark.renderers import RasterRenderer
from swerve.eval.benchmark.schedule import scene_at
from swerve.eval.benchmark.view_renderers import snapshot_of
from swerve.eval.training_viewpoints import TrainingViewpointOptions, maker_of
from swerve.eval.training_viewpoints.follow_up_viewpoints import follow_up_viewpoint, follow_up_viewpoints
from swerve.scenes import SwerveError
from swerve.scenes.primitives import build_static
from swerve.scenes.viewpoints import KinematicLimits, Rejection
from swerve.scenes.viewpoints.bounds import BOUND_NAMES
from swerve.scenes.viewpoints.follow_up import (
    FollowUp,
    FollowUpOptions,
    TrajectoryBank,
    build_trajectory_bank,
    follow_ups,
)
from swerve.scenes.viewpoints.follow_up.follow_ups import synthesised_follow_ups
from swerve.scenes.viewpoints.follow_up.grid import HumanReference, points_at
from swerve.scenes.viewpoints.follow_up.start_draw_options import StartDrawOptions
from swerve.scenes.viewpoints.follow_up.start_draws import drawn_starts, draws_at, start_stratum
from swerve.scenes.viewpoints.way_back import path_offset
from tests.support.geometries import geometry_of
from tests.support.simple_source import SimpleSource, small_log
from tests.support.town_logs import town
from tests.support.wheel_planners import Keeps

NOW = 20
DRAWS = StartDrawOptions(samples_per_scene=8)
OPTIONS = AugmentOptions(("follow_up",), follow_up=DRAWS)


@cache
def of_town():
    """Follow-up viewpoints of three scenes of a town."""
    log = town(0)
    return [
        one
        for now in (30, 70, 110)
        for one in follow_up_viewpoints(scene_at(log, now), geometry_of(log), OPTIONS, "lane-following").viewpoints
    ]


def test_at_a_benchmarks_start_points_it_is_the_benchmarks_scene():
    """Same images byte for byte, same history, command, agents, and scoring context."""
    log, policy = small_log(), "lane-following"
    geometry, scene = geometry_of(log), scene_at(log, NOW)
    bank = build_trajectory_bank(geometry, FollowUpOptions())
    group = build_scene_group(NOW, geometry, bank, BuildOptions(traffic=policy, max_follow_ups=1000), Stopwatch())
    tracks = advanced_tracks(log, NOW, policy, 0)
    tracks = tracks.select_tracks(np.flatnonzero(tracks.valid.any(axis=1)))
    renderer, drawer = RasterRenderer().prepare(log), SampleRenderer(build_static(log.road_map), OPTIONS, Stopwatch())
    chosen = group.record.starts[:: len(group.record.starts) // 4]
    assert {"synthesis", "bank"} == {start.origin for start in chosen}
    for start in chosen:
        theirs, _ = follow_up_scenes(log, NOW, group.record.tracks, start)
        own = FollowUp(start.index, start.ego, start.origin, start.parameters)
        mine = follow_up_viewpoint(scene, geometry, tracks, own, 0)
        told = observation_of(theirs, build_context(theirs.viewpoint.scene, follow_up=True), Keeps(), None)
        history, _ = ego_history(mine, 1.5)
        np.testing.assert_allclose(history.poses, told.history.poses, atol=1e-9)
        for name in ("velocity", "acceleration", "yaw_rate"):
            np.testing.assert_array_equal(getattr(history, name), getattr(told.history, name))
        assert mine.command is told.command
        views = drawer.draw(mine, image_requests(mine))
        for view, image in zip(views, renderer.render(snapshot_of(theirs.viewpoint), log.cameras), strict=True):
            np.testing.assert_array_equal(view.rgb, image)
        arrays = trajectory_arrays(mine_with_target(mine, theirs), 1.5, 5.0)
        np.testing.assert_allclose(arrays["human_10hz"], trajectory_arrays_of(theirs)["human_10hz"], atol=1e-6)


def mine_with_target(mine, theirs):
    return replace(mine, target=theirs.viewpoint.target)


def trajectory_arrays_of(benchmark_scene):
    viewpoint = benchmark_scene.viewpoint
    log = small_log()
    return trajectory_arrays(replace(viewpoint, human_now=log.ego.world_from_ego[NOW + 40]), 1.5, 5.0)


def test_start_points_are_those_drawn():
    log = town(0)
    geometry, ways = geometry_of(log), np.linalg.norm(log.ego.positions[40:, :2] - log.ego.positions[:-40, :2], axis=1)
    now = next(step for step in range(20, 150, 5) if ways[step] > 20.0)  # so that all starts lie ahead
    scene = scene_at(log, now)
    found = [drawn_starts(scene, geometry, index, DRAWS, FollowUpOptions(), 3) for index in range(4)]
    again = drawn_starts(scene, geometry, 2, DRAWS, FollowUpOptions(), 3)
    then = float(np.interp(geometry.seconds[now] + 4.0, geometry.seconds, geometry.ego_motion.speeds))
    for index, attempts in enumerate(found):
        assert len(attempts) == DRAWS.attempts
        stratum = start_stratum(3, log.name, scene.token, index, DRAWS)
        for one in attempts:
            if isinstance(one, Rejection):
                continue
            share = one.parameters["speed_share"]
            speed_bin = 0 if one.parameters["speed"] == 0 else 1 + int(share / 1.3 * 4)
            assert (int((one.parameters["longitudinal"] / 15 + 1) * 3), speed_bin) == stratum
            assert abs(one.parameters["lateral"]) <= DRAWS.lateral
            assert abs(one.parameters["heading"]) <= DRAWS.heading
            # The speed of the projection onto the path, between the last steps and from there to the last.
            last = [path_offset(geometry, now + 40, point, 0.0).longitudinal for point in one.ego.positions[-3:, :2]]
            earlier, later = np.diff(last) / 0.1
            assert 1.5 * later - 0.5 * earlier == pytest.approx(share * then, rel=0.05, abs=0.01)
    kinds = [isinstance(one, FollowUp) for one in again]
    assert kinds == [isinstance(one, FollowUp) for one in found[2]]
    assert any(isinstance(one, FollowUp) for attempts in found for one in attempts)


def test_quantiles_of_the_draws():
    """A fifth arrives at free speed, the rest is uniform."""
    shares = np.array([[0.0] * 4, [0.5] * 4, [1.0] * 4])
    expected = [[-2, -15, -np.deg2rad(10), 0], [0, 0, 0, 0.65], [2, 15, np.deg2rad(10), 1.3]]
    np.testing.assert_allclose(draws_at(replace(DRAWS, free_speed=False), shares), expected, atol=1e-12)
    expected[0][3], expected[1][3] = np.nan, 1.3 * 3 / 8
    np.testing.assert_allclose(draws_at(DRAWS, shares), expected, atol=1e-12)


def test_they_reach_off_along_the_path_and_begin_slow_and_fast():
    viewpoints = of_town()
    offsets = np.array([viewpoint.parameters["longitudinal"] for viewpoint in viewpoints])
    shares = np.array([viewpoint.parameters["start_speed_share"] for viewpoint in viewpoints])
    assert len(viewpoints) > 8
    assert (np.abs(offsets) > 5.0).any()
    assert shares.min() < 0.4
    for viewpoint in viewpoints:
        assert viewpoint.parameters["longitudinal"] == pytest.approx(
            viewpoint.parameters["start_longitudinal"], abs=1e-6
        )
        assert viewpoint.parameters["lateral"] == pytest.approx(viewpoint.parameters["start_lateral"], abs=1e-6)


def test_ways_back_keep_the_bounds_on_published_poses():
    """With three poses of the history, rounded as samples store them; the tolerance is that of rounding."""
    back = [viewpoint for viewpoint in of_town() if viewpoint.parameters["way_back"]]
    assert len(back) > 2
    for viewpoint in back:
        arrays = trajectory_arrays(viewpoint, 2.0, 4.0)
        poses = np.concatenate([arrays["history_pose"][-3:], arrays["target_10hz"]]).astype(float)
        shares = KinematicLimits().max_pose_ratios(
            poses[:, :2], np.unwrap(poses[:, 2]), 0.1 * np.arange(len(poses)), viewpoint.vehicle
        )
        allowed = np.array([viewpoint.parameters.get(f"relaxed_{name}", 1.0) for name in BOUND_NAMES])
        assert (shares <= allowed + 0.05).all(), dict(zip(BOUND_NAMES, shares, strict=True))


def test_acceptance_is_reported_by_offset(tmp_path):
    options = AugmentOptions(("follow_up",), scene_interval=1.0, follow_up=DRAWS)
    training = TrainingViewpointOptions(follow_up_traffic="log-replay", experts=())
    maker = maker_of(options, training)
    # Without pseudo-experts a viewpoint without a way back has no target.
    summary = augment([SimpleSource(("train-0",))], tmp_path / "set", options, 1, maker=maker).summary
    acceptance, rejected = summary["acceptance"]["follow_up"], summary["rejections"]["follow_up"]
    assert rejected["no_target"] == sum(summary["rejections"]["follow_up_way_back"].values())
    tried = summary["samples"] + sum(count for reason, count in rejected.items() if reason != "log_end")
    for axis, bins in (("longitudinal", 6), ("speed_share", 5)):
        assert len(acceptance[axis]) == bins
        assert sum(one["tried"] for one in acceptance[axis]) == tried
        assert sum(one["accepted"] for one in acceptance[axis]) == summary["samples"] > 0
        assert sum(one["way_back"] for one in acceptance[axis]) == summary["samples"]
    assert acceptance["longitudinal"][0]["from"] == -15.0
    assert [one["to"] for one in acceptance["speed_share"]] == pytest.approx([-1.0, 0.325, 0.65, 0.975, 1.3])
    rows = read_manifest(tmp_path / "set", ("shard", "split", "weight", "parameters")).to_pylist()
    assert np.mean([row["weight"] for row in rows]) == pytest.approx(1.0)
    assert all("start_longitudinal" in json.loads(row["parameters"]) for row in rows)


def test_a_pseudo_expert_that_fails_like_all_others_is_no_target():
    viewpoint = next(one for one in of_town() if one.parameters["way_back"])
    poses = np.zeros((40, 3), np.float32)
    best = ExpertTarget(poses, "anchor", 3, 146, 0.0, {}, None)
    lost = replace(viewpoint, target=viewpoint.target[:0])
    for one, kept in ((viewpoint, True), (lost, False)):
        labelled, expert, rejections = _labelled(one, best)
        assert (labelled is not None, expert) == (kept, None)
        assert rejections[0] == ("follow_up_expert", one.index, "all_candidates_fail")
    labelled, expert, rejections = _labelled(lost, replace(best, score=0.5))
    assert (len(labelled.target), expert.score, rejections) == (len(lost.human), 0.5, [])


def test_only_logs_with_ten_steps_a_second():
    log = small_log()
    slow = np.arange(0, len(log.times_us), 2)
    thin = replace(
        log,
        times_us=log.times_us[slow],
        ego=log.ego.at(slow),
        tracks=log.tracks.at(slow),
        lights=log.lights.at(slow),
    )
    with pytest.raises(SwerveError, match="ten steps a second"):
        follow_up_viewpoints(scene_at(thin, 15), geometry_of(thin), OPTIONS, "log-replay")


def test_start_points_of_the_grid_are_unchanged():
    """Drawn points share the code of the grid's: a grid point drawn has the grid's history."""
    log, options = small_log(), FollowUpOptions(sources="synthesis")
    geometry, scene = geometry_of(log), scene_at(log, NOW)
    grid = follow_ups(scene, geometry, TrajectoryBank.empty(options), options)
    one = next(one for one in grid if isinstance(one, FollowUp) and one.parameters["lateral"])
    human = HumanReference.of(scene, geometry, 4.0)
    number = np.array([one.index])
    offsets = [np.array([one.parameters[name]]) for name in ("lateral", "longitudinal", "heading", "speed")]
    (again,) = synthesised_follow_ups(geometry, human, points_at(human, geometry.path, number, *offsets), options)
    np.testing.assert_array_equal(again.ego.world_from_ego, one.ego.world_from_ego)
