"""Options of a study."""

from dataclasses import dataclass
from typing import Annotated, Literal

from swerve.eval.closed_loop.closed_loop_options import ClosedLoopOptions
from swerve.eval.traffic.policy import Policy
from swerve.scenes import SwerveError
from swerve.scenes.option_types import or_default

Reference = Literal["independent", "same", "replay", "crossed"]
REFERENCES: tuple[Reference, ...] = ("independent", "same", "replay", "crossed")


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
        traffic: How annotated agents move in open loop and in the closed loop `same`; default: as in the benchmark.
        references: Closed loops to compare with, the headline first. independent: a dynamic bicycle, nuPlan's metrics
            and replayed traffic, nothing of which pseudo-simulation has; same: its tracker, scorer and traffic; replay,
            crossed: these in replayed traffic, and in another reactive one.
        seconds: Length of a closed-loop rollout, in seconds, 4 or more.
        rate: Planner calls per second in closed loop.
        density: Share of the follow-up scenes that are evaluated; less is faster.
        seed: Seed of the choice of these.

    Raises:
        SwerveError: the density is not above 0 and at most 1, no closed loop is given or one twice, or see
            ClosedLoopOptions.
    """

    traffic: Annotated[Policy | None, or_default(Policy)] = None
    references: tuple[Reference, ...] = REFERENCES
    seconds: float = 8.0
    rate: float = 2.0
    density: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0.0 < self.density <= 1.0:
            raise SwerveError(f"density: {self.density:g} must be above 0 and at most 1")
        if not self.references or len(set(self.references)) < len(self.references):
            raise SwerveError(f"references: give each once, and one at least, of {', '.join(REFERENCES)}")
        ClosedLoopOptions(self.rate, self.seconds)

    @property
    def policy(self) -> Policy:
        """Return the traffic model, which `run_study` takes from the benchmark where none is given."""
        if self.traffic is None:
            raise SwerveError("traffic: none is given")
        return self.traffic

    @property
    def closed_loops(self) -> dict[Reference, ClosedLoopOptions]:
        """Return the options of the rollouts, by reference.

        Where open loop has replayed traffic itself, `independent` has lane-following traffic, to share nothing.
        """
        crossed: Policy = "navsim-reactive" if self.policy == "lane-following" else "lane-following"
        foreign: Policy = crossed if self.policy == "log-replay" else "log-replay"
        made: dict[Reference, ClosedLoopOptions] = {
            "independent": ClosedLoopOptions(self.rate, self.seconds, foreign, "dynamic", "nuplan"),
            "same": ClosedLoopOptions(self.rate, self.seconds, self.policy),
            "replay": ClosedLoopOptions(self.rate, self.seconds, "log-replay"),
            "crossed": ClosedLoopOptions(self.rate, self.seconds, crossed),
        }
        return {reference: made[reference] for reference in self.references}
