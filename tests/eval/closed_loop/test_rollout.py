from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from swerve.eval import METRIC_NAMES, Metric, build_context, score
from swerve.eval.closed_loop import ROLLOUT_METRICS, ClosedLoopOptions, drive, drive_prepared
from swerve.eval.traffic.policies import scoring_traffic_for
from swerve.scenes import LightState, Scene, SwerveError, extract_scenes
from swerve.scenes.planning import Trajectory
from swerve.scenes.viewpoints import ViewpointKind, build_log_geometry, logged
from tests.support.drives import NOW, closed_loop_scene_from, road, rollout_from, viewpoint
from tests.support.geometries import geometry_of
from tests.support.simple_log import simple_log
from tests.support.town_logs import town
from tests.support.wheel_planners import Breaks, Follows, Keeps

POLICIES = ("log-replay", "constant-velocity", "navsim-reactive", "lane-following")
# Progress is compared with another, and lights are run by entering.
SAME = [metric for metric in Metric if metric not in (Metric.EGO_PROGRESS, Metric.TRAFFIC_LIGHT_COMPLIANCE)]


@cache
def courses(policy, rate, seconds):
    """On the straight road with a light that is green and one that is red, and in a town."""
    starts = viewpoint(), viewpoint(now=20), viewpoint(town(3), 60)
    return [closed_loop_scene_from(start, traffic=policy, rate=rate, seconds=seconds) for start in starts]


@cache
def town_courses(traffic="log-replay", rate=2.0, seconds=8.0):
    """Three moments of a town in which the ego passes nothing that stands on its lane."""
    scenes = extract_scenes(town(1), history=1.5, future=8.0, interval=5.0)[:3]
    starts = [logged(scene, geometry_of(scene.log)) for scene in scenes]
    return [closed_loop_scene_from(start, traffic=traffic, rate=rate, seconds=seconds) for start in starts]


@pytest.mark.slow
@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("aside", [0.0, 5.0, -9.0])
def test_one_plan_of_four_seconds_is_what_open_loop_scores(policy, aside):
    """A single plan executed without replanning scores as in open loop."""
    for closed_loop_scene in courses(policy, 0.25, 4.0):
        rollout = drive_prepared(closed_loop_scene, Keeps(14.0, aside))
        scores = score(
            build_context(closed_loop_scene.viewpoint.scene),
            rollout.plans[0].trajectory.poses[None],
            policy=policy,
            human_filter=False,
        )
        np.testing.assert_array_equal(rollout.states, scores.states[0])
        told = [rollout.metrics[METRIC_NAMES[metric]] for metric in SAME]
        assert told == scores.raw[0, SAME].tolist()
        assert rollout.progress == pytest.approx(scores.sub_scores.progress[0])
        assert len(rollout.plans) == 1


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("rate", [10.0, 1.0])
def test_traffic_in_parts_is_the_policy_called_once_with_the_whole_drive(policy, rate):
    closed_loop_scene = courses(policy, rate, 6.0)[2]
    rollout = drive_prepared(closed_loop_scene, Keeps(3.0))
    whole = scoring_traffic_for(policy, closed_loop_scene.context, rollout.states[None])[0]
    np.testing.assert_array_equal(rollout.traffic.boxes, whole.boxes)
    np.testing.assert_array_equal(rollout.traffic.present, whole.present)
    assert rollout.traffic.ids == whole.ids


@pytest.mark.parametrize("policy", ["navsim-reactive", "lane-following"])
def test_who_is_behind_brakes_for_an_ego_that_stops(policy):
    log = road()
    positions = log.tracks.positions.copy()
    positions[1, :, :2] += [-48.0, 3.5]  # 50 m behind the ego, in its lane, faster
    log = replace(log, tracks=replace(log.tracks, positions=positions))
    stopped = rollout_from(Keeps(0.0), log, traffic=policy, rate=5.0)
    row = stopped.traffic.ids.index("track1")
    gap = stopped.states[:, 0] - 1.127 - (stopped.traffic.poses[:, row, 0] + 2.1)
    assert gap.min() > 0.0
    assert np.hypot(*stopped.traffic.velocities[-1, row]) < 3.0
    replayed = rollout_from(Keeps(0.0), log, rate=5.0)
    assert replayed.traffic.poses[-1, row, 0] > replayed.states[-1, 0]  # the log drives through the ego


