"""How far a splat view agrees with the raster of the same camera, pose and moment: in depth, in labels, in being whole.

The raster knows what is annotated alone. Houses, trees and fences that stand in a splat view before what the raster
shows count as disagreement here, so 1.0 is out of reach even for a true photograph; and since a raster's vehicles are
boxes, so is an IoU of 1. docs/splat_quality.md has what true geometry scores.
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

# What the two views must have been drawn with.
SPLAT_OUTPUTS = ("depth", "alpha", "instance")
RASTER_OUTPUTS = ("depth", "semantic", "instance")

# Nearer than this, metres: farther off, what is not annotated hides most of what is.
_REACH = 50.0
# A ray that drops by more than this per metre meets the ground within some 16 m.
_DROP = 0.1
_TOLERANCE = 0.1
# Fewer pixels than this share of the image say nothing.
_LEAST_SHARE = 0.005
# A pixel is a hole where less than this of the sky is hidden: a fit lets a grey sky shine through a grey road, so that
# half-transparent ground tells little.
_OPAQUE = 0.05


@dataclass(frozen=True)
class RasterAgreement:
    """What was measured; NaN where the image shows too little of it (half a percent of its pixels).

    Attributes:
        depth_error: median of |splat - raster| / raster, 1 at most, over what the raster shows within 50 m; 1 too
            where the splat view shows nothing.
        depth_within: share of the same pixels at which that is 10 % at most.
        vehicle_iou: intersection over union of the pixels of vehicles within 50 m, instance by instance, summed.
        covered: share of the pixels whose rays drop by more than 0.1 m a metre that are opaque by 5 % or more.
    """

    depth_error: float
    depth_within: float
    vehicle_iou: float
    covered: float


def agreement(splat: SplatView, raster: View, nodes: Collection[int] | None = None) -> RasterAgreement:
    """Compares two views of one camera, pose and moment.

    Args:
        splat: drawn with SPLAT_OUTPUTS at least.
        raster: drawn with RASTER_OUTPUTS at least.
        nodes: numbers of the instances that the splat scene has nodes of; vehicles without one are part of its
            background, and are compared in depth alone. All vehicles count if None.

    Raises:
        ValueError: an output is missing, or the images have two sizes.
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
    """Of the vehicles that the raster shows within reach."""
    mine, true = _image(splat, "instance"), _image(raster, "instance")
    near = (_image(raster, "semantic") == Semantic.VEHICLE) & (_image(raster, "depth") < _REACH)
    shown = np.unique(true[near])
    if nodes is not None:
        shown = shown[np.isin(shown, list(nodes))]
    theirs, ours = np.isin(true, shown), np.isin(mine, shown)
    if theirs.sum() <= _LEAST_SHARE * theirs.size:
        return np.nan
    both = (theirs & (mine == true)).sum()
    # A pixel that two instances claim is in the union of each.
    return float(both / (theirs.sum() + ours.sum() - both))


def _looks_down(view: View) -> Bool[np.ndarray, "h w"]:
    """Pixels whose rays drop steeply enough to meet the ground nearby."""
    x, y = rays(view.camera)
    world_from_camera = view.world_from_ego @ view.camera.ego_from_camera
    right, down, ahead = world_from_camera[2, :3]
    with np.errstate(invalid="ignore"):
        drop = -(right * x + down * y + ahead) / np.sqrt(x * x + y * y + 1)
        return drop > _DROP


def rays(camera: Camera) -> tuple[Float32[np.ndarray, "h w"], Float32[np.ndarray, "h w"]]:
    """The x / z and y / z of each pixel's ray; NaN where the lens sees nothing."""
    if camera.lens.model != LensModel.PINHOLE:
        table = lens_table(camera)
        return table.rays_x, table.rays_y
    x = (np.arange(camera.width, dtype=np.float32) + 0.5 - camera.cx) / camera.fx
    y = (np.arange(camera.height, dtype=np.float32) + 0.5 - camera.cy) / camera.fy
    columns, rows = np.meshgrid(x.astype(np.float32), y.astype(np.float32))
    return columns, rows


def _image(view: View, name: str) -> np.ndarray:
    """One output of a view."""
    image: np.ndarray | None = getattr(view, name)
    if image is None:
        raise ValueError(f"the view of camera {view.camera.name} was drawn without {name}")
    return image
