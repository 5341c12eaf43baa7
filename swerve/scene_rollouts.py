"""Roll-outs of planners in the scenes of logs."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.progress import track

from swerve.cells import bar_text
from swerve.drive_page import SceneRollout
from swerve.eval.benchmark.evaluate.observations import HISTORY_SECONDS, uses_images
from swerve.eval.benchmark.view_renderers import ViewRenderer
from swerve.eval.closed_loop import ClosedLoopOptions, RolloutViews, build_closed_loop_scene, drive_prepared
from swerve.planners.open_planner import OpenedPlanner
from swerve.scenes import Log, extract_scenes
from swerve.scenes.primitives import build_static
from swerve.scenes.resize import Resize
from swerve.scenes.viewpoints import build_log_geometry, logged


@dataclass(frozen=True)
class ViewSettings:
    """Renderer of the views of planners, and resizing of their cameras."""

    renderer: ViewRenderer
    resize: Resize


def rollouts_of(
    logs: Iterable[Log],
    planners: Sequence[OpenedPlanner],
    view_settings: ViewSettings,
    options: ClosedLoopOptions,
    every: float,
    console: Console,
) -> Iterator[SceneRollout]:
    """Yield all rollouts, log by log."""
    for log in logs:
        geometry, static = build_log_geometry(log), build_static(log.road_map)
        needs_images = any(uses_images(one.planner) for one in planners)
        views = RolloutViews(view_settings.renderer.prepare(log), view_settings.resize) if needs_images else None
        scenes = extract_scenes(log, history=HISTORY_SECONDS, future=options.seconds, interval=every)
        for scene in track(scenes, description=bar_text(log.name), console=console, transient=True):
            closed_loop_scene = build_closed_loop_scene(logged(scene, geometry), options, geometry=geometry)
            for one in planners:
                yield SceneRollout(
                    one.label, closed_loop_scene, drive_prepared(closed_loop_scene, one.planner, views), static
                )
