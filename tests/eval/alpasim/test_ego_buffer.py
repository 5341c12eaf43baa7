"""Egomotion by time stamps."""

import numpy as np
import pytest

from swerve.eval.alpasim.ego_buffer import EgoBuffer
from swerve.eval.alpasim.frames import upright
from swerve.eval.alpasim.planar_motion import along_arc, sampled
from swerve.eval.alpasim.service_error import ServiceError

T = 1_700_000_000_000_000
SPEED, RATE = 8.0, 0.2


def turning(times_us):
    """Return poses and motion of a car that turns left at 8 m/s and 0.2 rad/s through the origin at T."""
    seconds = (np.asarray(times_us) - T) * 1e-6
    planar = along_arc(np.array([SPEED, 0.0]), RATE, seconds)
    motion = np.tile([SPEED, 0.0, 0.0, SPEED * RATE, RATE], (len(seconds), 1))
    return np.asarray(times_us, np.int64), upright(planar, 0.2), motion


def test_an_arc_by_hand():
    """A quarter of a circle of radius 40 m, in pi * 20 / 8 s; before now the car was behind."""
    quarter = np.pi * 40 / 2 / SPEED
    assert np.allclose(along_arc(np.array([SPEED, 0.0]), RATE, np.array([quarter])), [[40, 40, np.pi / 2]])
    assert np.allclose(along_arc(np.array([SPEED, 0.0]), RATE, np.array([-quarter])), [[-40, 40, -np.pi / 2]])
    assert np.allclose(along_arc(np.array([3.0, 1.0]), 0.0, np.array([2.0])), [[6, 2, 0]])


@pytest.mark.parametrize("order", [1, -1])
def test_history_is_interpolated_by_time(order):
    """Poses of 2 Hz at odd times, in any order, tell the history at 10 Hz; those after now are not looked at."""
    times = T + np.arange(-2_130_000, 900_001, 250_000)
    buffer, (times_us, poses, motion) = EgoBuffer(), turning(times)
    for row in range(len(times))[::order]:
        buffer.add(times_us[row : row + 1], poses[row : row + 1], motion[row : row + 1])
    now = int(times[-4])
    history = buffer.history(now)
    expected = along_arc(np.array([SPEED, 0.0]), RATE, history.seconds)
    assert np.allclose(history.seconds, np.arange(-15, 1) / 10)
    assert np.allclose(history.poses, expected, atol=2e-4)
    assert np.allclose(history.velocity, [[SPEED, 0.0]] * 16)
    assert np.allclose(history.acceleration, [[0.0, SPEED * RATE]] * 16)
    before = EgoBuffer()
    before.add(times_us[: len(times) - 3], poses[: len(times) - 3], motion[: len(times) - 3])
    assert np.array_equal(before.history(now).poses, history.poses)


def test_before_the_first_pose_the_car_kept_its_motion():
    buffer = EgoBuffer()
    buffer.add(*turning([T]))
    history = buffer.history(T)
    assert np.allclose(history.poses, along_arc(np.array([SPEED, 0.0]), RATE, history.seconds), atol=1e-9)
    assert history.yaw_rate.tolist() == [RATE] * 16
    assert history.acceleration[:-1].tolist() == [[0.0, 0.0]] * 15


def test_late_egomotion_goes_on_until_now():
    buffer = EgoBuffer()
    buffer.add(*turning(T + 100_000 * np.arange(-16, 1)))
    assert np.allclose(
        buffer.pose_at(T + 200_000), upright(along_arc(np.array([SPEED, 0.0]), RATE, np.array([0.2])), 0.2)[0]
    )
    assert np.allclose(buffer.history(T + 200_000).poses[-3], along_arc(np.array([SPEED, 0.0]), RATE, np.array([-0.2])))
    for late, reason in ((T + 300_000, "0.30 s old"), (T - 1_700_000, "no egomotion up to")):
        with pytest.raises(ServiceError, match=reason) as caught:
            buffer.history(late)
        assert caught.value.status == "FAILED_PRECONDITION"


def test_a_time_between_two_poses_is_interpolated_however_far_apart_they_are():
    buffer = EgoBuffer()
    buffer.add(*turning([T, T + 1_000_000]))
    poses = turning([T, T + 1_000_000])[1]
    assert np.allclose(buffer.pose_between(T + 500_000)[:3, 3], poses[:, :3, 3].mean(axis=0))
    assert np.array_equal(buffer.pose_between(T + 1_000_000), poses[1])


def test_motion_that_is_not_told_is_that_of_the_poses():
    buffer, (times, poses, _) = EgoBuffer(), turning(T + 100_000 * np.arange(-20, 1))
    buffer.add(times, poses, np.zeros((0, 5)))
    history = buffer.history(T)
    assert np.allclose(history.velocity, [SPEED, 0.0], atol=0.02)
    assert np.allclose(history.yaw_rate, RATE, atol=1e-6)
    with pytest.raises(ServiceError, match="one of each"):
        buffer.add(times, poses, np.zeros((3, 5)))


def test_the_past_is_forgotten():
    buffer = EgoBuffer()
    for start in range(0, 60_000_000, 1_000_000):
        buffer.add(*turning(T + start + 1000 * np.arange(1000)))
    assert len(buffer) <= 4096
    assert buffer.history(T + 59_999_000).poses.shape == (16, 3)


def test_a_pose_of_a_known_time_replaces_it():
    buffer, (times, poses, motion) = EgoBuffer(), turning([T])
    buffer.add(times, poses + 1.0, motion)
    buffer.add(times, poses, motion)
    assert len(buffer) == 1
    assert np.allclose(buffer.pose_at(T), poses[0])


def test_plans_go_on_straight():
    times, poses = np.array([0, 1_000_000]), np.array([[0.0, 0.0, 0.0], [2.0, 1.0, 0.4]])
    found = sampled(times, poses, np.array([-5, 500_000, 2_000_000]))
    assert np.allclose(found, [[0, 0, 0], [1, 0.5, 0.2], [4, 2, 0.4]])
