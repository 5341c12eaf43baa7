"""The back end of gsplat through a stand-in of it, against the CPU's kernels. tests/gpu has the library itself."""

import sys
from types import ModuleType

import numpy as np
import pytest
import torch

from swerve.rasterizer import backends
from swerve.rasterizer.splats import Sky, SplatSnapshot, gsplat, render_splats
from swerve.rasterizer.splats.differentiable_splats import differentiable_splats
from swerve.rasterizer.splats.gsplat import GsplatLibrary, GsplatScene, gsplat_library
from swerve.scenes import MissingExtraError, SwerveError
from swerve.scenes.transforms import inverse, rigid_transform, rotation_about_z
from tests.support import standin_gsplat
from tests.support.splat_clouds import LENSES, camera, random_gaussians
from tests.support.splat_sums import gradients_of, loss_of, slopes_of, tensors_of

STANDIN = GsplatLibrary(standin_gsplat, torch.device("cpu"))
POSE = rigid_transform(rotation_about_z(0.1), np.array([-0.2, 0.1, 0.05]))
ALL = ("rgb", "depth", "alpha", "instance", "color")


def through_gsplat(*arguments):
    *tensors, shot, pose, centers = arguments
    return gsplat.draw(GsplatScene(*tensors), shot, pose, STANDIN, centers)


@pytest.fixture
def standing_in(monkeypatch):
    """The stand-in where the library would be."""
    monkeypatch.setattr(backends, "unavailable_reason", lambda backend: "")
    monkeypatch.setattr(backends, "_missing", lambda backend: [])
    monkeypatch.setattr(gsplat, "load_library", lambda: STANDIN)


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())
@pytest.mark.parametrize("seed", range(3))
def test_images_and_gradients_are_those_of_the_cpu(lens, seed):
    gaussians, shot = random_gaussians(50 + seed, 80, seed + 1, dense=seed % 2 == 0), camera(lens)
    pose = inverse(POSE @ shot.ego_from_camera)
    expected, expected_gradients = gradients_of(differentiable_splats, gaussians, shot, pose)
    found, gradients = gradients_of(through_gsplat, gaussians, shot, pose)
    assert expected[2].mean() > 0.1
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)
    for name, gradient in expected_gradients.items():
        largest = float(gradient.abs().max())
        assert largest > 0
        torch.testing.assert_close(
            gradients[name], gradient, rtol=1e-3, atol=2e-5 * largest, msg=lambda m, n=name: n + m
        )


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())
def test_views_are_those_of_the_cpu(lens, standing_in):
    """All outputs, two poses, an origin, a sky, numbers, more than one band of tiles."""
    shot, rng = camera(lens, 64, 140, 60.0), np.random.default_rng(0)
    gaussians = random_gaussians(7, 150)
    sky = Sky(rng.normal(0, 0.2, (4, 3)).astype(np.float32))
    frame = SplatSnapshot(gaussians, np.arange(1, 151, dtype=np.int32), np.array([100.0, -40.0, 3.0]), sky)
    poses = np.stack(
        [rigid_transform(POSE[:3, :3], POSE[:3, 3] + frame.origin), rigid_transform(np.eye(3), frame.origin)]
    )
    for expected, found in zip(
        render_splats(frame, [shot], poses, ALL),
        render_splats(frame, [shot], poses, ALL, backend="gsplat"),
        strict=True,
    ):
        for name in ("color", "alpha"):
            np.testing.assert_allclose(getattr(found[0], name), getattr(expected[0], name), atol=1e-4)
        seen = expected[0].alpha > 0
        np.testing.assert_array_equal(np.isinf(found[0].depth), ~seen)
        np.testing.assert_allclose(found[0].depth[seen], expected[0].depth[seen], rtol=1e-4)
        assert np.abs(found[0].rgb.astype(int) - expected[0].rgb).max() <= 1
        assert len(np.unique(expected[0].instance)) > 2
        np.testing.assert_array_equal(found[0].instance, expected[0].instance)


def test_the_door_leads_to_gsplat(standing_in, monkeypatch):
    """Tensors on another device than the library's are refused; else both doors draw the same."""
    shot, gaussians = camera(), random_gaussians(3)
    pose = inverse(shot.ego_from_camera)
    found, _ = gradients_of(lambda *a: differentiable_splats(*a, backend="gsplat"), gaussians, shot, pose)
    direct, _ = gradients_of(through_gsplat, gaussians, shot, pose)
    for one, other in zip(found, direct, strict=True):
        assert torch.equal(one, other)
    monkeypatch.setattr(gsplat, "load_library", lambda: GsplatLibrary(standin_gsplat, torch.device("cuda")))
    with pytest.raises(SwerveError, match=r'tensors on cuda, got cpu: move them with \.to\("cuda"\)'):
        gradients_of(lambda *a: differentiable_splats(*a, backend="gsplat"), gaussians, shot, pose)


