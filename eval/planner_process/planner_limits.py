"""Limits of a planner that runs in a process of its own."""

import math
from dataclasses import dataclass
from typing import Final

from swerve.scenes.errors import SwerveError

# Seconds: more than eleven days.
_LONGEST: Final = 1e6


@dataclass(frozen=True)
class PlannerLimits:
    """Limits of each planner's process. Planners that ship with Swerve run in the evaluating process, without them.

    Attributes:
        plan_timeout: Longest time of a plan, in seconds. A planner that takes longer is ended, and has failed in that
            scene.
        startup_timeout: Longest time to load a planner, in seconds.
        planner_memory: Memory that a planner may allocate, in GB; 0 for no limit.
        planner_restarts: How often in a row a planner whose process ended is started again, in each worker. After that
            it fails in all further scenes of this worker.
        in_process: Run planners in the evaluating process, without limits: faster by a millisecond or so a plan, and
            what they print is seen. One that hangs or crashes ends or blocks the run.

    Raises:
        SwerveError: a number is outside its range.
    """

    plan_timeout: float = 60.0
    startup_timeout: float = 180.0
    planner_memory: float = 0.0
    planner_restarts: int = 10
    in_process: bool = False

    def __post_init__(self) -> None:
        for name in ("plan_timeout", "startup_timeout"):
            if not 0 < getattr(self, name) <= _LONGEST:
                raise SwerveError(f"{name} is {getattr(self, name)}, it must be above 0, and {_LONGEST:g} at most")
        for name in ("planner_memory", "planner_restarts"):
            if not 0 <= getattr(self, name) < math.inf:
                raise SwerveError(f"{name} is {getattr(self, name)}, it must be finite, and not negative")
