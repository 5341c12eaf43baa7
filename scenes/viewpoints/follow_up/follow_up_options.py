"""Which start points the second stage has."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from swerve.scenes.viewpoints.bounds import Bounds

# Seconds between the steps of drives and histories.
STEP = 0.1


@dataclass(frozen=True)
class FollowUpOptions:
    """Which start points are tried, and where their histories may come from.

    The defaults are those of pseudo-simulation (Cao et al., "Pseudo-Simulation for Autonomous Driving",
    arXiv 2506.04218, 2025). With more headings and speeds, and smaller steps, the grid gets denser.

    Attributes:
        lateral: farthest start point to either side of the expert's path, metres.
        lateral_step: between columns, metres.
        longitudinal_step: between rows, metres.
        reach: rows go from where the expert would be after braking to where he would be after accelerating so hard
            from now on, m/s2.
        horizon: seconds from the first stage's moment to the second's.
        history: seconds of history before the start.
        headings: turns against the path at the start, radians.
        speeds: added to the speed that the start point asks for, m/s.
        sources: a drive of the bank where one fits, else a synthesised one; or one source alone.
        bank_speed: how much a drive's speed may differ from the expert's as it begins, m/s.
        bank_acceleration: the same of acceleration, m/s2.
        bank_heading: how much its heading may differ from the path's as it ends, radians.
        bank_across: how far across the path it may end from the start point, metres.
        bank_along: the same along the path, metres.
        bounds: what a synthesised drive may ask of car and passengers.

    Raises:
        ValueError: a step or a time is not above 0, a range is below it, or headings or speeds are empty.
    """

    lateral: float = 2.0
    lateral_step: float = 0.5
    longitudinal_step: float = 5.0
    reach: float = 4.0
    horizon: float = 4.0
    history: float = 2.0
    headings: tuple[float, ...] = (0.0,)
    speeds: tuple[float, ...] = (0.0,)
    sources: Literal["bank+synthesis", "bank", "synthesis"] = "bank+synthesis"
    bank_speed: float = 1.0
    bank_acceleration: float = 1.0
    bank_heading: float = float(np.deg2rad(20.0))
    bank_across: float = 0.25
    bank_along: float = 2.5
    bounds: Bounds = field(default_factory=Bounds)

    def __post_init__(self) -> None:
        if min(self.lateral_step, self.longitudinal_step, self.reach, self.history) <= 0 or self.lateral < 0:
            raise ValueError(f"steps, reach and history must be above 0, lateral not below it: {self}")
        if self.history > self.horizon:
            raise ValueError(f"a history of {self.history} s does not fit into a horizon of {self.horizon} s")
        if not self.headings or not self.speeds or np.abs(self.headings).max() >= np.pi / 2:
            raise ValueError("headings and speeds need a value each, headings less than a right angle")

    @property
    def steps(self) -> int:
        """Steps of a drive, first and last included."""
        return round(self.horizon / STEP) + 1

    @property
    def history_steps(self) -> int:
        """Steps of a history, now included."""
        return round(self.history / STEP) + 1
