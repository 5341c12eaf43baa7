"""Agreement of what is seen in a view with the annotations: boxes of vehicles and lane lines."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from swerve.eval.splat_quality.box_iou import box_iou_by_detector, box_iou_by_labels, projected_vehicles
from swerve.eval.splat_quality.detector import Detector
from swerve.eval.splat_quality.line_iou import bright_lines, line_iou
from swerve.rasterizer import View
from swerve.rasterizer.splats import SplatView


@dataclass(frozen=True)
class LabelAgreement:
    """Agreement with annotations, 0 to 1; NaN where the view has nothing to compare, or the true image is unknown.

    Attributes:
        box_iou: mean IoU of the vehicles' boxes, by a detector or else by the labels of the splats.
        line_iou: IoU of lane lines, by a detector or else by `bright_lines`.
        true_box_iou: `box_iou` of the true image, which a perfect view would reach; only by a detector.
        true_line_iou: `line_iou` of the true image.
    """

    box_iou: float
    line_iou: float
    true_box_iou: float
    true_line_iou: float


def label_agreement(
    splat: SplatView,
    raster: View,
    truth: UInt8[np.ndarray, "h w 3"] | None = None,
    nodes: Collection[int] | None = None,
    detector: Detector | None = None,
) -> LabelAgreement:
    """Compare a splat view with the raster of the same camera, pose and time.

    Args:
        splat: rendered with rgb, alpha and instance.
        raster: rendered with depth, semantic and instance.
        truth: the true image, if it is known.
        nodes: instances with a node in the splat scene; by labels, no other vehicles are compared. All if None.
        detector: finds vehicles, lines or both; what it does not find is told by labels and `bright_lines`.
    """
    assert splat.rgb is not None
    detector = detector or Detector()
    return LabelAgreement(
        _box_iou(splat, raster, nodes, detector),
        _line_iou(splat.rgb, raster, detector),
        np.nan if truth is None else _detected(truth, raster, detector),
        np.nan if truth is None else _line_iou(truth, raster, detector),
    )


def _box_iou(splat: SplatView, raster: View, nodes: Collection[int] | None, detector: Detector) -> float:
    if detector.vehicles:
        assert splat.rgb is not None
        return _detected(splat.rgb, raster, detector)
    instances, boxes = projected_vehicles(raster)
    own = np.ones(len(instances), bool) if nodes is None else np.isin(instances, list(nodes))
    return box_iou_by_labels(instances[own], boxes[own], splat)


def _detected(image: UInt8[np.ndarray, "h w 3"], raster: View, detector: Detector) -> float:
    """Return the agreement of boxes detected in an image; NaN without a detector of vehicles."""
    if not detector.vehicles:
        return np.nan
    found = detector.vehicles(image).astype(np.float64)
    return box_iou_by_detector(projected_vehicles(raster)[1], found, image.shape[1])


def _line_iou(image: UInt8[np.ndarray, "h w 3"], raster: View, detector: Detector) -> float:
    found = detector.lines(image) if detector.lines else bright_lines(image, raster)
    return line_iou(found, raster)
