"""Where lane-following vehicles turn, on a fork made for it: a lane that goes on straight or bends to the left."""

from dataclasses import replace

import numpy as np
import pytest

from swerve.eval import build_context
from swerve.eval.traffic.lane_following_agents import lane_agents
from swerve.eval.traffic.lane_paths import Leg, extend_legs, path_along
from swerve.eval.traffic.navsim_idm_agents import simulate_navsim_idm
from swerve.scenes import Scene, SwerveError
from swerve.scenes.polyline import interpolate_at
from tests.support.fork_log import (
    NOW,
    driven_along,
    hidden_before_the_fork,
    lane_following,
    log_with_fork,
    turning_log,
)
from tests.support.simple_log import simple_log


def end_of(traffic, track="track0"):
    return traffic.poses[-1, traffic.ids.index(track)]


def test_a_vehicle_turns_where_it_turns_in_the_log():
    """It drives at 10 m/s, in the log and by the model: at the end it is where it was in the log."""
    log = turning_log()
    driven, context = lane_following(log)
    logged = end_of(context.traffic)
    assert logged[1] > 5
    np.testing.assert_allclose(end_of(driven)[:2], logged[:2], atol=3.0)


def test_a_vehicle_goes_straight_on_where_it_does_in_the_log():
    driven, _ = lane_following(log_with_fork())
    assert end_of(driven)[0] > 155
    assert abs(end_of(driven)[1] + 1.75) < 0.1


def fork_choices(seed=0):
    """Which lane each of 40 tracks takes that the log shows no longer."""

    road = log_with_fork().road_map
    legs = [Leg.on(road.lane_by_id["east_left"])]
    return [extend_legs(road, legs, 160.0, seed, f"car{car}")[1].lane.id for car in range(40)]


def test_beyond_the_log_seed_and_track_choose_at_a_fork():
    """Evenly, and the same again; another seed chooses otherwise."""
    chosen = fork_choices()
    assert 10 < chosen.count("turn") < 30
    assert chosen.count("turn") + chosen.count("b") == 40
    assert fork_choices() == chosen
    assert fork_choices(seed=1) != chosen


def test_contexts_choose_by_their_seed():
    scene, ends = Scene(hidden_before_the_fork(), NOW, 15, 50), set()
    for seed in range(12):
        agent_paths = build_context(scene, traffic_seed=seed).lane_graph_paths
        place = agent_paths.rows.tolist().index(0)
        ends.add(tuple(agent_paths.points[agent_paths.starts[place + 1] - 1].round(3)))
    assert len(ends) == 2  # straight on, and the turn


@pytest.mark.parametrize("earlier", [0, 5])
def test_the_choice_is_the_same_whatever_the_moment(earlier):
    """The log shows the vehicle up to 5 m before the fork."""
    short, ends = hidden_before_the_fork(), []
    for now in (NOW, NOW - earlier):
        agent_paths = build_context(Scene(short, now, 15, 50)).lane_graph_paths
        place = agent_paths.rows.tolist().index(0)
        ends.append(agent_paths.points[agent_paths.starts[place + 1] - 1])
    np.testing.assert_allclose(ends[0], ends[1])


def test_a_context_without_these_paths_serves_all_other_traffic():
    scene = Scene(log_with_fork(), NOW, 15, 50)
    whole, part = build_context(scene), build_context(scene, lane_following=False)
    states = np.repeat(whole.ego[None], 41, axis=0)
    np.testing.assert_array_equal(simulate_navsim_idm(part, states).poses, simulate_navsim_idm(whole, states).poses)
    np.testing.assert_array_equal(part.reference, whole.reference)
    with pytest.raises(SwerveError, match="built without paths of lane-following traffic"):
        lane_agents(part, states)


def test_a_change_of_lanes_in_the_log_is_driven():
    log = simple_log()
    positions = log.tracks.positions.copy()
    step = np.arange(positions.shape[1]) - NOW
    positions[0, :, 1] = -1.75 - 3.5 * np.clip((step - 5) / 25, 0.0, 1.0)
    driven, context = lane_following(replace(log, tracks=replace(log.tracks, positions=positions)))
    assert end_of(driven)[1] == pytest.approx(-5.25, abs=0.1)
    np.testing.assert_allclose(driven.poses[0], context.traffic.poses[0])
    steps = np.abs(np.diff(driven.poses[:, 0, 1]))
    assert steps.max() < 0.3


def test_who_leaves_the_lanes_in_the_log_leaves_them():
    """Through a gate to the north, on no lane at all; it brakes for the end of its track."""
    log = simple_log()
    line = np.array([[0.0, -1.75], [140.0, -1.75], [142.0, -1.0], [143.0, 2.0], [143.0, 60.0]])
    driven, context = lane_following(driven_along(log, line))
    assert end_of(context.traffic)[0] == pytest.approx(end_of(driven)[0], abs=0.1)
    assert end_of(driven)[1] > 7


def test_who_stands_at_the_end_of_its_path_reports_no_speed():
    """The map ends 4 m ahead of a vehicle at 10 m/s, which cannot brake in time."""
    log = simple_log()
    positions = log.tracks.positions.copy()
    positions[0, :, 0] += 196.0 - positions[0, NOW, 0]
    valid = log.tracks.valid.copy()
    valid[0, NOW + 6 :] = False
    driven, _ = lane_following(replace(log, tracks=replace(log.tracks, positions=positions, valid=valid)))
    moved = np.linalg.norm(np.diff(driven.poses[:, 0, :2], axis=0), axis=1)
    speeds = np.linalg.norm(driven.velocities[1:, 0], axis=1)
    assert (moved[10:] < 1e-9).all()
    assert (speeds[moved < 1e-9] == 0.0).all()
    assert interpolate_at(log.road_map.lanes[0].centerline, np.array([1e9]))[0, 0] == pytest.approx(
        driven.poses[-1, 0, 0]
    )


def test_lanes_without_length_make_a_path_of_one_point():
    """Maps hold such lanes; where nothing else follows, a vehicle has no way to go."""
    point = np.array([[3.0, 4.0], [3.0, 4.0]])
    path = path_along([Leg(point), Leg(point)])
    np.testing.assert_allclose(path.points[:, :2], point[:1])
    way = np.array([[3.0, 4.0], [13.0, 4.0]])
    np.testing.assert_allclose(path_along([Leg(point), Leg(way)]).points[:, :2], way)
