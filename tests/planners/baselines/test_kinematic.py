import numpy as np
import pytest

from swerve.planners import ConstantAcceleration, ConstantVelocity, Stationary
from swerve.scenes import SwerveError
from tests.support.observations import moving


def test_stationary_stays():
    plan = Stationary().plan(moving())
    assert plan.poses.shape == (8, 3)
    assert plan.interval == 0.5
    assert not plan.poses.any()


def test_constant_velocity_is_navsims():
    poses = ConstantVelocity().plan(moving((3.0, 4.0), acceleration=2.0, yaw_rate=0.3)).poses
    np.testing.assert_array_equal(poses, [[2.5 * step, 0.0, 0.0] for step in range(1, 9)])


def test_a_factor_scales_the_speed():
    poses = ConstantVelocity(factor=0.8).plan(moving((10.0, 0.0))).poses
    np.testing.assert_allclose(poses[:, 0], 4.0 * np.arange(1, 9))


def test_a_kept_turn_is_a_circle():
    poses = ConstantVelocity(turn=True).plan(moving((5.0, 0.0), yaw_rate=0.2)).poses
    times = np.arange(1, 9) * 0.5
    np.testing.assert_allclose(poses[:, 2], 0.2 * times)
    np.testing.assert_allclose(np.hypot(poses[:, 0], poses[:, 1] - 25.0), 25.0)
    np.testing.assert_allclose(poses[:, :2], 25.0 * np.stack([np.sin(0.2 * times), 1 - np.cos(0.2 * times)], axis=1))


def test_a_turn_is_no_tighter_than_the_steering_allows():
    poses = ConstantVelocity(turn=True).plan(moving((0.1, 0.0), yaw_rate=-0.5)).poses
    assert poses[-1, 2] == pytest.approx(-0.4 * np.tan(np.pi / 3) / 3.089)
    assert not ConstantVelocity(turn=True).plan(moving((0.0, 0.0), yaw_rate=0.5)).poses.any()


def test_constant_acceleration_by_hand():
    plan = ConstantAcceleration().plan(moving((10.0, 0.0), acceleration=1.5))
    assert plan.interval == 0.1
    times = np.arange(1, 41) / 10
    np.testing.assert_allclose(plan.poses[:, 0], 10 * times + 0.75 * times**2)
    np.testing.assert_allclose(plan.poses[:, 1:], 0.0)


def test_braking_ends_in_standing():
    plan = ConstantAcceleration(acceleration=-5.0).plan(moving((10.0, 0.0), acceleration=3.0, yaw_rate=0.5))
    np.testing.assert_allclose(plan.poses[9, 0], 7.5)
    np.testing.assert_allclose(plan.poses[19:], np.tile([10.0, 0.0, 0.0], (21, 1)))
    turned = ConstantAcceleration(acceleration=-5.0, turn=True).plan(moving((10.0, 0.0), yaw_rate=0.5))
    np.testing.assert_allclose(turned.poses[19:, 2], 0.5)


def test_a_standing_car_that_brakes_stays():
    assert not ConstantAcceleration(acceleration=-1.0).plan(moving((0.0, 0.0))).poses.any()


@pytest.mark.parametrize("make", [lambda: ConstantVelocity(factor=0.0), lambda: ConstantVelocity(factor=np.inf)])
def test_impossible_parameters_are_refused(make):
    with pytest.raises(SwerveError, match="factor is"):
        make()
