"""Measurement of a fitted scene at many poses."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from swerve.eval.splat_quality.evaluation_poses import EvaluationPose
from swerve.eval.splat_quality.quality_summary import view_row
from swerve.eval.splat_quality.view_comparison import ComparisonSetup, ViewComparison, compare


@dataclass(frozen=True, eq=False)
class Measurement:
    """Results of a measurement.

    Attributes:
        rows: metrics of every view, see `view_row`.
        shown: the views at one time, with their images.
    """

    rows: list[dict[str, Any]]
    shown: list[ViewComparison]


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
    return measured
