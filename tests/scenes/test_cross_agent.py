"""Cross-agent viewpoints; tests named x1 to x12 are faults of the original (RAP)."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from swerve.scenes import ObjectClass, Scene, Tracks, Vehicle
from swerve.scenes.transforms import (
    pose_from_yaw,
    relative_poses,
    rigid_transform,
    rotation_about_z,
    wrap_angle,
    yaw_of,
)
from swerve.scenes.viewpoints import Command, CrossAgentOptions, Rejection, Viewpoint, build_log_geometry
from swerve.scenes.viewpoints import cross_agent as module
from swerve.scenes.viewpoints.cross_agent import coverage_fraction, cross_agent, cross_agents, scaled_rig
from tests.support.simple_log import STEP_US, STEPS, simple_log

SECONDS = np.arange(STEPS) * STEP_US * 1e-6
NOW, HISTORY, FUTURE = 40, 20, 50
SIZE = (4.6, 1.9, 1.6)
SPEED, RADIUS = 6.0, 20.0


def agent(x, y, heading, size=SIZE, slope=0.0, name="agent"):
    """A vehicle whose rear axle runs through (x, y) with `heading`; its box stands on the slope."""
    vehicle = Vehicle.from_box(*size)
    centers = np.stack([x, y], axis=1) + vehicle.rear_axle_to_center * np.stack([np.cos(heading), np.sin(heading)], 1)
    height = slope * centers[:, 0] + size[2] / 2
    return Tracks(
        (name,),
        np.array([ObjectClass.VEHICLE], np.uint8),
        np.concatenate([centers, height[:, None]], axis=1)[None],
        heading[None],
        np.broadcast_to(np.array(size), (1, STEPS, 3)).copy(),
        np.gradient(centers, SECONDS, axis=0)[None],
        np.ones((1, STEPS), bool),
    )


def circling(start=0.0, left=True, **kwargs):
    """Drives a circle of 20 m at 6 m/s, heading `start` now."""
    sign = 1.0 if left else -1.0
    heading = start + sign * SPEED / RADIUS * (SECONDS - SECONDS[NOW])
    x = 100.0 + sign * RADIUS * (np.sin(heading) - np.sin(start))
    y = 40.0 - sign * RADIUS * (np.cos(heading) - np.cos(start))
    return agent(x, y, heading, **kwargs)


def with_agent(tracks, slope=0.0, everywhere=True):
    """The simple log with one other vehicle; the whole plain is drivable unless told otherwise."""
    log = simple_log(slope=slope)
    plain = replace(
        log.road_map.drivable_areas[0],
        polygon=np.array([[-99.0, -99.0, 0.0], [299.0, -99.0, 0.0], [299.0, 199.0, 0.0], [-99.0, 199.0, 0.0]]),
    )
    if everywhere:
        log = replace(log, road_map=replace(log.road_map, drivable_areas=(plain,)))
    return replace(log, tracks=tracks)


def seat(log, row=0, **options):
    return cross_agent(Scene(log, NOW, HISTORY, FUTURE), row, CrossAgentOptions(**options), build_log_geometry(log))


@pytest.mark.parametrize("heading", [0.0, np.pi / 4, np.pi / 2, np.pi, -np.pi / 2])
def test_x1_x6_motion_is_in_the_agents_own_body_frame(heading):
    """RAP rotated the velocity by +yaw instead of -yaw: an agent at 90 degrees drove backwards, one at 45 sideways;
    its accelerations were differences of such velocities, each in another frame. Here: 6 m/s ahead, none to the side,
    v2/R to the left, v/R of yaw rate, whatever the heading."""
    found = seat(with_agent(circling(heading)))
    assert isinstance(found, Viewpoint)
    np.testing.assert_allclose(found.ego.velocity, np.broadcast_to([SPEED, 0.0], (HISTORY + 1, 2)), atol=0.02)
    expected = np.broadcast_to([0.0, SPEED**2 / RADIUS], (HISTORY + 1, 2))
    np.testing.assert_allclose(found.ego.acceleration, expected, atol=0.1)
    np.testing.assert_allclose(found.ego.yaw_rate, SPEED / RADIUS, atol=0.01)
    np.testing.assert_allclose(wrap_angle(yaw_of(found.world_from_ego) - heading), 0.0, atol=0.01)


def test_x6_speeding_up():
    """1.5 m/s2 straight ahead, to the side of the world."""
    y = 40.0 + 0.75 * SECONDS**2
    found = seat(with_agent(agent(np.full(STEPS, 80.0), y, np.full(STEPS, np.pi / 2))), max_distance=200.0)
    np.testing.assert_allclose(found.ego.acceleration[-1], [1.5, 0.0], atol=0.05)
    np.testing.assert_allclose(found.ego.velocity[-1], [1.5 * SECONDS[NOW], 0.0], atol=0.05)


def test_x1_the_old_egos_velocity_is_in_world_axes_at_its_middle():
    """RAP turned the old ego's velocity the wrong way too."""
    log = with_agent(circling())
    turning = replace(log.ego, yaw_rate=np.full(STEPS, 0.1))
    found = seat(replace(log, ego=turning))
    np.testing.assert_allclose(found.tracks.velocities[-1, HISTORY], [10.0, 0.1 * (5.176 / 2 - 1.127)], atol=1e-9)


