"""Agreement of the vehicles in a view with those that the raster projects, after NTA-IoU.

NTA-IoU ("novel trajectory agent IoU") is of DriveDreamer4D (Zhao et al. 2024, arXiv 2410.13571, and its released code):
a detector looks for vehicles in views beside the path; each annotated vehicle, projected into the view, is compared
with the detected box whose centre is nearest, or counts 0 if none is within 10 pixels of an image 480 wide.
"""

import numpy as np
from jaxtyping import Bool, Float, Int, Int32

from swerve.rasterizer import View
from swerve.rasterizer.splats import SplatView
from swerve.scenes.primitives import Semantic

# Metres: farther vehicles are a few pixels wide, and often hidden by what the raster does not show.
_REACH = 50.0
# Share of the image's width by which centres may differ: 10 of 480 pixels.
_NEAR = 10.0 / 480.0
# Pixels: boxes that are smaller in either direction are left out.
_LEAST = 6
# Opacity from which a pixel of a splat view belongs to its instance.
_OPAQUE = 0.5

Boxes = Float[np.ndarray, "_ 4"]


def projected_vehicles(raster: View) -> tuple[Int[np.ndarray, "n"], Boxes]:
    """Return the instances and boxes of the vehicles that a raster shows: left, top, right, bottom in pixels.

    A box holds the pixels in which the vehicle is seen, so that vehicles hidden behind others have small boxes or none.
    Left out are, as in NTA-IoU, those that reach the image's border, and those that are nearly invisible: beyond 50 m,
    or below 6 pixels in either direction.
    """
    assert raster.semantic is not None
    assert raster.depth is not None
    assert raster.instance is not None
    shown = (raster.semantic == Semantic.VEHICLE) & (raster.depth < _REACH)
    height, width = shown.shape
    found = {}
    for instance in np.unique(raster.instance[shown]).tolist():
        left, top, right, bottom = box = _box_of(raster.instance == instance)
        inside = left > 0 and top > 0 and right < width and bottom < height
        if inside and right - left >= _LEAST and bottom - top >= _LEAST:
            found[instance] = box
    return np.array(list(found), np.int64), np.array(list(found.values()), np.float64).reshape(-1, 4)


def box_iou_by_detector(boxes: Boxes, detected: Boxes, width: int) -> float:
    """Compute NTA-IoU of a view: the mean over the projected boxes; NaN without one.

    Args:
        boxes: projected boxes.
        detected: boxes that a detector found in the view.
        width: of the image, pixels.
    """
    if not len(boxes):
        return np.nan
    scores = np.zeros(len(boxes))
    for row, box in enumerate(boxes):
        distances = np.linalg.norm(_centers(detected) - _centers(box[None]), axis=1)
        if len(distances) and distances.min() < _NEAR * width:
            scores[row] = iou(box, detected[distances.argmin()])
    return float(scores.mean())


def box_iou_by_labels(instances: Int[np.ndarray, "n"], boxes: Boxes, splat: SplatView) -> float:
    """Compute the same with the labels of a splat view in the place of a detector.

    Each vehicle is compared with the box of the pixels that its own node dominates, with an opacity of 0.5 or more; it
    counts 0 if there are none. Unlike a detector, labels do not tell whether these pixels look like a vehicle.
    """
    assert splat.instance is not None
    assert splat.alpha is not None
    opaque = splat.alpha >= _OPAQUE
    scores = [iou(box, _seen(splat.instance, opaque, int(one))) for one, box in zip(instances, boxes, strict=True)]
    return float(np.mean(scores)) if scores else np.nan


def iou(one: Float[np.ndarray, "4"], other: Float[np.ndarray, "4"]) -> float:
    """Compute the intersection over union of two boxes; 0 if both are empty."""
    sides = np.maximum(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0.0)
    both = sides.prod()
    union = (one[2:] - one[:2]).prod() + (other[2:] - other[:2]).prod() - both
    return float(both / union) if union > 0 else 0.0


def _seen(instance: Int32[np.ndarray, "h w"], opaque: Bool[np.ndarray, "h w"], one: int) -> Float[np.ndarray, "4"]:
    """Return the box of an instance's opaque pixels; an empty one if there are none."""
    mask = (instance == one) & opaque
    return np.array(_box_of(mask), np.float64) if mask.any() else np.zeros(4)


def _box_of(mask: Bool[np.ndarray, "h w"]) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of the pixels of a mask, which must not be empty."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _centers(boxes: Boxes) -> Float[np.ndarray, "n 2"]:
    return np.asarray((boxes[:, :2] + boxes[:, 2:]) / 2)
