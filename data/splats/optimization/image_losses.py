"""Image losses between a rendering and a photo."""

import numpy as np
from jaxtyping import Bool, Float32

from swerve.data.splats.optimization.fit_options import FitOptions
from swerve.data.splats.optimization.ssim import ssim
from swerve.data.splats.optimization.trainable_graph import Rendering
from swerve.data.splats.optimization.training_images import DepthKind, TrainingImage
from swerve.rasterizer.optics import lens_table
from swerve.rasterizer.splats.differentiable_splats import torch
from swerve.scenes import LensModel

# Depth is compared where the accumulated opacity is at least this.
_OPAQUE = 0.5


def image_losses(
    drawing: Rendering, shot: TrainingImage, exposure: Float32[torch.Tensor, "3 4"] | None, options: FitOptions
) -> dict[str, torch.Tensor]:
    """Compute weighted losses of colour, similarity and depth, over pixels that are not ignored.

    Colour and similarity are both computed after the exposure map (MTGS uses the raw rendering for the similarity). For
    the similarity, ignored pixels are black in both images; it is the mean over all windows.

    Args:
        drawing: rendering of the scene.
        shot: training image.
        exposure: affine colour map of the image, or None for the identity.
        options: loss weights.
    """
    color = drawing.color if exposure is None else apply_exposure(drawing.color, exposure)
    truth = torch.from_numpy(shot.image).to(color.device).float() / 255
    counts = valid_pixels(shot)
    keep = None if counts is None else torch.from_numpy(counts).to(color.device)
    share: float | torch.Tensor = 1.0
    if keep is not None:
        color, truth = (torch.where(keep[..., None], image, 0.0) for image in (color, truth))
        share = keep.float().mean()
    terms = {
        "color": (1 - options.ssim_weight) * (color - truth).abs().mean() / share,
        "ssim": options.ssim_weight * (1 - ssim(color, truth)),
    }
    if shot.depth is not None:
        weight = options.lidar_weight if shot.depth.kind == DepthKind.LIDAR else options.raster_weight
        terms["depth"] = weight * depth_difference(drawing, shot.depth.depth, keep)
    return terms


def apply_exposure(
    color: Float32[torch.Tensor, "h w 3"], exposure: Float32[torch.Tensor, "3 4"]
) -> Float32[torch.Tensor, "h w 3"]:
    """Apply an affine colour map."""
    return color @ exposure[:, :3].T + exposure[:, 3]


def depth_difference(
    drawing: Rendering, meters: Float32[np.ndarray, "h w"], keep: Bool[torch.Tensor, "h w"] | None
) -> Float32[torch.Tensor, ""]:
    """Compute the mean absolute difference of inverse depths (1/m), where known and rendered."""
    truth = torch.from_numpy(meters).to(drawing.depth.device)
    known = torch.isfinite(truth) & (truth > 0) & (drawing.alpha.detach() > _OPAQUE)
    if keep is not None:
        known = known & keep
    one = torch.ones_like(truth)
    inverse = drawing.alpha / torch.where(known, drawing.depth, one)
    off = (inverse - 1 / torch.where(known, truth, one)).abs()
    return torch.where(known, off, 0 * one).sum() / known.sum().clamp(min=1)


def valid_pixels(shot: TrainingImage) -> Bool[np.ndarray, "h w"] | None:
    """Return the mask of pixels that are not ignored and within the lens model; None if those are all."""
    counts = None if shot.ignored is None else ~shot.ignored
    if shot.camera.lens.model != LensModel.PINHOLE:
        blind = np.isnan(lens_table(shot.camera).rays_x)
        if blind.any():
            counts = ~blind if counts is None else counts & ~blind
    return counts
