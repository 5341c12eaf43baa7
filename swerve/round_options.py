"""Options of training in rounds."""

from dataclasses import dataclass, field
from typing import Annotated

from tyro.conf import arg

from swerve.eval.benchmark.build_options import ViewKind
from swerve.eval.closed_loop.closed_loop_options import ClosedLoopOptions
from swerve.eval.training_viewpoints.training_viewpoint_options import TrainingViewpointOptions
from swerve.options.shared import NONE_BY_DEFAULT
from swerve.scenes.errors import SwerveError


@dataclass(frozen=True)
class RoundOptions:
    """Options of training in rounds: train, drive, draw where the planner got to, train again.

    Attributes:
        rounds: Rounds of training. After each but the last, the planner is driven on the training logs, and the states
            it visits are drawn, labelled, and added to the training set of the next (DAgger). 1 is plain training.
        round_sources: Logs of the training set, as for swerve augment; needed for more than one round. Only those of
            split train are driven.
        round_interval: Time between the scenes of a log from which the planner is driven, in seconds.
        round_views: Images that the planner sees while it is driven.
        visited_interval: Time between the visited states that are drawn of a rollout, in seconds.
        round_drive: Closed-loop simulation.

    Raises:
        SwerveError: an option is out of its range.
    """

    rounds: int = 1
    round_sources: Annotated[tuple[str, ...], arg(metavar="SOURCE...", help_behavior_hint=NONE_BY_DEFAULT)] = ()
    round_interval: float = 4.0
    round_views: ViewKind = "raster"
    visited_interval: float = 0.5
    round_drive: ClosedLoopOptions = field(default_factory=lambda: ClosedLoopOptions(traffic="lane-following"))

    def __post_init__(self) -> None:
        if not 1 <= self.rounds <= 1000:
            raise SwerveError(f"rounds: {self.rounds} must lie between 1 and 1000")
        if self.rounds > 1 and not self.round_sources:
            raise SwerveError("rounds: more than one needs --round-sources, the logs of the training set")
        if not 0.0 < self.round_interval <= 3600.0:
            raise SwerveError(f"round_interval: {self.round_interval:g} must be above 0 s, and 3600 s at most")
        TrainingViewpointOptions(visited_interval=self.visited_interval)  # checks it before the first round
