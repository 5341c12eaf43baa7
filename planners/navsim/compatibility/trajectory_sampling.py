"""Sampling of trajectories, in place of `nuplan.planning.simulation.trajectory.trajectory_sampling`."""

import math
from dataclasses import dataclass
from typing import Any

_TOLERANCE = 1e-10


@dataclass(eq=False)
class TrajectorySampling:
    """Number of poses, horizon and interval of a trajectory; any two determine the third.

    Attributes:
        num_poses: number of poses after the current one.
        time_horizon: seconds from now to the last pose.
        interval_length: seconds between poses.

    Raises:
        ValueError: fewer than two are given, they contradict each other, or the number of poses is not whole.
    """

    # Any: agents calculate with all three, which are numbers once the object exists.
    num_poses: Any = None
    time_horizon: Any = None
    interval_length: Any = None

    def __post_init__(self) -> None:
        if self.num_poses and not isinstance(self.num_poses, int):
            raise ValueError(f"num_poses must be an int, not {self.num_poses!r}")
        self.time_horizon = float(self.time_horizon) if self.time_horizon else None
        self.interval_length = float(self.interval_length) if self.interval_length else None
        if self.num_poses and self.time_horizon and not self.interval_length:
            self.interval_length = self.time_horizon / self.num_poses
        elif self.num_poses and self.interval_length and not self.time_horizon:
            self.time_horizon = self.num_poses * self.interval_length
        elif self.time_horizon and self.interval_length:
            self._complete_num_poses()
        else:
            raise ValueError(f"two of num_poses, time_horizon and interval_length must be given: {self}")

    def _complete_num_poses(self) -> None:
        """Set the number of poses, or compare it with the one given."""
        intervals = self.time_horizon / self.interval_length
        if self.num_poses:
            if not math.isclose(self.num_poses, intervals, abs_tol=_TOLERANCE):
                raise ValueError(f"num_poses, time_horizon and interval_length contradict each other: {self}")
            return
        remainder = math.fmod(self.time_horizon, self.interval_length)
        if min(remainder, self.interval_length - remainder) > _TOLERANCE:
            raise ValueError(f"time_horizon must be a multiple of interval_length: {self}")
        self.num_poses = int(intervals)  # as nuPlan does: 1.2 s at 0.1 s have 11 poses, since 1.2 / 0.1 is below 12

    @property
    def step_time(self) -> float:
        """Seconds between poses."""
        return float(self.interval_length)

    def __hash__(self) -> int:
        return hash((self.num_poses, self.time_horizon, self.interval_length))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TrajectorySampling):
            return NotImplemented
        return (
            self.num_poses == other.num_poses
            and math.isclose(self.time_horizon, other.time_horizon)
            and math.isclose(self.interval_length, other.interval_length)
        )
