"""Options of closed-loop simulation."""

from dataclasses import dataclass
from typing import Literal

from swerve.eval.scoring.thresholds import STEP, STEPS
from swerve.eval.traffic.policy import Policy
from swerve.scenes.errors import SwerveError


@dataclass(frozen=True)
class ClosedLoopOptions:
    """Options of a closed-loop rollout.

    Attributes:
        rate: Planner calls per second: 10, 5, 2, 1, ... (every 1 to 40 steps of 0.1 s).
        seconds: Length of a rollout, in seconds, 4 or more; it ends earlier where the log does.
        traffic: How annotated agents move.
        simulation: navsim: NAVSIM's tracker and kinematic bicycle; dynamic: tyre slip and actuator lag.
        scorer: epdms: the sub-scores of EPDMS; nuplan: nuPlan's closed-loop metrics. dynamic with nuplan shares neither
            tracker nor scorer with pseudo-simulation.
        traffic_seed: Seed of the lanes that lane-following vehicles take beyond the log.

    Raises:
        SwerveError: rate or seconds is out of its range.
    """

    rate: float = 10.0
    seconds: float = 8.0
    traffic: Policy = "log-replay"
    simulation: Literal["navsim", "dynamic"] = "navsim"
    scorer: Literal["epdms", "nuplan"] = "epdms"
    traffic_seed: int = 0

    def __post_init__(self) -> None:
        steps = 1.0 / (self.rate * STEP) if self.rate > 0 else 0.0
        if not 1 <= round(steps) < STEPS or abs(steps - round(steps)) > 1e-6:
            raise SwerveError(
                f"rate: {self.rate:g} plans per second must be a plan every 1, 2, ... or 40 steps of 0.1 s"
            )
        if not self.seconds >= STEP * (STEPS - 1):
            raise SwerveError(f"seconds: {self.seconds:g} must be 4 or more")

    @property
    def stride(self) -> int:
        """Steps from one plan to the next."""
        return round(1.0 / (self.rate * STEP))
