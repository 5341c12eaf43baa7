"""Quality gate: splat views that may be given to a planner."""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from swerve.eval.splat_quality.agreement import RasterAgreement, agreement
from swerve.eval.splat_quality.extrapolation import Extrapolation, FittedPhotos
from swerve.eval.splat_quality.gate_options import GateOptions
from swerve.rasterizer import View
from swerve.rasterizer.splats import SplatView


@dataclass(frozen=True)
class GateResult:
    """Result of the gate on one view.

    Attributes:
        missed: names of the missed thresholds, as in `GateOptions`; empty if the view may be used.
        reasons: each missed threshold, in words with numbers.
        numbers: the measured agreement.
        extrapolation: the view's distance from the fitted photos.
    """

    missed: tuple[str, ...]
    reasons: tuple[str, ...]
    numbers: RasterAgreement
    extrapolation: Extrapolation

    @property
    def fit(self) -> bool:
        """Return whether the view may be used."""
        return not self.missed


def check_view(
    splat: SplatView,
    raster: View,
    options: GateOptions,
    photos: FittedPhotos,
    nodes: Collection[int] | None = None,
) -> GateResult:
    """Check a splat view against the raster of the same camera, pose and time, and against the fitted photos.

    Args:
        splat: see `agreement`.
        raster: see `agreement`.
        options: thresholds.
        photos: of the fit.
        nodes: see `agreement`.
    """
    return check_numbers(agreement(splat, raster, nodes), photos.measure(raster, options.turn), options)


def check_numbers(numbers: RasterAgreement, extrapolation: Extrapolation, options: GateOptions) -> GateResult:
    """Check measured numbers; NaN misses no threshold."""
    found = dict((*_agreement_misses(numbers, options), *_extrapolation_misses(extrapolation, options)))
    return GateResult(tuple(found), tuple(found.values()), numbers, extrapolation)


def _agreement_misses(numbers: RasterAgreement, options: GateOptions) -> Iterator[tuple[str, str]]:
    """Yield the names and descriptions of missed thresholds of the agreement."""
    if numbers.depth_error > options.depth_error:
        yield (
            "depth_error",
            f"depth is off by {_percent(numbers.depth_error)}, allowed {_percent(options.depth_error)}",
        )
    for name, what in _AT_LEAST.items():
        if _below(value := getattr(numbers, name), least := getattr(options, name)):
            yield name, f"{what} {_percent(value)}, needed {_percent(least)}"


def _extrapolation_misses(extrapolation: Extrapolation, options: GateOptions) -> Iterator[tuple[str, str]]:
    """Yield the names and descriptions of missed thresholds of the distance from the photos."""
    if extrapolation.distance > options.distance:
        direction = f"looked within {math.degrees(options.turn):.0f} degrees of its direction"
        far = f"the nearest fitted camera that {direction} is {extrapolation.distance:.1f} m away"
        if math.isinf(extrapolation.distance):
            far = f"no fitted camera {direction}"
        yield "distance", f"{far}, allowed {options.distance:g} m"
    if _below(extrapolation.seen, options.seen):
        yield "seen", f"seen by fitted photos {_percent(extrapolation.seen)}, needed {_percent(options.seen)}"


def _below(value: float, least: float) -> bool:
    return not math.isnan(value) and value < least


_AT_LEAST = {
    "depth_within": "pixels of the right depth",
    "vehicle_iou": "IoU of vehicles",
    "covered": "ground without holes",
}


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
