"""Each reason to reject a start, constructed by hand, and admissible starts."""

from dataclasses import replace

import numpy as np
import pytest

from swerve.eval import Metric, build_context, score
from swerve.eval.benchmark.build.admissibility import history_violation, violation
from swerve.scenes import Ego, LightState, Scene
from swerve.scenes.transforms import pose_from_yaw
from swerve.scenes.viewpoints import build_log_geometry
from tests.support.simple_log import simple_log

# Yellow from 3.1 s on, green from 6.2 s on; the car ahead is 30 m ahead.
STEP = 70


def standing_at(x, y, heading=0.0, log=None):
    """The simple log, whose ego has been moved at all steps to one pose."""
    log = log or simple_log()
    steps = len(log.times_us)
    poses = pose_from_yaw(np.tile([x, y, 0.0], (steps, 1)), np.full(steps, heading))
    return Scene(replace(log, ego=Ego.from_poses(poses, log.times_us)), STEP, 15, 40)


PLACES = {
    "on its lane": ((60.0, -1.75), None),
    "on the other lane of its direction": ((60.0, -5.25), None),
    "across the line between them": ((60.0, -3.4), None),
    # The car ahead is at x = 50 + 10 * 7 = 120, 4.6 m long; the ego's front is 4.05 m ahead of its rear axle.
    "behind the car ahead, 5 cm short of it": ((120.0 - 2.3 - 4.049 - 0.05, -1.75), None),
    "5 cm into the car ahead": ((120.0 - 2.3 - 4.049 + 0.05, -1.75), "collision"),
    # The cone at (60, -7.4), 0.4 m wide, is no road user; touching it costs half.
    "over a cone": ((57.5, -6.5), "collision"),
    # The road ends at y = -10; the ego is 2.297 m wide.
    "5 cm within the edge": ((30.0, -10.0 + 1.1485 + 0.05), "wrong_way"),
    "5 cm beyond the edge": ((30.0, -10.0 + 1.1485 - 0.05), "off_road"),
    "with its middle 5 cm left of the middle of the road": ((60.0, 0.05), "wrong_way"),
    "with its middle 5 cm right of it": ((60.0, -0.05), None),
    "in the oncoming lane": ((60.0, 1.75), "wrong_way"),
}


@pytest.mark.parametrize("name", PLACES)
def test_a_start_is_rejected_for_what_it_violates(name):
    (x, y), reason = PLACES[name]
    assert violation(standing_at(x, y)) == reason


def test_a_lane_whose_light_is_red_now_may_not_be_stood_on():
    log = simple_log()
    for state in LightState:
        states = np.full_like(log.lights.states, LightState.RED)
        states[:, STEP] = state
        lit = replace(log, lights=replace(log.lights, states=states))
        expected = "red_light" if state == LightState.RED else None
        assert violation(standing_at(60.0, -1.75, log=lit)) == expected
        # The other lane has no light.
        assert violation(standing_at(60.0, -5.25 - 0.5, log=lit)) is None


@pytest.mark.parametrize("y", np.linspace(-12.0, 9.0, 22))
def test_the_scorer_agrees(y):
    """A car that keeps straight on at 10 m/s from a start fails in the sub-score that the start was rejected for."""
    scene = standing_at(30.0, y)
    context = build_context(scene)
    context = replace(context, ego=np.array([30.0, y, 0.0, 10.0, *np.zeros(7)]))
    plan = np.column_stack([5.0 * np.arange(1, 9), np.zeros((8, 2))])
    metrics = score(context, plan[None], human_filter=False).raw[0]
    reason = violation(scene)
    if reason == "off_road":
        assert metrics[Metric.DRIVABLE_AREA_COMPLIANCE] == 0.0
    elif reason == "wrong_way":
        assert metrics[Metric.DRIVING_DIRECTION_COMPLIANCE] == 0.0
    else:
        assert reason in (None, "collision")
        assert metrics[Metric.DRIVABLE_AREA_COMPLIANCE] == 1.0
        assert metrics[Metric.DRIVING_DIRECTION_COMPLIANCE] == 1.0


# Of the history's 2 s at 10 m/s: the parked car (90, -8.3) is 1.8 m wide, the road's far edge is at y = 7.
HISTORIES = {
    "on its lane": ((60.0, -1.75), None),
    "along the parked car, 5 cm free": ((75.0, -8.3 + 0.9 + 1.1485 + 0.05), None),
    "along the parked car, 5 cm over": ((75.0, -8.3 + 0.9 + 1.1485 - 0.05), "collision_before"),
    "15 cm beyond the edge": ((20.0, 7.0 - 1.1485 + 0.15), None),
    "25 cm beyond the edge": ((20.0, 7.0 - 1.1485 + 0.25), "off_road_before"),
}


@pytest.mark.parametrize("place", HISTORIES)
def test_what_a_history_passes_is_seen_at_all_its_steps(place):
    """Its end may be fine: 2 s at 10 m/s lead past the parked car. Agents beside the logged ego are errors."""
    (x, y), reason = HISTORIES[place]
    log, first = simple_log(), 30
    along = x + np.arange(21.0)
    poses = pose_from_yaw(np.stack([along, np.full(21, y), 0 * along], axis=1), np.zeros(21))
    ego = Ego.from_poses(poses, log.times_us[:21])
    tracks = log.tracks.select_tracks(np.array([3])).at(slice(first, None))
    assert history_violation(build_log_geometry(log), first, tracks, ego) == reason


def test_a_box_over_the_logged_ego_is_no_reason():
    log, first = simple_log(), 30
    tracks = log.tracks.select_tracks(np.array([0]))
    over = replace(tracks, positions=tracks.positions - [28.6, 0.0, 0.0]).at(slice(first, None))
    ego = log.ego.at(slice(first, first + 21))
    assert history_violation(build_log_geometry(log), first, over, ego) is None
