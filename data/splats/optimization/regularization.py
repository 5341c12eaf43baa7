"""Regularization of Gaussians: flat, on the ground, inside of their boxes.

Ground seen from one height is ambiguous along the rays; a camera that moves up or aside then sees it fall apart.
Constraining it to its surface improves views off the path, while views on it get slightly worse (HUGSIM, Zhou et al.
2024, arXiv 2412.01718, which models the ground separately for this reason).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Float32, Int64

from swerve.data.splats.optimization.pose_deltas import rotations_of
from swerve.rasterizer.splats.differentiable_splats import torch
from swerve.scenes import SwerveError

Ground = Callable[[Float[np.ndarray, "n 2"]], Float[np.ndarray, "n"]]

# Half the baseline of the ground's slope, metres.
_REACH = 0.25
# Added under the root of a squared distance, square metres: a tenth of a millimetre.
_TINY = 1e-8


@dataclass(frozen=True, eq=False)
class GroundBand:
    """Ground plane under each ground Gaussian.

    Attributes:
        rows: rows of the ground Gaussians in the background.
        points: ground points below or above each, in the scene's frame.
        normals: ground normals there, upwards.
    """

    rows: Int64[np.ndarray, "g"]
    points: Float32[np.ndarray, "g 3"]
    normals: Float32[np.ndarray, "g 3"]


def ground_band(
    means: Float32[np.ndarray, "n 3"], origin: Float[np.ndarray, "3"], ground: Ground, above: float, below: float
) -> GroundBand:
    """Select the Gaussians whose centres are near the ground.

    Args:
        means: centres of the background, relative to `origin`.
        origin: world coordinates of the local origin.
        ground: heights at places (x, y) of the world, NaN where unknown.
        above: largest height of a centre above the ground, metres.
        below: largest depth below it, metres; Gaussians there are misplaced ground.

    Raises:
        SwerveError: `ground` gives a wrong number of heights.
    """
    places = means[:, :2].astype(np.float64) + origin[:2]
    heights = _heights(ground, places) - origin[2]
    with np.errstate(invalid="ignore"):
        near = (means[:, 2] < heights + above) & (means[:, 2] > heights - below)
    rows = np.flatnonzero(near)
    slopes = np.zeros((len(rows), 2))
    for axis, step in enumerate(np.eye(2) * _REACH):
        slopes[:, axis] = _heights(ground, places[rows] + step) - _heights(ground, places[rows] - step)
    # At the end of the known ground it is assumed to be level.
    normals = np.column_stack([-np.nan_to_num(slopes) / (2 * _REACH), np.ones(len(rows))])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    points = np.column_stack([means[rows, :2], heights[rows]])
    return GroundBand(rows, points.astype(np.float32), normals.astype(np.float32))


def distance_from_ground(
    band: GroundBand,
    means: Float[torch.Tensor, "n 3"],
    quaternions: Float[torch.Tensor, "n 4"],
    log_scales: Float[torch.Tensor, "n 3"],
) -> Float[torch.Tensor, ""]:
    """Compute the mean distance of ground Gaussians from the ground, metres.

    The distance of each is the root of the mean squared distance under its density: the squared distance of its centre,
    plus its variance across the ground, which penalises thick or tilted ones.
    """
    rows, points, normals = (
        torch.from_numpy(array).to(means.device) for array in (band.rows, band.points, band.normals)
    )
    if not len(rows):
        return means.new_zeros(())
    off = ((means[rows] - points) * normals).sum(dim=1)
    along = (rotations_of(quaternions[rows]) * normals[:, :, None]).sum(dim=1)
    variance = (along * log_scales[rows].exp()).square().sum(dim=1)
    return (off.square() + variance + _TINY).sqrt().mean()


def min_scale_penalty(log_scales: Float[torch.Tensor, "n 3"]) -> Float[torch.Tensor, ""]:
    """Compute the mean of the smallest standard deviations, metres."""
    return log_scales.amin(dim=1).exp().mean()


def mcmc_penalty(
    opacity_logits: Float[torch.Tensor, "n"], log_scales: Float[torch.Tensor, "n 3"], extent: float
) -> Float[torch.Tensor, ""]:
    """Compute the sum of opacities and of mean standard deviations over the extent (Kheradmand et al. 2024, 7).

    Without this penalty no Gaussian fades and becomes available for relocation.
    """
    return torch.sigmoid(opacity_logits).sum() + log_scales.exp().mean(dim=1).sum() / extent


def opacity_outside(
    means: Float[torch.Tensor, "m 3"],
    opacity_logits: Float[torch.Tensor, "m"],
    halves: Float[torch.Tensor, "m 3"],
) -> Float[torch.Tensor, ""]:
    """Compute the mean opacity of nodes' Gaussians whose centres are outside of their boxes.

    Args:
        means: centres in the boxes' frames.
        opacity_logits: logit opacities.
        halves: half the sizes of the boxes plus the margin; infinity where no box is known.
    """
    outside = (means.detach().abs() > halves).any(dim=1)
    return (torch.sigmoid(opacity_logits) * outside).sum() / max(len(means), 1)


def _heights(ground: Ground, places: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n"]:
    heights = np.asarray(ground(places), np.float64)
    if heights.shape != (len(places),):
        raise SwerveError(f"the ground gives heights of shape {heights.shape} for {len(places)} places")
    return heights