def test_keeping_the_speed_is_worked_out_by_hand():
    """10 m/s for 8 s along the lane, behind a vehicle of the same speed: as the human, and as fast."""
    rollout = rollout_from(Keeps(), rate=2.0)
    np.testing.assert_allclose(rollout.states[:, 0], 20.0 + 10.0 * (NOW / 10 + rollout.times), atol=1e-6)
    np.testing.assert_allclose(rollout.states[:, 1], -1.75, atol=1e-9)
    assert rollout.progress == pytest.approx(80.0)
    assert rollout.human_progress == pytest.approx(80.0)
    assert [plan.seconds for plan in rollout.plans] == [0.5 * number for number in range(16)]
    assert rollout.score == pytest.approx(1.0, abs=1e-12)
    assert set(rollout.metrics) == set(ROLLOUT_METRICS)
    assert list(rollout.metrics.values()) == pytest.approx([1.0] * len(rollout.metrics), abs=1e-12)
    assert rollout.reasons == ()


def test_half_the_speed_costs_its_share_of_progress():
    rollout = rollout_from(Keeps(5.0), rate=2.0)
    share = rollout.progress / 80.0
    assert 0.5 < share < 0.6  # it has to brake first
    assert rollout.metrics["ego_progress"] == pytest.approx(share)
    comfort = rollout.metrics["history_comfort"]
    assert rollout.score == pytest.approx((5 * share + 5 + 4 + 2 * comfort) / 16)


def test_the_logged_driver_is_followed():
    """On the straight road exactly. In towns the tracker looks 1 s ahead at its speed, and cuts into every change."""
    straight = rollout_from(Follows(), rate=10.0)
    assert straight.score == 1.0
    np.testing.assert_allclose(straight.states[:, 0], 20.0 + 10.0 * (NOW / 10 + straight.times), atol=1e-3)
    for closed_loop_scene in town_courses():
        rollout = drive_prepared(closed_loop_scene, Follows())
        expert = closed_loop_scene.human_poses_at(np.arange(closed_loop_scene.steps))
        assert np.linalg.norm(rollout.states[:, :2] - expert[:, :2], axis=1).max() < 1.5
        assert rollout.metrics["ego_progress"] > 0.95
        for name in METRIC_NAMES[:4]:
            assert rollout.metrics[name] == 1.0


def test_standing_is_no_progress():
    rollout = rollout_from(Keeps(0.0), now=NOW, rate=2.0)
    assert rollout.metrics["making_progress"] == float(rollout.progress >= 0.2 * 80.0)
    slow = replace(simple_log(speed=2.0), route=("east",))
    stands = rollout_from(Keeps(0.0), slow, rate=2.0)
    assert stands.progress < 0.2 * stands.human_progress
    assert stands.metrics["making_progress"] == 0.0
    assert stands.score == 0.0
    assert "making_progress" in [reason.metric for reason in stands.reasons]


def no_number(observation):
    return Trajectory(np.full((8, 3), np.nan))


def nonsense(observation):
    return "turn left"


def crash(observation):
    raise RuntimeError("out of ideas")


@pytest.mark.parametrize(
    ("then", "message"), [(crash, "out of ideas"), (no_number, "not finite"), (nonsense, "str instead of")]
)
def test_a_planner_that_fails_at_two_seconds_ends_there(then, message):
    rollout = rollout_from(Breaks(4, then), rate=2.0)
    assert rollout.failed
    assert rollout.error.startswith("after 2.0 s: ")
    assert message in rollout.error
    assert rollout.score == 0.0
    assert set(rollout.metrics.values()) == {0.0}
    assert set(rollout.metrics) == set(ROLLOUT_METRICS)
    assert len(rollout.states) == len(rollout.traffic.present) == 21
    assert len(rollout.plans) == 4
    whole = rollout_from(Keeps(), rate=2.0)
    np.testing.assert_array_equal(rollout.states, whole.states[:21])


