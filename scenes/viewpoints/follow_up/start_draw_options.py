"""Options of random follow-up start points, for training."""

import math
from dataclasses import dataclass

from swerve.scenes.option_checks import check_range
from swerve.scenes.option_types import Angle


@dataclass(frozen=True)
class StartDrawOptions:
    """Options of the follow-up viewpoints of a training set, drawn at random around the human's position 4 s later.

    Offsets are uniform over their ranges and independent of each other; a draw that no car can drive to in 4 s is
    rejected. The defaults cover a benchmark's start points from a stop to 30 % faster than the human.

    Attributes:
        samples_per_scene: Follow-up viewpoints that are tried in each scene.
        lateral: Largest lateral offset from the logged path, in metres.
        longitudinal: Largest longitudinal offset along the logged path, in metres.
        heading: Largest heading offset, in degrees (in Python, radians).
        slowest: Lowest speed, as a share of the logged speed at that time: 0 is standing.
        fastest: Highest speed, as a share of the logged speed at that time: 1.3 is 30 % faster.
        free_speed: Whether a fifth of the draws arrives at the speed of a free drive to the point instead, as start
            points of a benchmark do.
        attempts: Draws for each viewpoint, of similar longitudinal offset and speed, until one is accepted.

    Raises:
        SwerveError: an option is out of its range.
    """

    samples_per_scene: int = 2
    lateral: float = 2.0
    longitudinal: float = 15.0
    heading: Angle = math.radians(10.0)
    slowest: float = 0.0
    fastest: float = 1.3
    free_speed: bool = True
    attempts: int = 8

    def __post_init__(self) -> None:
        check_range("follow_up.samples_per_scene", self.samples_per_scene, 0, 1000)
        check_range("follow_up.lateral", self.lateral, 0, 20)
        check_range("follow_up.longitudinal", self.longitudinal, 0, 30)
        check_range("follow_up.heading (degrees)", math.degrees(self.heading), 0, 60)
        check_range("follow_up.fastest", self.fastest, 0, 3)
        check_range("follow_up.slowest", self.slowest, 0, self.fastest)
        check_range("follow_up.attempts", self.attempts, 1, 1000)
