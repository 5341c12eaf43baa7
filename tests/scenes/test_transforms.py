"""Rigid motions: group axioms, inverses, interpolation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from swerve.scenes.transforms import (
    interpolate_poses,
    inverse,
    pose_from_yaw,
    relative_poses,
    rigid_transform,
    rotation_from_quaternion,
    transform_points,
    wrap_angle,
    yaw_of,
)

numbers = st.floats(-100, 100)
angles = st.floats(-3.1, 3.1)


@st.composite
def motions(draw):
    rotation = Rotation.from_euler("zyx", [draw(angles), draw(angles), draw(angles)]).as_matrix()
    return rigid_transform(rotation, np.array([draw(numbers), draw(numbers), draw(numbers)]))


@given(motions(), motions(), motions())
def test_group_axioms(a, b, c):
    np.testing.assert_allclose((a @ b) @ c, a @ (b @ c), atol=1e-9)
    np.testing.assert_allclose(a @ np.eye(4), a)
    np.testing.assert_allclose(a @ inverse(a), np.eye(4), atol=1e-9)
    np.testing.assert_allclose(inverse(a @ b), inverse(b) @ inverse(a), atol=1e-9)
    np.testing.assert_allclose(np.linalg.det((a @ b)[:3, :3]), 1.0)


@given(motions(), motions())
def test_points_follow_products(a, b):
    points = np.array([[1.0, 2.0, 3.0], [-4.0, 0.5, 0.0]])
    np.testing.assert_allclose(
        transform_points(a @ b, points), transform_points(a, transform_points(b, points)), atol=1e-9
    )


@given(st.floats(-50, 50))
def test_wrapped_angles_are_the_same_direction(angle):
    wrapped = wrap_angle(angle)
    assert -np.pi <= wrapped < np.pi
    np.testing.assert_allclose([np.cos(wrapped), np.sin(wrapped)], [np.cos(angle), np.sin(angle)], atol=1e-9)


def test_quaternions_are_scalar_first():
    quarter = rotation_from_quaternion(np.array([[np.sqrt(0.5), 0.0, 0.0, np.sqrt(0.5)]]))
    np.testing.assert_allclose(quarter[0] @ [1, 0, 0], [0, 1, 0], atol=1e-12)


def test_interpolated_poses_turn_the_short_way():
    poses = pose_from_yaw(np.array([[0.0, 0, 0], [2.0, 0, 0]]), np.array([3.0, -3.0]))
    middle = interpolate_poses(np.array([0, 100]), poses, np.array([50]))
    np.testing.assert_allclose(middle[0, :3, 3], [1, 0, 0])
    np.testing.assert_allclose(abs(yaw_of(middle[0])), np.pi)


def test_interpolation_refuses_to_extrapolate():
    poses = pose_from_yaw(np.zeros((2, 3)), np.zeros(2))
    with pytest.raises(ValueError, match="leave"):
        interpolate_poses(np.array([0, 100]), poses, np.array([101]))


def test_relative_poses_by_hand():
    base = pose_from_yaw(np.array([1.0, 1.0, 0.0]), np.pi / 2)
    seen = relative_poses(base, pose_from_yaw(np.array([[1.0, 3.0, 0.0]]), np.array([np.pi])))
    np.testing.assert_allclose(seen, [[2.0, 0.0, np.pi / 2]], atol=1e-12)


def test_a_bump_under_a_pitched_base_moves_nothing_in_the_plane():
    """NAVSIM's relative SE2 states: of x, y and heading in the world, whatever the base's pitch and the height."""
    angle = np.deg2rad(2.0)
    pitch = np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]])
    base = pose_from_yaw(np.array([3.0, -1.0, 0.2]), 0.7)
    flat = base.copy()
    base[:3, :3] = base[:3, :3] @ pitch
    ahead = pose_from_yaw(np.array([[5.0, 2.0, 0.2], [8.0, 4.0, 0.23]]), np.array([0.9, -3.0]))
    seen = relative_poses(base, ahead)
    cos, sin = np.cos(0.7), np.sin(0.7)
    expected = [[2 * cos + 3 * sin, 3 * cos - 2 * sin, 0.2], [5 * cos + 5 * sin, 5 * cos - 5 * sin, 2 * np.pi - 3.7]]
    np.testing.assert_allclose(seen, expected, atol=1e-12)
    np.testing.assert_allclose(seen, relative_poses(flat, ahead), atol=1e-12)
