"""Observations in training, in benchmarks and in closed loop do not depend on the future."""

from dataclasses import replace

import numpy as np
import pytest

from swerve.data.dataset.sample import box_arrays
from swerve.data.dataset.targets import ego_history, trajectory_arrays
from swerve.data.sources.velocities import causal_velocities
from swerve.eval import build_context
from swerve.eval.benchmark.assemble import FollowUpStart, follow_up_scenes, logged_scene
from swerve.eval.benchmark.evaluate.observations import observation_of
from swerve.eval.closed_loop import drive_prepared
from swerve.scenes import Ego, Scene
from swerve.scenes.transforms import pose_from_yaw, yaw_of
from swerve.scenes.viewpoints import Command, Viewpoint, logged
from swerve.scenes.viewpoints.cross_agent import CrossAgentOptions, cross_agent
from swerve.scenes.viewpoints.recovery import RecoveryOptions, recovery
from tests.support.drives import closed_loop_scene_from
from tests.support.geometries import geometry_of
from tests.support.simple_log import simple_log
from tests.support.wheel_planners import Follows

NOW = 35
STATES = ("velocity", "acceleration", "yaw_rate")


def weaving():
    """The simple log, with speeds of ego and agents that change all the time, and are derived as by most sources."""
    log = simple_log()
    seconds = 0.1 * np.arange(len(log.times_us))
    ahead = 2.0 * np.sin(0.9 * seconds)
    poses = log.ego.positions + np.stack([ahead, 0.2 * np.sin(1.3 * seconds), 0.0 * seconds], axis=1)
    moved = log.tracks.positions + np.pad(ahead[:, None], ((0, 0), (0, 2)))
    return derived(log, poses, 0.03 * np.sin(0.7 * seconds), moved)


def derived(log, positions, headings, others):
    """The log with motion of ego and agents derived from their positions."""
    ego = Ego.from_poses(pose_from_yaw(positions, headings), log.times_us)
    velocities = causal_velocities(others, log.tracks.valid, log.times_us)
    return replace(log, ego=ego, tracks=replace(log.tracks, positions=others, velocities=velocities))


def changed_after(log, step):
    """The log with another future: all agents deviate from the next step on, increasingly."""
    later = np.maximum(np.arange(len(log.times_us)) - step, 0)[:, None]
    positions = log.ego.positions + later * [0.08, 0.03, 0.0]
    others = log.tracks.positions - later * [0.1, 0.02, 0.0]
    return derived(log, positions, log.ego.headings + 0.002 * later[:, 0], others)


def by_own_poses(viewpoint):
    """Velocity (forward, left), acceleration and yaw rate now by NumPy's parabola through the last four poses."""
    poses = viewpoint.ego.world_from_ego[-4:]
    planar = np.column_stack([poses[:, :2, 3], np.unwrap(yaw_of(poses))])
    fit = np.polyfit(0.1 * np.arange(-3, 1), planar, 2)
    own = poses[-1, :2, :2].T
    return own @ fit[1, :2], own @ (2 * fit[0, :2]), fit[1, 2]


def check_same(one, other):
    """But for the last digit."""
    for name, values in vars(one).items():
        if isinstance(values, np.ndarray):
            np.testing.assert_allclose(values, getattr(other, name), rtol=0, atol=1e-12, err_msg=name)
        else:
            assert values == getattr(other, name), name


def check_same_situation(one, other):
    np.testing.assert_allclose(one.ego, other.ego, rtol=0, atol=1e-12)
    check_same(one.traffic, other.traffic)
    np.testing.assert_array_equal(one.lights.active, other.lights.active)


def test_logged_samples():
    log = weaving()
    arrays = []
    for each in (log, changed_after(log, NOW)):
        viewpoint = logged(Scene(each, NOW, 20, 45), geometry_of(each))
        arrays.append({**trajectory_arrays(viewpoint, 2.0, 4.0), **box_arrays(viewpoint)})
    told = [name for name in arrays[0] if name.startswith(("history", "box"))]
    assert len(told) > 10
    for name in told:
        np.testing.assert_array_equal(arrays[0][name], arrays[1][name], err_msg=name)
    assert not np.array_equal(arrays[0]["target_2hz"], arrays[1]["target_2hz"])


