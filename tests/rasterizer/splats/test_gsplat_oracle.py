"""Reference functions in torch of gsplat 1.5.3, which run without a GPU, as an oracle. Skips without gsplat."""

import inspect

import numpy as np
import pytest
import torch

from swerve.rasterizer.splats import read_ply
from swerve.rasterizer.splats.harmonics import sh_basis
from swerve.rasterizer.splats.pipeline import camera_arrays, project_and_tile
from swerve.rasterizer.splats.project_kernels import DEPTH, SLOPE, A, H, U, V
from swerve.rasterizer.splats.render_splats import cloud_of
from swerve.scenes import Lens, LensModel
from swerve.scenes.transforms import inverse
from tests.support import splat_reference, standin_gsplat
from tests.support.splat_clouds import camera, random_gaussians
from tests.support.splat_sums import tensors_of

gsplat = pytest.importorskip("gsplat", reason="gsplat is not installed: pip install gsplat==1.5.3")
reference = pytest.importorskip("gsplat.cuda._torch_impl")


def projected(gaussians, shot, pose, model="pinhole"):
    """gsplat's radii, centres, depths and conics, in float64."""
    means, quaternions, log_scales, *_ = (tensor.detach().double() for tensor in tensors_of(gaussians))
    spread, _ = reference._quat_scale_to_covar_preci(quaternions, log_scales.exp(), compute_preci=False)
    view, k = torch.from_numpy(pose)[None], torch.from_numpy(shot.matrix)[None]
    out = reference._fully_fused_projection(
        means, spread, view, k, shot.width, shot.height, 0.3, 0.05, camera_model=model
    )
    return [None if tensor is None else tensor[0].numpy() for tensor in out]


