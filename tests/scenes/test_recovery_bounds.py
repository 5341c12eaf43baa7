"""Bounds of recoveries: checked on the poses that are published, and relaxed by what the human did, not by noise."""

from dataclasses import replace

import numpy as np
import pytest

from swerve.data.dataset.targets import interpolate_poses_at, trajectory_arrays
from swerve.scenes import Ego, Scene, Vehicle
from swerve.scenes.transforms import pose_from_yaw, wrap_angle
from swerve.scenes.viewpoints import KinematicLimits, RecoveryOptions, Viewpoint, build_log_geometry, maneuver
from swerve.scenes.viewpoints.bounds import BOUND_NAMES
from swerve.scenes.viewpoints.human_limits import allowed_ratios, human_ratios
from swerve.scenes.viewpoints.recovery import recovery
from tests.support.simple_log import STEP_US, STEPS, arc_log, empty_road

SECONDS, STEP = np.arange(STEPS) * STEP_US * 1e-6, STEP_US * 1e-6
ROW = {name: row for row, name in enumerate(BOUND_NAMES)}
# What rounding to float32 and interpolation to tenths of seconds add to finite differences, as a share of any bound.
TOLERANCE = 0.05


def straight(x, noise=0.0, seed=0):
    """A log on a straight line without a map, whose poses are off by white noise, metres and a sixth of it radians."""
    log, generator = empty_road(), np.random.default_rng(seed)
    points = np.stack([x, 0 * x, 0 * x], axis=1)
    points[:, :2] += noise * generator.standard_normal((len(x), 2))
    poses = pose_from_yaw(points, noise / 6 * generator.standard_normal(len(x)))
    return replace(log, ego=Ego.from_poses(poses, log.times_us), road_map=None)


def speeds_to_way(speeds):
    return np.concatenate([[0.0], np.cumsum((speeds[1:] + speeds[:-1]) / 2 * STEP)])


def stop_and_go(hardness):
    """Brakes to a stop at 5 s, creeps back by 2 cm, and pulls away at 8 s; smooth in acceleration."""
    slow = np.interp(SECONDS, [0, 1, 5, 8, 12], [8.0, 8.0, 0.0, 0.0, 0.0])
    away = hardness * np.maximum(SECONDS - 8.0, 0.0) ** 2 / (1.0 + np.maximum(SECONDS - 8.0, 0.0))
    creep = -0.02 * np.clip((SECONDS - 5.5) / 1.5, 0.0, 1.0)
    kernel = np.hanning(17) / np.hanning(17).sum()
    speeds = np.convolve(np.pad(slow + away, 8, mode="edge"), kernel, mode="valid")
    return speeds_to_way(speeds) + creep


def test_shares_of_poses_by_hand():
    """x = j t^3 / 6 has jerk j, whose third differences are exact; a circle has side speed^2 / radius."""
    seconds, car, bounds = np.arange(20) * 0.1, Vehicle.pacifica(), KinematicLimits()
    line = np.stack([2.0 * seconds + 3.0 * seconds**3 / 6, 0 * seconds], axis=1)
    ratios = bounds.max_pose_ratios(line, 0 * seconds, seconds, car)
    assert ratios[ROW["max_longitudinal_jerk"]] == pytest.approx(3.0 / 4.13, rel=1e-6)
    assert ratios[ROW["max_jerk"]] == pytest.approx(3.0 / 8.37, rel=1e-6)
    assert ratios[ROW["max_acceleration"]] == pytest.approx(3.0 * 1.8 / 2.4, rel=1e-6)
    assert ratios[ROW["max_deceleration"]] == ratios[ROW["max_lateral_acceleration"]] == ratios[ROW["reverse"]] == 0.0
    turn = 8.0 * seconds / 20.0
    circle = 20.0 * np.stack([np.sin(turn), 1 - np.cos(turn)], axis=1)
    ratios = bounds.max_pose_ratios(circle, turn, seconds, car)
    assert ratios[ROW["max_lateral_acceleration"]] == pytest.approx(8.0**2 / 20.0 / 4.89, rel=1e-3)
    assert ratios[ROW["yaw_rate"]] == pytest.approx(8.0 / 20.0 / 0.95, rel=1e-6)
    assert ratios[ROW["steering"]] == pytest.approx(1 / 20.0 / bounds.curvature(car), rel=1e-3)
    assert bounds.max_pose_ratios(circle[::-1], turn[::-1], seconds, car)[ROW["reverse"]] == np.inf


