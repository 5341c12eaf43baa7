"""Quality of splat views: image metrics, agreement with rasters, and a gate on their use."""

from typing import TYPE_CHECKING

from swerve.scenes.lazy_package import make_lazy

if TYPE_CHECKING:
    from swerve.eval.splat_quality.agreement import RASTER_OUTPUTS, SPLAT_OUTPUTS, RasterAgreement, agreement
    from swerve.eval.splat_quality.extrapolation import Extrapolation, FittedPhotos
    from swerve.eval.splat_quality.gate_options import GateOptions
    from swerve.eval.splat_quality.quality_gate import GateResult, check_numbers, check_view

__all__ = [
    "RASTER_OUTPUTS",
    "SPLAT_OUTPUTS",
    "Extrapolation",
    "FittedPhotos",
    "GateOptions",
    "GateResult",
    "RasterAgreement",
    "agreement",
    "check_numbers",
    "check_view",
]

make_lazy(__name__)
