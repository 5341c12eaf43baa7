"""Lane groups, routes and lanes under points, on a junction worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest
import shapely

from swerve.scenes import Ego, GroundHeight, Lane, LaneType, RoadMap
from swerve.scenes.lane_graph import derive_lane_groups, match_route
from swerve.scenes.transforms import pose_from_yaw
from tests.support.simple_log import simple_log

WIDTH = 3.5


def lane(name, *points, **more):
    """A lane 3.5 m wide along points."""
    center = np.array([(x, y, 0.0) for x, y in points])
    outline = shapely.LineString(center[:, :2]).buffer(WIDTH / 2, cap_style="flat", join_style="mitre")
    polygon = shapely.get_coordinates(outline.exterior)[:-1]
    return Lane(name, center, np.concatenate([polygon, np.zeros((len(polygon), 1))], axis=1), **more)


def junction():
    """Two lanes and a bicycle lane come from the west; the left one goes on or turns left, the right one goes on."""
    lanes = (
        lane(
            "in_left",
            (-50, 0),
            (0, 0),
            right_neighbor="in_right",
            successors=("on_left", "turn"),
        ),
        lane(
            "in_right",
            (-50, -3.5),
            (0, -3.5),
            left_neighbor="in_left",
            right_neighbor="in_bike",
            successors=("on_right",),
        ),
        lane("in_bike", (-50, -7), (0, -7), left_neighbor="in_right", kind=LaneType.BICYCLE),
        lane("on_left", (0, 0), (20, 0), is_connector=True, predecessors=("in_left",), successors=("out_left",)),
        lane(
            "on_right", (0, -3.5), (20, -3.5), is_connector=True, predecessors=("in_right",), successors=("out_right",)
        ),
        lane(
            "turn",
            (0, 0),
            (8, 2),
            (12, 8),
            (12, 20),
            is_connector=True,
            predecessors=("in_left",),
            successors=("north",),
        ),
        lane("out_left", (20, 0), (70, 0), right_neighbor="out_right", predecessors=("on_left",)),
        lane("out_right", (20, -3.5), (70, -3.5), left_neighbor="out_left", predecessors=("on_right",)),
        lane("north", (12, 20), (12, 60), predecessors=("turn",), successors=("off_map",)),
        lane("oncoming", (70, 3.5), (-50, 3.5)),
        lane("rim", (90, 0), (99, 0), is_connector=True),
    )
    corners = np.array([[-60, -60, 0], [100, -60, 0], [100, 70, 0], [-60, 70, 0]], float)
    return RoadMap(lanes, GroundHeight.from_points(corners, 20.0))


@pytest.fixture(scope="module")
def road_map():
    return derive_lane_groups(junction())


def test_groups_are_those_worked_out_by_hand(road_map):
    assert {group.id: group.lane_ids for group in road_map.lane_groups} == {
        "group_in_left": ("in_left", "in_right"),
        "group_in_bike": ("in_bike",),
        "group_out_left": ("out_left", "out_right"),
        "group_north": ("north",),
        "group_oncoming": ("oncoming",),
        "group_on_left": ("on_left", "on_right"),
        "group_turn": ("turn",),
        "group_rim": ("rim",),
    }
    groups = road_map.group_by_id
    assert groups["group_in_left"].successors == ("group_on_left", "group_turn")
    assert groups["group_on_left"].predecessors == ("group_in_left",)
    assert (groups["group_turn"].is_connector, groups["group_turn"].successors) == (True, ("group_north",))
    assert groups["group_north"].successors == ()
    assert all(road_map.lane_by_id[lane].group_id == key for key, group in groups.items() for lane in group.lane_ids)


def test_a_groups_polygon_is_the_union_of_its_lanes(road_map):
    for group in road_map.lane_groups:
        union = shapely.union_all(
            [shapely.Polygon(road_map.lane_by_id[lane].polygon[:, :2]).buffer(1e-6) for lane in group.lane_ids]
        )
        assert shapely.Polygon(group.polygon[:, :2]).symmetric_difference(union).area < 0.1


def test_connectors_in_a_row_are_groups_in_a_row():
    """Two connectors one after the other lie between the same groups, but are not beside each other."""
    lanes = (
        lane("a", (0, 0), (10, 0), successors=("b",)),
        lane("b", (10, 0), (20, 0), is_connector=True, predecessors=("a",), successors=("c",)),
        lane("c", (20, 0), (30, 0), is_connector=True, predecessors=("b",), successors=("d",)),
        lane("d", (30, 0), (40, 0), predecessors=("c",)),
    )
    groups = derive_lane_groups(replace(junction(), lanes=lanes)).lane_groups
    assert [group.lane_ids for group in groups] == [("a",), ("d",), ("b",), ("c",)]


def test_one_sided_neighbours_are_not_grouped():
    """A lane beside two in a row names one of them; the row must not become one group."""
    lanes = (
        lane("long", (0, 0), (20, 0), right_neighbor="first"),
        lane("first", (0, -3.5), (10, -3.5), left_neighbor="long", successors=("second",)),
        lane("second", (10, -3.5), (20, -3.5), left_neighbor="long"),
    )
    groups = derive_lane_groups(replace(junction(), lanes=lanes)).lane_groups
    assert [group.lane_ids for group in groups] == [("long", "first"), ("second",)]


def drive(*points, step=1.0, seed=0, noise=0.2):
    """An ego along points, with noise."""
    path = shapely.segmentize(shapely.LineString(points), step)
    xy = shapely.get_coordinates(path)
    ahead = np.gradient(xy, axis=0)
    rng = np.random.default_rng(seed)
    xy = xy + rng.normal(size=xy.shape) * noise
    heading = np.arctan2(ahead[:, 1], ahead[:, 0]) + rng.normal(size=len(xy)) * 0.03
    poses = pose_from_yaw(np.concatenate([xy, np.zeros((len(xy), 1))], axis=1), heading)
    return Ego.from_poses(poses, np.arange(len(xy)) * 100_000)


@pytest.mark.parametrize("seed", range(5))
def test_routes_follow_the_driven_path(road_map, seed):
    straight = drive((-45, 0), (65, 0), seed=seed)
    assert match_route(road_map, straight) == ("group_in_left", "group_on_left", "group_out_left")
    turning = drive((-45, -3.5), (-30, -3.5), (-15, 0), (0, 0), (8, 2), (12, 8), (12, 55), seed=seed)
    assert match_route(road_map, turning) == ("group_in_left", "group_turn", "group_north")


def test_a_gap_in_the_path_is_bridged_along_successors(road_map):
    ego = drive((-45, 0), (65, 0), noise=0.0)
    away = ego.at(np.flatnonzero((ego.positions[:, 0] < -5) | (ego.positions[:, 0] > 25)))
    assert match_route(road_map, away) == ("group_in_left", "group_on_left", "group_out_left")


def test_lanes_of_no_group_are_left_out_of_a_route(road_map):
    lanes = tuple(replace(lane, group_id="") if lane.group_id == "group_on_left" else lane for lane in road_map.lanes)
    route = match_route(replace(road_map, lanes=lanes), drive((-45, 0), (65, 0), noise=0.0))
    assert "" not in route
    assert (route[0], route[-1]) == ("group_in_left", "group_out_left")


def test_groups_that_the_map_lacks_are_left_out_of_a_route(road_map):
    """Damaged files name such; what checks the whole log says which."""
    groups = tuple(group for group in road_map.lane_groups if group.id != "group_on_left")
    away = drive((-45, 0), (65, 0), noise=0.0)
    assert match_route(replace(road_map, lane_groups=groups), away) == ("group_in_left", "group_out_left")


def test_standing_still_and_off_the_map_have_short_routes(road_map):
    still = drive((-20, 0), (-19.9, 0), noise=0.0)
    assert match_route(road_map, still) == ("group_in_left",)
    assert match_route(road_map, drive((-20, -40), (20, -40))) == ()


def test_the_simple_log_drives_on_its_own_group():
    log = simple_log()
    assert match_route(log.road_map, log.ego) == log.route == ("east",)