def names(rollout):
    return {reason.metric: reason for reason in rollout.reasons}


def test_running_into_the_car_ahead_is_a_collision():
    rollout = rollout_from(Keeps(22.0), rate=2.0)
    assert rollout.metrics["no_at_fault_collisions"] == 0.0
    assert rollout.score == 0.0
    assert names(rollout)["no_at_fault_collisions"].text == "hits vehicle track0: with its front"


def test_leaving_the_road_and_its_direction():
    right = rollout_from(Keeps(10.0, -2.0), rate=1.0)
    moments = [float("inf") if reason.seconds is None else reason.seconds for reason in right.reasons]
    assert len(set(moments)) > 1
    assert moments == sorted(moments)
    assert right.metrics["drivable_area_compliance"] == 0.0
    assert names(right)["drivable_area_compliance"].text.startswith("front right corner")
    left = rollout_from(Keeps(10.0, 1.2), rate=1.0)
    assert left.metrics["driving_direction_compliance"] == 0.0


def lit(red_from):
    """The ego's lane is cut in two at x = 100; the light of the second part turns red at a step."""
    log = simple_log()
    road = log.road_map
    whole = road.lane_by_id["east_left"]
    first, second = whole.centerline[:, 0] <= 100.0, whole.centerline[:, 0] >= 100.0
    outline = whole.polygon
    a = replace(whole, centerline=whole.centerline[first], polygon=np.minimum(outline, [100.0, 9e9, 9e9]))
    b = replace(whole, id="b", centerline=whole.centerline[second], polygon=np.maximum(outline, [100.0, -9e9, -9e9]))
    group = replace(road.lane_groups[0], lane_ids=("east_left", "east_right", "b"))
    lanes = (replace(a, successors=("b",)), b, *road.lanes[1:])
    road_map = replace(road, lanes=lanes, lane_groups=(group, *road.lane_groups[1:]))
    states = np.full((1, 121), LightState.GREEN, np.uint8)
    states[:, red_from:] = LightState.RED
    return replace(log, road_map=road_map, lights=replace(log.lights, lane_ids=("b",), states=states))


def test_running_a_red_light():
    """The front, 40.95 m before the second part, enters it after 4.1 s: open loop, over at 4 s, does not see it."""
    log = lit(NOW)
    rollout = rollout_from(Keeps(), log, rate=2.0)
    assert rollout.metrics["traffic_light_compliance"] == 0.0
    assert rollout.score == 0.0
    assert names(rollout)["traffic_light_compliance"].seconds == 4.1
    assert rollout_from(Keeps(), log, rate=2.0, seconds=4.0).metrics["traffic_light_compliance"] == 1.0
    assert rollout_from(Keeps(5.0), log, rate=2.0, seconds=5.0).metrics["traffic_light_compliance"] == 1.0


def test_a_light_that_turns_red_while_the_ego_is_past_it_is_not_run():
    later = rollout_from(Keeps(), lit(NOW + 45), rate=2.0)
    assert later.metrics["traffic_light_compliance"] == 1.0
    inside = rollout_from(Keeps(), now=20, rate=2.0)  # in the connector, and its light red, from the start on
    assert inside.metrics["traffic_light_compliance"] == 1.0


def test_driving_too_fast_costs_its_mean_excess():
    rollout = rollout_from(Keeps(14.5), now=NOW, rate=2.0, seconds=4.0)
    over = np.maximum(rollout.states[:, 3] - 13.9, 0.0).mean()
    assert over > 0.1
    assert rollout.metrics["speed_limit_compliance"] == pytest.approx(1.0 - over / 2.23)
    log = road()
    lanes = tuple(replace(lane, speed_limit=None) for lane in log.road_map.lanes)
    free = rollout_from(Keeps(5.0), replace(log, road_map=replace(log.road_map, lanes=lanes)), rate=2.0)
    share, comfort = free.metrics["ego_progress"], free.metrics["history_comfort"]
    assert np.isnan(free.metrics["speed_limit_compliance"])
    assert free.score == pytest.approx((5 * share + 5 + 2 * comfort) / 12)


