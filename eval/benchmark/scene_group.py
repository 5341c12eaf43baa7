"""Scene groups: a stage-one scene with all scenes that are evaluated with it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import UInt8

from swerve.eval.context.scene_context import Context, build_context
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
        traffic_seed: see `build_context`.
    """

    token: str
    viewpoint: Viewpoint
    follow_up: bool
    traffic_seed: int = 0

    def context(self, lane_following: bool = True) -> Context:
        """Build the scene's context.

        Args:
            lane_following: whether lane-following traffic may be asked for, see `build_context`.

        Raises:
            SwerveError: the scene cannot be scored, see `build_context`.
        """
        return build_context(
            self.viewpoint.scene,
            self.token,
            self.follow_up,
            traffic_seed=self.traffic_seed,
            lane_following=lane_following,
        )


@runtime_checkable
class SceneViews(Protocol):
    """The images of a scene group, stored or rendered on demand."""

    def cameras(self, benchmark_scene: BenchmarkScene) -> tuple[Camera, ...]:
        """Return the cameras of a scene, at the size of the images."""

    def images(
        self, benchmark_scene: BenchmarkScene, cameras: Sequence[str]
    ) -> Mapping[str, UInt8[np.ndarray, "_ _ 3"]]:
        """Return the RGB images by camera name.

        Raises:
            SwerveError: there is no such camera, or no such image.
        """


@runtime_checkable
class PastViews(Protocol):
    """Views that also show what cameras saw some time ago, see `swerve.scenes.past_frames`."""

    def past_images(
        self, benchmark_scene: BenchmarkScene, cameras: Sequence[str], seconds: float
    ) -> Mapping[str, UInt8[np.ndarray, "_ _ 3"]]:
        """Return the RGB images by camera name, so many seconds ago.

        Raises:
            SwerveError: there is no such camera, or the scene's history is shorter.
        """


@dataclass(frozen=True)
class SceneGroup:
    """A stage-one scene, the scene 0.5 s before it, and the pairs of follow-up scenes of both.

    Attributes:
        log: name of the log.
        group: tokens of its scenes.
        scenes: the scenes by token.
        views: images of its scenes; None if there are none.
        view_kind: of these views; empty if unnamed.
        extra_views: views of other kinds from the same poses, by kind.
    """

    log: str
    group: GroupTokens
    scenes: Mapping[str, BenchmarkScene]
    views: SceneViews | None = None
    view_kind: str = ""
    extra_views: Mapping[str, SceneViews] = field(default_factory=dict)

    @property
    def views_by_kind(self) -> Mapping[str, SceneViews]:
        """Return all views by kind, first those given to planners."""
        return {**({} if self.views is None else {self.view_kind: self.views}), **self.extra_views}

    def with_views(self, kind: str) -> "SceneGroup":
        """Return the scene group with views of another kind given to planners.

        Raises:
            SwerveError: it has none.
        """
        known = self.views_by_kind
        if kind not in known:
            raise SwerveError(f"scene group {self.group.now}: has no {kind} views; it has {', '.join(known) or 'none'}")
        extra_views = {name: views for name, views in known.items() if name != kind}
        return replace(self, views=known[kind], view_kind=kind, extra_views=extra_views)
