"""Scene groups: a stage-one scene with all scenes that are evaluated with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from swerve.eval.scoring.aggregate import GroupTokens
from swerve.scenes import Camera, SwerveError
from swerve.scenes.viewpoints import Viewpoint


@dataclass(frozen=True)
class BenchmarkScene:
    """A scene of a benchmark from the ego's viewpoint.

    Attributes:
        token: unique in the benchmark.
        viewpoint: the ego. In the first stage, the logged viewpoint of a scene of the log. In the second, of kind
            FOLLOW_UP, in a scene of a log of its own whose traffic has been advanced by 4 s; `human` is then the logged
            ego's path.
        follow_up: whether it belongs to the second stage.
    """

    token: str
    viewpoint: Viewpoint
    follow_up: bool


@runtime_checkable
class SceneViews(Protocol):
    """The images of a scene group, stored or rendered on demand."""

    def cameras(self, frame: BenchmarkScene) -> tuple[Camera, ...]:
        """Return the cameras of a scene, at the size of the images."""

    def images(self, frame: BenchmarkScene, cameras: Sequence[str]) -> Mapping[str, UInt8[np.ndarray, "_ _ 3"]]:
        """Return the RGB images by camera name.

        Raises:
            SwerveError: there is no such camera, or no such image.
        """


@dataclass(frozen=True)
class SceneGroup:
    """A stage-one scene, the scene 0.5 s before it, and the pairs of follow-up scenes of both.

    Attributes:
        log: name of the log.
        group: tokens of its scenes.
        frames: the scenes by token.
        views: images of its scenes; None if there are none.
        kind: of these views; empty if unnamed.
        beside: views of other kinds from the same poses, by kind.
    """

    log: str
    group: GroupTokens
    frames: Mapping[str, BenchmarkScene]
    views: SceneViews | None = None
    kind: str = ""
    beside: Mapping[str, SceneViews] = field(default_factory=dict)

    @property
    def kinds(self) -> Mapping[str, SceneViews]:
        """Return all views by kind, first those given to planners."""
        return {**({} if self.views is None else {self.kind: self.views}), **self.beside}

    def showing(self, kind: str) -> "SceneGroup":
        """Return the scene group with views of another kind given to planners.

        Raises:
            SwerveError: it has none.
        """
        known = self.kinds
        if kind not in known:
            raise SwerveError(f"scene group {self.group.now}: has no {kind} views; it has {', '.join(known) or 'none'}")
        beside = {name: views for name, views in known.items() if name != kind}
        return replace(self, views=known[kind], kind=kind, beside=beside)
