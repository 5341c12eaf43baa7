"""Measures a fitted scene at many places."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from swerve.eval.splat_quality.quality_summary import row_of
from swerve.eval.splat_quality.test_poses import EvaluationPose
from swerve.eval.splat_quality.view_comparison import ComparisonSetup, ViewComparison, compare


@dataclass(frozen=True, eq=False)
class Measured:
    """What came out.

    Attributes:
        rows: numbers of every view, see `row_of`.
        shown: the views of one moment, with their images.
    """

    rows: list[dict[str, Any]]
    shown: list[ViewComparison]


def measure(bench: ComparisonSetup, places: Iterable[EvaluationPose], moment: int) -> Measured:
    """Compares at every place.

    Args:
        bench: scene, log and truth.
        places: see `places_of`; an iterator may show progress.
        moment: the one whose images are kept.
    """
    measured = Measured([], [])
    for place in places:
        one = compare(bench, place)
        measured.rows.append(row_of(one))
        if place.moment == moment:
            measured.shown.append(one)
    return measured
