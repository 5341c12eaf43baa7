"""Frames, rotations and times: cases worked by hand."""

import numpy as np
import pytest

from swerve.eval.alpasim.frames import (
    from_local,
    motion_of,
    pose_message,
    pose_of,
    time_of,
    to_local,
    trajectory_message,
    trajectory_of,
)
from swerve.eval.alpasim.protocol import protocol
from swerve.eval.alpasim.service_error import ServiceError
from swerve.scenes.camera import FORWARD
from swerve.scenes.transforms import pose_from_yaw


def message(x, y, z, w, qx, qy, qz):
    messages = protocol()
    return messages.Pose(vec=messages.Vec3(x=x, y=y, z=z), quat=messages.Quat(w=w, x=qx, y=qy, z=qz))


def test_a_pose_by_hand():
    """A rig at (3, 4) turned left by 90 degrees: (w, x, y, z) = (cos 45, 0, 0, sin 45). Its x axis is the local y."""
    half = np.sqrt(0.5)
    local_from_rig = pose_of(message(3, 4, 0.5, half, 0, 0, half), "pose")
    assert np.allclose(local_from_rig, [[0, -1, 0, 3], [1, 0, 0, 4], [0, 0, 1, 0.5], [0, 0, 0, 1]], atol=1e-7)
    # Two metres ahead of the rig and one to its left lie at (3 - 1, 4 + 2).
    assert np.allclose(local_from_rig @ [2, 1, 0, 1], [2, 6, 0.5, 1], atol=1e-6)
    sent = pose_message(local_from_rig)
    assert (sent.quat.w, sent.quat.z, sent.vec.x) == (np.float32(half), np.float32(half), 3.0)


def test_the_quaternion_of_a_camera_that_looks_ahead():
    """x right is the rig's -y, y down its -z, z forward its x: (x, y, z, w) = (-1, 1, -1, 1) / 2 in AlpaSim's files."""
    rig_from_camera = pose_of(message(1.7, 0, 1.5, 0.5, -0.5, 0.5, -0.5), "rig_to_camera")
    assert np.allclose(rig_from_camera[:3, :3], FORWARD, atol=1e-7)
    # The opposite sign is the same rotation.
    assert np.allclose(pose_of(message(1.7, 0, 1.5, -0.5, 0.5, -0.5, 0.5), "rig_to_camera"), rig_from_camera)


def test_plans_by_hand():
    """A car at (10, 20), heading along the local -x: 5 m ahead and 1 m to its left is (5, 19)."""
    local_from_ego = pose_from_yaw(np.array([10.0, 20.0, 0.0]), np.pi)
    local = to_local(np.array([[5.0, 1.0, 0.1]]), local_from_ego)
    assert np.allclose(local, [[5.0, 19.0, np.pi + 0.1]])
    assert np.allclose(from_local(local, local_from_ego), [[5.0, 1.0, 0.1]])


def test_trajectories_return_with_their_times():
    times_us = np.array([1_700_000_000_000_001, 1_700_000_000_100_002])
    poses = np.stack([pose_from_yaw(np.array([x, 1.0, 0.0]), 0.3 * x) for x in (0.0, 1.0)])
    found_us, found = trajectory_of(trajectory_message(times_us, poses), "trajectory")
    assert found_us.tolist() == times_us.tolist()
    assert np.allclose(found, poses, atol=1e-6)


def test_motion_is_forward_and_left():
    state = protocol().DynamicState()
    state.linear_velocity.x, state.linear_velocity.y = 5.0, -1.0
    state.linear_acceleration.x, state.linear_acceleration.y, state.angular_velocity.z = 0.5, 2.0, 0.25
    assert motion_of([state], "states").tolist() == [[5.0, -1.0, 0.5, 2.0, 0.25]]


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ((np.nan, 0, 0, 1, 0, 0, 0), "finite"),
        ((0, np.inf, 0, 1, 0, 0, 0), "finite"),
        ((1e9, 0, 0, 1, 0, 0, 0), "position"),
        ((0, 0, 0, 0, 0, 0, 0), "length one"),
        ((0, 0, 0, 3, 0, 0, 0), "length one"),
    ],
)
def test_malformed_poses_are_named(bad, reason):
    with pytest.raises(ServiceError, match=reason) as caught:
        pose_of(message(*bad), "trajectory")
    assert caught.value.status == "INVALID_ARGUMENT"


def test_times_must_increase_and_be_times():
    messages = protocol()
    pose = messages.Pose(quat=messages.Quat(w=1.0))
    twice = messages.Trajectory(poses=[messages.PoseAtTime(pose=pose, timestamp_us=5)] * 2)
    with pytest.raises(ServiceError, match="must increase"):
        trajectory_of(twice, "trajectory")
    with pytest.raises(ServiceError, match="later than any time"):
        time_of(2**63, "time_now_us")
