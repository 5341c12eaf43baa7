"""Recovery viewpoints; tests named p1 to p10 are faults of the original (RAP)."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swerve.scenes import Ego, ObjectClass, Scene, Tracks, Vehicle, keyed_generator
from swerve.scenes.transforms import (
    inverse,
    pose_from_yaw,
    relative_poses,
    rigid_transform,
    rotation_about_z,
    wrap_angle,
    yaw_of,
)
from swerve.scenes.viewpoints import Command, KinematicLimits, RecoveryOptions, Rejection, Viewpoint, build_log_geometry
from swerve.scenes.viewpoints.recovery import recovery, recovery_at
from swerve.scenes.viewpoints.recovery_offsets import sample_offsets
from tests.support.simple_log import STEP_US, STEPS, arc_log, empty_road

SECONDS = np.arange(STEPS) * STEP_US * 1e-6
NOW, HISTORY, FUTURE = 40, 20, 50


def fixed(scene, geometry, offsets=(0.0, 0.0, 0.0, 0.0), index=0, **options):
    """The viewpoint with offsets that are given instead of drawn."""
    return recovery_at(scene, index, np.array(offsets), RecoveryOptions(**options), geometry)


def scene_of(log):
    return Scene(log, NOW, HISTORY, FUTURE)


def recover(log, offsets=None, index=0, seed=0, **options):
    scene, geometry = scene_of(log), build_log_geometry(log)
    if offsets is None:
        return recovery(scene, index, RecoveryOptions(**options), seed, geometry)
    return fixed(scene, geometry, offsets, index, **options)


def in_path_frame(log, pose):
    """(x, y, heading) of a pose seen from the logged pose now."""
    return relative_poses(log.ego.world_from_ego[NOW], pose)


LOGS = [
    empty_road(10.0),
    empty_road(3.0),
    empty_road(16.0),
    arc_log(),
    arc_log(heading=3.0, start=4.5),
    arc_log(speed=6.0, braking=0.5),
]
GEOMETRIES = [build_log_geometry(log) for log in LOGS]
offsets_of = st.tuples(st.floats(-2, 2), st.floats(-2, 2), st.floats(-0.26, 0.26), st.floats(-0.2, 0.2))
cases = st.tuples(st.integers(0, len(LOGS) - 1), offsets_of)


def made(case):
    """A viewpoint with the offsets of a case, off the road or not; None where none is feasible."""
    row, offsets = case
    found = fixed(scene_of(LOGS[row]), GEOMETRIES[row], offsets, surface_tolerance=9.0)
    if isinstance(found, Rejection):
        assert found.reason == "infeasible"
        return None
    return found


def test_p1_a_viewpoint_carries_the_state_that_a_scorer_starts_from():
    """RAP scored proposals of perturbed samples from the unperturbed pose of the metric cache (median 3.9 m off 30 m
    ahead). Here the state now, its past and the body are the viewpoint's own."""
    found = recover(empty_road(), (1.0, 0.5, 0.1, 0.1))
    np.testing.assert_allclose(in_path_frame(found.scene.log, found.world_from_ego), [0.5, 1.0, 0.1], atol=1e-6)
    assert len(found.ego) == HISTORY + 1
    assert len(found.target) == len(found.human) == FUTURE
    np.testing.assert_allclose(found.ego.velocity[-1], [11.0, 0.0], atol=1e-6)
    assert found.vehicle == Vehicle.pacifica()


def test_p2_p9_every_draw_has_a_number_and_is_the_same_whatever_else_is_drawn():
    """RAP wrote perturbed images over the base ones and left `index` at -1. Here (kind, index) tells them apart."""
    log = empty_road()
    many = [recover(log, index=index) for index in range(6)]
    assert [found.index for found in many] == list(range(6))
    alone = recover(log, index=4)
    assert alone.parameters == many[4].parameters
    np.testing.assert_array_equal(alone.target, many[4].target)
    assert len({found.parameters["lateral"] for found in many if isinstance(found, Viewpoint)}) > 3


