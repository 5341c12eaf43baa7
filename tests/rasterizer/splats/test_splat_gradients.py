"""The kernels' gradients against autograd of the naive float64 drawing, and against its finite differences."""

from dataclasses import fields

import numpy as np
import pytest
import torch

from swerve.rasterizer.splats import Gaussians, SplatSnapshot, render_splats
from swerve.rasterizer.splats.differentiable_splats import differentiable_splats
from swerve.scenes.transforms import inverse, rigid_transform, rotation_about_z
from tests.support import splat_reference
from tests.support.splat_clouds import LENSES, camera, random_gaussians

NAMES = tuple(field.name for field in fields(Gaussians))


def tensors_of(gaussians, dtype):
    return [torch.from_numpy(getattr(gaussians, name)).to(dtype).requires_grad_() for name in NAMES]


def slopes_of(seed, shot):
    """Random derivatives of a loss by colour, depth and alpha."""
    generator = torch.Generator().manual_seed(seed)
    shapes = [(shot.height, shot.width, 3), (shot.height, shot.width), (shot.height, shot.width)]
    scales = [1.0, 0.1, 1.0]
    return [torch.randn(s, generator=generator, dtype=torch.float64) * k for s, k in zip(shapes, scales, strict=True)]


def pose_of(shot):
    pose = rigid_transform(rotation_about_z(0.1), np.array([-0.2, 0.1, 0.05]))
    return torch.from_numpy(inverse(pose @ shot.ego_from_camera))


def close(found, expected, name):
    """To a thousandth, and a hundred-thousandth of the largest: float32 sums of the contributions of pixels."""
    found, expected = found.numpy(), expected.numpy()
    assert np.abs(expected).max() > 0, name
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=2e-5 * np.abs(expected).max(), err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())
@pytest.mark.parametrize("degree", range(4))
def test_gradients_are_those_of_the_naive_drawing(lens, degree):
    shot = camera(lens)
    gaussians = random_gaussians(20 + degree, 80, degree, dense=degree % 2 == 0)
    pose = pose_of(shot)
    own, naive = tensors_of(gaussians, torch.float32), tensors_of(gaussians, torch.float64)
    own_pose, naive_pose = pose.clone().requires_grad_(), pose.clone().requires_grad_()
    slopes = slopes_of(degree, shot)
    images = differentiable_splats(*own, shot, own_pose)
    expected = splat_reference.draw(*naive, shot, naive_pose)
    sum((a * b).sum() for a, b in zip(images, slopes, strict=True)).backward()
    sum((a * b).sum() for a, b in zip(expected[:3], slopes, strict=True)).backward()
    for name, a, b in zip((*NAMES, "pose"), (*own, own_pose), (*naive, naive_pose), strict=True):
        close(a.grad, b.grad, name)


@pytest.mark.parametrize("which", range(3), ids=["color", "depth", "alpha"])
def test_each_image_has_its_own_gradient(which):
    """One at a time, so that none hides behind another."""
    shot = camera()
    gaussians = random_gaussians(31, 60, 1)
    own, naive = tensors_of(gaussians, torch.float32), tensors_of(gaussians, torch.float64)
    slope = slopes_of(which, shot)[which]
    (differentiable_splats(*own, shot, pose_of(shot))[which] * slope).sum().backward()
    (splat_reference.draw(*naive, shot, pose_of(shot))[which] * slope).sum().backward()
    for name, a, b in zip(NAMES, own, naive, strict=True):
        if b.grad is not None and b.grad.any():
            close(a.grad, b.grad, name)
        else:
            assert not a.grad.any()


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())
def test_gradients_are_finite_differences(lens):
    """Central differences of the naive drawing, by twelve numbers of every kind."""
    shot = camera(lens, width=30, height=22, focal=22.0)
    gaussians = random_gaussians(40, 12, 1)
    tensors, pose, slopes = tensors_of(gaussians, torch.float32), pose_of(shot), slopes_of(0, shot)
    sum((a * b).sum() for a, b in zip(differentiable_splats(*tensors, shot, pose), slopes, strict=True)).backward()
    rng = np.random.default_rng(0)

    def loss(arrays):
        images = splat_reference.draw(*arrays, shot, pose)[:3]
        return float(sum((a * b).sum() for a, b in zip(images, slopes, strict=True)))

    checked = 0
    for k, tensor in enumerate(tensors):
        for index in rng.choice(tensor.numel(), 12, replace=False):
            ends = []
            for step in (1e-6, -1e-6, 2e-6, -2e-6):
                arrays = [other.detach().double().clone() for other in tensors]
                arrays[k].view(-1)[index] += step
                ends.append(loss(arrays))
            fine, coarse = (ends[0] - ends[1]) / 2e-6, (ends[2] - ends[3]) / 4e-6
            if abs(fine - coarse) > 1e-4 * (1 + abs(fine)):
                continue  # a pixel at the cut of a Gaussian jumps
            checked += 1
            np.testing.assert_allclose(tensor.grad.view(-1)[index], fine, rtol=2e-3, atol=2e-4)
    assert checked >= 50


def test_the_images_are_those_that_are_drawn():
    shot, gaussians = camera(LENSES["brown"]), random_gaussians(3)
    view = render_splats(SplatSnapshot.of(gaussians), [shot], np.eye(4)[None], ("color", "alpha", "depth"))[0][0]
    camera_from_world = torch.from_numpy(inverse(shot.ego_from_camera))
    color, depth, alpha = differentiable_splats(*tensors_of(gaussians, torch.float32), shot, camera_from_world)
    np.testing.assert_array_equal(color.detach().numpy(), view.color)
    np.testing.assert_array_equal(alpha.detach().numpy(), view.alpha)
    seen = view.alpha > 0
    np.testing.assert_allclose((depth / alpha).detach().numpy()[seen], view.depth[seen], rtol=1e-6)


def test_threads_change_rounding_alone():
    shot, gaussians = camera(), random_gaussians(5, 300)
    grads = []
    for threads in (1, 3):
        tensors = tensors_of(gaussians, torch.float32)
        color, depth, alpha = differentiable_splats(*tensors, shot, pose_of(shot), threads=threads)
        (color.square().sum() + depth.sum() + alpha.sum()).backward()
        grads.append([tensor.grad for tensor in tensors])
    for one, three in zip(*grads, strict=True):
        np.testing.assert_allclose(one, three, rtol=1e-4, atol=1e-5 * float(one.abs().max()))


def test_centres_get_the_gradient_by_their_pixels():
    shot, gaussians = camera(), random_gaussians(6, 40, degree=0)
    slopes = slopes_of(1, shot)[0]
    centers = torch.zeros((len(gaussians), 2), requires_grad=True)
    shifts = torch.zeros((len(gaussians), 2), dtype=torch.float64, requires_grad=True)
    color, _, _ = differentiable_splats(*tensors_of(gaussians, torch.float32), shot, pose_of(shot), centers)
    (color * slopes).sum().backward()
    expected = splat_reference.draw(*tensors_of(gaussians, torch.float64), shot, pose_of(shot), shifts)[0]
    (expected * slopes).sum().backward()
    close(centers.grad, shifts.grad, "centers")


def test_what_was_drawn_must_not_be_written_over():
    shot, tensors = camera(), tensors_of(random_gaussians(6, 40), torch.float32)
    color, _, _ = differentiable_splats(*tensors, shot, pose_of(shot))
    loss = color.sum()
    with torch.no_grad():
        tensors[0] += 1
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
