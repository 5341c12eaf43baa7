"""Options of a study."""

from dataclasses import dataclass

from swerve.eval.closed_loop.closed_loop_scene import ClosedLoopOptions
from swerve.eval.traffic.policies import Policy
from swerve.scenes import SwerveError


@dataclass(frozen=True)
class StudyPlanner:
    """A planner of the population.

    Attributes:
        family: kind of planner, whose parameters are varied.
        spec: the argument of its loader (in `swerve study`, `load_planner`), and its name in all tables.
    """

    family: str
    spec: str


@dataclass(frozen=True)
class StudyOptions:
    """Options that determine a study's records, besides the benchmark and the planners.

    Attributes:
        traffic: traffic policy in open and closed loop.
        seconds: duration of a closed-loop rollout.
        rate: replanning frequency in closed loop, Hz.
        density: share of each scene group's follow-up pairs that are evaluated.
        seed: of the choice of these pairs.

    Raises:
        SwerveError: the density is not above 0 and at most 1, or see ClosedLoopOptions.
    """

    traffic: Policy = "navsim-reactive"
    seconds: float = 8.0
    rate: float = 2.0
    density: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.density <= 1.0:
            raise SwerveError(f"density: {self.density:g} must be above 0 and at most 1")
        _ = self.closed_loop

    @property
    def closed_loop(self) -> ClosedLoopOptions:
        """Return the options of the rollouts."""
        return ClosedLoopOptions(self.rate, self.seconds, self.traffic)
