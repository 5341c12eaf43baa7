"""Options of recovery viewpoints."""

import math
from dataclasses import dataclass, field
from typing import Literal

from swerve.scenes.option_checks import check_range
from swerve.scenes.option_types import Angle
from swerve.scenes.viewpoints.bounds import KinematicLimits


@dataclass(frozen=True)
class RecoveryOptions:
    """Options of recovery viewpoints.

    Attributes:
        samples_per_scene: Recovery viewpoints that are tried in each scene.
        lateral: Largest lateral offset from the logged path, in metres.
        longitudinal: Largest longitudinal offset along the logged path, in metres, up to 25.
        heading: Largest heading offset, in degrees (in Python, radians).
        speed: Largest change of speed, as a share of the logged speed: 0.2 is 20 %.
        distribution: uniform over these ranges, or normal, truncated at 2 standard deviations, the ends of the ranges.
        bounds: Limits of the history and of the recovery trajectory.
        min_distance: Scenes in which the ego drives less than this are not used, in metres.
        surface_tolerance: How much farther than the logged ego a corner may leave the drivable area, in metres.
        attempts: Samples tried for each viewpoint, of similar lateral offset and heading, until one is accepted.

    Raises:
        SwerveError: an option is out of its range.
    """

    samples_per_scene: int = 2
    lateral: float = 2.0
    longitudinal: float = 2.0
    heading: Angle = math.radians(15.0)
    speed: float = 0.2
    distribution: Literal["uniform", "normal"] = "uniform"
    bounds: KinematicLimits = field(default_factory=KinematicLimits)
    min_distance: float = 5.0
    surface_tolerance: float = 0.2
    attempts: int = 1

    def __post_init__(self) -> None:
        check_range("recovery.samples_per_scene", self.samples_per_scene, 0, 1000)
        check_range("recovery.lateral", self.lateral, 0, 20)
        check_range("recovery.longitudinal", self.longitudinal, 0, 25)
        check_range("recovery.heading (degrees)", math.degrees(self.heading), 0, 60)
        check_range("recovery.speed", self.speed, 0, 0.9)
        check_range("recovery.attempts", self.attempts, 1, 1000)
