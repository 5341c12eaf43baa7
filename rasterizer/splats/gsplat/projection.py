"""Projection of Gaussians to image ellipses, in gsplat's terms.

Pinhole cameras use gsplat's own projection kernel. With lens distortion the covariance is propagated by the lens's
derivative at the Gaussian's centre, as `project_kernels` does with the same numbers, in float64: gsplat's own handling
of lenses, the unscented transform, renders other images and has no gradient by the projected centre (see `unscented`).
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Float32, Float64, Int32, Int64

from swerve.rasterizer.optics import NEAR, lens_table
from swerve.rasterizer.splats.gsplat.gsplat_library import GsplatLibrary
from swerve.rasterizer.splats.gsplat.lenses import distorted, slope_at
from swerve.rasterizer.splats.pipeline import BLUR
from swerve.scenes import Camera, LensModel

MIN_ALPHA = 1 / 255
# The derivative is evaluated at most this fraction of width and height outside of the image.
_MARGIN = 0.15


class GsplatScene(NamedTuple):
    """Gaussians as tensors on the device; see `Gaussians`."""

    means: Float32[torch.Tensor, "n 3"]
    quaternions: Float32[torch.Tensor, "n 4"]
    log_scales: Float32[torch.Tensor, "n 3"]
    opacity_logits: Float32[torch.Tensor, "n"]
    sh_coefficients: Float32[torch.Tensor, "n k 3"]

    def of(self, rows: Int64[torch.Tensor, "m"]) -> "GsplatScene":
        """Select the given Gaussians."""
        return GsplatScene(*(tensor.index_select(0, rows) for tensor in self))


class ProjectedGaussians(NamedTuple):
    """Projected Gaussians of one image; where the radius is 0 the other values are undefined.

    Attributes:
        radii: half sizes of the upright rectangle around each, whole pixels; 0 outside the image.
        centers: pixels.
        depths: metres.
        conics: the inverse covariance (xx, xy, yy).
    """

    radii: Int32[torch.Tensor, "1 n 2"]
    centers: Float[torch.Tensor, "1 n 2"]
    depths: Float[torch.Tensor, "1 n"]
    conics: Float[torch.Tensor, "1 n 3"]


def visible_gaussians(
    scene: GsplatScene, camera: Camera, camera_from_local: Float[torch.Tensor, "4 4"]
) -> Int64[torch.Tensor, "m"]:
    """Return the Gaussians whose centres lie in front of the camera and within the lens's limit."""
    with torch.no_grad():
        pose = camera_from_local.detach().to(scene.means.device, torch.float64)
        points = scene.means.double() @ pose[:3, :3].T + pose[:3, 3]
        seen: Bool[torch.Tensor, "n"] = points[:, 2] > NEAR
        if camera.lens.model != LensModel.PINHOLE:
            seen &= points[:, :2].norm(dim=1) <= camera.lens.limit * points[:, 2]
        return torch.nonzero(seen)[:, 0]


def project(
    scene: GsplatScene, camera: Camera, camera_from_local: Float[torch.Tensor, "4 4"], using: GsplatLibrary
) -> ProjectedGaussians:
    """Project the visible Gaussians to ellipses."""
    if camera.lens.model != LensModel.PINHOLE:
        return _through_lens(scene, camera, camera_from_local.to(scene.means.device, torch.float64))
    radii, centers, depths, conics, _ = using.api.fully_fused_projection(
        scene.means,
        None,
        scene.quaternions,
        scene.log_scales.exp(),
        camera_from_local.to(scene.means)[None],
        using.intrinsics(camera),
        camera.width,
        camera.height,
        eps2d=BLUR,
        near_plane=NEAR,
        opacities=torch.sigmoid(scene.opacity_logits),
    )
    return ProjectedGaussians(radii, centers, depths, conics)


def _through_lens(scene: GsplatScene, camera: Camera, pose: Float64[torch.Tensor, "4 4"]) -> ProjectedGaussians:
    points = scene.means.double() @ pose[:3, :3].T + pose[:3, 3]
    x, y, z = points[:, 0] / points[:, 2], points[:, 1] / points[:, 2], points[:, 2]
    bent_x, bent_y = distorted(camera.lens, x, y)
    centers = torch.stack([camera.fx * bent_x + camera.cx, camera.fy * bent_y + camera.cy], 1)
    carried = _derivative(camera, x, y, z) @ pose[:3, :3] @ _axes(scene)
    spread = carried @ carried.mT
    xx, xy, yy = spread[:, 0, 0] + BLUR, spread[:, 0, 1], spread[:, 1, 1] + BLUR
    conics = torch.stack([yy, -xy, xx], 1) / (xx * yy - xy * xy)[:, None]
    radii = _radii(centers, xx, yy, torch.sigmoid(scene.opacity_logits.double()), camera)
    return ProjectedGaussians(radii[None], centers.float()[None], z.float()[None], conics.float()[None])


def _axes(scene: GsplatScene) -> Float64[torch.Tensor, "n 3 3"]:
    """Return principal axes as columns, each as long as its standard deviation."""
    w, x, y, z = torch.nn.functional.normalize(scene.quaternions.double(), dim=1).unbind(1)
    rows = [
        torch.stack([1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)], 1),
        torch.stack([2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)], 1),
        torch.stack([2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)], 1),
    ]
    return torch.stack(rows, 1) * scene.log_scales.double().exp()[:, None, :]


def _derivative(
    camera: Camera,
    x: Float64[torch.Tensor, "n"],
    y: Float64[torch.Tensor, "n"],
    z: Float64[torch.Tensor, "n"],
) -> Float64[torch.Tensor, "n 2 3"]:
    """Compute the derivative of the pixel by the point in the camera frame."""
    left, right, top, bottom = lens_table(camera).bounds
    wide, high = _MARGIN * (right - left), _MARGIN * (bottom - top)
    x, y = x.clamp(left - wide, right + wide), y.clamp(top - high, bottom + high)
    by = slope_at(camera.lens, x, y)
    across = torch.stack([by.xx, by.xy, -(by.xx * x + by.xy * y)], 1) * camera.fx
    down = torch.stack([by.xy, by.yy, -(by.xy * x + by.yy * y)], 1) * camera.fy
    return torch.stack([across, down], 1) / z[:, None, None]


@torch.no_grad()
def _radii(
    centers: Float64[torch.Tensor, "n 2"],
    xx: Float64[torch.Tensor, "n"],
    yy: Float64[torch.Tensor, "n"],
    opacities: Float64[torch.Tensor, "n"],
    camera: Camera,
) -> Int32[torch.Tensor, "n 2"]:
    """Compute half sizes of the rectangle in which the alpha is `FAINTEST` or more."""
    reach = (2 * torch.log(opacities / MIN_ALPHA).clamp_min(0)).sqrt()[:, None]
    radii = torch.ceil(reach * torch.stack([xx, yy], 1).sqrt())
    size = torch.tensor([camera.width, camera.height], dtype=torch.float64, device=radii.device)
    inside = ((centers + radii > 0) & (centers - radii < size)).all(1)
    return torch.where(inside[:, None], radii, 0.0).int()
