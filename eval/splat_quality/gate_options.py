"""Thresholds of the gate that splat views must pass."""

from dataclasses import dataclass

from swerve.scenes.errors import SwerveError


@dataclass(frozen=True)
class GateOptions:
    """Thresholds of the gate. Measures with too few pixels in an image are not checked.

    The defaults were chosen on fits of two towns and tested on two more (docs/splat_quality.md), with a criterion that
    was changed after the test; their recall on the grid of follow-ups is unknown (1 of 5 bad views). The thresholds of
    0 are off: they did not improve precision or recall there.

    Attributes:
        depth_error: Largest median relative error of depth, `RasterAgreement.depth_error`.
        depth_within: Smallest share of pixels of the right depth, `RasterAgreement.depth_within`.
        vehicle_iou: Smallest IoU of vehicles, `RasterAgreement.vehicle_iou`.
        covered: Smallest share of the ground without holes, `RasterAgreement.covered`.

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
