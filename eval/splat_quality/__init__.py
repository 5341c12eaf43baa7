"""Quality of splat views: image metrics, agreement with rasters, and a gate on their use."""

from swerve.eval.splat_quality.agreement import RASTER_OUTPUTS, SPLAT_OUTPUTS, RasterAgreement, agreement
from swerve.eval.splat_quality.quality_gate import GateOptions, GateResult, check_agreement, check_view

__all__ = [
    "RASTER_OUTPUTS",
    "SPLAT_OUTPUTS",
    "GateOptions",
    "GateResult",
    "RasterAgreement",
    "agreement",
    "check_agreement",
    "check_view",
]
