"""Interfaces of viewpoints in simulated traffic and of pseudo-expert targets, which packages above make for a set."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from swerve.scenes import Scene
from swerve.scenes.viewpoints import LogGeometry, Rejection, Viewpoint, ViewpointKind

# Rate of pseudo-expert poses, Hz.
EXPERT_RATE = 10


@dataclass(frozen=True)
class ExpertTarget:
    """Best of many trajectories by exact score: a target beside the way back.

    Attributes:
        poses: (x, y, heading) in the ego frame at 0.1, 0.2, ... s, as the sample stores them.
        source: where the trajectory is from: "pdm_closed", "route" or "anchor".
        index: number of the trajectory among all candidates.
        candidates: number of candidates.
        score: its EPDMS without extended comfort, under log replay of the sample's tracks.
        metrics: its sub-scores by name.
        target_score: the same score of the sample's target; None if there is none.
    """

    poses: Float[np.ndarray, "k 3"]
    source: str
    index: int
    candidates: int
    score: float
    metrics: dict[str, float]
    target_score: float | None


@dataclass(frozen=True)
class MadeViewpoints:
    """Viewpoints of one kind of a scene.

    Attributes:
        viewpoints: accepted ones.
        rejected: rejected ones.
        without_way_back: reasons why accepted ones have no way back.
    """

    viewpoints: tuple[Viewpoint, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    without_way_back: tuple[Rejection, ...] = ()


@runtime_checkable
class LogViewpoints(Protocol):
    """Viewpoints and pseudo-experts of one log."""

    def make(self, scene: Scene, kind: ViewpointKind) -> MadeViewpoints:
        """Make the viewpoints of a kind that belong to a scene.

        Those without a way back have an empty target.
        """

    def expert(self, viewpoint: Viewpoint) -> ExpertTarget | str | None:
        """Return the pseudo-expert target, or the reason why there is none; None if none is asked for."""


@runtime_checkable
class ViewpointMaker(Protocol):
    """Maker of viewpoints; it can be pickled.

    Attributes:
        identity: everything that determines what it makes, as JSON values: part of the job's options.
    """

    @property
    def identity(self) -> dict[str, Any]:
        """Return the identity."""

    def check(self, logs: Sequence[str]) -> None:
        """Check before the job that it can serve these logs.

        Raises:
            SwerveError: it cannot.
        """

    def open(self, geometry: LogGeometry, scenes: Sequence[Scene]) -> LogViewpoints:
        """Prepare a log.

        Args:
            geometry: of the log.
            scenes: all scenes of the log; every viewpoint belongs to one of them.

        Raises:
            SwerveError: the log cannot be served.
        """
