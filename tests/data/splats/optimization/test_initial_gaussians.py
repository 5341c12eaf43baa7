"""Initialization of Gaussians."""

import numpy as np
import pytest

from swerve.data.splats.optimization.initial_gaussians import gaussians_at_points, gaussians_on_surfaces
from swerve.rasterizer import Style, render
from swerve.rasterizer.splats import SplatSnapshot, render_splats
from swerve.scenes import FORWARD, Camera, SwerveError
from swerve.scenes.primitives import Face, Primitives, Semantic
from swerve.scenes.primitives.cuboids import cuboids
from swerve.scenes.transforms import rigid_transform, rotation_from_quaternion


def test_points_on_a_grid_are_as_large_as_its_mesh():
    grid = np.stack(np.meshgrid(*[np.arange(4.0)] * 3), axis=-1).reshape(-1, 3) * 0.5
    colors = np.linspace(0, 1, len(grid))[:, None] * [1, 0.5, 0.2]
    found = gaussians_at_points(grid, colors, degree=2, opacity=0.1)
    np.testing.assert_allclose(np.exp(found.log_scales), 0.5, rtol=1e-6)
    np.testing.assert_allclose(1 / (1 + np.exp(-found.opacity_logits)), 0.1, rtol=1e-5)
    np.testing.assert_allclose(0.5 + 0.28209479 * found.sh_coefficients[:, 0], colors, atol=1e-6)
    assert found.degree == 2
    assert not found.sh_coefficients[:, 1:].any()


def test_points_in_one_place_have_a_size():
    assert np.isfinite(gaussians_at_points(np.zeros((9, 3)), np.zeros((9, 3))).log_scales).all()
    with pytest.raises(SwerveError, match="4 finite points or more to start from, got 3"):
        gaussians_at_points(np.zeros((3, 3)), np.zeros((3, 3)))


def two_triangles():
    """The lower one has nine times the area of the upright one."""
    vertices = np.array([[0, 0, 0], [6, 0, 0], [0, 6, 0], [0, 0, 1], [0, 2, 1], [0, 0, 3.0]])
    triangles = np.arange(6, dtype=np.int32).reshape(2, 3)
    kinds, faces = np.array([Semantic.CROSSING, Semantic.SIGN], np.uint8), np.zeros(2, np.uint8)
    return Primitives.from_triangles(vertices, triangles, kinds, faces, np.array([1, 2], np.int32))


def test_surfaces_are_covered_evenly():
    style = Style.rap()
    found = gaussians_on_surfaces(two_triangles(), style, 4000, np.random.default_rng(0))
    upright = found.means[:, 2] > 0.5
    assert upright.mean() == pytest.approx(0.1, abs=0.02)
    np.testing.assert_allclose(found.means[~upright].mean(axis=0), [2, 2, 0], atol=0.1)
    assert (found.means[~upright][:, :2].sum(axis=1) <= 6 + 1e-5).all()
    axes = rotation_from_quaternion(found.quaternions)
    np.testing.assert_allclose(np.abs(axes[:, :, 2]), np.where(upright[:, None], [1, 0, 0], [0, 0, 1]), atol=1e-6)
    sizes = np.exp(found.log_scales)
    np.testing.assert_allclose(sizes, np.tile([1, 1, 0.1], (4000, 1)) * np.sqrt(20 / 4000) / 2, rtol=1e-5)
    colors = 0.5 + 0.28209479 * found.sh_coefficients[:, 0]
    expected = np.where(upright[:, None], style.palette[Semantic.SIGN, 0], style.palette[Semantic.CROSSING, 0])
    np.testing.assert_allclose(colors, expected / 255, atol=1e-6)
    with pytest.raises(SwerveError, match="without area"):
        gaussians_on_surfaces(cuboids_of(0), style, 5, np.random.default_rng(0))


def cuboids_of(count):
    rng = np.random.default_rng(1)
    centers = np.column_stack([rng.uniform(8, 20, count), rng.uniform(-5, 5, count), np.full(count, 0.8)])
    kinds = np.full(count, Semantic.VEHICLE, np.uint8)
    numbers = np.arange(1, count + 1, dtype=np.int32)
    return cuboids(centers, rng.uniform(-3, 3, count), np.tile([4.5, 1.9, 1.6], (count, 1)), kinds, numbers)


def test_drawn_they_look_like_the_raster_of_the_primitives():
    primitives = cuboids_of(6)
    assert Face.FRONT in primitives.faces
    camera = Camera("front", 160, 96, 90.0, 90.0, 80.0, 48.0, rigid_transform(FORWARD, np.array([0.0, 0.0, 2.0])))
    raster = render(primitives, [camera], np.eye(4)[None], Style.rap(np.inf), ("rgb", "depth"))[0][0]
    gaussians = gaussians_on_surfaces(primitives, Style.rap(), 20_000, np.random.default_rng(0), 0, 0.95)
    view = render_splats(SplatSnapshot.of(gaussians), [camera], np.eye(4)[None], ("rgb", "depth", "alpha"))[0][0]
    seen = np.isfinite(raster.depth)
    assert 0.05 < seen.mean() < 0.9
    assert ((view.alpha > 0.5) == seen).mean() > 0.98
    both = seen & (view.alpha > 0.9)
    assert np.median(np.abs(view.depth[both] - raster.depth[both])) < 0.1
    assert np.median(np.abs(view.rgb.astype(int) - raster.rgb)[both]) < 12
