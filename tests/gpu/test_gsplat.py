"""Tests with the real gsplat: it renders as the CPU's kernels do, and as its fake in other tests."""

import numpy as np
import pytest

from swerve.rasterizer.backends import unavailable_reason
from swerve.rasterizer.splats import Gaussians, Sky, SplatSnapshot, render_splats
from swerve.scenes.transforms import inverse, rigid_transform, rotation_about_z
from tests.support.splat_clouds import LENSES, camera, random_gaussians

if unavailable_reason("gsplat"):
    pytest.skip(f"gsplat: {unavailable_reason('gsplat')}", allow_module_level=True)

import torch

from swerve.rasterizer.splats import gsplat
from swerve.rasterizer.splats.differentiable_splats import differentiable_splats
from swerve.rasterizer.splats.gsplat import (
    GsplatLibrary,
    GsplatScene,
    dominant_gaussians,
    load_library,
    render_unscented,
)
from tests.support import standin_gsplat
from tests.support.splat_sums import gradients_of

STANDIN = GsplatLibrary(standin_gsplat, torch.device("cpu"))
POSE = rigid_transform(rotation_about_z(0.1), np.array([-0.2, 0.1, 0.05]))
ALL = ("color", "alpha", "depth", "instance")
each_lens = pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())


def assert_alike(found, expected, share=0.995, close=1e-4, most=0.05):
    """Assert equality up to rounding, except where alpha is about 1/255 or transmittance about 1/10000."""
    off = np.abs(np.asarray(found, float) - np.asarray(expected, float))
    alike = off <= close * (1 + np.abs(expected))
    assert alike.mean() >= share, f"{alike.mean():.5f} within {close}, largest difference {off.max():.2g}"
    assert (off <= most * (1 + np.abs(expected))).all(), f"largest difference {off.max():.2g}"


def blobs(seed, count=2000):
    """No wires: of those, the sums in float32 of gsplat's exponents lose digits (see docs/backends.md)."""
    gaussians = random_gaussians(seed, count)
    return Gaussians(
        gaussians.means,
        gaussians.quaternions,
        np.maximum(gaussians.log_scales, -3),
        gaussians.opacity_logits,
        gaussians.sh_coefficients,
    )


@each_lens
@pytest.mark.parametrize("seed", range(3))
def test_views_are_those_of_the_cpu(lens, seed):
    shot, gaussians = camera(lens, 480, 270, 350.0), blobs(seed)
    frame = SplatSnapshot(gaussians, np.arange(1, 2001, dtype=np.int32), np.zeros(3), Sky.constant((0.3, 0.5, 0.8)))
    expected = render_splats(frame, [shot], POSE[None], ALL)[0][0]
    found = render_splats(frame, [shot], POSE[None], ALL, backend="gsplat")[0][0]
    assert expected.alpha.mean() > 0.3
    assert_alike(found.color, expected.color)
    assert_alike(found.alpha, expected.alpha)
    seen = expected.alpha > 0.01
    assert_alike(found.depth[seen], expected.depth[seen])
    assert (found.instance == expected.instance).mean() >= 0.995


@each_lens
def test_wires_stay_near(lens):
    """A fifth of these are thinner than a hundredth of their length."""
    shot, frame = camera(lens, 480, 270, 350.0), SplatSnapshot.of(random_gaussians(4, 2000))
    expected = render_splats(frame, [shot], POSE[None], ("color",))[0][0]
    found = render_splats(frame, [shot], POSE[None], ("color",), backend="gsplat")[0][0]
    assert_alike(found.color, expected.color, share=0.98, close=1e-3, most=0.3)


