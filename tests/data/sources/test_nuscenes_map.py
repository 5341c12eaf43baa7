"""nuScenes' map expansion: a made road against what is worked out by hand, and what is wrong with a file."""

import json
import re

import numpy as np
import pytest
import shapely
from scipy.integrate import solve_ivp

from swerve.data.sources.nuscenes.arcline_path import SHAPES, ArclinePath, centerline_of
from swerve.data.sources.nuscenes.lane_outline import offset_sides, split_outline
from swerve.data.sources.nuscenes.map_file import read_map_file
from swerve.data.sources.nuscenes.nuscenes_map import road_map_of
from swerve.data.sources.registry import open_source
from swerve.scenes import LaneMarking, LogError
from swerve.scenes.polyline import arc_lengths
from swerve.scenes.transforms import transform_points
from tests.support.nuscenes_scene import NAME, START, map_spec, pose_at, write_scene
from tests.support.nuscenes_tables import LOCATION, straight


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    return open_source(f"nuscenes:{write_scene(tmp_path_factory.mktemp('nuscenes'))}").load(NAME)


@pytest.fixture(scope="module")
def road(log):
    """Function that turns world points to metres along and to the left of the ego's path."""
    inverse = np.linalg.inv(pose_at(START))
    return lambda points: transform_points(inverse, points + log.origin)[:, :2]


@pytest.mark.parametrize("shape", SHAPES)
def test_arcline_paths_are_those_of_a_car_that_steers(shape):
    """Against the integral of x' = cos a, y' = sin a, a' = curvature."""
    path = ArclinePath((3.0, -2.0, 0.7), shape, 12.0, (5.0, 8.0, 11.0))
    points = path.points(0.5)
    along = np.linspace(0.0, 24.0, len(points))
    curvature = {"L": 1 / 12.0, "S": 0.0, "R": -1 / 12.0}

    def rates(s, pose):
        part = 0 if s < 5.0 else 1 if s < 13.0 else 2
        return [np.cos(pose[2]), np.sin(pose[2]), curvature[shape[part]]]

    followed = solve_ivp(rates, (0.0, 24.0), [3.0, -2.0, 0.7], t_eval=along, max_step=0.01, rtol=1e-8)
    np.testing.assert_allclose(points, followed.y[:2].T, atol=2e-3)
    assert np.diff(arc_lengths(points)).max() < 0.501


def test_a_chain_of_paths_has_no_point_twice():
    first = ArclinePath((0.0, 0.0, 0.0), "LSL", 999.0, (0.0, 3.0, 0.0))
    second = ArclinePath((3.0, 0.0, 0.0), "LSR", 2.0, (np.pi, 0.0, 0.0))
    line = centerline_of([first, second], 1.0)
    assert np.diff(arc_lengths(line)).min() > 0.1
    np.testing.assert_allclose(line[-1], [5.0, 2.0], atol=1e-12)


def test_an_outline_is_split_into_its_sides_whatever_its_order():
    """A lane that widens and bends, given clockwise and counter-clockwise, from any vertex on."""
    right = np.array([[0.0, -1.0], [10.0, -1.0], [20.0, 1.0]])
    left = np.array([[0.0, 2.0], [8.0, 2.0], [19.0, 5.0]])
    ring = np.concatenate([right, left[::-1]])
    center = np.array([[0.5, 0.5], [9.0, 0.5], [19.0, 3.0]])
    for turn in range(len(ring)):
        for outline in (np.roll(ring, turn, axis=0), np.roll(ring, turn, axis=0)[::-1]):
            found = split_outline(shapely.Polygon(outline), center)
            assert found is not None
            np.testing.assert_array_equal(found[0], left)
            np.testing.assert_array_equal(found[1], right)
    assert split_outline(shapely.Polygon(ring), center + 100.0) is None


def test_a_strip_widens_from_end_to_end():
    left, right = offset_sides(np.array([[0.0, 0.0], [5.0, 0.0], [10.0, 0.0]]), 1.0, 2.0)
    np.testing.assert_allclose(left, [[0, 1], [5, 1.5], [10, 2]])
    np.testing.assert_allclose(right, [[0, -1], [5, -1.5], [10, -2]])