def test_being_hit_from_behind_by_who_stood_at_first_is_nobodys_fault_here():
    """NAVSIM takes a track at rest when first observed as stopped throughout, and a collision with it as at-fault."""
    log = simple_log(speed=0.5)
    tracks = log.tracks
    positions, velocities = tracks.positions.copy(), tracks.velocities.copy()
    moving = np.maximum(np.arange(121) - NOW - 30, 0) * 0.1  # from 3 s on, at 6 m/s
    positions[1, :, 0], positions[1, :, 1] = 10.0 + 6.0 * moving, -1.75
    velocities[1, :, 0] = np.where(moving > 0, 6.0, 0.0)
    log = replace(log, tracks=replace(tracks, positions=positions, velocities=velocities))
    rollout = rollout_from(Keeps(), log, rate=2.0)
    row = rollout.traffic.ids.index("track1")
    assert (rollout.traffic.poses[:, row, 0] + 2.1 > rollout.states[:, 0] - 1.127).any()
    assert rollout.metrics["no_at_fault_collisions"] == 1.0
    early = score(build_context(Scene(log, NOW + 20, 20, 45)), np.outer(np.arange(1, 9), [0.25, 0, 0])[None])
    assert early.raw[0, Metric.NO_AT_FAULT_COLLISIONS] == 0.0


def test_the_same_drive_twice_is_the_same():
    for closed_loop_scene in town_courses("navsim-reactive")[:2]:
        first, other, again = (
            drive_prepared(closed_loop_scene, planner) for planner in (Follows(), Keeps(4.0, 0.3), Follows())
        )
        np.testing.assert_array_equal(first.states, again.states)
        np.testing.assert_array_equal(first.traffic.boxes, again.traffic.boxes)
        assert first.metrics == again.metrics
        assert first.reasons == again.reasons
        assert not np.array_equal(first.states, other.states)


def test_a_follow_up_is_driven_from_too():
    log = road()
    aside = log.ego.world_from_ego.copy()
    aside[:, 1, 3] += 0.5
    start = viewpoint(replace(log, ego=replace(log.ego, world_from_ego=aside)))
    start = replace(start, kind=ViewpointKind.FOLLOW_UP, human=log.ego.world_from_ego[NOW + 1 : NOW + 46])
    planner = Follows()
    rollout = drive(start, planner, ClosedLoopOptions(2.0, 8.0))
    assert rollout.states[0, 1] == -1.25
    assert abs(rollout.states[-1, 1] + 1.75) < 0.05
    assert rollout.human_progress == pytest.approx(80.0, abs=1e-6)
    np.testing.assert_allclose(planner.told[0].privileged.human[0], [5.0, -0.5, 0.0], atol=1e-9)


def test_a_rollout_ends_with_the_log_or_before_a_gap():
    log = road()
    assert len(rollout_from(Keeps(), log, now=70, rate=1.0, seconds=60.0).states) == 51
    times = log.times_us + np.where(np.arange(121) > 95, 300_000, 0)
    gap = replace(log, times_us=times)
    assert len(rollout_from(Keeps(), gap, now=40, rate=1.0, seconds=60.0).states) == 56
    with pytest.raises(SwerveError, match="4 s after it"):
        drive(logged(Scene(log, 90, 20, 20), build_log_geometry(log)), Keeps(), ClosedLoopOptions())


def test_what_cannot_be_driven_is_named():
    for options, complaint in (
        ({"rate": 3.0}, "3 plans per second"),
        ({"rate": 0.0}, "0 plans"),
        ({"seconds": 3.0}, "must be 4 or more"),
    ):
        with pytest.raises(SwerveError, match=complaint):
            ClosedLoopOptions(**options)
    seat = replace(viewpoint(), kind=ViewpointKind.RECOVERY)
    with pytest.raises(SwerveError, match="logged viewpoints and follow-ups"):
        drive(seat, Keeps(), ClosedLoopOptions())