@pytest.mark.parametrize(
    ("model", "lens"), [("pinhole", Lens()), ("fisheye", Lens(LensModel.FISHEYE, (0.0, 0.0, 0.0, 0.0)))]
)
@pytest.mark.parametrize("seed", range(3))
def test_our_ellipses_are_gsplats(model, lens, seed):
    """The equidistant fisheye is gsplat's only lens without the unscented transform; there nothing is clamped."""
    gaussians, shot = random_gaussians(seed, 300), camera(lens)
    pose = inverse(shot.ego_from_camera)
    layout = project_and_tile(cloud_of(gaussians), camera_arrays(shot, pose), 1)
    radii, centers, depths, conics, _ = projected(gaussians, shot, pose, model)
    ours, rows = layout.ellipses, layout.rows
    if model == "fisheye":
        within = ((centers[rows] >= 0) & (centers[rows] < [shot.width, shot.height])).all(1)
        ours, rows = ours[within], rows[within]
    assert len(rows) > 60
    assert (radii[rows] > 0).all()
    np.testing.assert_allclose(ours[:, [U, V]], centers[rows], rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(ours[:, DEPTH], depths[rows], rtol=1e-6)
    # Along a row, 1 / variance is xx, the ridge leans by -xy / xx, and what is left over the rows is yy - xy^2 / xx.
    xx, xy, yy = conics[rows].T
    np.testing.assert_allclose(ours[:, A], xx, rtol=1e-4)
    np.testing.assert_allclose(ours[:, SLOPE], -xy / xx, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(ours[:, H], yy - xy**2 / xx, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("degree", range(4))
def test_harmonics_have_gsplats_order_and_signs(degree):
    rng = np.random.default_rng(degree)
    directions, coefficients = rng.normal(size=(50, 3)), rng.normal(size=(50, (degree + 1) ** 2, 3))
    expected = reference._spherical_harmonics(degree, torch.from_numpy(directions), torch.from_numpy(coefficients))
    unit = directions / np.linalg.norm(directions, axis=1)[:, None]
    np.testing.assert_allclose((sh_basis(unit, degree)[:, :, None] * coefficients).sum(1), expected, atol=1e-9)


def test_the_stand_in_projects_and_sorts_as_gsplat():
    gaussians, shot = random_gaussians(5, 200), camera()
    pose = inverse(shot.ego_from_camera)
    tensors = [tensor.detach() for tensor in tensors_of(gaussians)]
    k, view = torch.tensor(shot.matrix[None]).float(), torch.from_numpy(pose)[None].float()
    radii, centers, depths, conics, _ = standin_gsplat.fully_fused_projection(
        tensors[0], None, tensors[1], tensors[2].exp(), view, k, 75, 52, near_plane=0.05, opacities=torch.ones(200)
    )
    expected = projected(gaussians, shot, pose)
    seen = (expected[0] > 0).all(1)
    assert seen.sum() > 60
    np.testing.assert_array_equal((radii[0] > 0).all(1), seen)
    # gsplat's reference takes 3.33 deviations, its kernels and the stand-in up to where an opacity of 1 gives 1/255.
    assert np.abs(radii[0].numpy() - expected[0])[seen].max() <= 1
    np.testing.assert_allclose(centers[0, seen], expected[1][seen], rtol=1e-4, atol=1e-3)
    np.testing.assert_allclose(depths[0, seen], expected[2][seen], rtol=1e-5)
    np.testing.assert_allclose(conics[0, seen], expected[3][seen], rtol=1e-3, atol=1e-6)
    _, keys, members = standin_gsplat.isect_tiles(centers, radii, depths, 16, 5, 4)
    filled = [torch.nan_to_num(tensor) for tensor in (centers, depths)]
    _, their_keys, their_members = reference._isect_tiles(filled[0], radii, filled[1], 16, 5, 4)
    assert torch.equal(keys & ((1 << 37) - 1), their_keys & ((1 << 37) - 1))
    assert torch.equal(members, their_members)
    offsets = reference._isect_offset_encode(their_keys, 1, 5, 4)
    assert torch.equal(standin_gsplat.isect_offset_encode(keys, 1, 5, 4), offsets.reshape(1, 4, 5))


def test_our_reference_has_gsplats_rotations():
    quaternions = torch.randn((20, 4), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(splat_reference._rotations(quaternions), reference._quat_to_rotmat(quaternions))


@pytest.mark.parametrize("degree", range(4))
def test_ply_files_that_gsplat_writes_are_read(tmp_path, degree):
    gaussians = random_gaussians(degree, 30, degree)
    means, quaternions, log_scales, logits, harmonics = (tensor.detach() for tensor in tensors_of(gaussians))
    path = tmp_path / "scene.ply"
    gsplat.export_splats(
        means, log_scales, quaternions, logits, harmonics[:, :1], harmonics[:, 1:], format="ply", save_to=str(path)
    )
    found = read_ply(path)
    for name, value in vars(gaussians).items():
        np.testing.assert_array_equal(getattr(found, name), value)


@pytest.mark.parametrize(
    "name",
    [
        "fully_fused_projection",
        "fully_fused_projection_with_ut",
        "isect_tiles",
        "isect_offset_encode",
        "rasterize_to_indices_in_range",
        "rasterize_to_pixels",
        "rasterize_to_pixels_eval3d",
        "spherical_harmonics",
    ],
)
def test_the_stand_in_takes_gsplats_arguments(name):
    """Those without a default in gsplat's order, the others by its names."""
    theirs = inspect.signature(getattr(gsplat, name)).parameters
    ours = inspect.signature(getattr(standin_gsplat, name)).parameters.values()
    required = [parameter.name for parameter in ours if parameter.default is parameter.empty]
    named = [word for word in required if word != "optics"]
    assert list(theirs)[: len(named)] == named
    assert {parameter.name for parameter in ours} - {"optics"} <= set(theirs)
    if "optics" in required:
        lens_and_shutter = {"camera_model", "radial_coeffs", "tangential_coeffs", "rolling_shutter", "viewmats_rs"}
        assert lens_and_shutter <= set(theirs)