def test_lanes_lie_where_they_were_put(log, road):
    lanes = log.road_map.lane_by_id
    assert set(lanes) == {"right", "left", "ahead", "turn", "beyond"}
    assert {name for name, lane in lanes.items() if lane.is_connector} == {"ahead", "turn"}
    right = lanes["right"]
    np.testing.assert_allclose(road(right.centerline), np.column_stack([np.arange(-10.0, 41), np.zeros(51)]), atol=1e-9)
    np.testing.assert_allclose(road(right.left_boundary), [[-10, 1.75], [40, 1.75]], atol=1e-9)
    np.testing.assert_allclose(road(right.right_boundary), [[-10, -1.75], [40, -1.75]], atol=1e-9)
    assert (right.left_marking, right.right_marking) == (LaneMarking.DASHED_WHITE, LaneMarking.NONE)
    np.testing.assert_allclose(road(lanes["turn"].centerline)[-1], [50.0, 13.5], atol=1e-9)


def test_connectors_are_as_wide_as_the_lanes_they_join(log, road):
    ahead = log.road_map.lane_by_id["ahead"]
    np.testing.assert_allclose(road(ahead.left_boundary)[[0, -1]], [[40, 1.75], [60, 2.0]], atol=1e-9)
    np.testing.assert_allclose(road(ahead.right_boundary)[[0, -1]], [[40, -1.75], [60, -2.0]], atol=1e-9)
    turn = log.road_map.lane_by_id["turn"]  # nothing follows it: as wide as before
    assert np.linalg.norm(turn.left_boundary[-1] - turn.right_boundary[-1]) == pytest.approx(3.5)


def test_lanes_are_connected_and_grouped(log):
    lanes, groups = log.road_map.lane_by_id, log.road_map.group_by_id
    assert lanes["right"].successors == ("ahead",)
    assert lanes["beyond"].predecessors == ("ahead",)
    assert (lanes["right"].left_neighbor, lanes["right"].right_neighbor) == ("left", None)
    assert (lanes["left"].left_neighbor, lanes["left"].right_neighbor) == (None, "right")
    assert groups[lanes["right"].group_id].lane_ids == ("left", "right")
    # The ego drives 15 m on the right lane.
    assert log.route == (lanes["right"].group_id,)


def test_surfaces_lie_where_they_were_put(log, road):
    found = log.road_map
    (crossing,), (zebra,), (walkway,), (parking,) = (
        found.intersections,
        found.crosswalks,
        found.walkways,
        found.parking_areas,
    )
    areas = [shapely.Polygon(road(area.polygon)) for area in (crossing, zebra, walkway, parking)]
    boxes = [(40, -5, 60, 15), (38, -1.75, 40, 5.25), (-10, 15, 90, 18), (0, -5, 10, -2)]
    for area, box in zip(areas, boxes, strict=True):
        assert area.symmetric_difference(shapely.box(*box)).area < 1e-6


def test_the_surface_is_cut_without_an_edge_where_it_is(log, road):
    """It is 4 km long: cut some 200 m from the path, where no kerb is drawn."""
    (surface,), edges = log.road_map.drivable_areas, log.road_map.road_edges
    across = road(surface.polygon)
    assert 200 < np.abs(across[:, 0]).max() < 350
    np.testing.assert_allclose([across[:, 1].min(), across[:, 1].max()], [-5, 15], atol=0.01)
    for edge in edges:
        sides = road(edge.points)[:, 1]
        assert np.abs(np.abs(sides - 5) - 10).max() < 0.01


def test_painted_lines_change_where_their_segments_do(log, road):
    lines = {line.id: (road(line.points), line.paint) for line in log.road_map.road_lines}
    assert set(lines) == {"divider_0", "divider_1", "opposite"}
    np.testing.assert_allclose(lines["divider_0"][0], [[-10, 1.75], [0, 1.75]], atol=1e-9)
    np.testing.assert_allclose(lines["divider_1"][0], [[0, 1.75], [20, 1.75], [30, 1.75]], atol=1e-9)
    paints = [lines[name][1] for name in ("divider_0", "divider_1", "opposite")]
    assert paints == [LaneMarking.DASHED_WHITE, LaneMarking.SOLID_WHITE, LaneMarking.SOLID_WHITE]


