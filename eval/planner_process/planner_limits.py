"""Limits of a planner that runs in a process of its own."""

from dataclasses import dataclass

from swerve.scenes.errors import SwerveError


@dataclass(frozen=True)
class PlannerLimits:
    """Limits of each planner's process. Planners that ship with Swerve run in the evaluating process, without them.

    Attributes:
        plan_timeout: Longest time of a plan, in seconds. A planner that takes longer is ended, and has failed in that
            scene.
        startup_timeout: Longest time to load a planner, in seconds.
        planner_memory: Memory that a planner may allocate, in GB; 0 for no limit.
        planner_restarts: How often a planner whose process ended is started again, in each worker. After that it fails
            in all further scenes of this worker.
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
            if not getattr(self, name) > 0:
                raise SwerveError(f"{name} is {getattr(self, name)}, it must be above 0")
        for name in ("planner_memory", "planner_restarts"):
            if not getattr(self, name) >= 0:
                raise SwerveError(f"{name} is {getattr(self, name)}, it must not be negative")
