"""Options of follow-up and visited viewpoints of training sets, and of pseudo-expert targets."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from swerve.data.dataset.augment_options import KINDS, SampleKind
from swerve.eval.traffic.policy import Policy
from swerve.scenes.errors import SwerveError


@dataclass(frozen=True)
class TrainingViewpointOptions:
    """Options of follow-up and visited viewpoints, and of pseudo-expert targets.

    Attributes:
        follow_up_traffic: How annotated agents move in the 8 s after the scene from which a follow-up viewpoint starts,
            as in swerve build.
        visited: Folder of swerve drive --record, for visited viewpoints.
        visited_interval: Time between the visited states that are used of a rollout, in seconds.
        experts: Kinds of viewpoints that also get a pseudo-expert target: the best by exact score of PDM-Closed's
            proposal, drives along the route, and a fixed set of arcs.

    Raises:
        SwerveError: an option is out of its range.
    """

    follow_up_traffic: Policy = "lane-following"
    visited: Annotated[Path | None, arg(metavar="FOLDER")] = None
    visited_interval: float = 0.5
    experts: tuple[SampleKind, ...] = ("follow_up", "visited")

    def __post_init__(self) -> None:
        if unknown := [kind for kind in self.experts if kind not in KINDS]:
            raise SwerveError(f"experts: {unknown[0]!r} is not known, choose among {', '.join(KINDS)}")
        if abs(self.visited_interval * 10 - round(self.visited_interval * 10)) > 1e-6 or self.visited_interval < 0.1:
            raise SwerveError(f"visited_interval: {self.visited_interval:g} must be a multiple of 0.1 s")

    @property
    def visited_stride(self) -> int:
        """Steps of 0.1 s between visited states."""
        return round(self.visited_interval * 10)
