"""Measurement of a fitted scene at many poses."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from swerve.eval.splat_quality.quality_summary import row_of
from swerve.eval.splat_quality.test_poses import EvaluationPose
from swerve.eval.splat_quality.view_comparison import ComparisonSetup, ViewComparison, compare


@dataclass(frozen=True, eq=False)
class Measured:
    """Results of a measurement.

    Attributes:
        rows: metrics of every view, see `row_of`.
        shown: the views at one time, with their images.
    """

    rows: list[dict[str, Any]]
    shown: list[ViewComparison]


def measure(bench: ComparisonSetup, places: Iterable[EvaluationPose], moment: int) -> Measured:
    """Compare the views at every pose.

    Args:
        bench: scene, log and truth.
        places: see `places_of`; an iterator may report progress.
        moment: step of the log whose images are kept.
    """
    measured = Measured([], [])
    for place in places:
        one = compare(bench, place)
        measured.rows.append(row_of(one))
        if place.moment == moment:
            measured.shown.append(one)
    return measured
