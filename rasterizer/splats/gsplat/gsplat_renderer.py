"""Rendering of one image with gsplat's kernels: project, shade, sort into tiles, blend."""

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Float32, Int32, Int64

from swerve.rasterizer.splats.gsplat.gsplat_library import GsplatLibrary
from swerve.rasterizer.splats.gsplat.projection import (
    MIN_ALPHA,
    GsplatScene,
    ProjectedGaussians,
    project,
    visible_gaussians,
)
from swerve.rasterizer.splats.harmonics import SIZES
from swerve.scenes import Camera

TILE = 16
_DENSEST = 0.999
# Rows of tiles for which owners are found at a time: each Gaussian in each pixel takes some 80 bytes on the device.
_BAND = 8

Images = tuple[Float32[torch.Tensor, "h w 3"], Float32[torch.Tensor, "h w"], Float32[torch.Tensor, "h w"]]


def draw(
    scene: GsplatScene,
    camera: Camera,
    camera_from_local: Float[torch.Tensor, "4 4"],
    using: GsplatLibrary,
    shifts: Float32[torch.Tensor, "n 2"] | None = None,
) -> Images:
    """Render the images of `differentiable_splats`, with gradients.

    Args:
        scene: Gaussians on the device.
        camera: its mounting is not used.
        camera_from_local: its pose in the Gaussians' frame.
        using: library handle.
        shifts: offsets of the Gaussians in the image, pixels; used for their gradients.
    """
    rows = visible_gaussians(scene, camera, camera_from_local)
    if not len(rows):
        return empty_images(scene, camera, shifts)
    seen = scene.of(rows)
    ellipses = project(seen, camera, camera_from_local, using)
    if shifts is not None:
        ellipses = ellipses._replace(centers=ellipses.centers + shifts.index_select(0, rows)[None])
    eye = -camera_from_local[:3, :3].T @ camera_from_local[:3, 3]
    colors = evaluate_sh(seen.means - eye.to(seen.means), seen.sh_coefficients, (ellipses.radii > 0).all(-1)[0], using)
    offsets, members = isect_tiles(ellipses, camera.width, camera.height, using)
    sums, alpha = using.api.rasterize_to_pixels(
        ellipses.centers,
        ellipses.conics,
        torch.cat([colors[None], ellipses.depths[..., None]], 2),
        torch.sigmoid(seen.opacity_logits)[None],
        camera.width,
        camera.height,
        TILE,
        offsets,
        members,
    )
    return sums[0, ..., :3], sums[0, ..., 3], alpha[0, ..., 0]


@torch.no_grad()
def dominant_gaussians(
    scene: GsplatScene, camera: Camera, camera_from_local: Float[torch.Tensor, "4 4"], using: GsplatLibrary
) -> Int64[torch.Tensor, "h w"]:
    """Return the row of the Gaussian of the largest weight per pixel; -1 where the transmittance left is larger."""
    return dominant_gaussians_by(
        lambda seen: project(seen, camera, camera_from_local, using), scene, camera, camera_from_local, using
    )


def dominant_gaussians_by(
    projected: Callable[[GsplatScene], ProjectedGaussians],
    scene: GsplatScene,
    camera: Camera,
    camera_from_local: Float[torch.Tensor, "4 4"],
    using: GsplatLibrary,
) -> Int64[torch.Tensor, "h w"]:
    """Compute `dominant_gaussians` with a custom projection of the visible Gaussians."""
    rows = visible_gaussians(scene, camera, camera_from_local)
    if not len(rows):
        return torch.full((camera.height, camera.width), -1, device=scene.means.device)
    seen = scene.of(rows)
    ellipses, opacities = projected(seen), torch.sigmoid(seen.opacity_logits)[None]
    bands, step = [], _BAND * TILE
    for top in range(0, camera.height, step):
        height = min(step, camera.height - top)
        shifted = ellipses._replace(centers=ellipses.centers - ellipses.centers.new_tensor([0, top]))
        bands.append(_heaviest(shifted, opacities, camera.width, height, using))
    owner = torch.cat(bands)
    return torch.where(owner >= 0, rows[owner.clamp_min(0)], -1)


