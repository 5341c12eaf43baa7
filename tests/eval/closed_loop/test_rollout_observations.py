from dataclasses import replace

import numpy as np
import pytest

from swerve.data.dataset.targets import ego_history
from swerve.data.sources.town.photos import TownPhotoRenderer
from swerve.eval import build_context
from swerve.eval.benchmark.view_renderers import PhotoRenderer, RasterRenderer
from swerve.eval.closed_loop import ClosedLoopOptions, RolloutViews, drive, drive_prepared
from swerve.eval.closed_loop.rollout_image import rollout_image
from swerve.eval.closed_loop.rollout_views import time_at, tracks_at_step, world_from_ego
from swerve.eval.context.pdm_closed import reference_trajectory
from swerve.eval.scoring.trajectories import to_world
from swerve.rasterizer import Style, render
from swerve.scenes import LightState, Scene, SwerveError
from swerve.scenes.planning import Trajectory
from swerve.scenes.primitives import build_dynamic, build_static
from swerve.scenes.resize import Resize
from swerve.scenes.viewpoints import Command
from tests.support.drives import NOW, closed_loop_scene_from, road, rollout_from, viewpoint
from tests.support.simple_log import simple_log
from tests.support.town_logs import town
from tests.support.wheel_planners import Follows, Keeps, Looks


def test_history_is_the_logs_first_and_then_what_was_driven():
    planner = Keeps(6.0)
    rollout = rollout_from(planner, rate=5.0)
    own, _ = ego_history(viewpoint(), 1.5)
    first = planner.told[0].history
    np.testing.assert_allclose(first.poses, own.poses, atol=1e-9)
    np.testing.assert_array_equal(first.velocity, own.velocity)
    np.testing.assert_allclose(first.seconds, own.seconds)
    for count in (3, 20):  # 0.6 s and 4 s on: half of the log, and none of it
        step, told = 2 * count, planner.told[count]
        origin = rollout.states[step, :3]
        assert told.time_us == planner.told[0].time_us + step * 100_000
        np.testing.assert_array_equal(told.history.poses[-1], 0.0)
        done = rollout.states[max(step - 15, 0) : step + 1]
        np.testing.assert_allclose(to_world(told.history.poses, origin)[-len(done) :], done[:, :3], atol=1e-9)
        known = by_poses(told.history.poses)
        np.testing.assert_allclose(told.history.velocity[-4:], known[0][-4:], atol=1e-6)
        np.testing.assert_allclose(told.history.acceleration[-4:], known[1][-4:], atol=1e-6)
        np.testing.assert_allclose(told.history.yaw_rate[-4:], known[2][-4:], atol=1e-6)
        assert len(told.history.seconds) == 16
        assert not told.history.poses.flags.writeable
        assert told.privileged is None
        assert told.images == {}
    before = to_world(planner.told[3].history.poses, rollout.states[6, :3])[0]
    np.testing.assert_allclose(before, [20.0 + 10.0 * 2.6, -1.75, 0.0], atol=1e-9)  # 1.5 s before step 6


def by_poses(poses):
    """Motion by NumPy's own parabolas through each pose and the three before it, 0.1 s apart."""
    result = np.zeros((len(poses), 5))
    for row in range(3, len(poses)):
        fit = np.polyfit(0.1 * np.arange(-3, 1), poses[row - 3 : row + 1], 2)
        cos, sin = np.cos(poses[row, 2]), np.sin(poses[row, 2])
        own = np.array([[cos, sin], [-sin, cos]])
        result[row] = *(own @ fit[1, :2]), *(own @ (2 * fit[0, :2])), fit[1, 2]
    return result[:, :2], result[:, 2:4], result[:, 4]


def test_where_the_log_is_measured_the_cars_own_motion_is_told():
    planner = Keeps(8.0, 3.0)
    start = viewpoint()
    log = replace(start.scene.log, ego=replace(start.scene.log.ego, measured=True))
    start = viewpoint(log)
    rollout = drive_prepared(closed_loop_scene_from(start, rate=5.0, seconds=4.0), planner)
    told, states = planner.told[-1].history, rollout.states
    last = 2 * (len(planner.told) - 1)
    assert told.acceleration[-1, 1] == pytest.approx(states[last, 3] * states[last, 9])
    assert told.yaw_rate[-1] == states[last, 9]
    assert np.abs(told.yaw_rate).max() > 0.01


