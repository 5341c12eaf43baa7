"""Agreement of a splat view with the raster of the same camera, pose and time: depth, labels, coverage.

The raster contains annotated objects only. Houses, trees and fences that occlude them in a splat view count as
disagreement, so 1.0 is out of reach even for a true photo; and because a raster's vehicles are boxes, so is an IoU of
1. docs/splat_quality.md lists the scores of true geometry.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from swerve.rasterizer import View
from swerve.rasterizer.optics import lens_table
from swerve.rasterizer.splats import SplatView
from swerve.scenes import Camera, LensModel
from swerve.scenes.primitives import Semantic

# Required outputs of the two views.
SPLAT_OUTPUTS = ("depth", "alpha", "instance")
RASTER_OUTPUTS = ("depth", "semantic", "instance")

# Maximum depth, metres: farther away, unannotated objects occlude most annotated ones.
_REACH = 50.0
# A ray that descends by more than this per metre meets the ground within some 16 m.
_DROP = 0.1
_TOLERANCE = 0.1
# Areas below this share of the image are not measured.
_LEAST_SHARE = 0.005
# A pixel is a hole if its opacity is below this: a fit lets a grey sky shine through a grey road, so intermediate
# opacity of the ground is not meaningful.
_OPAQUE = 0.05


@dataclass(frozen=True)
class RasterAgreement:
    """Agreement metrics; NaN if they cover less than half a percent of the image's pixels.

    Attributes:
        depth_error: median of |splat - raster| / raster, clipped at 1, where the raster's depth is below 50 m; 1 where
            the splat view is empty.
        depth_within: share of the same pixels with a relative error of at most 10 %.
        vehicle_iou: intersection over union of the pixels of vehicles within 50 m, instance by instance, summed.
        covered: share of the pixels with opacity of at least 5 %, of those whose rays descend by more than 0.1 m per
            metre.
    """

    depth_error: float
    depth_within: float
    vehicle_iou: float
    covered: float


def agreement(splat: SplatView, raster: View, nodes: Collection[int] | None = None) -> RasterAgreement:
    """Compare two views of one camera, pose and time.

    Args:
        splat: rendered with SPLAT_OUTPUTS at least.
        raster: rendered with RASTER_OUTPUTS at least.
        nodes: instances with a node in the splat scene; vehicles without one are part of its background, and are
            compared in depth only. All vehicles count if None.

    Raises:
        ValueError: an output is missing, or the image sizes differ.
    """
    mine, true = _image(splat, "depth"), _image(raster, "depth")
    alpha = _image(splat, "alpha")
    if mine.shape != true.shape:
        raise ValueError(f"camera {raster.camera.name}: the views are {mine.shape} and {true.shape} pixels")
    near, down = true < _REACH, _looks_down(raster)
    errors = np.minimum(np.abs(mine[near] - true[near]) / true[near], 1.0)
    enough = _LEAST_SHARE * near.size
    return RasterAgreement(
        depth_error=float(np.median(errors)) if len(errors) > enough else np.nan,
        depth_within=float((errors <= _TOLERANCE).mean()) if len(errors) > enough else np.nan,
        vehicle_iou=_vehicle_iou(splat, raster, nodes),
        covered=float((alpha[down] >= _OPAQUE).mean()) if down.sum() > enough else np.nan,
    )


def _vehicle_iou(splat: SplatView, raster: View, nodes: Collection[int] | None) -> float:
    """Compute the IoU of the vehicles that the raster shows within reach."""
    mine, true = _image(splat, "instance"), _image(raster, "instance")
    near = (_image(raster, "semantic") == Semantic.VEHICLE) & (_image(raster, "depth") < _REACH)
    shown = np.unique(true[near])
    if nodes is not None:
        shown = shown[np.isin(shown, list(nodes))]
    theirs, ours = np.isin(true, shown), np.isin(mine, shown)
    if theirs.sum() <= _LEAST_SHARE * theirs.size:
        return np.nan
    both = (theirs & (mine == true)).sum()
    # A pixel with two instances is in the union of each.
    return float(both / (theirs.sum() + ours.sum() - both))


def _looks_down(view: View) -> Bool[np.ndarray, "h w"]:
    """Return the pixels whose rays descend steeply enough to meet the ground nearby."""
    x, y = rays(view.camera)
    world_from_camera = view.world_from_ego @ view.camera.ego_from_camera
    right, down, ahead = world_from_camera[2, :3]
    with np.errstate(invalid="ignore"):
        drop = -(right * x + down * y + ahead) / np.sqrt(x * x + y * y + 1)
        steep: Bool[np.ndarray, "h w"] = drop > _DROP
        return steep


def rays(camera: Camera) -> tuple[Float32[np.ndarray, "h w"], Float32[np.ndarray, "h w"]]:
    """Return x / z and y / z of each pixel's ray; NaN outside the lens's field of view."""
    if camera.lens.model != LensModel.PINHOLE:
        table = lens_table(camera)
        return table.rays_x, table.rays_y
    x = (np.arange(camera.width, dtype=np.float32) + 0.5 - camera.cx) / camera.fx
    y = (np.arange(camera.height, dtype=np.float32) + 0.5 - camera.cy) / camera.fy
    columns, rows = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    return columns, rows


def _image(view: View, name: str) -> np.ndarray:
    """Return one output of a view."""
    image: np.ndarray | None = getattr(view, name)
    if image is None:
        raise ValueError(f"the view of camera {view.camera.name} was rendered without {name}")
    return image
