"""Gaussians in other frames, their harmonics, and a scene at one moment."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from swerve.rasterizer.splats import Gaussians, RigidNode, Sky, SplatScene, SplatSnapshot, render_splats
from swerve.rasterizer.splats.harmonics import rgb_to_sh, rotation_of_harmonics, sh_basis, sh_to_rgb
from swerve.rasterizer.splats.harmonics_kernels import slopes
from swerve.scenes.transforms import rigid_transform, rotation_about_z
from tests.support import splat_reference
from tests.support.splat_clouds import camera, random_gaussians


def unit_vectors(seed, count):
    directions = np.random.default_rng(seed).normal(size=(count, 3))
    return directions / np.linalg.norm(directions, axis=1, keepdims=True)


@pytest.mark.parametrize("degree", range(4))
def test_harmonics_are_those_of_legendre(degree):
    directions = unit_vectors(degree, 200)
    expected = splat_reference.harmonics_at(torch.from_numpy(directions), (degree + 1) ** 2)
    np.testing.assert_allclose(sh_basis(directions, degree), expected.numpy(), atol=1e-12)


def test_the_signs_are_those_of_the_first_code():
    """3D Gaussian Splatting's degree 1 is (-y, z, -x) by 0.4886."""
    np.testing.assert_allclose(
        sh_basis(np.eye(3), 1)[:, 1:], 0.4886025119029199 * np.array([[0, 0, -1], [-1, 0, 0], [0, 1, 0]]), atol=1e-12
    )


def test_slopes_are_the_derivatives():
    step = 1e-6
    for direction in unit_vectors(9, 10):
        found = np.empty((16, 3))
        slopes(16, *direction, found)
        for axis in range(3):
            ends = [splat_polynomials(direction + sign * step * np.eye(3)[axis]) for sign in (1, -1)]
            np.testing.assert_allclose(found[:, axis], (ends[0] - ends[1]) / (2 * step), atol=1e-8)


def splat_polynomials(direction):
    return sh_basis(direction[None], 3)[0]


@settings(max_examples=20)
@given(st.integers(0, 2**31), st.integers(0, 3))
def test_turned_harmonics_show_the_same_colours(seed, degree):
    turn = Rotation.random(random_state=seed).as_matrix()
    matrix = rotation_of_harmonics(turn, degree)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(len(matrix)), atol=1e-9)
    directions = unit_vectors(seed, 20)
    np.testing.assert_allclose(sh_basis(directions @ turn.T, degree) @ matrix, sh_basis(directions, degree), atol=1e-9)


def test_constant_harmonics_are_colours():
    colors = np.array([[0.0, 0.5, 1.0], [0.1, 0.2, 0.3]])
    constants = rgb_to_sh(colors)
    np.testing.assert_allclose(0.5 + sh_basis(np.eye(3)[:2], 0) * constants, colors, atol=1e-12)
    np.testing.assert_allclose(sh_to_rgb(constants), colors)


@settings(max_examples=10)
@given(st.integers(0, 2**31))
def test_a_scene_moved_with_its_camera_looks_the_same(seed):
    turn = Rotation.random(random_state=seed).as_matrix()
    motion = rigid_transform(turn, np.random.default_rng(seed).uniform(-5, 5, 3))
    gaussians, shot = random_gaussians(4), camera()
    still = render_splats(SplatSnapshot.of(gaussians), [shot], np.eye(4)[None], ("color",))[0][0].color
    moved = render_splats(SplatSnapshot.of(gaussians.transform(motion)), [shot], motion[None], ("color",))[0][0].color
    # A pixel at the faintest ellipse's very edge may lose it to rounding.
    assert (np.abs(moved - still).max(axis=2) < 1e-4).mean() > 0.999
    assert np.abs(moved - still).max() < 0.02


def scene():
    poses = rigid_transform(rotation_about_z(np.array([0.0, np.pi / 2])), np.array([[1005.0, 0, 0], [1005.0, 4, 0]]))
    box = random_gaussians(1, 10, degree=1)
    nodes = (
        RigidNode("car", 3, box, np.array([0, 1_000_000]), poses),
        RigidNode("van", 8, box, np.array([2_000_000]), poses[:1]),
    )
    background = random_gaussians(0, 20, degree=0)
    return SplatScene(background, nodes, np.array([1000.0, 0, 0]), Sky.constant((0.1, 0.2, 0.3)))


def test_a_node_is_in_its_place_at_every_moment():
    graph = scene()
    frame = graph.at(500_000)
    np.testing.assert_array_equal(frame.instances, [0] * 20 + [3] * 10)
    pose = rigid_transform(rotation_about_z(np.pi / 4), np.array([5.0, 2.0, 0.0]))
    expected = graph.nodes[0].gaussians.transform(pose)
    np.testing.assert_allclose(frame.gaussians.means[20:], expected.means, atol=1e-5)
    np.testing.assert_allclose(frame.gaussians.sh_coefficients[20:], expected.sh_coefficients, atol=1e-5)
    np.testing.assert_array_equal(frame.gaussians.means[:20], graph.background.means)
    assert frame.gaussians.degree == 1
    assert not frame.gaussians.sh_coefficients[:20, 1:].any()


def test_a_node_is_there_from_its_first_to_its_last_pose():
    assert set(scene().at(-1).instances) == {0}
    assert set(scene().at(1_000_000).instances) == {0, 3}
    assert set(scene().at(1_000_001).instances) == {0}
    assert set(scene().at(2_000_000).instances) == {0, 8}


def test_what_makes_no_sense_is_refused():
    good = random_gaussians(0, 3)
    with pytest.raises(ValueError, match="sh_coefficients"):
        Gaussians(good.means, good.quaternions, good.log_scales, good.opacity_logits, good.sh_coefficients[:, :5])
    with pytest.raises(ValueError, match="rise"):
        RigidNode("car", 1, good, np.array([5, 5]), np.zeros((2, 4, 4)))
