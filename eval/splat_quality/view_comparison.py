"""Comparison of splat view, raster and, if known, true image at one pose."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Bool, UInt8

from swerve.data.dataset.capture import tracks_at
from swerve.eval.splat_quality.agreement import RASTER_OUTPUTS, SPLAT_OUTPUTS
from swerve.eval.splat_quality.detector import Detector
from swerve.eval.splat_quality.evaluation_poses import EvaluationPose
from swerve.eval.splat_quality.extrapolation import FittedPhotos
from swerve.eval.splat_quality.gate_options import GateOptions
from swerve.eval.splat_quality.image_metrics import ImageMetrics, compare_images, mask_images
from swerve.eval.splat_quality.label_agreement import LabelAgreement, label_agreement
from swerve.eval.splat_quality.quality_gate import GateResult, check_view
from swerve.eval.splat_quality.reference_images import ReferenceImages
from swerve.rasterizer import StaticLayer, Style, View
from swerve.rasterizer.splats import SplatScene, SplatSnapshot, SplatView, render_splats
from swerve.scenes import Log
from swerve.scenes.primitives import build_dynamic

Picture = UInt8[np.ndarray, "_ _ 3"]
_STYLE = Style.surfaces()


@dataclass(frozen=True, eq=False)
class ComparisonSetup:
    """Inputs of comparisons on one log.

    Attributes:
        splats: the fitted scene.
        log: the log it was fitted to.
        static_layer: static primitives of the log's map.
        truth: reference images.
        gate: thresholds.
        photos: that the scene was fitted to.
        lpips: computes LPIPS; None if it is not available.
        detector: finds vehicles and lines, and computes features; what it cannot is told by labels, or not at all.
    """

    splats: SplatScene
    log: Log
    static_layer: StaticLayer
    truth: ReferenceImages
    gate: GateOptions
    photos: FittedPhotos
    lpips: Callable[[Picture, Picture], float] | None = None
    detector: Detector = field(default_factory=Detector)


@dataclass(frozen=True, eq=False)
class ViewComparison:
    """Comparison at one pose.

    Attributes:
        evaluation_pose: the evaluated pose.
        gate_result: result of the gate, with the agreement with the raster.
        image_metrics: metrics against the true image; None if that is unknown.
        lpips: likewise; also None if LPIPS is not computed.
        labels: agreement with the boxes and lines of the raster.
        truth: the true image, or None.
        splat: the splat view.
        raster: the raster.
    """

    evaluation_pose: EvaluationPose
    gate_result: GateResult
    image_metrics: ImageMetrics | None
    lpips: float | None
    labels: LabelAgreement
    truth: Picture | None
    splat: Picture
    raster: Picture


def compare(setup: ComparisonSetup, evaluation_pose: EvaluationPose) -> ViewComparison:
    """Render a pose as splat view and raster, and compare them with the true image.

    Raises:
        SwerveError: the splats cannot be rendered, or a photo cannot be read.
    """
    frame = setup.splats.at(evaluation_pose.time_us)
    splat, raster = _splat_view(setup, frame, evaluation_pose), _raster(setup, evaluation_pose)
    truth = setup.truth.at(evaluation_pose)
    assert splat.rgb is not None
    assert raster.rgb is not None
    nodes = set(np.unique(frame.instances).tolist())
    gate_result = check_view(splat, raster, setup.gate, setup.photos, nodes)
    labels = label_agreement(splat, raster, truth, nodes, setup.detector)
    image_metrics, lpips = _against_truth(setup, splat.rgb, truth, evaluation_pose.ignored)
    return ViewComparison(evaluation_pose, gate_result, image_metrics, lpips, labels, truth, splat.rgb, raster.rgb)


def _splat_view(setup: ComparisonSetup, frame: SplatSnapshot, evaluation_pose: EvaluationPose) -> SplatView:
    """Render the splat view of a pose, with the fit's correction of it."""
    corrected = setup.splats.scene_from_log(evaluation_pose.time_us) @ evaluation_pose.world_from_ego[None]
    return render_splats(frame, [evaluation_pose.camera], corrected, ("rgb", *SPLAT_OUTPUTS))[0][0]


def _against_truth(
    setup: ComparisonSetup, image: Picture, truth: Picture | None, ignored: Bool[np.ndarray, "_ _"] | None
) -> tuple[ImageMetrics | None, float | None]:
    """Compare an image with the true one, if that is known: metrics, and LPIPS if it can be computed."""
    if truth is None:
        return None, None
    pair = (image, truth) if ignored is None else mask_images(image, truth, ignored)
    return compare_images(image, truth, ignored), setup.lpips(*pair) if setup.lpips else None


def _raster(setup: ComparisonSetup, evaluation_pose: EvaluationPose) -> View:
    """Render the raster of a pose."""
    log = setup.log
    tracks = tracks_at(log.tracks, log.times_us, evaluation_pose.time_us)
    nearest = int(np.abs(log.times_us - evaluation_pose.time_us).argmin())
    moving = build_dynamic(tracks, log.lights.at(slice(nearest, nearest + 1)), 0)
    outputs = ("rgb", *RASTER_OUTPUTS)
    return setup.static_layer.render(
        moving, [evaluation_pose.camera], evaluation_pose.world_from_ego[None], _STYLE, outputs
    )[0][0]