def test_the_situation_at_the_start_is_the_scenes_and_the_same_plan_follows():
    log = town(3)
    start = viewpoint(log, 60)
    planner = Follows()
    drive_prepared(closed_loop_scene_from(start, rate=2.0, seconds=4.0, traffic="lane-following"), planner)
    told, known = planner.told[0].privileged, build_context(start.scene).privileged_input
    np.testing.assert_array_equal(reference_trajectory(told), reference_trajectory(known))
    np.testing.assert_array_equal(told.human, known.human)


def test_the_situation_on_the_way_is_the_logs_where_the_ego_is_the_logs():
    """Log replay, and an ego that follows the log exactly: at each half second the observation of a scene there."""
    log = road()
    planner = Follows()
    rollout = rollout_from(planner, rate=2.0)
    for count in (1, 4, 7):
        told = planner.told[count].privileged
        known = build_context(Scene(log, NOW + 5 * count, 20, 40)).privileged_input
        np.testing.assert_allclose(told.ego, known.ego, atol=1e-3)
        np.testing.assert_allclose(told.human, known.human, atol=1e-3)
        np.testing.assert_allclose(told.scoring_map.centerline, known.scoring_map.centerline)
        assert told.speed_limit == known.speed_limit == 13.9
        assert told.traffic.ids == known.traffic.ids
        np.testing.assert_allclose(told.traffic.poses[0], known.traffic.poses[0], atol=1e-9)
        np.testing.assert_allclose(told.traffic.velocities[0], known.traffic.velocities[0], atol=1e-9)
        assert told.lights.lane_ids == known.lights.lane_ids
        np.testing.assert_array_equal(told.ego[:3], rollout.states[5 * count, :3])


def test_where_the_log_is_over_the_driver_goes_straight_on():
    planner = Follows()
    rollout_from(planner, rate=1.0)
    human = planner.told[7].privileged.human  # 7 s on, 1.5 s of the log are left
    np.testing.assert_allclose(human, np.column_stack([5.0 * np.arange(1, 9), np.zeros((8, 2))]), atol=1e-2)


def test_lights_and_others_are_those_of_now():
    log = road()
    states = np.full((1, 121), LightState.GREEN, np.uint8)
    states[:, NOW + 25 : NOW + 40] = LightState.RED
    planner = Follows()
    log = replace(log, lights=replace(log.lights, states=states))
    rollout_from(planner, log, rate=2.0, traffic="lane-following")
    red = [bool(told.privileged.lights.active.any()) for told in planner.told]
    assert red == [5 <= count < 8 for count in range(16)]
    assert all(told.privileged.traffic.present.all() for told in planner.told)


def bent_log():
    """The human turns left onto a street without lanes after 60 m: 25 m radius, then straight."""
    log = simple_log()
    seconds = (log.times_us - log.times_us[0]) * 1e-6
    along = 10.0 * seconds - 60.0
    angle = np.clip(along / 25.0, 0.0, np.pi / 2)
    x = 80.0 + np.minimum(along, 0.0) + 25.0 * np.sin(angle)
    y = -1.75 + 25.0 * (1 - np.cos(angle)) + np.maximum(along - 25.0 * np.pi / 2, 0.0)
    poses = log.ego.world_from_ego.copy()
    poses[:, :3, 3] = np.column_stack([x, y, np.zeros(len(x))])
    poses[:, 0, 0], poses[:, 0, 1], poses[:, 1, 0], poses[:, 1, 1] = (
        np.cos(angle),
        -np.sin(angle),
        np.sin(angle),
        np.cos(angle),
    )
    return replace(log, ego=type(log.ego).from_poses(poses, log.times_us))