def test_shares_of_poses_see_a_jump_of_a_centimetre():
    seconds = np.arange(20) * 0.1
    line = np.stack([5.0 * seconds + 0.01 * (seconds > 1.0), 0 * seconds], axis=1)
    ratios = KinematicLimits().max_pose_ratios(line, 0 * seconds, seconds, Vehicle.pacifica())
    assert ratios[ROW["max_longitudinal_jerk"]] == pytest.approx(2 * 0.01 / 0.1**3 / 4.13, rel=1e-6)


def test_the_path_of_a_car_that_creeps_at_a_stop_has_no_jump():
    """A metre of arc length is a metre of way, to 0.5 %; it was off by the 2 cm that a car had crept back."""
    geometry = build_log_geometry(straight(stop_and_go(1.2)))
    along = np.arange(0.0, geometry.path.arc_lengths[-1], 0.05)
    at = geometry.path.at(along)
    np.testing.assert_allclose(np.linalg.norm(np.diff(at.positions[:, :2], axis=0), axis=1), 0.05, rtol=0.01)
    off = at.positions[:, :2] - np.stack([along, 0 * along], axis=1) - geometry.ego_motion.positions[0]
    assert np.abs(off).max() < 0.03


@pytest.mark.parametrize("log", [arc_log(), arc_log(radius=-25.0, speed=5.0), arc_log(speed=6.0, radius=15.0)])
def test_headings_and_curvatures_of_a_path_are_those_of_its_positions(log):
    path = build_log_geometry(log).path
    along = np.arange(0.0, path.arc_lengths[-1], 0.02)
    at = path.at(along)
    move = np.diff(at.positions[:, :2], axis=0)
    middle = (at.headings[1:] + at.headings[:-1]) / 2
    np.testing.assert_allclose(wrap_angle(np.arctan2(move[:, 1], move[:, 0]) - middle), 0.0, atol=4e-3)
    np.testing.assert_allclose(np.gradient(at.headings, along)[1:-1], at.curvatures[1:-1], atol=1e-3)


LOGS = [straight(stop_and_go(hardness), noise, 3) for hardness in (1.0, 3.5) for noise in (0.0, 0.02)]


@pytest.mark.parametrize("row", range(len(LOGS)))
def test_published_poses_take_of_no_bound_more_than_is_recorded(row):
    """History and target at 10 Hz, float32, as they are stored."""
    geometry, made = build_log_geometry(LOGS[row]), 0
    for now in (20, 30, 50, 60, 70):
        for index in range(12):
            found = recovery(Scene(LOGS[row], now, 20, 50), index, RecoveryOptions(min_distance=2.0), 0, geometry)
            if isinstance(found, Viewpoint):
                made += 1
                _check_published(found)
    assert made >= 5


def _check_published(found):
    arrays = trajectory_arrays(found, 2.0, 5.0)
    poses = np.concatenate([arrays["history_pose"], arrays["target_10hz"]]).astype(float)
    seconds = np.concatenate([arrays["history_time"], arrays["time_10hz"]]).astype(float).round(3)
    ratios = KinematicLimits().max_pose_ratios(poses[:, :2], np.unwrap(poses[:, 2]), seconds, found.vehicle)
    allowed = np.array([found.parameters.get(f"relaxed_{name}", 1.0) for name in BOUND_NAMES])
    assert (ratios <= allowed + TOLERANCE).all(), dict(zip(BOUND_NAMES, ratios, strict=True))


