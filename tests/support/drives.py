"""Viewpoints and closed-loop scenes on the simple log and others."""

from functools import cache

from swerve.eval.closed_loop import ClosedLoopOptions, build_closed_loop_scene, drive_prepared
from swerve.scenes import Scene
from swerve.scenes.viewpoints import logged
from tests.support.geometries import geometry_of
from tests.support.simple_log import simple_log

NOW = 35  # of the simple log: the light is yellow from here on; 8.5 s are left


@cache
def road():
    """Return the simple log."""
    return simple_log()


def viewpoint(log=None, now=NOW):
    """Return the logged viewpoint at a step."""
    log = log or road()
    return logged(Scene(log, now, 20, 45), geometry_of(log))


def closed_loop_scene_from(start, **options):
    """Build a closed-loop scene of a logged viewpoint."""
    return build_closed_loop_scene(start, ClosedLoopOptions(**options), geometry=geometry_of(start.scene.log))


def rollout_from(planner, log=None, now=NOW, **options):
    """Run a closed-loop simulation from a logged viewpoint, by default of the simple log."""
    return drive_prepared(closed_loop_scene_from(viewpoint(log, now), **options), planner)
