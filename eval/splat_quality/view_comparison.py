"""Comparison of splat view, raster and, if known, true image at one pose."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8

from swerve.data.dataset.capture import tracks_at
from swerve.eval.splat_quality.agreement import RASTER_OUTPUTS, SPLAT_OUTPUTS
from swerve.eval.splat_quality.gate_options import GateOptions
from swerve.eval.splat_quality.image_metrics import ImageMetrics, blackened, likeness
from swerve.eval.splat_quality.quality_gate import Verdict, judge_view
from swerve.eval.splat_quality.reference_images import ReferenceImages
from swerve.eval.splat_quality.test_poses import EvaluationPose
from swerve.rasterizer import StaticLayer, Style, View
from swerve.rasterizer.splats import SplatScene, render_splats
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
        backdrop: static primitives of the log's map.
        truth: reference images.
        gate: thresholds.
        perceptual: computes LPIPS; None if it is not available.
    """

    splats: SplatScene
    log: Log
    backdrop: StaticLayer
    truth: ReferenceImages
    gate: GateOptions
    perceptual: Callable[[Picture, Picture], float] | None = None


@dataclass(frozen=True, eq=False)
class ViewComparison:
    """Comparison at one pose.

    Attributes:
        place: the evaluated pose.
        verdict: result of the gate, with the agreement with the raster.
        likeness: metrics against the true image; None if that is unknown.
        lpips: likewise; also None if LPIPS is not computed.
        truth: the true image, or None.
        splat: the splat view.
        raster: the raster.
    """

    place: EvaluationPose
    verdict: Verdict
    likeness: ImageMetrics | None
    lpips: float | None
    truth: Picture | None
    splat: Picture
    raster: Picture


def compare(bench: ComparisonSetup, place: EvaluationPose) -> ViewComparison:
    """Render a pose as splat view and raster, and compare them with the truth.

    Raises:
        SwerveError: the splats cannot be rendered, or a photo cannot be read.
    """
    frame = bench.splats.at(place.time_us)
    pose = place.world_from_ego[None]
    corrected = bench.splats.scene_from_log(place.time_us) @ pose
    splat = render_splats(frame, [place.camera], corrected, ("rgb", *SPLAT_OUTPUTS))[0][0]
    raster = _raster(bench, place)
    truth = bench.truth.at(place)
    assert splat.rgb is not None
    assert raster.rgb is not None
    nodes = set(np.unique(frame.instances).tolist())
    verdict = judge_view(splat, raster, bench.gate, nodes)
    if truth is None:
        return ViewComparison(place, verdict, None, None, None, splat.rgb, raster.rgb)
    found = likeness(splat.rgb, truth, place.ignored)
    pair = (splat.rgb, truth) if place.ignored is None else blackened(splat.rgb, truth, place.ignored)
    lpips = bench.perceptual(*pair) if bench.perceptual else None
    return ViewComparison(place, verdict, found, lpips, truth, splat.rgb, raster.rgb)


def _raster(bench: ComparisonSetup, place: EvaluationPose) -> View:
    """Render the raster of a pose."""
    log = bench.log
    tracks = tracks_at(log.tracks, log.times_us, place.time_us)
    nearest = int(np.abs(log.times_us - place.time_us).argmin())
    moving = build_dynamic(tracks, log.lights.at(slice(nearest, nearest + 1)), 0)
    outputs = ("rgb", *RASTER_OUTPUTS)
    return bench.backdrop.render(moving, [place.camera], place.world_from_ego[None], _STYLE, outputs)[0][0]