def test_x2_lights_stay_in_the_world():
    """RAP copied the lights relative to the original ego: wrong by the full offset between the vehicles."""
    log = with_agent(circling())
    found = seat(log)
    np.testing.assert_array_equal(found.scene.lights.positions, log.lights.positions)
    seen = relative_poses(found.world_from_ego, rigid_transform(np.eye(3), log.lights.positions[0]))
    np.testing.assert_allclose(seen[:2], log.lights.positions[0, :2] - found.world_from_ego[:2, 3], atol=1.0)


def test_x3_the_old_ego_is_a_vehicle_of_its_true_size_at_its_true_place():
    """RAP put a box 5 m high at the old ego's rear axle. Here its middle is 1.461 m ahead of it, half its height up."""
    log = with_agent(circling(slope=0.05), slope=0.05)
    tracks = seat(log).tracks
    assert tracks.ids == ("ego",)
    assert tracks.classes.tolist() == [ObjectClass.VEHICLE]
    np.testing.assert_allclose(tracks.sizes[0, HISTORY], [5.176, 2.297, 1.777])
    rear_axle = log.ego.positions[NOW]
    np.testing.assert_allclose(tracks.positions[0, HISTORY], rear_axle + np.array([1.461, 0.0, 1.777 / 2]), atol=1e-9)
    assert tracks.valid.all()


def test_x4_the_pose_is_the_rear_axle_on_the_ground():
    """RAP took the box's middle for the rear axle and for the ground: the world sank by half a vehicle's height."""
    log = with_agent(circling(slope=0.05), slope=0.05)
    found = seat(log)
    poses = np.concatenate([found.ego.world_from_ego, found.target])
    heading = SPEED / RADIUS * (SECONDS - SECONDS[NOW])[NOW - HISTORY : NOW + FUTURE + 1]
    expected = np.stack([100.0 + RADIUS * np.sin(heading), 40.0 + RADIUS * (1 - np.cos(heading))], axis=1)
    np.testing.assert_allclose(poses[:, :2, 3], expected, atol=0.05)
    np.testing.assert_allclose(poses[:, 2, 3], 0.05 * poses[:, 0, 3], atol=1e-4)
    normal = np.array([-0.05, 0.0, 1.0]) / np.hypot(0.05, 1.0)
    np.testing.assert_allclose(poses[:, :3, 2], np.broadcast_to(normal, (len(poses), 3)), atol=1e-5)
    np.testing.assert_allclose(wrap_angle(yaw_of(poses) - heading), 0.0, atol=0.01)


