"""The traffic of the second stage against the policies called directly, and against plain arithmetic."""

from dataclasses import replace

import numpy as np
import pytest

from swerve.eval import build_context, lane_agents, simulate_navsim_idm
from swerve.eval.benchmark.build.advance_traffic import advanced_tracks, logged_states
from swerve.eval.benchmark.frame_steps import FIRST, LAST
from swerve.eval.benchmark.schedule import GroupSteps, scene_group_steps
from swerve.eval.scoring.thresholds import STEP
from swerve.eval.traffic.traffic import constant_velocity
from swerve.scenes import ObjectClass, Scene, SwerveError
from tests.support.fork_log import NOW as BEFORE_FORK
from tests.support.fork_log import hidden_before_the_fork
from tests.support.simple_log import simple_log
from tests.support.town_logs import town

NOW = 20
WINDOW = slice(NOW + FIRST, NOW + LAST + 1)
POLICIES = {
    "constant-velocity": lambda context, states: constant_velocity(context.traffic, STEP),
    "navsim-reactive": simulate_navsim_idm,
    "lane-following": lane_agents,
}


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("make", [simple_log, lambda: town(0)], ids=["simple", "town"])
def test_vehicles_do_what_the_policy_does_while_the_expert_drives_as_logged(policy, make):
    log = make()
    context = build_context(Scene(log, NOW, 15, LAST), steps=LAST + 1)
    motion = POLICIES[policy](context, logged_states(log, NOW))
    tracks = advanced_tracks(log, NOW, policy)
    assert tracks.ids == log.tracks.ids
    moved = set(context.lane_graph_paths.rows) if policy == "lane-following" else set(range(len(motion.ids)))
    for row, name in enumerate(motion.ids):
        if row not in moved or motion.classes[row] != ObjectClass.VEHICLE:
            continue
        own, here = tracks.ids.index(name), motion.present[FIRST:, row]
        np.testing.assert_array_equal(tracks.valid[own], here)
        np.testing.assert_allclose(tracks.positions[own, here, :2], motion.poses[FIRST:, row, :2][here], atol=1e-12)
        np.testing.assert_allclose(tracks.headings[own, here], motion.poses[FIRST:, row, 2][here], atol=1e-12)
        np.testing.assert_allclose(tracks.velocities[own, here], motion.velocities[FIRST:, row][here], atol=1e-12)
        np.testing.assert_allclose(tracks.sizes[own, here, :2], np.broadcast_to(motion.sizes[row], (here.sum(), 2)))


@pytest.mark.parametrize("policy", ["log-replay", *POLICIES])
def test_everybody_else_replays_the_log(policy):
    log = town(0)
    tracks, logged = advanced_tracks(log, NOW, policy), log.tracks.at(WINDOW)
    others = np.flatnonzero(log.tracks.classes != ObjectClass.VEHICLE)
    if policy == "log-replay":
        others = np.arange(len(log.tracks))
    for name in ("positions", "headings", "sizes", "velocities", "valid"):
        np.testing.assert_array_equal(getattr(tracks, name)[others], getattr(logged, name)[others])


def test_a_car_at_constant_speed_is_where_arithmetic_puts_it_and_keeps_its_height_above_a_slope():
    log = simple_log(slope=0.05)
    # The leading vehicle brakes to a stop in the log, which the policy does not use.
    positions = log.tracks.positions.copy()
    positions[0, NOW + 1 :] = positions[0, NOW]
    log = replace(log, tracks=replace(log.tracks, positions=positions))
    car = advanced_tracks(log, NOW, "constant-velocity").positions[0]
    x = 50.0 + 10.0 * 0.1 * (NOW + np.arange(FIRST, LAST + 1))
    np.testing.assert_allclose(car, np.stack([x, np.full(len(x), -1.75), 0.05 * x + 0.8], axis=1), atol=1e-5)


def test_vehicles_that_come_later_never_come_under_policies_that_do_not_know_them():
    log = simple_log()
    valid = log.tracks.valid.copy()
    valid[2, : NOW + 40] = False
    late = replace(log, tracks=replace(log.tracks, valid=valid))
    assert not advanced_tracks(late, NOW, "navsim-reactive").valid[2].any()
    assert not advanced_tracks(late, NOW, "constant-velocity").valid[2].any()
    assert advanced_tracks(late, NOW, "lane-following").valid[2, NOW:].all()
    np.testing.assert_array_equal(advanced_tracks(late, NOW, "log-replay").valid[2], valid[2, WINDOW])


def test_log_replay_leaves_out_what_touches_the_logged_ego():
    log = simple_log()
    positions = log.tracks.positions.copy()
    positions[5] = log.ego.positions[NOW]
    inside = replace(log, tracks=replace(log.tracks, positions=positions))
    valid = advanced_tracks(inside, NOW, "log-replay").valid
    assert not valid[5].any()
    assert valid[:5].all()


def test_moments_have_two_seconds_before_and_eight_after_them():
    log = simple_log()
    assert scene_group_steps(log, 1.0) == GroupSteps((20, 30, 40))
    kept = np.r_[0:35, 38:121]
    broken = replace(
        log,
        times_us=log.times_us[kept],
        ego=log.ego.at(kept),
        tracks=log.tracks.at(kept),
        lights=log.lights.at(kept),
    )
    assert scene_group_steps(broken, 1.0) == GroupSteps((), (20, 30))


def test_logs_of_another_rate_are_refused():
    log = simple_log()
    slow = slice(0, 121, 5)
    sparse = replace(
        log, times_us=log.times_us[slow], ego=log.ego.at(slow), tracks=log.tracks.at(slow), lights=log.lights.at(slow)
    )
    with pytest.raises(SwerveError, match=r"simple has steps of 0.5 s: .* ten steps a second"):
        scene_group_steps(sparse, 1.0)


def test_a_moment_that_cannot_be_scored_is_told():
    with pytest.raises(SwerveError, match="needs a map"):
        advanced_tracks(replace(simple_log(), road_map=None), NOW, "log-replay")


def test_lane_following_vehicles_choose_lanes_by_the_seed():
    log, ends = hidden_before_the_fork(), set()
    for seed in range(8):
        tracks = advanced_tracks(log, BEFORE_FORK - 30, "lane-following", seed)
        ends.add(round(float(tracks.positions[0, -1, 1]) / 5))
    assert len(ends) == 2  # straight on, and the left turn