def test_the_command_is_that_of_the_way_ahead():
    """The turn begins at x = 80; of radius 25, it is 2 m to the side after 10 m, so the command comes 10 m before."""
    log = bent_log()
    planner = Follows()
    rollout = rollout_from(planner, log, 20, rate=5.0)
    assert planner.told[0].command == Command.STRAIGHT
    for told, state in zip(planner.told, rollout.states[::2], strict=False):
        before = 80.0 - state[0]
        if before > 12.0:
            assert told.command == Command.STRAIGHT
        if 0.0 < before < 8.0:
            assert told.command == Command.LEFT
    assert planner.told[-1].command == Command.STRAIGHT


def views_of(log):
    return RolloutViews(RasterRenderer().prepare(log), Resize((160, 90)))


def test_cameras_see_the_scene_as_it_is_driven():
    log = road()
    start, views, planner = viewpoint(log), views_of(log), Looks(("front",))
    closed_loop_scene = closed_loop_scene_from(start, rate=1.0, seconds=4.0)
    drive_prepared(closed_loop_scene, planner, views)
    front = start.cameras[0].resized(160, 90)
    assert len(planner.told) == 4
    for told in planner.told:
        (camera,) = told.cameras
        np.testing.assert_equal(vars(camera), vars(front))
    for count in (0, 3):
        pose, step = log.ego.world_from_ego[NOW + 10 * count], NOW + 10 * count
        world = build_static(log.road_map).concatenate(build_dynamic(log.tracks, log.lights, step))
        known = render(world, [front], pose[None], Style.rap())[0][0].rgb
        image = planner.told[count].images["front"]
        assert (np.abs(image.astype(int) - known).max(axis=-1) > 8).mean() < 0.01
        assert not image.flags.writeable
    assert not np.array_equal(planner.told[0].images["front"], planner.told[3].images["front"])


@pytest.mark.slow
def test_photographs_are_taken_on_the_way():
    """At the start the image of the log's snapshot; 2 s on, that of the simulated snapshot."""
    log = town(3)
    start, views = viewpoint(log, 60), RolloutViews(PhotoRenderer(2).prepare(log), Resize((64, 36)))
    planner, closed_loop_scene = Looks((log.cameras[0].name,)), closed_loop_scene_from(start, rate=0.5, seconds=4.0)
    rollout = drive_prepared(closed_loop_scene, planner, views)
    (camera,) = planner.told[0].cameras
    studio = TownPhotoRenderer(log, 2)
    first = studio.photograph(
        [camera], log.ego.world_from_ego[60], log.tracks.at(slice(60, 61)), log.lights.at(slice(60, 61))
    )
    assert (planner.told[0].images[camera.name] == first[0].rgb).mean() > 0.99
    pose, tracks = (
        world_from_ego(closed_loop_scene, rollout.states, 20),
        tracks_at_step(closed_loop_scene, rollout.traffic, 20),
    )
    then = studio.photograph([camera], pose, tracks, log.lights.at(slice(80, 81)))
    np.testing.assert_array_equal(planner.told[1].images[camera.name], then[0].rgb)
    assert (then[0].rgb == first[0].rgb).mean() < 0.9


def test_ego_and_others_stand_on_the_ground():
    """On a slope of 2 %: agents as high above it as in the log, the ego tilted with it."""
    log = simple_log(slope=0.02)
    closed_loop_scene = closed_loop_scene_from(viewpoint(log), rate=1.0, seconds=4.0, traffic="lane-following")
    rollout = drive_prepared(closed_loop_scene, Keeps(3.0))
    tracks = tracks_at_step(closed_loop_scene, rollout.traffic, 40)
    heights = 0.02 * tracks.positions[:, 0, 0] + log.tracks.sizes[:, 0, 2] / 2
    np.testing.assert_allclose(tracks.positions[:, 0, 2], heights, atol=1e-4)
    np.testing.assert_allclose(tracks.positions[:, 0, :2], rollout.traffic.poses[40, :, :2])
    assert [time_at(closed_loop_scene, step) - time_at(closed_loop_scene, 0) for step in (0, 7, 40)] == [
        0,
        700_000,
        4_000_000,
    ]
    assert time_at(closed_loop_scene, 0) == log.times_us[closed_loop_scene.frames[0]]
    pose = world_from_ego(closed_loop_scene, rollout.states, 40)
    np.testing.assert_allclose(pose[:2, 3], rollout.states[40, :2])
    np.testing.assert_allclose(pose[2, 3], 0.02 * pose[0, 3], atol=1e-3)
    np.testing.assert_allclose(pose[:3, 2], np.array([-0.02, 0.0, 1.0]) / np.hypot(0.02, 1.0), atol=1e-3)