def test_p3_the_perturbed_pose_keeps_the_tilt_of_the_road():
    """RAP multiplied yaw, pitch and roll in the wrong order, for up to 7.2 degrees of error. Here the z axis stays."""
    log, normal = empty_road(slope=0.08), np.array([-0.08, 0.0, 1.0]) / np.hypot(0.08, 1.0)
    tilt = rigid_transform(np.stack([np.cross([0.0, 1.0, 0.0], normal), [0.0, 1.0, 0.0], normal], axis=1), np.zeros(3))
    log = replace(log, ego=replace(log.ego, world_from_ego=log.ego.world_from_ego @ tilt))
    found = recover(log, (1.5, 0.5, 0.2, 0.0))
    poses = np.concatenate([found.ego.world_from_ego, found.target])
    np.testing.assert_allclose(poses[:, :3, 2], np.broadcast_to(normal, (len(poses), 3)), atol=1e-9)
    np.testing.assert_allclose(
        poses[:, :3, :3] @ np.swapaxes(poses[:, :3, :3], 1, 2), [np.eye(3)] * len(poses), atol=1e-9
    )
    np.testing.assert_allclose(yaw_of(found.world_from_ego), 0.2, atol=1e-6)
    np.testing.assert_allclose(poses[:, 2, 3], 0.08 * poses[:, 0, 3], atol=0.01)


def test_the_height_without_a_map_follows_the_tilt_of_the_poses():
    """Banked by 5 %: 2 m to the left is 0.1 m higher."""
    log = arc_log(radius=1e9)
    bank = np.array([0.0, -0.05, 1.0]) / np.hypot(0.05, 1.0)
    tilt = rigid_transform(np.stack([[1.0, 0.0, 0.0], np.cross(bank, [1.0, 0.0, 0.0]), bank], axis=1), np.zeros(3))
    log = replace(log, ego=replace(log.ego, world_from_ego=log.ego.world_from_ego @ tilt))
    found = recover(log, (2.0, 0.0, 0.0, 0.0))
    np.testing.assert_allclose(found.world_from_ego[:3, 3] - log.ego.positions[NOW], [0.0, 2.0, 0.1], atol=1e-3)
    assert found.parameters["surface_checked"] == 0.0


@given(st.floats(-np.pi, np.pi), offsets_of)
@settings(max_examples=15)
def test_p4_offsets_are_along_and_beside_the_path(heading, offsets):
    """RAP jittered x and y in global axes, so that lateral and longitudinal mixed with the road's direction."""
    log = arc_log(radius=1e9, heading=heading)
    found = recover(log, offsets)
    lateral, longitudinal, turn, faster = offsets
    if isinstance(found, Viewpoint):
        pose = in_path_frame(log, found.world_from_ego)
        np.testing.assert_allclose(pose, [longitudinal, lateral, turn], atol=2e-3)
        np.testing.assert_allclose(found.ego.velocity[-1], [8.0 * (1 + faster), 0.0], atol=1e-3)


@given(cases)
def test_p5_the_way_back_is_bounded_at_every_step(case):
    """RAP asked to be back on the path within 0.5 s: at 14 m/s a third of its draws need more than 4.89 m/s2.

    Speed, heading, curvature, acceleration and jerk are recomputed here from the positions alone; a tenth is left to
    finite differences over 0.1 s. None of these logs' humans takes a bound.
    """
    found = made(case)
    if found is None:
        return
    poses = np.concatenate([found.ego.world_from_ego[-3:], found.target])
    move = np.diff(poses[:, :2, 3], axis=0)
    length = np.linalg.norm(move, axis=1)
    speed, bounds = length / 0.1, KinematicLimits()
    moving = speed > 0.5
    direction = np.unwrap(np.arctan2(move[:, 1], move[:, 0]))
    curvature = np.diff(direction) / ((length[1:] + length[:-1]) / 2 + 1e-9)
    both = moving[1:] & moving[:-1]
    middle = (speed[1:] + speed[:-1]) / 2
    pull = np.diff(speed) / 0.1
    assert np.abs(curvature[both]).max() <= 1.1 * bounds.curvature(found.vehicle)
    assert np.abs(middle**2 * curvature)[both].max() <= 1.1 * bounds.max_lateral_acceleration
    assert np.abs(middle * curvature)[both].max() <= 1.1 * bounds.yaw_rate
    assert pull.max() <= 1.1 * bounds.max_acceleration
    assert pull.min() >= -1.1 * bounds.max_deceleration
    assert np.abs(np.diff(pull)).max() / 0.1 <= 1.1 * bounds.max_longitudinal_jerk
    assert found.parameters["limit_ratio"] <= 1.0


