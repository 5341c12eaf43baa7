"""nuPlan's closed-loop metrics in cases worked out by hand, and beside the rollouts of the other scorer."""

from dataclasses import replace

import numpy as np
import pytest

from swerve.eval.closed_loop import NUPLAN_METRICS, drive_prepared
from swerve.eval.closed_loop.nuplan_metrics import (
    aggregate,
    is_comfortable,
    nuplan_scores,
    progress_along_path,
    progress_ratio,
    speed_limit_score,
)
from swerve.eval.traffic.traffic import Traffic
from swerve.scenes import Lane, ObjectClass, RoadMap, SwerveError, Vehicle
from swerve.scenes.road_map import Area, GroundHeight
from tests.support.drives import closed_loop_scene_from, road, rollout_from, viewpoint
from tests.support.simple_planners import Cruise

CAR = Vehicle.pacifica()
FLAT = GroundHeight(np.zeros((2, 2), np.float32), np.full(2, -500.0), 1000.0)
STEPS = 81


def strip(name, y, direction=1, limit=10.0):
    """A lane 4 m wide from x = -50 to 150 about a height y."""
    x = np.linspace(-50, 150, 41)[::direction]
    centerline = np.column_stack([x, np.full(41, y), np.zeros(41)])
    outline = np.array([[-50, y - 2, 0], [150, y - 2, 0], [150, y + 2, 0], [-50, y + 2, 0]])
    return Lane(name, centerline, outline, speed_limit=limit)


def road_map(*lanes, **areas):
    return RoadMap(lanes=lanes, ground=FLAT, **areas)


def going(speed, y=0.0, heading=0.0):
    states = np.zeros((STEPS, 11))
    states[:, 0] = speed * np.cos(heading) * 0.1 * np.arange(STEPS)
    states[:, 1] = y + speed * np.sin(heading) * 0.1 * np.arange(STEPS)
    states[:, 2], states[:, 3] = heading, speed
    return states


def agents(*rows):
    """Agents of (class, x, y, heading, speed), 4 m by 2 m."""
    poses = np.array(
        [
            [(x + v * np.cos(h) * 0.1 * k, y + v * np.sin(h) * 0.1 * k, h) for _, x, y, h, v in rows]
            for k in range(STEPS)
        ]
    ).reshape(STEPS, len(rows), 3)
    velocity = np.array([(v * np.cos(h), v * np.sin(h)) for _, _, _, h, v in rows]).reshape(len(rows), 2)
    return Traffic(
        tuple(f"a{row}" for row in range(len(rows))),
        np.array([one[0] for one in rows], np.uint8),
        poses,
        np.broadcast_to(velocity, (STEPS, len(rows), 2)).copy(),
        np.tile([4.0, 2.0], (len(rows), 1)),
        np.ones((STEPS, len(rows)), bool),
    )


def scored(states, traffic=None, world=None, human=None):
    human = going(5.0)[:, :3] if human is None else human
    return nuplan_scores(states, traffic or agents(), world or road_map(strip("a", 0.0)), human, CAR)


def test_as_the_human_on_an_empty_lane_all_is_one():
    found = scored(going(5.0))
    assert found.metrics == dict.fromkeys(NUPLAN_METRICS, 1.0)
    assert found.score == 1.0
    assert (found.ego_progress, found.human_progress) == pytest.approx((40.0, 40.0))


@pytest.mark.parametrize(
    ("row", "collisions"),
    [
        ((ObjectClass.VEHICLE, 30.0, 0.0, 0.0, 0.0), 0.0),  # drives into one that stands
        ((ObjectClass.VEHICLE, 30.0, 0.0, 0.0, 1.0), 0.0),  # drives into a slower one
        ((ObjectClass.VEHICLE, -30.0, 0.0, 0.0, 12.0), 1.0),  # is hit from behind
        ((ObjectClass.VEHICLE, 20.0, 30.0, -np.pi / 2, 7.0), 1.0),  # is hit from the side within its lane
        ((ObjectClass.BARRIER, 30.0, 0.0, 0.0, 0.0), 0.5),  # one object is worth half
        ((ObjectClass.VEHICLE, 30.0, 3.5, 0.0, 0.0), 1.0),  # passes one beside
    ],
)
def test_whose_fault_a_collision_is(row, collisions):
    found = scored(going(5.0), agents(row))
    assert found.metrics["no_ego_at_fault_collisions"] == collisions
    assert found.metrics["time_to_collision_within_bound"] == float(collisions == 1.0)


def test_a_side_collision_is_the_egos_fault_between_lanes():
    row = (ObjectClass.VEHICLE, 20.0, 30.0, -np.pi / 2, 7.0)
    world = road_map(strip("a", -2.0), strip("b", 2.0))
    assert scored(going(5.0), agents(row), world).metrics["no_ego_at_fault_collisions"] == 0.0