def test_who_wants_images_that_nobody_draws_is_told():
    log = road()
    closed_loop_scene = closed_loop_scene_from(viewpoint(), rate=1.0, seconds=4.0)
    with pytest.raises(SwerveError, match="Looks needs images, and there is no renderer"):
        drive_prepared(closed_loop_scene, Looks())
    with pytest.raises(SwerveError, match="needs camera 'roof'; there are: front, back"):
        drive_prepared(closed_loop_scene, Looks(("roof",)), views_of(log))
    everything = Looks()
    drive_prepared(closed_loop_scene, everything, views_of(log))
    assert set(everything.told[0].images) == {"front", "back"}
    assert drive_prepared(closed_loop_scene, Looks(())).score > 0.0


def test_a_picture_shows_both_ways_and_the_car():
    log = road()
    closed_loop_scene = closed_loop_scene_from(viewpoint(), rate=1.0)
    rollout = drive_prepared(closed_loop_scene, Keeps(10.0, -2.0))
    picture = rollout_image(closed_loop_scene, rollout, build_static(log.road_map), 300)
    assert picture.shape == (300, 300, 3)
    for color in ((255, 150, 60), (235, 235, 235), (255, 60, 60)):
        assert (np.abs(picture.astype(int) - color).max(axis=-1) < 40).sum() > 20


def test_a_plan_longer_and_denser_than_nuplans_is_followed_too():
    class Dense(Keeps):
        def plan(self, observation):
            poses = np.column_stack([np.arange(1, 61), np.zeros((60, 2))])
            return Trajectory(poses, 0.1)

    rollout = drive(viewpoint(), Dense(), ClosedLoopOptions(10.0, 4.0))
    np.testing.assert_allclose(rollout.states[:, 3], 10.0, atol=1e-3)


def test_past_frames_are_what_was_seen_then():
    """Within the rollout the images of earlier steps; before it those of the log."""
    planner = Looks(("front", "front@0.4"))
    views = RolloutViews(RasterRenderer().prepare(road()), Resize((64, 36)))
    start = closed_loop_scene_from(viewpoint(), rate=5.0)
    rollout = drive_prepared(start, planner, views=views)
    told = planner.told
    for count in (2, 3, 9):  # a plan each 0.2 s
        assert np.array_equal(told[count].images["front@0.4"], told[count - 2].images["front"])
        assert [camera.name for camera in told[count].cameras] == ["front", "front@0.4"]
        front, past = (camera.ego_from_camera[:3, 3] for camera in told[count].cameras)
        step = 2 * count
        poses = [world_from_ego(start, rollout.states, at) for at in (step, step - 4)]
        there = np.linalg.inv(poses[0]) @ poses[1] @ np.append(front, 1.0)
        np.testing.assert_allclose(past, there[:3], atol=1e-9)
    # 0.4 s before the start the log's ego was four steps further back.
    now = slice(NOW - 4, NOW - 3)
    moving = build_dynamic(road().tracks.at(now), road().lights.at(now), 0)
    (camera,) = [one for one in views.cameras(start) if one.name == "front"]
    pose = road().ego.world_from_ego[NOW - 4][None]
    drawn = render(build_static(road().road_map).concatenate(moving), [camera], pose, Style.rap())[0][0].rgb
    image = told[0].images["front@0.4"]
    assert (np.abs(image.astype(int) - drawn).max(axis=-1) > 8).mean() < 0.01