@given(cases)
def test_the_ego_drives_along_its_heading_through_history_and_future(case):
    """No slip at the rear axle, within 0.5 degrees (of the chord over 0.1 s), and speeds that match the positions."""
    found = made(case)
    if found is None:
        return
    poses = np.concatenate([found.ego.world_from_ego, found.target])
    move = np.diff(poses[:, :2, 3], axis=0)
    length = np.linalg.norm(move, axis=1)
    heading = yaw_of(poses)
    middle = heading[:-1] + wrap_angle(np.diff(heading)) / 2
    slip = wrap_angle(np.arctan2(move[:, 1], move[:, 0]) - middle)
    assert np.abs(slip[length > 0.05]).max() < np.deg2rad(0.5)
    mean_speed = (found.ego.velocity[1:, 0] + found.ego.velocity[:-1, 0]) / 2
    np.testing.assert_allclose(length[:HISTORY] / 0.1, mean_speed, atol=0.03)
    mean_turn = (found.ego.yaw_rate[1:] + found.ego.yaw_rate[:-1]) / 2
    np.testing.assert_allclose(wrap_angle(np.diff(heading))[:HISTORY] / 0.1, mean_turn, atol=0.03)
    mean_pull = (found.ego.acceleration[1:, 0] + found.ego.acceleration[:-1, 0]) / 2
    np.testing.assert_allclose(np.diff(found.ego.velocity[:, 0]) / 0.1, mean_pull, atol=0.1)
    np.testing.assert_allclose(found.ego.velocity[:, 1], 0.0)


@given(cases)
def test_the_way_back_ends_on_the_logged_path(case):
    """Within 5 cm of it and half a degree of its direction; on schedule also of the human's place."""
    found = made(case)
    if found is None:
        return
    line = found.scene.log.ego.world_from_ego
    end = found.target[-1]
    seen = relative_poses(end, line)
    nearest = np.abs(seen[:, 0]).argmin()
    # Between two logged poses: what the nearer one's heading does not explain is at most its sagitta.
    beside = seen[nearest, 1] - seen[nearest, 0] * np.tan(seen[nearest, 2])
    assert abs(beside) < 0.05
    assert abs(seen[nearest, 2]) < np.deg2rad(0.5) + abs(seen[nearest, 0]) / 39
    if found.parameters["rejoins_schedule"]:
        assert np.linalg.norm(end[:2, 3] - found.human[-1, :2, 3]) < 0.05


@given(cases)
@settings(max_examples=20)
def test_small_offsets_change_little_and_none_changes_nothing(case):
    """Continuity: history and future of the unperturbed draw are the log's."""
    row, _ = case
    found = fixed(scene_of(LOGS[row]), GEOMETRIES[row])
    assert isinstance(found, Viewpoint)
    scene = found.scene
    np.testing.assert_allclose(found.target[:, :2, 3], found.human[:, :2, 3], atol=0.03)
    past = scene.ego.at(slice(0, HISTORY + 1))
    np.testing.assert_allclose(found.ego.positions, past.positions, atol=0.03)
    np.testing.assert_allclose(found.ego.velocity[:, 0], past.velocity[:, 0], atol=0.05)


def with_box(log, x, y, size=(4.0, 2.0, 1.5), speed=0.0):
    positions = np.stack([x + speed * SECONDS, np.full(STEPS, y), np.full(STEPS, size[2] / 2)], axis=1)[None]
    box = Tracks(
        ("box",),
        np.array([ObjectClass.VEHICLE], np.uint8),
        positions,
        np.zeros((1, STEPS)),
        np.broadcast_to(np.array(size), (1, STEPS, 3)).copy(),
        np.broadcast_to(np.array([speed, 0.0]), (1, STEPS, 2)).copy(),
        np.ones((1, STEPS), bool),
    )
    return replace(log, tracks=log.tracks.concatenate(box))


@pytest.mark.parametrize(
    ("x", "y", "lateral", "reason"),
    [
        (61.5, 0.6, 0.0, None),  # beside the ego: 0.2 m free
        (61.5, 0.6, 0.3, "collision_at_start"),
        (75.0, 0.6, 1.0, "collision_later"),  # not yet back when it passes
        (110.0, 0.6, 1.0, None),  # back by then
    ],
)
def test_p6_collisions_now_and_later_are_rejected(x, y, lateral, reason):
    """RAP never looked whether a perturbed pose stands in somebody. The ego is at (60, -1.75), 2.3 m wide."""
    found = recover(with_box(empty_road(), x, y), (lateral, 0.0, 0.0, 0.0))
    assert (found.reason if isinstance(found, Rejection) else None) == reason


