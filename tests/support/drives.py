"""Starts and courses of roll-outs on the simple log and others."""

from functools import cache

from swerve.eval.closed_loop import ClosedLoopOptions, build_closed_loop_scene, drive_prepared
from swerve.scenes import Scene
from swerve.scenes.viewpoints import logged
from tests.support.geometries import geometry_of
from tests.support.simple_log import simple_log

NOW = 35  # of the simple log: the light is yellow from here on; 8.5 s are left


@cache
def road():
    """The simple log."""
    return simple_log()


def viewpoint(log=None, now=NOW):
    """The logged one at a step."""
    log = log or road()
    return logged(Scene(log, now, 20, 45), geometry_of(log))


def course_from(start, **options):
    """What `drive` makes ready of a logged viewpoint."""
    return build_closed_loop_scene(start, ClosedLoopOptions(**options), geometry=geometry_of(start.scene.log))


def driven(planner, log=None, now=NOW, **options):
    """A roll-out from a logged viewpoint; of the simple log if not told otherwise."""
    return drive_prepared(course_from(viewpoint(log, now), **options), planner)
