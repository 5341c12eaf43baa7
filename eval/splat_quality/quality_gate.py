"""Quality gate: splat views that may be given to a planner."""

import math
from collections.abc import Collection
from dataclasses import dataclass

from swerve.eval.splat_quality.agreement import RasterAgreement, agreement
from swerve.rasterizer import View
from swerve.rasterizer.splats import SplatView
from swerve.scenes import SwerveError


@dataclass(frozen=True)
class GateOptions:
    """Thresholds. Quantities that an image shows too little of are not checked.

    The defaults were chosen on fits of two towns; docs/splat_quality.md describes the choice, and its validation on a
    third. The two thresholds of 0 did not improve the separation there.

    Attributes:
        depth_error: upper limit of `RasterAgreement.depth_error`.
        depth_within: lower limit of `RasterAgreement.depth_within`.
        vehicle_iou: lower limit of `RasterAgreement.vehicle_iou`.
        covered: lower limit of `RasterAgreement.covered`.

    Raises:
        SwerveError: a threshold is outside 0..1.
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
class GateResult:
    """Result of the gate on one view.

    Attributes:
        fit: whether the view may be used.
        reasons: each missed threshold, in words with numbers; empty if it is fit.
        numbers: the measured agreement.
    """

    fit: bool
    reasons: tuple[str, ...]
    numbers: RasterAgreement


def check_view(
    splat: SplatView, raster: View, options: GateOptions, nodes: Collection[int] | None = None
) -> GateResult:
    """Check a splat view against the raster of the same camera, pose and time; see `agreement` for the arguments."""
    return check_agreement(agreement(splat, raster, nodes), options)


def check_agreement(numbers: RasterAgreement, options: GateOptions) -> GateResult:
    """Check measured agreement; NaN misses no threshold."""
    reasons = []
    if numbers.depth_error > options.depth_error:
        reasons.append(f"depth is off by {_percent(numbers.depth_error)}, allowed {_percent(options.depth_error)}")
    for name, what in _AT_LEAST.items():
        value, least = getattr(numbers, name), getattr(options, name)
        if not math.isnan(value) and value < least:
            reasons.append(f"{what} {_percent(value)}, needed {_percent(least)}")
    return GateResult(not reasons, tuple(reasons), numbers)


_AT_LEAST = {
    "depth_within": "pixels of the right depth",
    "vehicle_iou": "IoU of vehicles",
    "covered": "ground without holes",
}


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