@pytest.mark.parametrize(
    ("x", "y", "size", "reason"),
    [
        (51.0, 0.6, (4.0, 2.0, 1.5), "collision_before"),  # its side is at -0.4, the ego's at -0.1
        (51.0, 0.6, (4.0, 1.0, 1.5), None),  # 0.2 m free
        (30.0, 0.6, (4.0, 2.0, 1.5), None),  # passed before the history
    ],
)
def test_collisions_of_the_history_are_rejected(x, y, size, reason):
    """Recoveries drove through boxes before they began. The ego ends its history at (60, -1.25), beside the box's
    place, which it passed in the last second."""
    found = recover(with_box(empty_road(), x, y, size), (0.5, 0.0, 0.0, 0.0))
    assert (found.reason if isinstance(found, Rejection) else None) == reason


@pytest.mark.parametrize(("low", "reason"), [(-3.2, "off_road_before"), (-4.5, None)])
def test_leaving_the_road_in_the_history_is_rejected(low, reason):
    """Turned to the left by 0.2 rad now, the ego comes from the right, where its side was below y = -3.4."""
    log = empty_road()
    area = log.road_map.drivable_areas[0]
    polygon = area.polygon.copy()
    polygon[:2, 1] = low
    road_map = replace(log.road_map, lanes=(), drivable_areas=(replace(area, polygon=polygon),))
    found = recover(replace(log, road_map=road_map), (0.3, 0.0, 0.2, 0.0))
    assert (found.reason if isinstance(found, Rejection) else None) == reason


def test_p6_others_are_where_they_are_at_each_step():
    """A car beside the ego at its pace is met later, but not where it stood at the start."""
    log = with_box(empty_road(), 20.0 + 20.0, 0.6, speed=10.0)  # 20 m ahead of the ego's start, always
    assert isinstance(recover(log, (1.5, 0.0, 0.0, 0.0)), Viewpoint)
    assert isinstance(recover(with_box(empty_road(), 80.0, 0.6), (1.5, 0.0, 0.0, 0.0)), Rejection)


def test_p6_a_box_over_the_logged_ego_is_an_error_and_does_not_count():
    log = with_box(empty_road(), 61.5, -1.75, size=(1.0, 1.0, 1.0))
    assert isinstance(recover(log, (0.5, 0.0, 0.0, 0.0)), Viewpoint)


@pytest.mark.parametrize(
    ("low", "offsets", "reason"),
    [
        (-3.2, (-0.4, 0.0, 0.0, 0.0), None),  # side at -3.30: 0.1 m over, within the slack
        (-3.2, (-0.6, 0.0, 0.0, 0.0), "off_road_at_start"),
        (-3.2, (0.0, 0.0, -0.15, 0.0), "off_road_at_start"),  # the front right corner is at -3.49
        (-3.2, (0.3, 0.0, -0.15, 0.0), "off_road_later"),  # it swings out
        (-2.6, (-0.1, 0.0, 0.0, 0.0), None),  # the logged ego itself is 0.3 m off
        (-2.6, (-0.4, 0.0, 0.0, 0.0), "off_road_at_start"),
    ],
)
def test_p6_leaving_the_road_is_rejected_by_as_much_as_the_human_stays(low, offsets, reason):
    """RAP never looked at the drivable area. The road reaches from y = 7 down to `low`; the ego's side is at -2.90."""
    log = empty_road()
    area = log.road_map.drivable_areas[0]
    polygon = area.polygon.copy()
    polygon[:2, 1] = low
    road_map = replace(log.road_map, lanes=(), drivable_areas=(replace(area, polygon=polygon),))
    found = recover(replace(log, road_map=road_map), offsets)
    assert (found.reason if isinstance(found, Rejection) else None) == reason


def test_p7_the_command_is_that_of_the_strayed_place():
    """RAP kept the command of the unperturbed pose. An arc of 40 m radius from 60.3 m on: its side is 2 m at 12.6 m
    into it, so that the command is LEFT from 52.9 m on, between the two places."""
    log = arc_log(speed=8.0, radius=40.0, start=60.3 / 8.0, ramp=0.01)
    now = int(np.ceil(52.9 / 0.8))
    scene, geometry = Scene(log, now, HISTORY, FUTURE), build_log_geometry(log)
    commands = []
    for longitudinal in (-1.5, 1.5):
        found = fixed(scene, geometry, (0.0, longitudinal, 0.0, 0.0))
        commands.append(found.command)
    assert commands == [Command.STRAIGHT, Command.LEFT]


