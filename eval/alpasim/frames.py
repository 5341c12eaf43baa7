"""Frames, rotations and times of AlpaSim's messages, and those of Swerve: the only place where one becomes the other.

- AlpaSim's rig frame is Swerve's ego frame: x forward, y left, z up, origin at the rear axle on the ground.
- Its local frame, fixed for a rollout, takes the place of a log's world frame, whose origin is near the log, so that
  single precision is enough.
- A `Pose` named `a_to_b` has the position and rotation of b in a: it is Swerve's `a_from_b`, 4x4. Its quaternion has
  fields w, x, y, z.
- Camera frames are OpenCV's in both (x right, y down, z forward). AlpaSim's principal points count from the centre of
  the first pixel, Swerve's from its corner.
- Times are whole microseconds in both; planners' times are seconds from now.
"""

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
from jaxtyping import Float, Int

from swerve.eval.alpasim.protocol import protocol
from swerve.eval.alpasim.service_error import invalid
from swerve.scenes.transforms import (
    quaternion_from_rotation,
    rigid_transform,
    rotation_about_z,
    rotation_from_quaternion,
    wrap_angle,
    yaw_of,
)

# A principal point in AlpaSim's pixels, whose centres are whole numbers, plus this is one in Swerve's.
PIXEL_CENTER: Final = 0.5
# Later times, or positions farther away, are mistakes: 2^62 us are 146,000 years.
_LATEST_US: Final = 1 << 62
_FARTHEST: Final = 1e7
# Quaternions need not be of length one, since they are rounded; those far from it are mistakes.
_SHORTEST, _LONGEST = 0.5, 2.0


def time_of(message_us: int, name: str) -> int:
    """Return a time of a message, microseconds.

    Raises:
        ServiceError: it is out of range.
    """
    if message_us > _LATEST_US:
        raise invalid(f"{name}: {message_us} us is later than any time")
    return message_us


def pose_of(message: Any, name: str) -> Float[np.ndarray, "4 4"]:  # noqa: ANN401
    """Return `a_from_b` of a `Pose` a_to_b.

    Args:
        message: the pose.
        name: of the field, for errors.

    Raises:
        ServiceError: a number is not finite, a position out of range, or the quaternion is not of length one.
    """
    pose: Float[np.ndarray, "4 4"] = poses_of([message], name)[0]
    return pose


def poses_of(messages: Sequence[Any], name: str) -> Float[np.ndarray, "n 4 4"]:
    """Return `a_from_b` of several poses, see `pose_of`.

    Raises:
        ServiceError: see `pose_of`.
    """
    rows = [(*(one.vec.x, one.vec.y, one.vec.z), *(one.quat.w, one.quat.x, one.quat.y, one.quat.z)) for one in messages]
    numbers = np.array(rows, dtype=np.float64).reshape(-1, 7)
    lengths = np.linalg.norm(numbers[:, 3:], axis=1)
    good = np.isfinite(numbers).all(axis=1) & (np.abs(numbers[:, :3]) <= _FARTHEST).all(axis=1)
    good &= (lengths >= _SHORTEST) & (lengths <= _LONGEST)
    if not good.all():
        row = int(np.flatnonzero(~good)[0])
        raise invalid(
            f"{name}: pose {row} has position {numbers[row, :3].tolist()} and quaternion (w, x, y, z) "
            f"{numbers[row, 3:].tolist()}: finite numbers and a quaternion of length one are needed"
        )
    return rigid_transform(rotation_from_quaternion(numbers[:, 3:]), numbers[:, :3])


def pose_message(a_from_b: Float[np.ndarray, "4 4"]) -> Any:  # noqa: ANN401
    """Return the `Pose` a_to_b; its numbers are rounded to single precision."""
    return _pose_messages(a_from_b[None])[0]


def _pose_messages(poses: Float[np.ndarray, "n 4 4"]) -> list[Any]:
    messages = protocol()
    places, turns = poses[:, :3, 3].tolist(), quaternion_from_rotation(poses[:, :3, :3]).tolist()
    return [
        messages.Pose(vec=messages.Vec3(x=x, y=y, z=z), quat=messages.Quat(w=qw, x=qx, y=qy, z=qz))
        for (x, y, z), (qw, qx, qy, qz) in zip(places, turns, strict=True)
    ]