def seats():
    """A recovery and a cross-agent viewpoint of the weaving log."""
    log = weaving()
    scene, geometry = Scene(log, NOW, 20, 45), geometry_of(log)
    drawn = (recovery(scene, index, RecoveryOptions(), 0, geometry) for index in range(20))
    yield next(one for one in drawn if isinstance(one, Viewpoint))
    yield cross_agent(scene, 1, CrossAgentOptions(min_prediction_error=0.0), geometry)


@pytest.mark.parametrize("which", [0, 1])
def test_samples_of_other_seats_are_told_of_their_own_poses_alone(which):
    viewpoint = list(seats())[which]
    assert isinstance(viewpoint, Viewpoint)
    history, _ = ego_history(viewpoint, 2.0)
    for name, known in zip(STATES, by_own_poses(viewpoint), strict=True):
        np.testing.assert_allclose(getattr(history, name)[-1], known, atol=1e-6, err_msg=name)
    smoothed = viewpoint.ego
    other = replace(viewpoint, ego=replace(smoothed, **{name: getattr(smoothed, name) + 1.0 for name in STATES}))
    check_same(history, ego_history(other, 2.0)[0])
    assert np.abs(history.velocity[:, 0] - smoothed.velocity[:, 0]).max() < 0.1


def told(frame):
    planner = Follows()
    context = build_context(frame.viewpoint.scene, frame.token, frame.follow_up)
    return observation_of(frame, context, planner, None)


def test_observations_of_the_first_stage():
    log = weaving()
    one, other = (told(logged_scene(each, NOW, "now", Command.STRAIGHT)) for each in (log, changed_after(log, NOW)))
    check_same(one.history, other.history)
    check_same_situation(one.privileged, other.privileged)


@pytest.mark.parametrize("which", [0, 1])
def test_observations_of_follow_ups_are_of_their_own_poses(which):
    """The drive's own states are of a smoothed log: they change nothing; nor does the human's later motion."""
    log = weaving()
    found = []
    for each, more in ((log, 0.0), (log, 1.0), (changed_after(log, NOW + 40 - 5 * which), 0.0)):
        ego = log.ego.at(slice(NOW + 20, NOW + 41))
        ego = replace(ego, **{name: getattr(ego, name) + more for name in STATES})
        start = FollowUpStart(0, ego, "synthesis", {}, Command.STRAIGHT, Command.STRAIGHT)
        tracks = each.tracks.at(slice(NOW + 20, NOW + 81))
        found.append(told(follow_up_scenes(each, NOW, tracks, start)[which]))
        viewpoint = follow_up_scenes(each, NOW, tracks, start)[which].viewpoint
        for name, known in zip(STATES, by_own_poses(viewpoint), strict=True):
            np.testing.assert_allclose(getattr(found[-1].history, name)[-1], known, atol=1e-6, err_msg=name)
    for other in found[1:]:
        check_same(found[0].history, other.history)
        check_same_situation(found[0].privileged, other.privileged)


@pytest.mark.parametrize("count", [0, 4])
def test_closed_loop(count):
    """Observations up to a step of the rollout do not depend on the later log."""
    log = weaving()
    seen = []
    for each in (log, changed_after(log, NOW + 5 * count)):
        planner = Keeps()
        drive_prepared(
            closed_loop_scene_from(logged(Scene(each, NOW, 20, 45), geometry_of(each)), rate=2.0, seconds=4.0), planner
        )
        seen.append(planner.told[: count + 1])
    for one, other in zip(*seen, strict=True):
        check_same(one.history, other.history)
        check_same_situation(one.privileged, other.privileged)


class Keeps(Follows):
    """Receives privileged inputs, and drives straight on at 6 m/s."""

    def plan(self, observation):
        trajectory = super().plan(observation)
        ahead = 6.0 * trajectory.interval * np.arange(1, len(trajectory.poses) + 1)
        return replace(trajectory, poses=np.column_stack([ahead, np.zeros((len(ahead), 2))]))