def empty_images(scene: GsplatScene, camera: Camera, shifts: Float32[torch.Tensor, "n 2"] | None) -> Images:
    """Return images of no Gaussian (gsplat divides by their number), connected to all tensors with zero gradients."""
    tensors = scene if shifts is None else (*scene, shifts)
    zero = sum((tensor.sum() * 0 for tensor in tensors), scene.means.new_zeros(()))
    empty = zero.expand(camera.height, camera.width)
    return torch.stack([empty] * 3, 2), empty.clone(), empty.clone()


def evaluate_sh(
    directions: Float32[torch.Tensor, "n 3"],
    harmonics: Float32[torch.Tensor, "n k 3"],
    wanted: Bool[torch.Tensor, "n"],
    using: GsplatLibrary,
) -> Float32[torch.Tensor, "n 3"]:
    """Evaluate colours in directions of any length; values where `wanted` is False are undefined."""
    degree = SIZES.index(harmonics.shape[1])
    colors: Float32[torch.Tensor, "n 3"] = (
        using.api.spherical_harmonics(degree, directions, harmonics, masks=wanted) + 0.5
    ).clamp_min(0)
    return colors


def isect_tiles(
    ellipses: ProjectedGaussians, width: int, height: int, using: GsplatLibrary
) -> tuple[Int32[torch.Tensor, "1 down across"], Int32[torch.Tensor, "l"]]:
    """Return the offsets of each tile's Gaussians, and the Gaussians, nearest first."""
    across, down = math.ceil(width / TILE), math.ceil(height / TILE)
    api = using.api
    _, places, members = api.isect_tiles(ellipses.centers, ellipses.radii, ellipses.depths, TILE, across, down)
    return api.isect_offset_encode(places, 1, across, down).reshape(1, down, across), members


def _heaviest(
    ellipses: ProjectedGaussians, opacities: Float32[torch.Tensor, "1 n"], width: int, height: int, using: GsplatLibrary
) -> Int64[torch.Tensor, "h w"]:
    """Return the Gaussian of the largest weight per pixel; -1: remaining transmittance. The nearest wins ties."""
    offsets, members = isect_tiles(ellipses, width, height, using)
    light = opacities.new_ones((1, height, width))
    first, last = 0, max(len(members), 1)
    gaussians, pixels, _ = using.api.rasterize_to_indices_in_range(
        first, last, light, ellipses.centers, ellipses.conics, opacities, width, height, TILE, offsets, members
    )
    weights, left = _weights(_covers(ellipses, opacities, gaussians, pixels, width), pixels, width * height)
    largest = weights.new_zeros(width * height).scatter_reduce_(0, pixels, weights, "amax")
    top = torch.nonzero(weights == largest[pixels])[:, 0]
    nearest = torch.full_like(largest, len(pixels), dtype=torch.int64).scatter_reduce_(0, pixels[top], top, "amin")
    owned = largest > left
    owner = torch.full_like(nearest, -1)
    owner[owned] = gaussians[nearest[owned]]
    return owner.reshape(height, width)


def _covers(
    ellipses: ProjectedGaussians,
    opacities: Float32[torch.Tensor, "1 n"],
    gaussians: Int64[torch.Tensor, "l"],
    pixels: Int64[torch.Tensor, "l"],
    width: int,
) -> Float[torch.Tensor, "l"]:
    """Compute the alpha of a Gaussian at a pixel."""
    dx, dy = (torch.stack([pixels % width, pixels // width], 1) + 0.5 - ellipses.centers[0, gaussians]).unbind(1)
    xx, xy, yy = ellipses.conics[0, gaussians].unbind(1)
    fall = 0.5 * (xx * dx * dx + yy * dy * dy) + xy * dx * dy
    return (opacities[0, gaussians] * torch.exp(-fall)).clamp(MIN_ALPHA, _DENSEST)


def _weights(
    covers: Float[torch.Tensor, "l"], pixels: Int64[torch.Tensor, "l"], count: int
) -> tuple[Float[torch.Tensor, "l"], Float[torch.Tensor, "p"]]:
    """Compute weights of Gaussians ordered by pixel, nearest first, and the remaining transmittance of each pixel."""
    dims = torch.log1p(-covers.double())
    total = torch.cumsum(dims, 0)
    before = total - dims
    starts = torch.searchsorted(pixels, pixels)
    light = torch.exp(before - before[starts])
    left = torch.zeros(count, dtype=torch.float64, device=covers.device).index_add_(0, pixels, dims).exp()
    return light * covers, left
