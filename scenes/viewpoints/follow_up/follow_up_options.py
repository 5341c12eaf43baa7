"""Options of the second stage's start points."""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from swerve.scenes.viewpoints.bounds import Bounds

# Seconds between the steps of trajectories and histories.
STEP = 0.1


@dataclass(frozen=True)
class FollowUpOptions:
    """Options of the start points and the sources of their histories.

    The defaults are those of pseudo-simulation (Cao et al., "Pseudo-Simulation for Autonomous Driving",
    arXiv 2506.04218, 2025). With more headings and speeds, and smaller steps, the grid gets denser.

    Attributes:
        lateral: largest lateral offset from the human's path, metres.
        lateral_step: distance between columns, metres.
        longitudinal_step: distance between rows, metres.
        reach: rows extend from the human's position after braking to that after accelerating at this rate from now on,
            m/s2.
        horizon: seconds between the first stage and the second.
        history: seconds of history before the start.
        headings: heading offsets from the path at the start, radians.
        speeds: speed offsets from the nominal speed of the start point, m/s.
        sources: a trajectory of the bank where one matches, else a synthesised one; or one source only.
        bank_speed: largest difference of a bank trajectory's initial speed from the human's, m/s.
        bank_acceleration: largest difference of its initial acceleration, m/s2.
        bank_heading: largest difference of its final heading from the path's, radians.
        bank_across: largest lateral distance of its end from the start point, metres.
        bank_along: largest longitudinal distance of its end from the start point, metres.
        bounds: kinematic and comfort limits of synthesised trajectories.

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
        """Number of steps of a trajectory, first and last included."""
        return round(self.horizon / STEP) + 1

    @property
    def history_steps(self) -> int:
        """Number of steps of a history, now included."""
        return round(self.history / STEP) + 1