@pytest.mark.parametrize("turn", [-0.25, 0.25])
def test_the_command_says_nothing_of_a_perturbed_heading(turn):
    assert recover(empty_road(), (0.0, 0.0, turn, 0.0)).command == Command.STRAIGHT


def test_p7_lights_and_map_stay_in_the_world():
    """RAP's lights were up to 0.7 m off. Here they are the scene's, which has only one copy of them."""
    log = empty_road()
    found = recover(log, (1.0, 0.0, 0.0, 0.0))
    assert found.scene.log is log
    np.testing.assert_array_equal(found.scene.lights.positions, log.lights.positions)


@given(cases)
@settings(max_examples=20)
def test_p8_the_velocity_is_in_the_body_frame_of_the_new_pose(case):
    """RAP scaled vx and vy independently while it turned the yaw. Here the speed is along the heading."""
    found = made(case)
    if found is None:
        return
    row, (_, _, _, faster) = case
    speed = GEOMETRIES[row].ego_motion.speeds[NOW]
    np.testing.assert_allclose(found.ego.velocity[-1], [speed * (1 + faster), 0.0], atol=1e-9)
    side = found.ego.velocity[-1, 0] * found.ego.yaw_rate[-1]
    np.testing.assert_allclose(found.ego.acceleration[-1, 1], side, atol=1e-9)


def test_p10_the_whole_rig_comes_along():
    """RAP drew three cameras and its planner saw black in the fourth."""
    log = empty_road()
    assert recover(log, (1.0, 0.0, 0.0, 0.0)).cameras == log.cameras


def test_m7_headings_cross_the_wrap():
    """RAP left headings unwrapped. Here a log towards -x, whose yaw flickers about +-pi, is like any other."""
    log = arc_log(radius=1e9, heading=np.pi)
    found = recover(log, (1.0, 0.5, -0.1, 0.1))
    same = recover(arc_log(radius=1e9), (1.0, 0.5, -0.1, 0.1))
    turned = pose_from_yaw(np.zeros(3), np.pi) @ same.target
    np.testing.assert_allclose(found.target, turned, atol=1e-6)


@pytest.mark.slow
@given(st.floats(-np.pi, np.pi), st.floats(-500, 500), st.integers(0, 5))
@settings(max_examples=20)
def test_moving_the_world_moves_the_viewpoint(angle, shift, index):
    log = arc_log()
    new_from_old = rigid_transform(rotation_about_z(angle), np.array([shift, -shift, 3.0]))
    moved = replace(log, ego=replace(log.ego, world_from_ego=new_from_old @ log.ego.world_from_ego))
    a, b = recover(log, index=index), recover(moved, index=index)
    assert type(a) is type(b)
    if isinstance(a, Viewpoint):
        np.testing.assert_allclose(new_from_old @ a.target, b.target, atol=1e-5)
        np.testing.assert_allclose(new_from_old @ a.ego.world_from_ego, b.ego.world_from_ego, atol=1e-5)
        np.testing.assert_allclose(a.ego.velocity, b.ego.velocity, atol=1e-6)
        assert a.command == b.command


def standing_then_going(wait):
    """Stands for `wait` seconds, then speeds up by 2 m/s2."""
    x = np.maximum(SECONDS - wait, 0.0) ** 2
    poses = pose_from_yaw(np.stack([x, 0 * x, 0 * x], axis=1), np.zeros(STEPS))
    log = empty_road()
    return replace(log, ego=Ego.from_poses(poses, log.times_us), road_map=None)


def test_who_stood_stands_askew():
    """A standing car cannot have turned within its history: it stood in the strayed pose all along."""
    found = recover(standing_then_going(5.0), (0.5, -0.5, 0.1, 0.2))
    assert isinstance(found, Viewpoint)
    np.testing.assert_allclose(found.ego.positions, found.ego.positions[-1:] * np.ones((HISTORY + 1, 1)), atol=5e-3)
    np.testing.assert_allclose(found.ego.headings, 0.1, atol=1e-3)
    np.testing.assert_allclose(found.ego.velocity, 0.0, atol=0.02)


@pytest.mark.parametrize("wait", [9.0, 99.0])
def test_who_stands_on_has_nowhere_to_return(wait):
    """The path of a car that never moved is one point: no error, a reason."""
    assert recover(standing_then_going(wait)).reason == "standing"