def trajectory_of(message: Any, name: str) -> tuple[Int[np.ndarray, "n"], Float[np.ndarray, "n 4 4"]]:  # noqa: ANN401
    """Return times and poses of a `Trajectory`.

    Raises:
        ServiceError: a pose is malformed, or the times do not increase.
    """
    times_us = np.array([time_of(one.timestamp_us, name) for one in message.poses], dtype=np.int64)
    if (np.diff(times_us) <= 0).any():
        raise invalid(f"{name}: the times of its poses must increase")
    return times_us, poses_of([one.pose for one in message.poses], name)


def trajectory_message(times_us: Int[np.ndarray, "n"], poses: Float[np.ndarray, "n 4 4"]) -> Any:  # noqa: ANN401
    """Return the `Trajectory` of times and poses."""
    messages = protocol()
    rows = [
        messages.PoseAtTime(pose=pose, timestamp_us=time_us)
        for time_us, pose in zip(times_us.tolist(), _pose_messages(poses), strict=True)
    ]
    return messages.Trajectory(poses=rows)


def motion_of(states: Sequence[Any], name: str) -> Float[np.ndarray, "n 5"]:
    """Return velocity and acceleration (forward, left) and yaw rate of `DynamicState`s, which are in the rig frame.

    Raises:
        ServiceError: a number is not finite.
    """
    rows = [
        (
            *(one.linear_velocity.x, one.linear_velocity.y),
            *(one.linear_acceleration.x, one.linear_acceleration.y),
            one.angular_velocity.z,
        )
        for one in states
    ]
    numbers = np.array(rows, dtype=np.float64).reshape(-1, 5)
    if not np.isfinite(numbers).all():
        raise invalid(f"{name}: a velocity or acceleration is not finite")
    return numbers


def motion_message(velocity: Float[np.ndarray, "2"], acceleration: Float[np.ndarray, "2"], yaw_rate: float) -> Any:  # noqa: ANN401
    """Return the `DynamicState` of a motion, see `motion_of`."""
    messages = protocol()
    return messages.DynamicState(
        linear_velocity=messages.Vec3(x=velocity[0], y=velocity[1]),
        linear_acceleration=messages.Vec3(x=acceleration[0], y=acceleration[1]),
        angular_velocity=messages.Vec3(z=yaw_rate),
    )


def to_local(planar: Float[np.ndarray, "n 3"], local_from_ego: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "n 3"]:
    """Return x, y, heading in the local frame of poses that are relative to the ego.

    As in `swerve.scenes.transforms.relative_poses`, both lie in the horizontal plane.
    """
    yaw = float(yaw_of(local_from_ego))
    places = planar[:, :2] @ rotation_about_z(yaw)[:2, :2].T + local_from_ego[:2, 3]
    return np.column_stack([places, planar[:, 2] + yaw])


def from_local(local: Float[np.ndarray, "n 3"], local_from_ego: Float[np.ndarray, "4 4"]) -> Float[np.ndarray, "n 3"]:
    """Return poses relative to the ego: the inverse of `to_local`, with headings wrapped."""
    yaw = float(yaw_of(local_from_ego))
    places = (local[:, :2] - local_from_ego[:2, 3]) @ rotation_about_z(yaw)[:2, :2]
    return np.column_stack([places, wrap_angle(local[:, 2] - yaw)])


def upright(local: Float[np.ndarray, "n 3"], height: float) -> Float[np.ndarray, "n 4 4"]:
    """Return upright poses at a height, of x, y, heading in the local frame."""
    positions = np.column_stack([local[:, :2], np.full(len(local), height)])
    return rigid_transform(rotation_about_z(local[:, 2]), positions)


def planar_of(poses: Float[np.ndarray, "n 4 4"]) -> Float[np.ndarray, "n 3"]:
    """Return x, y, heading in the local frame of poses, headings unwrapped."""
    return np.column_stack([poses[:, :2, 3], np.unwrap(yaw_of(poses))])
