"""Scene group small enough to check by hand: on the simple log's straight road, with follow-ups beside the path."""

from dataclasses import replace
from functools import cache

import numpy as np

from swerve.eval import GroupTokens
from swerve.eval.benchmark.scene_group import BenchmarkScene, SceneGroup
from swerve.scenes import Scene
from swerve.scenes.transforms import pose_from_yaw
from swerve.scenes.viewpoints import ViewpointKind, logged
from tests.support.geometries import geometry_of
from tests.support.simple_log import simple_log

NOW, LATER, PAIR = 30, 40, 5  # steps of 0.1 s: current step, 4 s, and the 0.5 s between the scenes of a pair
SHIFTS = ((0.0, 0.0), (0.0, 0.5), (0.0, -0.5), (-5.0, 0.0), (5.0, 0.5))
GROUP = GroupTokens("now", "before", tuple((f"now{index}", f"before{index}") for index in range(len(SHIFTS))))


class RenderedViews:
    """Images of one colour that encodes camera and scene."""

    def __init__(self, seen=None):
        self.asked = seen if seen is not None else []

    def cameras(self, frame):
        return frame.viewpoint.cameras

    def images(self, frame, cameras):
        self.asked.append((frame.token, tuple(cameras)))
        return {name: np.full((4, 6, 3), len(name), np.uint8) for name in cameras}


def simple_scene_group(views=None) -> SceneGroup:
    """Return two scenes of the first stage, and five pairs of follow-ups at `SHIFTS` from the human 4 s later."""
    return SceneGroup("simple", GROUP, _frames(), views)


@cache
def _frames():
    log = simple_log()
    frames = [_frame("now", log, NOW), _frame("before", log, NOW - PAIR)]
    for (now, before), shift in zip(GROUP.follow_ups, SHIFTS, strict=True):
        moved = _shifted(log, *shift)
        frames += [_frame(now, moved, NOW + LATER, log), _frame(before, moved, NOW + LATER - PAIR, log)]
    return {frame.token: frame for frame in frames}


def _frame(token, log, now, driven=None):
    """Return a scene; `driven` is the log whose human a follow-up compares with, and whose path gives the command."""
    viewpoint = logged(Scene(log, now, 20, 45), geometry_of(driven or log))
    if driven is not None:
        human = driven.ego.world_from_ego[now + 1 : now + 46]
        viewpoint = replace(viewpoint, kind=ViewpointKind.FOLLOW_UP, human=human)
    return BenchmarkScene(token, viewpoint, follow_up=driven is not None)


def _shifted(log, forward, left):
    positions = log.ego.positions + np.array([forward, left, 0.0])
    return replace(log, ego=replace(log.ego, world_from_ego=pose_from_yaw(positions, log.ego.headings)))
