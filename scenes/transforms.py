"""Rigid transforms as 4x4 matrices named `target_from_source`, and angles.

Products chain by name: `world_from_camera = world_from_ego @ ego_from_camera`. All functions take leading batch axes.
"""

import numpy as np
import scipy
from jaxtyping import Bool, Float, Int

_SKEW = 1e-5


def wrap_angle(angle: Float[np.ndarray, "..."] | float) -> Float[np.ndarray, "..."]:
    """Wrap angle(s) in radians to [-pi, pi)."""
    return np.asarray((np.asarray(angle, dtype=np.float64) + np.pi) % (2 * np.pi) - np.pi)


def rigid_transform(
    rotation: Float[np.ndarray, "*b 3 3"], translation: Float[np.ndarray, "*b 3"]
) -> Float[np.ndarray, "*b 4 4"]:
    """Build the transform that rotates, then translates."""
    matrix = np.zeros((*translation.shape[:-1], 4, 4))
    matrix[..., :3, :3] = rotation
    matrix[..., :3, 3] = translation
    matrix[..., 3, 3] = 1.0
    return matrix


def inverse(target_from_source: Float[np.ndarray, "*b 4 4"]) -> Float[np.ndarray, "*b 4 4"]:
    """Invert a rigid transform (`source_from_target`) by the transpose of its rotation."""
    rotation = np.swapaxes(target_from_source[..., :3, :3], -1, -2)
    translation = -(rotation @ target_from_source[..., :3, 3:])[..., 0]
    return rigid_transform(rotation, translation)


def transform_points(
    target_from_source: Float[np.ndarray, "*b 4 4"], points: Float[np.ndarray, "*b n 3"]
) -> Float[np.ndarray, "*b n 3"]:
    """Transform points from the source frame to the target frame."""
    rotation = np.swapaxes(target_from_source[..., :3, :3], -1, -2)
    moved: Float[np.ndarray, "*b n 3"] = points @ rotation + target_from_source[..., None, :3, 3]
    return moved


def rotation_about_z(yaw: Float[np.ndarray, "*b"] | float) -> Float[np.ndarray, "*b 3 3"]:
    """Return the rotation by `yaw` radians, counter-clockwise seen from above."""
    yaw = np.asarray(yaw, dtype=np.float64)
    rotation = np.zeros((*yaw.shape, 3, 3))
    rotation[..., 0, 0] = rotation[..., 1, 1] = np.cos(yaw)
    rotation[..., 1, 0] = np.sin(yaw)
    rotation[..., 0, 1] = -rotation[..., 1, 0]
    rotation[..., 2, 2] = 1.0
    return rotation


def pose_from_yaw(
    position: Float[np.ndarray, "*b 3"], yaw: Float[np.ndarray, "*b"] | float
) -> Float[np.ndarray, "*b 4 4"]:
    """Return the upright pose (z axis up) at `position` with heading `yaw`."""
    return rigid_transform(rotation_about_z(yaw), np.asarray(position, dtype=np.float64))


def yaw_of(target_from_source: Float[np.ndarray, "*b 4 4"]) -> Float[np.ndarray, "*b"]:
    """Return the heading in radians of the source's x axis, seen from the target's z axis."""
    return np.asarray(np.arctan2(target_from_source[..., 1, 0], target_from_source[..., 0, 0]))


def not_rigid(poses: Float[np.ndarray, "n 4 4"]) -> Bool[np.ndarray, "n"]:
    """Return which of finite matrices are not rigid transforms, to 1e-5 in their elements."""
    # An element beyond 1 is invalid already; clipping keeps it so, and the products finite.
    rotation = np.clip(poses[:, :3, :3], -2.0, 2.0)
    skew = np.abs(rotation @ np.swapaxes(rotation, 1, 2) - np.eye(3)).max(axis=(1, 2))
    last = np.abs(poses[:, 3] - [0.0, 0.0, 0.0, 1.0]).max(axis=1)
    bent: Bool[np.ndarray, "n"] = (skew > _SKEW) | (last > _SKEW) | (np.linalg.det(rotation) < 0)
    return bent


def rotation_from_quaternion(wxyz: Float[np.ndarray, "*b 4"]) -> Float[np.ndarray, "*b 3 3"]:
    """Convert quaternions, scalar first, to rotation matrices; they need not be of unit length, but not zero.

    Raises:
        ValueError: a quaternion has length zero.
    """
    flat = np.asarray(wxyz, dtype=np.float64).reshape(-1, 4)
    rotations: Float[np.ndarray, "*b 3 3"] = (
        scipy.spatial.transform.Rotation.from_quat(flat, scalar_first=True).as_matrix().reshape(*wxyz.shape[:-1], 3, 3)
    )
    return rotations


def quaternion_from_rotation(rotation: Float[np.ndarray, "*b 3 3"]) -> Float[np.ndarray, "*b 4"]:
    """Convert rotation matrices to unit quaternions, scalar first and not negative."""
    flat = np.asarray(rotation, dtype=np.float64).reshape(-1, 3, 3)
    quaternions: Float[np.ndarray, "*b 4"] = (
        scipy.spatial.transform.Rotation.from_matrix(flat)
        .as_quat(canonical=True, scalar_first=True)
        .reshape(*rotation.shape[:-2], 4)
    )
    return quaternions


def interpolate_poses(
    times_us: Int[np.ndarray, "t"],
    target_from_source: Float[np.ndarray, "t 4 4"],
    query_us: Int[np.ndarray, "q"],
) -> Float[np.ndarray, "q 4 4"]:
    """Interpolate poses at other times: positions linearly, rotations along the shortest arc (slerp).

    Raises:
        ValueError: a query lies outside the times, or there are fewer than two poses.
    """
    if len(times_us) < 2:
        raise ValueError(f"needs two poses or more to interpolate, got {len(times_us)}")
    if query_us.min() < times_us[0] or query_us.max() > times_us[-1]:
        raise ValueError(
            f"query times {query_us.min()}..{query_us.max()} us leave the poses' {times_us[0]}..{times_us[-1]} us"
        )
    seconds = (times_us - times_us[0]) * 1e-6
    query = (query_us - times_us[0]) * 1e-6
    positions = target_from_source[:, :3, 3]
    translation = np.stack([np.interp(query, seconds, positions[:, axis]) for axis in range(3)], axis=-1)
    rotations = scipy.spatial.transform.Slerp(
        seconds, scipy.spatial.transform.Rotation.from_matrix(target_from_source[:, :3, :3])
    )(query)
    return rigid_transform(rotations.as_matrix(), translation)


def relative_poses(
    world_from_base: Float[np.ndarray, "4 4"], world_from_ego: Float[np.ndarray, "*b 4 4"]
) -> Float[np.ndarray, "*b 3"]:
    """Compute planar poses (x, y, heading) of `world_from_ego` relative to `world_from_base`.

    Both are projected onto the world's horizontal plane first, as NAVSIM and nuPlan do (SE2 states): in the frame of a
    base that is pitched by 2 degrees, a bump of 3 cm would move x by 1 mm, a jerk of 1 m/s3 at 10 Hz.
    """
    base_yaw = yaw_of(world_from_base)
    offset = world_from_ego[..., :2, 3] - world_from_base[:2, 3]
    planar = offset @ rotation_about_z(base_yaw)[:2, :2]
    heading = wrap_angle(yaw_of(world_from_ego) - base_yaw)
    return np.concatenate([planar, np.asarray(heading)[..., None]], axis=-1)
