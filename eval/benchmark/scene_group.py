"""A case: one stage-one scene with everything that is evaluated for it."""

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
    """A scene of a benchmark, as the ego sees it.

    Attributes:
        token: unique in the benchmark.
        viewpoint: the ego. In the first stage it is the logged one of a scene of the log. In the second it is of kind
            FOLLOW_UP, in a scene of a log of its own, in which the traffic has gone on for 4 s; `human` then is where
            the logged driver was.
        follow_up: whether it belongs to the second stage.
    """

    token: str
    viewpoint: Viewpoint
    follow_up: bool


@runtime_checkable
class SceneViews(Protocol):
    """Where the images of a case come from: read from the benchmark, or drawn when asked for."""

    def cameras(self, frame: BenchmarkScene) -> tuple[Camera, ...]:
        """The cameras of a frame, as drawn."""

    def images(self, frame: BenchmarkScene, cameras: Sequence[str]) -> Mapping[str, UInt8[np.ndarray, "_ _ 3"]]:
        """Colours by name of the camera.

        Raises:
            SwerveError: there is no such camera, or no such image.
        """


@dataclass(frozen=True)
class SceneGroup:
    """A stage-one frame, the frame 0.5 s before it, and the pairs of follow-up frames of both.

    Attributes:
        log: name of the log.
        group: tokens of its frames.
        frames: the frames by token.
        views: images of its frames; None where nobody can draw it.
        kind: of these views; empty where they have no name.
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
        """All views, first those that planners see."""
        return {**({} if self.views is None else {self.kind: self.views}), **self.beside}

    def showing(self, kind: str) -> "SceneGroup":
        """The same case, of which planners see views of another kind.

        Raises:
            SwerveError: it has none.
        """
        known = self.kinds
        if kind not in known:
            raise SwerveError(f"case {self.group.now}: has no {kind} views; it has {', '.join(known) or 'none'}")
        beside = {name: views for name, views in known.items() if name != kind}
        return replace(self, views=known[kind], kind=kind, beside=beside)