def test_x4_without_a_map_the_boxes_stand_on_the_ground():
    log = replace(with_agent(circling(slope=0.05), slope=0.05), road_map=None, route=())
    found = seat(log)
    middle = log.tracks.positions[0, NOW]
    np.testing.assert_allclose(found.world_from_ego[2, 3], middle[2] - SIZE[2] / 2, atol=0.03)
    assert found.parameters["surface_checked"] == 0.0


def test_x5_the_split_of_the_log_comes_along():
    """RAP excluded validation logs from perturbed samples only: cross-agent ones of them were trained on."""
    log = replace(with_agent(circling()), split="val")
    assert seat(log).scene.log.split == "val"


def test_x7_noise_of_the_boxes_is_smoothed():
    """RAP took raw boxes for pose, heading and label. Here 10 cm and 1.7 degrees of noise become less than 6 cm and
    0.8 degrees (root mean square), and the yaw rate, 0.43 rad/s off by raw differences, is within 0.06."""
    noise = np.random.default_rng(0)
    clean = circling()
    noisy = replace(
        clean,
        positions=clean.positions + 0.1 * noise.standard_normal(clean.positions.shape),
        headings=clean.headings + 0.03 * noise.standard_normal(clean.headings.shape),
    )
    found = seat(with_agent(noisy))
    heading = (SPEED / RADIUS * (SECONDS - SECONDS[NOW]))[NOW - HISTORY :][: HISTORY + FUTURE + 1]
    poses = np.concatenate([found.ego.world_from_ego, found.target])
    expected = np.stack([100.0 + RADIUS * np.sin(heading), 40.0 + RADIUS * (1 - np.cos(heading))], axis=1)
    assert np.sqrt(((poses[:, :2, 3] - expected) ** 2).sum(axis=1).mean()) < 0.06
    assert np.sqrt((wrap_angle(yaw_of(poses) - heading) ** 2).mean()) < np.deg2rad(0.8)
    raw = np.diff(noisy.headings[0]) / 0.1 - SPEED / RADIUS
    assert np.sqrt((raw**2).mean()) > 0.35
    assert np.sqrt(((found.ego.yaw_rate - SPEED / RADIUS) ** 2).mean()) < 0.06


def test_x8_nothing_is_made_for_what_is_rejected(monkeypatch):
    """RAP rendered frames and wrote their images, and threw them away afterwards."""
    for name in ("swapped_tracks", "scaled_rig", "driving_command", "_poses"):
        monkeypatch.setattr(module, name, lambda *_: pytest.fail("made for a rejected viewpoint"))
    log = simple_log()
    used, rejected = cross_agents(Scene(log, NOW, HISTORY, FUTURE), CrossAgentOptions(), build_log_geometry(log))
    assert not used
    assert len(rejected) == 4


@given(st.floats(0.0, 200.0), st.floats(10.0, 80.0), st.floats(1.0, 150.0))
@settings(max_examples=30)
def test_x9_coverage_is_the_share_of_the_surroundings_within_the_recorders_reach(distance, radius, reach):
    """RAP did not know that agents far from the recorder have surroundings that nobody annotated. Checked against
    40,000 points on a spiral that fills the disc evenly."""
    count = 40_000
    r = radius * np.sqrt((np.arange(count) + 0.5) / count)
    angle = np.arange(count) * np.pi * (3 - np.sqrt(5))
    inside = np.hypot(r * np.cos(angle) - distance, r * np.sin(angle)) < reach
    assert coverage_fraction(distance, radius, reach) == pytest.approx(inside.mean(), abs=0.003)


def test_x9_coverage_falls_with_the_distance_to_the_recorder():
    """The recorder annotated its only agent, some 57 m away at most, so its reach is 57 m."""
    log = with_agent(circling())
    found = seat(log)
    reach = build_log_geometry(log).annotation_range
    distance = np.linalg.norm(log.tracks.positions[0, NOW, :2] - log.ego.positions[NOW, :2])
    assert found.coverage == pytest.approx(coverage_fraction(distance, 50.0, reach))
    assert 0.3 < found.coverage < 0.9