def test_road_dividers_are_yellow_in_boston(tmp_path):
    file = read_map_file(map_spec().write(tmp_path))
    center = pose_at(START)[:2, 3]
    found = road_map_of(file, "boston-seaport", center, 100.0, center)
    assert {line.id: line.paint for line in found.road_lines}["opposite"] is LaneMarking.SOLID_YELLOW


def test_stop_lines_are_those_that_are_painted(log, road):
    (stop,) = log.road_map.stop_lines
    assert (stop.id, stop.lane_ids) == ("stop", ("right", "left"))
    np.testing.assert_allclose(sorted(road(stop.points).tolist()), [[37, -1.75], [37, 5.25]], atol=1e-6)


def test_nothing_near_is_no_map(tmp_path):
    file = read_map_file(map_spec().write(tmp_path))
    assert road_map_of(file, LOCATION, np.array([-3000.0, -3000.0]), 200.0, np.zeros(2)) is None


def changed(change):
    def spoil(path):
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return spoil


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda path: path.write_text(path.read_text()[:-9]), "file: is not JSON"),
        (changed(lambda map_: map_.pop("lane")), "lane: is missing"),
        (changed(lambda map_: map_["node"][0].update(x="far")), "node[0].x: is 'far'"),
        (changed(lambda map_: map_["node"].pop(3)), "refers to node node-3, which is not there"),
        (changed(lambda map_: map_["polygon"].pop(0)), "refers to polygon-0, which is not there"),
        (changed(lambda map_: map_["line"].pop(0)), "refers to line-0, which is not there"),
        (changed(lambda map_: map_["arcline_path_3"]["left"][0].update(shape="LLL")), "shape: is 'LLL'"),
        (changed(lambda map_: map_["arcline_path_3"]["left"][0].update(radius=0)), "radius: is 0"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, spoil, message):
    spoil(path := map_spec().write(tmp_path))
    with pytest.raises(LogError, match=re.escape(message)):
        read_map_file(path)


def test_geometry_without_extent_is_left_out(tmp_path):
    spec = map_spec()
    spec.area("walkway", "point", [(0.0, 0.0), (1.0, 1.0)])
    spec.connector("no path", [])
    file = read_map_file(spec.write(tmp_path))
    assert [name for name, _ in file.shapes("walkway")] == ["pavement"]
    assert "no path" not in file.centerlines


def test_lines_are_cut_where_the_part_ends(tmp_path):
    spec = map_spec()
    spec.divider("lane_divider", "endless", [(-90_000.0, 1203.0), (90_000.0, 1203.0)], ["SINGLE_SOLID_WHITE"] * 2)
    # It leaves the part at the right and comes back.
    spec.divider("road_divider", "bent", [(400.0, 1210.0), (900.0, 1210.0), (900.0, 1220.0), (400.0, 1220.0)])
    file, center = read_map_file(spec.write(tmp_path)), np.array([400.0, 1200.0])
    cut = {line.id: line.points for line in road_map_of(file, LOCATION, center, 200.0, center).road_lines}
    np.testing.assert_allclose(cut["endless_0"], [(-200.0, 3.0, 0.0), (200.0, 3.0, 0.0)])
    np.testing.assert_allclose(cut["bent"], [(0.0, 10.0, 0.0), (200.0, 10.0, 0.0)])
    np.testing.assert_allclose(cut["bent_2"], [(200.0, 20.0, 0.0), (0.0, 20.0, 0.0)])


def test_long_paths_cost_what_they_are_long_and_no_more_than_a_bound(tmp_path):
    spec = map_spec()
    spec.connector("ten kilometres", [straight(0.0, 0.0, 0.0, 1e4)[0]])
    assert len(read_map_file(spec.write(tmp_path / "one")).centerlines["ten kilometres"]) == 10_001
    for number in range(500):
        spec.connector(f"long {number}", [straight(0.0, 0.0, 0.0, 1e4)[0]])
    with pytest.raises(LogError, match=r"arcline_path_3: is 50\d\d km long, more than 5000"):
        read_map_file(spec.write(tmp_path / "many"))


def test_coordinates_of_no_place_are_refused(tmp_path):
    path = map_spec().write(tmp_path)
    changed(lambda map_: map_["node"][0].update(x=1e9))(path)
    with pytest.raises(LogError, match=r"node\[0\]\.x: is 1000000000"):
        read_map_file(path)
