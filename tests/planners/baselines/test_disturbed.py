from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swerve.planners import ConstantAcceleration, ConstantVelocity, DisturbedPlanner, Stationary
from swerve.planners.baselines.disturbed import interpolate_at_distances, smooth_noise
from swerve.scenes import SwerveError
from swerve.scenes.planning import Trajectory
from swerve.scenes.polyline import arc_lengths
from tests.support.observations import moving

TIMES = np.arange(1, 41) / 10
CURVE = ConstantVelocity(turn=True)
CURVING = moving((8.0, 0.0), yaw_rate=0.2)


def test_without_disturbance_only_the_interval_changes():
    plan = DisturbedPlanner(ConstantVelocity()).plan(moving((7.0, 0.0)))
    assert plan.interval == 0.1
    np.testing.assert_allclose(plan.poses, np.stack([7.0 * TIMES, 0 * TIMES, 0 * TIMES], axis=1))


def test_it_declares_what_its_planner_declares():
    class Eyes:
        cameras, privileged = ("front",), True

        def plan(self, observation):
            raise NotImplementedError

    class Nothing:
        plan = Eyes.plan

    assert (DisturbedPlanner(Eyes()).cameras, DisturbedPlanner(Eyes()).privileged) == (("front",), True)
    assert (DisturbedPlanner(Nothing()).cameras, DisturbedPlanner(Nothing()).privileged) == (None, False)


@given(pace=st.floats(0.1, 2.0))
def test_pace_scales_the_distance_and_keeps_the_path(pace):
    poses = DisturbedPlanner(CURVE, distance_factor=pace).plan(CURVING).poses
    plain = np.concatenate([np.zeros((1, 3)), DisturbedPlanner(CURVE).plan(CURVING).poses])
    lengths = arc_lengths(plain)
    inside = pace * lengths[1:] <= lengths[-1]
    np.testing.assert_allclose(poses[inside], interpolate_at_distances(plain, pace * lengths[1:])[inside])
    np.testing.assert_allclose(np.hypot(poses[inside, 0], poses[inside, 1] - 40.0), 40.0, atol=0.06)
    beyond = poses[~inside]
    np.testing.assert_allclose(beyond[:, 2], plain[-1, 2])
    offsets = beyond[:, :2] - plain[-1, :2]
    np.testing.assert_allclose(np.linalg.norm(offsets, axis=1), (pace * lengths[1:] - lengths[-1])[~inside], atol=1e-9)


@given(shift=st.floats(-3.0, 3.0))
def test_a_shift_ends_beside_the_path_and_faces_along_its_way(shift):
    poses = DisturbedPlanner(ConstantVelocity(), lateral_shift=shift).plan(moving((10.0, 0.0))).poses
    np.testing.assert_allclose(poses[:, 0], 10.0 * TIMES)
    np.testing.assert_allclose(poses[19:, 1], shift)
    assert poses[9, 1] == pytest.approx(shift / 2)
    assert (np.diff(np.abs(poses[:, 1])) >= -1e-12).all()
    np.testing.assert_allclose(np.tan(poses[1:, 2]), np.diff(poses[:, 1]) / 1.0, atol=1e-9)
    turned = DisturbedPlanner(CURVE, lateral_shift=shift).plan(CURVING).poses
    assert np.hypot(turned[-1, 0], turned[-1, 1] - 40.0) == pytest.approx(40.0 - shift, abs=1e-6)


def test_a_delay_is_the_same_way_later():
    observation = moving((10.0, 0.0), acceleration=-4.0)
    poses = DisturbedPlanner(ConstantAcceleration(), delay=0.55).plan(observation).poses
    prompt = np.concatenate([np.zeros((1, 3)), ConstantAcceleration().plan(observation).poses])
    late = np.interp(TIMES - 0.55, np.arange(41) / 10, prompt[:, 0])
    np.testing.assert_allclose(poses[:, 0], np.where(TIMES <= 0.55, 10 * TIMES, 5.5 + late))
    turned = DisturbedPlanner(CURVE, delay=1.0).plan(CURVING).poses
    np.testing.assert_allclose(turned[:10], np.stack([8 * TIMES[:10], 0 * TIMES[:10], 0 * TIMES[:10]], axis=1))
    np.testing.assert_allclose(turned[10:] - [8.0, 0.0, 0.0], DisturbedPlanner(CURVE).plan(CURVING).poses[:30])


def test_noise_depends_on_seed_token_and_moment_alone():
    planner = DisturbedPlanner(ConstantVelocity(), noise_across=0.5, noise_along=1.0, noise_seed=3)
    once = planner.plan(moving(token="a")).poses
    other = planner.plan(moving(token="b")).poses
    np.testing.assert_array_equal(planner.plan(moving(token="a")).poses, once)
    assert np.abs(once - other).max() > 0.1
    later = planner.plan(replace(moving(token="a"), time_us=500_000)).poses
    assert np.abs(once - later).max() > 0.1
    reseeded = DisturbedPlanner(ConstantVelocity(), noise_across=0.5, noise_along=1.0, noise_seed=4)
    assert np.abs(reseeded.plan(moving(token="a")).poses - once).max() > 0.1


def test_noise_has_its_amplitude_and_is_smooth():
    across = DisturbedPlanner(ConstantVelocity(), noise_across=0.4)
    along = DisturbedPlanner(ConstantVelocity(), noise_along=1.5)
    sideways = np.array([across.plan(moving(token=str(token))).poses[:, 1] for token in range(400)])
    ahead = np.array([along.plan(moving(token=str(token))).poses[:, 0] for token in range(400)]) - 10.0 * TIMES
    for curves, amplitude in ((sideways, 0.4), (ahead, 1.5)):
        np.testing.assert_allclose(curves[:, [19, 29, 39]].std(axis=0), amplitude, rtol=0.12)
        np.testing.assert_allclose(curves[:, [19, 29, 39]].mean(axis=0), 0.0, atol=0.15 * amplitude)
    # A cubic spline through independent knots 1 s apart bends by some 10 of their deviations.
    assert np.abs(np.diff(sideways, 2, axis=1) / 0.01).std() < 10 * 0.4
    np.testing.assert_allclose(np.array(smooth_noise(0, "x", 5))[:, 0], 0.0)


@given(token=st.text(max_size=5), amplitude=st.floats(0.0, 20.0), speed=st.floats(0.0, 15.0))
def test_noise_never_drives_backwards(token, amplitude, speed):
    poses = DisturbedPlanner(ConstantVelocity(), noise_along=amplitude).plan(moving((speed, 0.0), token=token)).poses
    assert (np.diff(poses[:, 0], prepend=0.0) >= -1e-9).all()


def test_a_car_that_stands_keeps_standing():
    planner = DisturbedPlanner(Stationary(), distance_factor=1.3, lateral_shift=1.0, noise_across=1.0, noise_along=1.0)
    assert not planner.plan(moving()).poses.any()


def test_a_longer_plan_is_cut_at_four_seconds():
    class Long:
        cameras = ()

        def plan(self, observation):
            return Trajectory(np.arange(1, 13)[:, None] * [4.0, 0.0, 0.0], 0.5)

    poses = DisturbedPlanner(Long(), lateral_shift=0.5).plan(moving()).poses
    assert poses.shape == (40, 3)
    assert poses[-1, 0] == pytest.approx(32.0)


def test_impossible_parameters_are_refused():
    with pytest.raises(SwerveError, match=r"delay is -1\.0, it must be 0 or more"):
        DisturbedPlanner(Stationary(), delay=-1.0)