def shifted(tracks, **changes):
    return replace(tracks, **{name: getattr(tracks, name) + change for name, change in changes.items()})


def test_x10_label_noise_is_not_interesting_motion():
    """RAP kept whatever a constant velocity does not predict, jumps and flips of labels included."""
    jump = np.zeros((1, STEPS, 3))
    jump[:, NOW + 10 :, :2] = [4.0, 2.0]
    flip = np.zeros((1, STEPS))
    flip[:, NOW + 10 : NOW + 14] = np.pi
    straight = agent(60.0 + 6.0 * SECONDS, np.full(STEPS, 30.0), np.zeros(STEPS))
    assert seat(with_agent(straight)).reason == "trivial_motion"
    assert seat(with_agent(shifted(straight, positions=jump))).reason == "implausible_motion"
    assert seat(with_agent(shifted(circling(), headings=flip))).reason == "implausible_motion"
    shaking = np.cumsum(np.random.default_rng(1).standard_normal((1, STEPS, 3)) * 0.5, axis=1)
    assert seat(with_agent(shifted(straight, positions=shaking))).reason == "implausible_motion"


def test_x10_motion_is_judged_by_the_past():
    """RAP took the velocity from the step after now. A brake that begins right after now must count in full."""
    t = SECONDS - SECONDS[NOW]
    x = 60.0 + 6.0 * np.minimum(t, 0.0) + np.where(t > 0, 6.0 * np.minimum(t, 2.0) - 1.5 * np.minimum(t, 2.0) ** 2, 0)
    found = seat(with_agent(agent(x + 20.0, np.full(STEPS, 30.0), np.zeros(STEPS))))
    future = SECONDS[NOW + 1 : NOW + FUTURE + 1] - SECONDS[NOW]
    stop = np.minimum(future, 2.0)
    expected = np.abs(6.0 * future - (6.0 * stop - 1.5 * stop**2)).mean()
    assert found.parameters["prediction_error"] == pytest.approx(expected, rel=0.05)


def test_x11_the_index_is_the_tracks_row():
    """RAP's skipped frames kept the scene token of the last frame of the loop. Here numbers depend on nothing else."""
    others = simple_log().tracks
    log = with_agent(others.concatenate(circling(start=0.5)))
    scene, geometry = Scene(log, NOW, HISTORY, FUTURE), build_log_geometry(log)
    used, rejected = cross_agents(scene, CrossAgentOptions(), geometry)
    assert [found.index for found in used] == [6]
    assert {one.index for one in rejected} == {0, 1, 2, 3}
    none, over = cross_agents(scene, CrossAgentOptions(max_per_scene=0), geometry)
    assert not none
    assert {one.reason for one in over} == {"over_cap"}
    alone = cross_agent(scene, 6, CrossAgentOptions(), geometry)
    np.testing.assert_array_equal(alone.target, used[0].target)
    assert alone.tracks.ids == (*others.ids, "ego")


def test_x12_nothing_of_the_log_is_copied():
    """RAP kept a map per frame in memory."""
    log = with_agent(circling())
    assert seat(log).scene.log.road_map is log.road_map


@pytest.mark.parametrize(
    ("tracks", "reason"),
    [
        (circling(size=(2.2, 1.2, 1.5)), "size"),
        (circling(size=(18.0, 2.5, 3.5)), "size"),
        (shifted(circling(), positions=np.array([0.0, 60.0, 0.0])), "too_far"),
        (replace(circling(), valid=np.arange(STEPS)[None] != NOW + 20), "incomplete_window"),
        (replace(circling(), valid=np.arange(STEPS)[None] > NOW - 5), "incomplete_window"),
        (circling().concatenate(circling(name="double")), "collision_at_start"),
    ],
)
def test_who_does_not_become_the_ego(tracks, reason):
    assert seat(with_agent(tracks)).reason == reason


