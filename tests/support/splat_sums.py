"""Losses on images of Gaussians, and their gradients."""

from dataclasses import fields

import torch

from swerve.rasterizer.splats import Gaussians

NAMES = tuple(field.name for field in fields(Gaussians))


def tensors_of(gaussians, device="cpu"):
    """Convert Gaussians to tensors with gradients."""
    return [torch.from_numpy(getattr(gaussians, name)).to(device).requires_grad_() for name in NAMES]


def slopes_of(seed, camera):
    """Sample random derivatives of a loss by colour, depth and alpha."""
    generator = torch.Generator().manual_seed(seed)
    shapes = [(camera.height, camera.width, 3), (camera.height, camera.width), (camera.height, camera.width)]
    return [torch.randn(s, generator=generator) * k for s, k in zip(shapes, [1.0, 0.1, 1.0], strict=True)]


def loss_of(images, slopes):
    """Compute a loss with the given derivatives."""
    return sum((image * slope.to(image)).sum() for image, slope in zip(images, slopes, strict=True))


def gradients_of(draw, gaussians, camera, camera_from_local, device="cpu"):
    """Return images on the CPU, and the gradients by Gaussians, pose and projected centres, by name.

    `draw` takes five tensors, a camera, a pose and centers.
    """
    tensors, pose = tensors_of(gaussians, device), torch.from_numpy(camera_from_local).to(device).requires_grad_()
    centers = torch.zeros((len(gaussians), 2), device=device, requires_grad=True)
    images = draw(*tensors, camera, pose, centers)
    loss_of(images, slopes_of(0, camera)).backward()
    named = zip((*NAMES, "pose", "centers"), (*tensors, pose, centers), strict=True)
    return [image.detach().cpu() for image in images], {name: tensor.grad.cpu() for name, tensor in named}
