"""Thresholds of the gate that splat views must pass."""

import math
from dataclasses import dataclass

from swerve.scenes.errors import SwerveError
from swerve.scenes.option_types import Angle


@dataclass(frozen=True)
class GateOptions:
    """Thresholds of the gate, each named after its measure. Measures with too few pixels in an image are not checked.

    The defaults of `depth_error` and `covered` were chosen on fits of two towns and tested on two more
    (docs/splat_quality.md), with a criterion that was changed after the test; on three later towns they found 9 of 22
    bad views on the grid of follow-ups, without a false alarm. The thresholds of 0 are off: they did not improve
    precision or recall there. Those of distance, turn and visibility say where the fit had no photo; they were set from
    where bad views lay in those four towns, before any other log was looked at.

    Attributes:
        depth_error: Largest median relative error of depth against the raster's.
        depth_within: Smallest share of pixels whose depth is the raster's.
        vehicle_iou: Smallest IoU of the pixels of vehicles with the raster's.
        covered: Smallest share of the ground without holes.
        distance: Largest distance to the path of a fitted camera, in metres.
        turn: Largest angle between the optical axes of a view and of the photos of that path, in degrees (in Python,
            radians).
        seen: Smallest share of the static raster that lies in some fitted photo.

    Raises:
        SwerveError: a share does not lie in 0..1, a distance is not positive, or an angle not in 0..180 degrees.
    """

    depth_error: float = 0.15
    depth_within: float = 0.0
    vehicle_iou: float = 0.0
    covered: float = 0.9
    distance: float = 3.0
    turn: Angle = math.radians(30.0)
    seen: float = 0.9

    def __post_init__(self) -> None:
        for name in ("depth_error", "depth_within", "vehicle_iou", "covered", "seen"):
            if not 0 <= getattr(self, name) <= 1:
                raise SwerveError(f"gate: {name} must lie in 0..1, got {getattr(self, name)}")
        if not self.distance > 0:
            raise SwerveError(f"gate: distance must be positive, got {self.distance}")
        if not 0 < self.turn <= math.pi:
            raise SwerveError(f"gate: turn must lie in 0..180 degrees, got {math.degrees(self.turn):g}")
