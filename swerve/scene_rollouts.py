"""Rollouts of planners in the scenes of logs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.progress import track

from swerve.cells import bar_text
from swerve.drive_page import SceneRollout
from swerve.eval.benchmark.evaluate.observations import HISTORY_SECONDS, uses_images
from swerve.eval.benchmark.splat_renderer import check_fitted
from swerve.eval.benchmark.view_renderers import ViewRenderer
from swerve.eval.closed_loop import (
    ClosedLoopOptions,
    ClosedLoopScene,
    RolloutViews,
    build_closed_loop_scene,
    drive_prepared,
)
from swerve.planners.open_planner import OpenedPlanner
from swerve.scenes import Log, Scene, extract_scenes
from swerve.scenes.resize import Resize
from swerve.scenes.viewpoints import LogGeometry, build_log_geometry, logged


@dataclass(frozen=True)
class ViewSettings:
    """Renderer of the views of planners, and resizing of their cameras."""

    renderer: ViewRenderer
    resize: Resize


@dataclass(frozen=True)
class LogScenes:
    """The scenes of a log from which planners are driven.

    Attributes:
        log: the log.
        scenes: its scenes.
        geometry: of its map.
        options: of the rollouts.
    """

    log: Log
    scenes: tuple[Scene, ...]
    geometry: LogGeometry
    options: ClosedLoopOptions

    @classmethod
    def of(cls, log: Log, options: ClosedLoopOptions, every: float) -> "LogScenes":
        """Return the scenes of a log, so many seconds apart, that are long enough."""
        scenes = extract_scenes(log, history=HISTORY_SECONDS, future=options.seconds, interval=every)
        return cls(log, tuple(scenes), build_log_geometry(log), options)

    def closed_loop_scene(self, number: int) -> ClosedLoopScene:
        """Return a scene as it is driven.

        Raises:
            SwerveError: it cannot be scored or driven.
        """
        return build_closed_loop_scene(logged(self.scenes[number], self.geometry), self.options, geometry=self.geometry)

    def views(self, planners: Sequence[OpenedPlanner], settings: ViewSettings) -> RolloutViews | None:
        """Return the views of planners; None if no planner uses images.

        Raises:
            SwerveError: the log's views cannot be rendered, or are of a fit of another version of it.
        """
        if not any(uses_images(one.planner) for one in planners):
            return None
        check_fitted(settings.renderer, self.log)
        return RolloutViews(settings.renderer.prepare(self.log), settings.resize)


def drive_scene(
    scene: ClosedLoopScene, planners: Sequence[OpenedPlanner], views: RolloutViews | None
) -> Iterator[SceneRollout]:
    """Yield the rollout of each planner in a scene.

    Raises:
        SwerveError: a planner needs images that are not available, or the scene has less than 1.5 s of history.
    """
    for one in planners:
        yield SceneRollout(one.label, scene, drive_prepared(scene, one.planner, views))


def rollouts_of(
    log: Log,
    planners: Sequence[OpenedPlanner],
    view_settings: ViewSettings,
    options: ClosedLoopOptions,
    every: float,
    console: Console,
) -> Iterator[SceneRollout]:
    """Yield all rollouts of a log, scene by scene."""
    scenes = LogScenes.of(log, options, every)
    views = scenes.views(planners, view_settings)
    numbers = range(len(scenes.scenes))
    for number in track(numbers, description=bar_text(log.name), console=console, transient=True):
        yield from drive_scene(scenes.closed_loop_scene(number), planners, views)