def test_a_vehicle_off_the_road_does_not_become_the_ego():
    log = with_agent(circling(), everywhere=False)
    assert seat(log).reason == "off_road_at_start"


def test_the_recording_ego_can_be_run_into():
    """An agent that brakes behind the ego's start and is there when the ego comes; only its seat shows it."""
    x = 75.0 + np.where(SECONDS[NOW] > SECONDS, 4.0 * (SECONDS - SECONDS[NOW]), 0.0)
    found = seat(with_agent(agent(x, np.full(STEPS, -1.75), np.zeros(STEPS))))
    assert isinstance(found, Rejection)
    assert found.reason == "collision_at_start" or found.reason == "collision_later"


@pytest.mark.parametrize(("left", "command"), [(True, Command.LEFT), (False, Command.RIGHT)])
def test_the_command_is_that_of_its_own_way(left, command):
    assert seat(with_agent(circling(left=left))).command == command


def test_the_command_of_a_way_that_ends_soon_goes_on_where_it_was_heading():
    """North across the road, stopping on the eastbound lane: no lane goes north, so that it goes straight on."""
    t = SECONDS - SECONDS[NOW]
    y = -1.75 - np.where(t < 4.0, 0.75 * (t - 4.0) ** 2, 0.0)
    log = with_agent(agent(np.full(STEPS, 130.0), y, np.full(STEPS, np.pi / 2)))
    log = replace(
        log, ego=replace(log.ego, world_from_ego=pose_from_yaw(np.array([0.0, 9.0, 0.0]), 0.0) @ log.ego.world_from_ego)
    )
    found = seat(log)
    assert 10.0 < np.linalg.norm(found.target[-1, :2, 3] - found.world_from_ego[:2, 3]) < 15.0
    assert found.command == Command.STRAIGHT


def test_cameras_keep_their_place_on_the_body():
    """A truck twice as long, half as wide again and twice as high as the car that they were on."""
    own = Vehicle("car", 4.0, 2.0, 1.5, 2.5, 1.0)
    truck = Vehicle("truck", 8.0, 3.0, 3.0, 5.0, 2.0)
    log = simple_log()
    front, back = scaled_rig(log.cameras, own, truck)
    np.testing.assert_allclose(front.ego_from_camera[:3, 3], [3.0, 0.0, 3.2])
    np.testing.assert_allclose(back.ego_from_camera[:3, 3], [-1.6, 0.0, 3.2])
    np.testing.assert_array_equal(front.ego_from_camera[:3, :3], log.cameras[0].ego_from_camera[:3, :3])
    assert (front.fx, front.width, front.lens) == (500.0, 640, log.cameras[0].lens)


@given(st.floats(-np.pi, np.pi), st.floats(-300, 300))
@settings(max_examples=10)
def test_moving_the_world_moves_the_viewpoint(angle, shift):
    log = replace(with_agent(circling()), road_map=None, route=())
    new_from_old = rigid_transform(rotation_about_z(angle), np.array([shift, -shift, 0.0]))
    tracks = log.tracks
    moved = replace(
        log,
        ego=replace(log.ego, world_from_ego=new_from_old @ log.ego.world_from_ego),
        tracks=replace(
            tracks,
            positions=tracks.positions @ new_from_old[:3, :3].T + new_from_old[:3, 3],
            headings=wrap_angle(tracks.headings + angle),
            velocities=tracks.velocities @ new_from_old[:2, :2].T,
        ),
    )
    a, b = seat(log), seat(moved)
    np.testing.assert_allclose(new_from_old @ a.target, b.target, atol=1e-6)
    np.testing.assert_allclose(a.ego.acceleration, b.ego.acceleration, atol=1e-6)
    np.testing.assert_allclose(a.coverage, b.coverage)
    assert a.command == b.command
