"""Measurement of a fitted scene at many poses."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from swerve.eval.splat_quality.evaluation_poses import EvaluationPose
from swerve.eval.splat_quality.frechet import frechet_distance
from swerve.eval.splat_quality.quality_summary import view_row
from swerve.eval.splat_quality.view_comparison import ComparisonSetup, ViewComparison, compare

# Number of the worst views that are kept with their images.
WORST = 4


@dataclass(frozen=True, eq=False)
class Measurement:
    """Results of a measurement.

    Attributes:
        rows: metrics of every view, see `view_row`.
        shown: the views at one time, with their images.
        worst: the views with the lowest aligned PSNR, with their images, the worst first.
        features: of the views by offset, and of the photos they are compared with, if there is an extractor.
        photo_features: of the held-out photos.
    """

    rows: list[dict[str, Any]]
    shown: list[ViewComparison]
    worst: list[ViewComparison] = field(default_factory=list)
    features: dict[str, list[np.ndarray]] = field(default_factory=dict)
    photo_features: list[np.ndarray] = field(default_factory=list)


def measure(setup: ComparisonSetup, poses_to_evaluate: Iterable[EvaluationPose], step: int) -> Measurement:
    """Compare the views at every pose.

    Args:
        setup: scene, log and truth.
        poses_to_evaluate: see `evaluation_poses`; an iterator may report progress.
        step: step of the log whose images are kept.
    """
    measured = Measurement([], [])
    for evaluation_pose in poses_to_evaluate:
        one = compare(setup, evaluation_pose)
        measured.rows.append(view_row(one))
        if evaluation_pose.step == step:
            measured.shown.append(one)
        if one.image_metrics is not None:
            measured.worst[:] = sorted([*measured.worst, one], key=_aligned)[:WORST]
        if setup.detector.features:
            group = evaluation_pose.group
            measured.features.setdefault(group, []).append(setup.detector.features(one.splat))
            if evaluation_pose.photo is not None:
                measured.photo_features.append(setup.detector.features(evaluation_pose.photo))
    return measured


def _aligned(one: ViewComparison) -> float:
    return np.inf if one.image_metrics is None else one.image_metrics.psnr_aligned


def feature_distances(
    features: Mapping[str, Sequence[np.ndarray]], photo_features: Sequence[np.ndarray]
) -> dict[str, dict[str, float | int | None]]:
    """Compute the Fréchet distance of the views of each offset from the held-out photos.

    Returns:
        by offset the distance (None for fewer than two images), and the numbers of views and photos.
    """
    found: dict[str, dict[str, float | int | None]] = {}
    for offset, views in features.items():
        distance = frechet_distance(np.stack(views), np.stack(photo_features)) if photo_features else np.nan
        counts = {"views": len(views), "photos": len(photo_features)}
        found[offset] = {"distance": distance if np.isfinite(distance) else None, **counts}
    return found
