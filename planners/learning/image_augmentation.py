"""Augmentation of images in training: colour jitter and GridMask, on the training device."""

import torch
from jaxtyping import UInt8
from torch import Tensor

# Share of a period that is masked in each direction; periods relative to the image's height.
_MASKED = 0.5
_PERIODS = (0.2, 0.6)


def jittered(images: UInt8[Tensor, "b c 3 h w"], most: float) -> UInt8[Tensor, "b c 3 h w"]:
    """Change brightness, contrast and each colour's strength by random factors of 1 - most to 1 + most, per view."""
    values, shape = images.float(), (len(images), 1)
    brightness, contrast = (1 + most * (2 * torch.rand(*shape, 1, 1, 1, device=images.device) - 1) for _ in range(2))
    colors = 1 + most * (2 * torch.rand(*shape, 3, 1, 1, device=images.device) - 1)
    mean = values.mean(dim=(2, 3, 4), keepdim=True)
    return ((mean + (values - mean) * contrast) * brightness * colors).round().clamp(0, 255).to(torch.uint8)


def grid_masked(images: UInt8[Tensor, "b c 3 h w"], share: float) -> UInt8[Tensor, "b c 3 h w"]:
    """Set squares of a regular grid to mid grey in a random share of the views.

    Period and offset are random, the same in all cameras of a view. Source: Chen et al., "GridMask data augmentation",
    2020.
    """
    count, height, width = len(images), images.shape[-2], images.shape[-1]
    random = torch.rand(count, 4, device=images.device)
    period = height * (_PERIODS[0] + (_PERIODS[1] - _PERIODS[0]) * random[:, 0, None])
    inside = []
    for column, size in ((1, height), (2, width)):
        place = torch.arange(size, device=images.device) + period * random[:, column, None]
        inside.append(torch.remainder(place, period) < _MASKED * period)
    squares = inside[0][:, :, None] & inside[1][:, None, :] & (random[:, 3, None, None] < share)
    return torch.where(squares[:, None, None], torch.full_like(images, 128), images)
