"""Simple logs, and the follow-up scenes that are made of them."""

from functools import cache

from swerve.scenes import Scene
from swerve.scenes.viewpoints import Rejection, build_log_geometry
from swerve.scenes.viewpoints.follow_up import (
    FollowUp,
    FollowUpOptions,
    TrajectoryBank,
    build_trajectory_bank,
    follow_ups,
)
from swerve.scenes.viewpoints.follow_up.grid import HumanReference, grid_of
from tests.support.simple_log import arc_log, empty_road

NOW, STEP = 40, 0.1
OPTIONS = FollowUpOptions()
SYNTHESIS = FollowUpOptions(sources="synthesis")
EMPTY = TrajectoryBank.empty(OPTIONS)
LOGS = [
    empty_road(10.0),
    empty_road(3.0),
    empty_road(16.0),
    arc_log(),
    arc_log(heading=3.0, start=4.5),
    arc_log(speed=6.0, radius=15.0, braking=0.5),
    arc_log(speed=8.0, radius=1e9, braking=1.5),
]


@cache
def geometry_of(row):
    return build_log_geometry(LOGS[row])


@cache
def bank_of(row):
    return build_trajectory_bank(geometry_of(row), OPTIONS)


def scene_of(log, now=NOW):
    return Scene(log, now, 15, 0)


def start_points(log, options=OPTIONS, now=NOW):
    geometry = build_log_geometry(log)
    expert = HumanReference.of(scene_of(log, now), geometry, options.horizon)
    return expert, grid_of(expert, geometry.path, options)


def made(log, bank=EMPTY, options=OPTIONS, now=NOW):
    return follow_ups(scene_of(log, now), build_log_geometry(log), bank, options)


def good(found):
    return [one for one in found if isinstance(one, FollowUp)]


def reasons(found):
    return {one.reason for one in found if isinstance(one, Rejection)}


def at(found, lateral, longitudinal):
    """The follow-up of one start point without turn and change of speed."""
    wanted = {"lateral": lateral, "longitudinal": longitudinal, "heading": 0.0, "speed": 0.0}
    (one,) = [one for one in good(found) if wanted.items() <= one.parameters.items()]
    return one