@each_lens
@pytest.mark.parametrize("seed", range(3))
def test_gradients_are_those_of_the_cpu(lens, seed):
    """As wholes to a hundredth: a pixel at a cut changes one of them by what it holds."""
    shot, gaussians = camera(lens, 160, 90, 120.0), blobs(10 + seed, 300)
    pose = inverse(POSE @ shot.ego_from_camera)
    _, expected = gradients_of(differentiable_splats, gaussians, shot, pose)
    _, found = gradients_of(differentiable_splats, gaussians, shot, pose, "cuda")
    for name, gradient in expected.items():
        off = float((found[name] - gradient).norm() / gradient.norm())
        assert off < 0.01, f"{name}: {off}"


def test_a_descent_finds_the_pose_again():
    shot, gaussians = camera(width=160, height=90, focal=120.0), blobs(20, 300)
    tensors = [torch.from_numpy(array).cuda() for array in vars(gaussians).values()]
    true = torch.from_numpy(inverse(shot.ego_from_camera)).float().cuda()
    target = differentiable_splats(*tensors, shot, true)[0]
    shift = torch.tensor([0.04, -0.03, 0.03], device="cuda", requires_grad=True)
    descent = torch.optim.Adam([shift], lr=2e-3)
    for _ in range(150):
        descent.zero_grad()
        pose = true + torch.nn.functional.pad(shift[:, None], (3, 0, 0, 1))
        (differentiable_splats(*tensors, shot, pose)[0] - target).abs().mean().backward()
        descent.step()
    assert float(shift.detach().norm()) < 0.01


@each_lens
def test_the_stand_in_draws_as_the_library(lens):
    shot, gaussians = camera(lens, 96, 64, 70.0), blobs(30, 200)
    pose = torch.from_numpy(inverse(POSE @ shot.ego_from_camera))
    for draw in (gsplat.draw, render_unscented, dominant_gaussians):
        found, expected = (
            draw(
                GsplatScene(*(using.upload(array) for array in vars(gaussians).values())),
                shot,
                pose.to(using.device),
                using,
            )
            for using in (load_library(), STANDIN)
        )
        for one, other in [(found, expected)] if draw is dominant_gaussians else zip(found, expected, strict=True):
            assert one.device.type == "cuda"
            assert_alike(one.cpu().numpy(), other.numpy(), share=0.99, close=1e-3, most=np.inf)


@each_lens
def test_gradients_along_rays_are_those_of_the_stand_in(lens):
    shot, gaussians = camera(lens, 96, 64, 70.0), blobs(40, 100)
    pose = inverse(POSE @ shot.ego_from_camera)
    found, expected = (
        gradients_of(
            lambda *a, u=using: render_unscented(GsplatScene(*a[:5]), *a[5:7], u, a[7]),
            gaussians,
            shot,
            pose,
            using.device,
        )[1]
        for using in (load_library(), STANDIN)
    )
    for name, gradient in expected.items():
        off = float((found[name] - gradient).norm() / gradient.norm())
        assert off < 0.02, f"{name}: {off}"


def test_a_rolling_shutter_is_the_stand_ins():
    shot, gaussians = camera(width=96, height=64, focal=70.0), blobs(50, 200)
    pose, moved = (
        torch.from_numpy(inverse(shot.ego_from_camera)),
        rigid_transform(np.eye(3), np.array([-0.5, 0.0, 0.1])),
    )
    found, still, expected = (
        render_unscented(
            GsplatScene(*(using.upload(array) for array in vars(gaussians).values())),
            shot,
            pose.to(using.device),
            using,
            last_from_first=torch.from_numpy(last),
        )[0].cpu()
        for using, last in ((load_library(), moved), (STANDIN, np.eye(4)), (STANDIN, moved))
    )
    assert (still - expected).abs().mean() > 0.01
    assert_alike(found.numpy(), expected.numpy(), share=0.98, close=1e-3, most=np.inf)


def test_none_at_all_is_no_crash():
    view = render_splats(SplatSnapshot.of(Gaussians.empty(2)), [camera()], np.eye(4)[None], ALL, backend="gsplat")[0][0]
    assert not view.alpha.any()
