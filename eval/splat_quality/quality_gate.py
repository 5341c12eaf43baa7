"""The gate: which splat views are fit to be shown to a planner."""

import math
from collections.abc import Collection
from dataclasses import dataclass

from swerve.eval.splat_quality.agreement import RasterAgreement, agreement
from swerve.rasterizer import View
from swerve.rasterizer.splats import SplatView
from swerve.scenes import SwerveError


@dataclass(frozen=True)
class GateOptions:
    """The thresholds. What an image shows too little of is not judged.

    The defaults were chosen on fits of two towns; docs/splat_quality.md says how, and what they tell apart on a third.
    Nothing is asked of the two that helped there no further.

    Attributes:
        depth_error: `RasterAgreement.depth_error` at most.
        depth_within: `RasterAgreement.depth_within` at least.
        vehicle_iou: `RasterAgreement.vehicle_iou` at least.
        covered: `RasterAgreement.covered` at least.

    Raises:
        SwerveError: a threshold does not lie in 0..1.
    """

    depth_error: float = 0.15
    depth_within: float = 0.0
    vehicle_iou: float = 0.0
    covered: float = 0.9

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not 0 <= value <= 1:
                raise SwerveError(f"gate: {name} must lie in 0..1, got {value}")


@dataclass(frozen=True)
class Verdict:
    """Of one view.

    Attributes:
        fit: whether the view may be used.
        reasons: each threshold that it misses, in words with numbers; none where it is fit.
        numbers: what was measured.
    """

    fit: bool
    reasons: tuple[str, ...]
    numbers: RasterAgreement


def judge_view(splat: SplatView, raster: View, options: GateOptions, nodes: Collection[int] | None = None) -> Verdict:
    """Judges a splat view by the raster of the same camera, pose and moment; see `agreement` for the arguments."""
    return judge(agreement(splat, raster, nodes), options)


def judge(numbers: RasterAgreement, options: GateOptions) -> Verdict:
    """Judges what was measured; NaN misses no threshold."""
    reasons = []
    if numbers.depth_error > options.depth_error:
        reasons.append(f"depth is off by {_percent(numbers.depth_error)}, allowed {_percent(options.depth_error)}")
    for name, what in _AT_LEAST.items():
        value, least = getattr(numbers, name), getattr(options, name)
        if not math.isnan(value) and value < least:
            reasons.append(f"{what} {_percent(value)}, needed {_percent(least)}")
    return Verdict(not reasons, tuple(reasons), numbers)


_AT_LEAST = {
    "depth_within": "pixels of the right depth",
    "vehicle_iou": "IoU of vehicles",
    "covered": "ground without holes",
}


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