@pytest.mark.parametrize("draw", [gsplat.draw, gsplat.render_unscented])
@pytest.mark.parametrize("count", [0, 5])
def test_nothing_in_sight_is_nothing_with_gradients_of_zero(draw, count):
    shot, behind = camera(LENSES["brown"]), random_gaussians(0, count, 1)
    behind.means[:, 0] = -3
    tensors, pose = tensors_of(behind), torch.from_numpy(inverse(shot.ego_from_camera))
    shifts = torch.zeros((count, 2), requires_grad=True)
    images = draw(GsplatScene(*tensors), shot, pose, STANDIN, shifts)
    assert [image.shape for image in images] == [(52, 75, 3), (52, 75), (52, 75)]
    assert not any(image.any() for image in images)
    loss_of(images, slopes_of(0, shot)).backward()
    assert not any(tensor.grad.any() for tensor in (*tensors, shifts))
    owner = gsplat.dominant_gaussians if draw is gsplat.draw else gsplat.dominant_gaussians_unscented
    assert (owner(GsplatScene(*tensors), shot, pose, STANDIN) == -1).all()


def test_without_the_library_it_says_so(monkeypatch):
    frame, shot, here = SplatSnapshot.of(random_gaussians(0)), camera(), np.eye(4)[None]
    if backends.unavailable_reason("gsplat") == "gsplat is not installed":
        with pytest.raises(MissingExtraError, match=r"gsplat is not installed. Install it with: .*\[torch,gsplat\]"):
            render_splats(frame, [shot], here, backend="gsplat")
    monkeypatch.setattr(backends, "_missing", lambda backend: [])
    monkeypatch.setattr(backends, "version", lambda name: "1.4.0")
    with pytest.raises(SwerveError, match=r"gsplat-ut cannot be used: gsplat 1.4.0 is installed, .* requires 1.5.3"):
        render_splats(frame, [shot], here, backend="gsplat-ut")
    monkeypatch.setattr(backends, "version", lambda name: "1.5.3")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(SwerveError, match="gsplat cannot be used: torch finds no CUDA device"):
        render_splats(frame, [shot], here, backend="gsplat")
    expected = render_splats(frame, [shot], here)[0][0].rgb
    np.testing.assert_array_equal(render_splats(frame, [shot], here, backend="auto")[0][0].rgb, expected)


class _Broken(ModuleType):
    """gsplat's module of kernels where the compiler fails."""

    def __getattr__(self, name):
        raise RuntimeError(
            "Error building extension 'gsplat_cuda':\n[1/30] nvcc\nfatal error: cusparse.h: No such file\n"
        )


@pytest.mark.parametrize("broken", [True, False], ids=["compiler fails", "no toolkit"])
def test_a_build_that_fails_says_what_to_set(broken, monkeypatch):
    kernels = (_Broken if broken else ModuleType)("gsplat.cuda._backend")
    if not broken:
        kernels._C = None
    monkeypatch.setitem(sys.modules, "gsplat", ModuleType("gsplat"))
    monkeypatch.setitem(sys.modules, "gsplat.cuda", ModuleType("gsplat.cuda"))
    monkeypatch.setitem(sys.modules, "gsplat.cuda._backend", kernels)
    reason = "fatal error: cusparse.h: No such file" if broken else "no CUDA toolkit"
    with pytest.raises(SwerveError, match=f"cannot be built: {reason}.*CUDA_HOME.*TORCH_CUDA_ARCH_LIST.*CPATH"):
        gsplat_library.load_library()


def test_views_are_written_over():
    shots, poses = [camera(), camera(LENSES["fisheye"], 40, 30)], np.stack([np.eye(4), POSE])
    first, second = (SplatSnapshot.of(random_gaussians(seed)) for seed in range(2))
    old = render_splats(first, shots, poses, ALL)
    expected = render_splats(second, shots, poses, ALL)
    found = render_splats(second, shots, poses, ALL, out=old)
    for p in range(2):
        for c in range(2):
            for name in ALL:
                np.testing.assert_array_equal(getattr(found[p][c], name), getattr(expected[p][c], name))
                assert getattr(found[p][c], name) is getattr(old[p][c], name)
    np.testing.assert_array_equal(found[1][0].world_from_ego, POSE)
    for wrong in (old[:1], [row[:1] for row in old], [row[::-1] for row in old], render_splats(first, shots, poses)):
        with pytest.raises(SwerveError, match="as many poses, the same image sizes and outputs"):
            render_splats(second, shots, poses, ALL, out=wrong)
