"""Options of a study."""

from dataclasses import dataclass

from swerve.eval.closed_loop.closed_loop_options import ClosedLoopOptions
from swerve.eval.traffic.policy import Policy
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
        traffic: How annotated agents move, in open and closed loop; None: as in the benchmark.
        seconds: Length of a closed-loop rollout, in seconds, 4 or more.
        rate: Planner calls per second in closed loop.
        density: Share of the follow-up scenes that are evaluated; less is faster.
        seed: Seed of the choice of these.

    Raises:
        SwerveError: the density is not above 0 and at most 1, or see ClosedLoopOptions.
    """

    traffic: Policy | None = None
    seconds: float = 8.0
    rate: float = 2.0
    density: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.density <= 1.0:
            raise SwerveError(f"density: {self.density:g} must be above 0 and at most 1")
        ClosedLoopOptions(self.rate, self.seconds)

    @property
    def policy(self) -> Policy:
        """Return the traffic model, which `run_study` takes from the benchmark where none is given."""
        if self.traffic is None:
            raise SwerveError("traffic: none is given")
        return self.traffic

    @property
    def closed_loop(self) -> ClosedLoopOptions:
        """Return the options of the rollouts."""
        return ClosedLoopOptions(self.rate, self.seconds, self.policy)
