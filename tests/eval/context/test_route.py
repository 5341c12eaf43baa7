from dataclasses import replace

import numpy as np
import pytest

from swerve.data import open_source
from swerve.eval import build_context
from swerve.eval.context.map_polygons import Layer
from swerve.eval.context.route import EgoBox, centerline_from, corrected_route, lanes_of, starting_lane
from swerve.scenes import GroundHeight, Lane, LaneGroup, RoadMap, extract_scenes
from swerve.scenes.polyline import arc_lengths


def road(*links, shapes=None):
    """A map of one straight lane of 20 m per group; links "a>b" join them. Groups lie beside each other, 10 m apart."""
    names = sorted({name for link in links for name in link.split(">")})
    after = {name: tuple(link.split(">")[1] for link in links if link.startswith(f"{name}>")) for name in names}
    before = {name: tuple(link.split(">")[0] for link in links if link.endswith(f">{name}")) for name in names}
    lanes, groups = [], []
    for row, name in enumerate(names):
        start, end = (shapes or {}).get(name, ((0.0, 10.0 * row), (20.0, 10.0 * row)))
        line = np.linspace((*start, 0.0), (*end, 0.0), 5)
        side = np.array([-(end[1] - start[1]), end[0] - start[0], 0.0])
        side *= 2 / np.linalg.norm(side)
        polygon = np.array([line[0] + side, line[-1] + side, line[-1] - side, line[0] - side])
        connector = name.startswith("x")
        lane_after = tuple(f"{other}1" for other in after[name])
        lanes.append(Lane(f"{name}1", line, polygon, is_connector=connector, group_id=name, successors=lane_after))
        groups.append(LaneGroup(name, (f"{name}1",), polygon, connector, before[name], after[name]))
    return RoadMap(tuple(lanes), GroundHeight(np.zeros((2, 2), np.float32), np.zeros(2), 1.0), tuple(groups))


def at(x, y, heading=0.0):
    return EgoBox(np.array([x, y, heading]), np.array([x + 1.461, y, np.cos(heading), np.sin(heading), 2.588, 1.1485]))


def test_a_connected_route_stays():
    assert corrected_route(road("a>b", "b>c"), ["a", "b", "c"], at(5, 0)) == ("a", "b", "c")


def test_gaps_are_filled():
    assert corrected_route(road("a>b", "b>c", "c>d"), ["a", "d"], at(5, 0)) == ("a", "b", "c", "d")
    assert corrected_route(road("a>b", "c>d"), ["a", "c", "d"], at(5, 0)) == ("a", "c", "d")


def test_an_ego_before_the_route_is_joined_backwards():
    assert corrected_route(road("a>b", "b>c", "c>d"), ["c", "d"], at(5, 0)) == ("a", "b", "c", "d")


def test_an_ego_that_can_only_reach_a_later_group_skips_the_first():
    assert corrected_route(road("a>c", "b>c", "c>d"), ["b", "c", "d"], at(5, 0)) == ("a", "c", "d")


def test_of_two_shortest_ways_the_last_parent_counts():
    assert corrected_route(road("a>b", "a>c", "b>d", "c>d"), ["a", "d"], at(5, 0)) == ("a", "c", "d")


def test_an_ego_of_other_heading_is_not_on_the_group_under_it():
    """The roadblock under the ego counts only within 45 degrees; of those that fit, the nearest counts."""
    shapes = {"a": ((0, 0), (20, 0)), "b": ((20, 1), (0, 1)), "c": ((20, 30), (40, 30))}
    assert corrected_route(road("a>c", "b>c", shapes=shapes), ["c"], at(5, 0, 0.0)) == ("a", "c")
    assert corrected_route(road("a>c", "b>c", shapes=shapes), ["c"], at(15, 1, np.pi)) == ("b", "c")


def test_a_route_ends_where_it_crosses_itself():
    shapes = {"a": ((-20, 0), (0, 0)), "x1": ((0, 0), (20, 0)), "b": ((20, 0), (40, 9)), "x2": ((10, 10), (10, -10))}
    assert corrected_route(road("a>x1", "x1>b", "b>x2", shapes=shapes), ["a", "x1", "b", "x2"], at(-10, 0)) == (
        "a",
        "x1",
        "b",
    )


def test_unknown_groups_are_left_out():
    assert corrected_route(road("a>b"), ["nowhere", "a", "b"], at(5, 0)) == ("a", "b")
    assert corrected_route(road("a>b"), ["nowhere"], at(5, 0)) == ()


def test_the_centreline_is_one_lane_after_the_other():
    shapes = {"a": ((0, 0), (20, 0)), "b": ((20, 0), (40, 0)), "c": ((40, 0), (40, 20))}
    road_map = road("a>b", "b>c", shapes=shapes)
    lanes = lanes_of(road_map, ("a", "b", "c"))
    start = starting_lane(road_map, lanes, lanes, at(5, 0))
    line = centerline_from(road_map, start, ("a", "b", "c"), lanes)
    assert arc_lengths(line)[-1] == pytest.approx(60.0)
    assert line[-1].tolist() == pytest.approx([40, 20, np.pi / 2])
    assert len(centerline_from(road_map, start, ("a",), ("a1",))) == 5
    # If the end of the route cannot be reached, the path ends at the deepest reachable lane.
    assert arc_lengths(centerline_from(road_map, start, ("a", "b", "nowhere"), ("a1", "b1")))[-1] == pytest.approx(40.0)


def test_the_starting_lane_is_under_the_axle_else_the_nearest():
    shapes = {"a": ((0, 0), (20, 0)), "b": ((0, 0), (20, 5)), "c": ((0, 30), (20, 30))}
    road_map = road("a>c", "b>c", shapes=shapes)
    lanes = ("a1", "b1", "c1")
    assert starting_lane(road_map, lanes, lanes, at(4, 0.5, 0.0)).id == "a1"
    assert starting_lane(road_map, lanes, lanes, at(4, 0.5, 0.25)).id == "b1"
    assert starting_lane(road_map, lanes, lanes, at(4, 24.0, 0.0)).id == "c1"
    assert starting_lane(road_map, lanes, (), at(4, 30.0, 0.0)).id == "c1"  # holds the centre


def test_only_lanes_are_on_the_route():
    """Ids are unique within a layer alone: an intersection named like a lane of the route is not on it."""
    source = open_source("town:1")
    log = source.load(source.names()[0])
    scene = extract_scenes(log, history=1.5, future=4.0)[0]
    named = build_context(scene).route_lanes[0]
    crossroads = tuple(replace(area, id=named) for area in log.road_map.intersections)
    renamed = replace(log, road_map=replace(log.road_map, intersections=crossroads))
    scoring_map = build_context(replace(scene, log=renamed)).scoring_map
    kinds = scoring_map.surfaces.layers[scoring_map.on_route]
    assert len(kinds) > 0
    assert set(kinds) <= {Layer.LANE, Layer.LANE_CONNECTOR}
    assert Layer.INTERSECTION in scoring_map.surfaces.layers[np.array(scoring_map.surfaces.ids) == named]