def test_closing_in_to_within_0_95_s_is_too_close():
    """At 10 m/s behind one at 5 m/s: front to rear bumper 4.4 m are 0.88 s, 5.1 m are more than 0.95 s."""
    front = CAR.length - CAR.rear_overhang

    def after(gap):
        """Both go on for one step alone."""
        traffic = agents((ObjectClass.VEHICLE, front + gap + 2.0, 0.0, 0.0, 5.0))
        traffic.present[1:] = False
        return scored(going(10.0), traffic).metrics["time_to_collision_within_bound"]

    assert (after(4.4), after(5.1)) == (0.0, 1.0)


def test_the_road_ends_at_its_edge_and_0_3_metres():
    beside = 2.0 - CAR.width / 2
    assert scored(going(5.0, beside + 0.29)).metrics["drivable_area_compliance"] == 1.0
    assert scored(going(5.0, beside + 0.31)).metrics["drivable_area_compliance"] == 0.0


def test_wrong_way_by_metres_within_a_second():
    world = road_map(strip("a", 0.0, direction=-1))
    scores = [scored(going(speed), world=world).metrics["driving_direction_compliance"] for speed in (1.5, 4.0, 7.0)]
    assert scores == [1.0, 0.5, 0.0]


def test_progress_is_the_share_of_the_humans():
    human = going(10.0)[:, :3]
    found = scored(going(1.5), human=human).metrics
    assert found["ego_progress_along_expert_route"] == pytest.approx(0.15)
    assert found["ego_is_making_progress"] == 0.0
    assert progress_ratio(-2.1, 50.0) == 0.0
    assert progress_ratio(0.0, 1.0) == 1.0  # both are short
    assert progress_along_path(np.zeros((2, 2)), np.zeros((5, 2))) == (0.0, 0.0)


def test_speeding_costs_its_mean_excess():
    assert speed_limit_score(np.full(4, 11.0), np.full(4, 10.0)) == pytest.approx(1 - 1 / 2.23)
    assert speed_limit_score(np.array([14.46, 10.0]), np.full(2, 10.0)) == pytest.approx(0.0)
    assert np.isnan(speed_limit_score(np.ones(3), np.full(3, np.nan)))
    assert scored(going(12.23)).metrics["speed_limit_compliance"] == pytest.approx(0.0)


@pytest.mark.parametrize(("column", "low", "high"), [(5, -4.0, -4.1), (5, 2.3, 2.5), (6, 4.8, 5.0)])
def test_comfort_ends_at_its_bounds(column, low, high):
    states = going(10.0)
    for value, fine in ((low, True), (high, False)):
        states[:, column] = value
        assert is_comfortable(states) is fine


def test_turning_faster_than_0_95_is_not_comfortable():
    states = going(2.0)
    for rate, fine in ((0.9, True), (1.0, False)):
        states[:, 2] = (rate * 0.1 * np.arange(STEPS) + np.pi) % (2 * np.pi) - np.pi
        assert is_comfortable(states) is fine


def test_the_aggregate_is_worked_out_by_hand():
    assert aggregate(np.array([1, 1, 0.5, 1, 0.8, 1, 0.5, 0])) == pytest.approx(0.5 * (4 + 5 + 2) / 16)
    assert aggregate(np.array([1, 1, 1, 1, 1, 1, np.nan, 0])) == pytest.approx(10 / 12)
    assert aggregate(np.array([0.0, 1, 1, 1, 1, 1, 1, 1])) == 0.0


def test_rollouts_are_scored_so_on_demand():
    rollout = rollout_from(Cruise(10.0), rate=2.0, scorer="nuplan", simulation="dynamic")
    assert tuple(rollout.metrics) == NUPLAN_METRICS
    assert rollout.score == pytest.approx(1.0, abs=1e-3)
    slow = rollout_from(Cruise(1.0), rate=2.0, scorer="nuplan")
    assert slow.metrics["ego_progress_along_expert_route"] == pytest.approx(slow.progress / slow.human_progress)
    assert slow.progress < 0.5 * slow.human_progress


def test_without_a_map_there_are_no_nuplan_metrics():
    closed_loop_scene = closed_loop_scene_from(viewpoint(), scorer="nuplan", seconds=4.0)
    log = replace(road(), road_map=None)
    scene = replace(closed_loop_scene.viewpoint.scene, log=log)
    closed_loop_scene = replace(closed_loop_scene, viewpoint=replace(closed_loop_scene.viewpoint, scene=scene))
    with pytest.raises(SwerveError, match="need a map"):
        drive_prepared(closed_loop_scene, Cruise(10.0))


def test_areas_count_as_road():
    """A car park beside the lane is drivable, an intersection makes agents beside the ego count."""
    park = Area("park", np.array([[-50, 2, 0], [150, 2, 0], [150, 8, 0], [-50, 8, 0.0]]))
    world = road_map(strip("a", 0.0), parking_areas=(park,))
    assert scored(going(5.0, 3.0), world=world).metrics["drivable_area_compliance"] == 1.0
