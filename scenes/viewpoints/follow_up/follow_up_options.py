"""Options of the second stage's start points."""

import math
from dataclasses import dataclass, field
from typing import Annotated, Literal

from swerve.scenes.errors import SwerveError
from swerve.scenes.option_types import RARE, Angle
from swerve.scenes.viewpoints.bounds import KinematicLimits

# Seconds between the steps of trajectories and histories.
STEP = 0.1


@dataclass(frozen=True)
class FollowUpOptions:
    """Options of the start points and the sources of their histories.

    The defaults are those of pseudo-simulation (Cao et al., "Pseudo-Simulation for Autonomous Driving",
    arXiv 2506.04218, 2025). With more headings and speeds, and smaller steps, the grid gets denser.

    Attributes:
        lateral: Largest lateral offset from the human's path, in metres.
        lateral_step: Lateral distance between start points, in metres.
        longitudinal_step: Longitudinal distance between start points, in metres.
        max_acceleration: Start points lie between where the human would be after braking and after accelerating with
            this, in m/s2.
        horizon: Time from the initial scene to the follow-up scenes, in seconds.
        history: Length of the history before a start point, in seconds.
        heading_offsets: Heading offsets from the path, in degrees (in Python, radians).
        speed_offsets: Offsets of the speed at the start point, in m/s.
        sources: Where histories come from: trajectories of the bank where one matches, else synthesis; or one of them.
        bank_speed: Largest difference of a bank trajectory's initial speed from the human's, in m/s.
        bank_acceleration: Largest difference of its initial acceleration from the human's, in m/s2.
        bank_heading: Largest difference of its final heading from the start point's, in degrees (in Python, radians).
        bank_lateral_tolerance: Largest lateral distance of its end from the start point, in metres.
        bank_longitudinal_tolerance: Largest longitudinal distance of its end from the start point, in metres.
        bounds: Limits of synthesised histories.

    Raises:
        SwerveError: an option is out of its range.
    """

    lateral: float = 2.0
    lateral_step: float = 0.5
    longitudinal_step: float = 5.0
    max_acceleration: float = 4.0
    horizon: Annotated[float, RARE] = 4.0
    history: Annotated[float, RARE] = 2.0
    heading_offsets: tuple[Angle, ...] = (0.0,)
    speed_offsets: tuple[float, ...] = (0.0,)
    sources: Literal["bank+synthesis", "bank", "synthesis"] = "bank+synthesis"
    bank_speed: float = 1.0
    bank_acceleration: float = 1.0
    bank_heading: Angle = math.radians(20.0)
    bank_lateral_tolerance: float = 0.25
    bank_longitudinal_tolerance: float = 2.5
    bounds: KinematicLimits = field(default_factory=KinematicLimits)

    def __post_init__(self) -> None:
        if min(self.lateral_step, self.longitudinal_step, self.max_acceleration, self.history) <= 0 or self.lateral < 0:
            raise SwerveError(
                f"follow_up: steps, max_acceleration and history must be above 0, lateral 0 or more: {self}"
            )
        if self.history > self.horizon:
            raise SwerveError(f"follow_up: history {self.history} s must not exceed horizon {self.horizon} s")
        if not self.heading_offsets or not self.speed_offsets or max(map(abs, self.heading_offsets)) >= math.pi / 2:
            raise SwerveError("follow_up: heading_offsets (below 90 degrees) and speed_offsets need a value each")

    @property
    def steps(self) -> int:
        """Number of steps of a trajectory, first and last included."""
        return round(self.horizon / STEP) + 1

    @property
    def history_steps(self) -> int:
        """Number of steps of a history, now included."""
        return round(self.history / STEP) + 1