def recover_at(log, now, offsets):
    return fixed(Scene(log, now, HISTORY, FUTURE), build_log_geometry(log), offsets)


def test_a_drive_from_before_a_log_that_begins_in_a_bend_is_rejected():
    """Nobody knows the bend there: the straight run-out would ask for 1.6 m/s2 of side acceleration in one step. Who
    begins on the path has that acceleration from the first step on."""
    log = arc_log(speed=8.0, radius=40.0)
    assert recover_at(log, HISTORY, (0.0, -1.0, 0.0, 0.0)).reason == "beyond_log"
    for longitudinal in (0.0, 1.0):
        found = recover_at(log, HISTORY, (0.0, longitudinal, 0.0, 0.0))
        np.testing.assert_allclose(found.ego.acceleration[:, 1], 1.6, atol=0.1)


@given(st.tuples(st.floats(-2, 2), st.floats(0, 25), st.floats(-0.26, 0.26), st.floats(-0.2, 0.2)))
@settings(max_examples=30)
def test_a_drive_past_a_log_that_ends_in_a_bend_is_rejected(offsets):
    """What is made ends on the circle, and not on its tangent (1.25 m off at 10 m)."""
    found = fixed(Scene(LOGS[3], STEPS - 1 - FUTURE, HISTORY, FUTURE), GEOMETRIES[3], offsets)
    if isinstance(found, Viewpoint):
        first, last = LOGS[3].ego.positions[0, :2], found.target[-1, :2, 3]
        assert np.linalg.norm(last - first - [0.0, 40.0]) == pytest.approx(40.0, abs=0.15)


def test_a_straight_log_may_be_left_at_its_ends_as_far_as_its_path_goes_on():
    log = empty_road()
    assert isinstance(recover_at(log, HISTORY, (0.5, -2.0, 0.0, 0.0)), Viewpoint)
    assert recover_at(log, HISTORY, (0.0, -40.0, 0.0, 0.0)).reason == "beyond_log"


def test_poses_that_no_car_drives_are_no_path():
    log = arc_log()
    poses = log.ego.world_from_ego.copy()
    poses[NOW + 5 :, 1, 3] += 1.5
    assert recover(replace(log, ego=Ego.from_poses(poses, log.times_us))).reason == "rough_log"
    backwards = arc_log(speed=-2.0, radius=1e9)
    poses = pose_from_yaw(backwards.ego.positions - [[0.2, 0, 0]] * SECONDS[:, None] * 10, np.zeros(STEPS))
    assert recover(replace(log, ego=Ego.from_poses(poses, log.times_us))).reason == "rough_log"


@pytest.mark.parametrize("distribution", ["uniform", "normal"])
def test_draws_fill_their_ranges(distribution):
    options = RecoveryOptions(distribution=distribution)
    draws = np.array(
        [sample_offsets(options, 3, "log", str(token), index) for token in range(500) for index in range(2)]
    )
    limits = np.array([2.0, 2.0, np.deg2rad(15.0), 0.2])
    assert (np.abs(draws) <= limits).all()
    expected = 1 / np.sqrt(3) if distribution == "uniform" else 0.5 * 0.8796
    np.testing.assert_allclose((draws / limits).std(axis=0), expected, rtol=0.08)
    np.testing.assert_allclose((draws / limits).mean(axis=0), 0.0, atol=0.06)
    np.testing.assert_array_equal(sample_offsets(options, 3, "log", "7", 1), draws[15])
    assert not np.array_equal(sample_offsets(options, 4, "log", "7", 1), draws[15])


def test_a_draw_is_that_of_the_keyed_generator():
    """So that it is the same on any machine, in any order, after any restart."""
    share = keyed_generator(5, "log", "123", "recovery", 2).random(4)
    expected = (2 * share - 1) * [2.0, 2.0, np.deg2rad(15.0), 0.2]
    np.testing.assert_allclose(sample_offsets(RecoveryOptions(), 5, "log", "123", 2), expected)


def test_the_human_is_kept_as_second_label():
    log = arc_log()
    found = recover(log, (1.0, 0.0, 0.0, 0.0))
    np.testing.assert_array_equal(found.human, log.ego.world_from_ego[NOW + 1 : NOW + FUTURE + 1])
    assert inverse(found.human[0])[0, 3] != inverse(found.target[0])[0, 3]
