"""Options of the driver service."""

from dataclasses import dataclass
from typing import Literal

from swerve.scenes.errors import SwerveError
from swerve.scenes.vehicle import Vehicle

OnFailure = Literal["error", "last-plan"]


@dataclass(frozen=True)
class DriverOptions:
    """Options of a served planner.

    Attributes:
        deadline: Longest time of a drive call, in seconds. A planner that takes longer is answered for by its last
            plan, continued in time; its own counts from the next call on.
        first_deadline: The same for calls of a session that has no plan yet, in seconds; after it, the car keeps its
            velocity and yaw rate.
        on_failure: Answer of a drive call whose planner fails, or whose images are missing. error: a gRPC error, with
            which AlpaSim ends the rollout; last-plan: the last plan, continued in time, or straight on.
        max_image_age: How old an image may be at a drive call, in seconds, where the planner does not say it itself
            (max_image_age).
        max_sessions: Most sessions at once.
        session_timeout: Time without a call after which a session is closed, in seconds: its client is gone.
        threads: Threads of a learned planner's operators on the CPU. More than one speed up large networks on cores of
            their own; on cores that other processes use as well they wait for each other, and plans take many times as
            long.
        vehicle: Length, width, height, wheelbase and rear overhang of the car, in metres, which AlpaSim does not tell;
            those of nuPlan's car.

    Raises:
        SwerveError: a number is outside its range.
    """

    deadline: float = 0.1
    first_deadline: float = 10.0
    on_failure: OnFailure = "error"
    max_image_age: float = 0.6
    max_sessions: int = 128
    session_timeout: float = 600.0
    threads: int = 1
    vehicle: tuple[float, float, float, float, float] = (5.176, 2.297, 1.777, 3.089, 1.127)

    def __post_init__(self) -> None:
        for name in ("deadline", "first_deadline", "max_image_age", "session_timeout"):
            if not 0.0 < getattr(self, name) <= 1e6:
                raise SwerveError(f"{name}: {getattr(self, name):g} must be above 0 s, and 1e6 s at most")
        if not 1 <= self.max_sessions <= 1000:
            raise SwerveError(f"max_sessions: {self.max_sessions} must lie in 1..1000")
        if not 1 <= self.threads <= 1024:
            raise SwerveError(f"threads: {self.threads} must lie in 1..1024")
        try:
            self.body()
        except ValueError as error:
            raise SwerveError(f"vehicle: {error}") from error

    def body(self) -> Vehicle:
        """Return the car."""
        return Vehicle("served", *self.vehicle)