def test_a_relaxed_bound_is_named_with_its_share():
    """Who pulls away at 3.5 m/s2 exceeds 2.4; his recoveries do so, too, by no more than 1.25 times what he took."""
    log = LOGS[2]
    scene, geometry = Scene(log, 70, 20, 50), build_log_geometry(log)
    allowed = allowed_ratios(geometry, scene.window, KinematicLimits())
    found = [recovery(scene, index, RecoveryOptions(), 0, geometry) for index in range(20)]
    ratios = [one.parameters.get("relaxed_max_acceleration") for one in found if isinstance(one, Viewpoint)]
    assert len(ratios) >= 5
    assert all(1.0 < ratio <= allowed[ROW["max_acceleration"]] + 1e-9 for ratio in ratios)
    calm = recovery(Scene(LOGS[0], 70, 20, 50), 0, RecoveryOptions(), 0, build_log_geometry(LOGS[0]))
    assert not [name for name in calm.parameters if name.startswith("relaxed")]


@pytest.mark.parametrize("row", [2, 3])
def test_nothing_is_relaxed_where_something_within_the_bounds_will_do(row, monkeypatch):
    """A draw that can be made within the stated bounds is made so, whatever the human did."""
    geometry, options = build_log_geometry(LOGS[row]), RecoveryOptions(min_distance=2.0)
    scenes = [Scene(LOGS[row], now, 20, 50) for now in (60, 70)]
    relaxed = [recovery(scene, index, options, 0, geometry) for scene in scenes for index in range(10)]
    monkeypatch.setattr(maneuver, "allowed_ratios", lambda *_: np.ones(len(BOUND_NAMES)))
    stated = [recovery(scene, index, options, 0, geometry) for scene in scenes for index in range(10)]
    for one, other in zip(relaxed, stated, strict=True):
        if isinstance(other, Viewpoint):
            assert one.parameters == other.parameters
    names = {name for one in relaxed if isinstance(one, Viewpoint) for name in one.parameters}
    assert any(name.startswith("relaxed") for name in names)


@pytest.mark.parametrize("seed", range(5))
def test_noise_of_the_poses_relaxes_nothing(seed):
    """At a constant speed all that the smoothed poses take of a bound is noise: 7 cm of it take four fifths."""
    geometry = build_log_geometry(straight(8.0 * SECONDS, 0.07, seed))
    steps = slice(20, 91)
    motion = geometry.ego_motion.at(steps)
    taken = KinematicLimits().max_pose_ratios(motion.positions, motion.headings, SECONDS[steps], Vehicle.pacifica())
    assert 1.25 * taken.max() > 1.0
    np.testing.assert_array_equal(allowed_ratios(geometry, steps, KinematicLimits()), 1.0)


@pytest.mark.parametrize("noise", [0.0, 0.01, 0.03])
def test_what_the_human_did_is_found_behind_the_noise(noise):
    """An acceleration of 3.5 m/s2 for 2 s is 1.46 of the bound."""
    speeds = np.interp(SECONDS, [0, 4, 6, 12], [4.0, 4.0, 11.0, 11.0])
    geometry = build_log_geometry(straight(speeds_to_way(speeds), noise, 1))
    ratio = human_ratios(geometry, slice(20, 91), KinematicLimits())[ROW["max_acceleration"]]
    assert ratio == pytest.approx(3.5 / 2.4, rel=0.12)


def test_steps_that_are_not_tenths_of_seconds_add_no_jerk_to_published_poses():
    """Steps of 93 and 107 ms; linear interpolation made 2 mm of 3 m/s2, a jerk of more than 4 m/s3."""
    jitter = 7000 * (-1) ** np.arange(71)
    times = (np.arange(71) * 100_000 + jitter).astype(np.int64)
    seconds = times * 1e-6
    poses = pose_from_yaw(np.stack([1.5 * seconds**2, 0 * seconds, 0 * seconds], axis=1), 0 * seconds)
    asked = np.arange(1, 69) / 10
    found, valid = interpolate_poses_at(times, poses, 0, asked)
    assert valid.all()
    ratios = KinematicLimits().max_pose_ratios(found[:, :2, 3], 0 * asked, asked, Vehicle.pacifica())
    assert ratios[ROW["max_longitudinal_jerk"]] < 0.01
    assert ratios[ROW["max_acceleration"]] == pytest.approx(3.0 / 2.4, rel=1e-3)
