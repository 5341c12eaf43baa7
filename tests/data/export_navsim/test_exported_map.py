"""Road maps written as nuPlan maps and read back: a town's is the same, others are brought into nuPlan's form."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swerve.data.export_navsim.alternating_map import alternating_map
from swerve.data.export_navsim.map_features import MapFeatures, lane_indices, merged_order
from swerve.data.export_navsim.map_schema import SCHEMA
from swerve.data.export_navsim.write_geopackage import write_geopackage
from swerve.data.sources.nuplan.map_objects import StopLineType
from swerve.data.sources.nuplan.nuplan_map import MapLayer, NuplanMap
from swerve.data.sources.nuplan.nuplan_road_map import road_map_of
from swerve.scenes import GroundHeight, Lane, LaneGroup, RoadMap, SwerveError
from tests.support.town_logs import town

OFFSET = np.array([331_000.0, 4_690_500.0])


def written(folder, road_map, signals=()):
    """Return a road map's export as a nuPlan map, and the ids of its features."""
    features = MapFeatures()
    ids = features.add(road_map, OFFSET, signals, "log")
    write_geopackage(folder / "map.gpkg", SCHEMA, features.layers, 19)
    return NuplanMap(folder / "map.gpkg", "us-ma-boston"), ids


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    log = town(3)
    nuplan, ids = written(tmp_path_factory.mktemp("map"), log.road_map, log.lights.lane_ids)
    return log, nuplan, ids, road_map_of(nuplan, origin=OFFSET)


def test_a_town_s_lanes_come_back(exported):
    log, _, ids, read = exported
    assert len(read.lanes) == len(log.road_map.lanes)
    number = {id_: str(fid) for id_, fid in ids.lanes.items()}
    for lane in log.road_map.lanes:
        back = read.lane_by_id[number[lane.id]]
        assert back.is_connector == lane.is_connector
        assert back.speed_limit == lane.speed_limit
        assert back.group_id == str(ids.groups[lane.group_id])
        for side in ("predecessors", "successors"):
            assert getattr(back, side) == tuple(number[other] for other in getattr(lane, side))
        for name in ("centerline", "polygon", "left_boundary", "right_boundary"):
            assert getattr(back, name)[:, :2] == pytest.approx(getattr(lane, name)[:, :2], abs=1e-8), name
        if not lane.is_connector:
            assert back.kind == lane.kind
            group = log.road_map.group_by_id[lane.group_id].lane_ids
            for side in ("left_neighbor", "right_neighbor"):
                other = getattr(lane, side)
                assert getattr(back, side) == (number[other] if other in group else None)


def test_a_town_s_groups_come_back(exported):
    log, _, ids, read = exported
    number = {id_: str(fid) for id_, fid in ids.groups.items()}
    for group in log.road_map.lane_groups:
        back = read.group_by_id[number[group.id]]
        assert back.lane_ids == tuple(str(ids.lanes[lane]) for lane in group.lane_ids)
        assert back.predecessors == tuple(number[other] for other in group.predecessors)
        assert back.successors == tuple(number[other] for other in group.successors)
        assert back.is_connector == group.is_connector


def test_a_town_s_areas_and_lights_come_back(exported):
    log, nuplan, ids, read = exported
    own = log.road_map
    areas = {"intersections": own.intersections, "crosswalks": own.crosswalks, "walkways": own.walkways}
    areas["parking_areas"] = (*own.parking_areas, *own.drivable_areas)
    for name, expected in areas.items():
        for one, other in zip(getattr(read, name), expected, strict=True):
            assert one.polygon[:, :2] == pytest.approx(other.polygon[:, :2], abs=1e-8)
            assert len(one.holes) == len(other.holes)
    for line in own.stop_lines:
        area = nuplan.map_object(str(ids.areas["stop_line", line.id]), MapLayer.STOP_LINE)
        lit = {lane.id for lane in own.lanes if set(lane.predecessors) & set(line.lane_ids)} & set(log.lights.lane_ids)
        assert area.stop_line_type == (StopLineType.TRAFFIC_LIGHT if lit else StopLineType.STOP_SIGN)
    assert log.lights.lane_ids
    for lane in log.lights.lane_ids:
        assert nuplan.lane(str(ids.lanes[lane])).has_traffic_lights


def test_a_town_s_map_is_not_changed():
    log = town(3)
    made = alternating_map(log.road_map, log.route)
    assert made.road_map is log.road_map
    assert (made.route, made.note) == (log.route, "")


def lane(id_, start, end, before=(), after=(), connector=False):
    """A lane along x, 4 m wide."""
    line = np.column_stack([np.linspace(start, end, 11), np.zeros(11), np.zeros(11)])
    aside = np.array([0.0, 2.0, 0.0])
    polygon = np.concatenate([line + aside, line[::-1] - aside])
    sides = line + aside, line - aside
    links = {"predecessors": before, "successors": after, "is_connector": connector, "group_id": f"g{id_}"}
    return Lane(id_, line, polygon, *sides, **links)


def plain_map(*lanes):
    """A map in which each lane has a group of its own, linked as the lanes are."""
    named = lambda ids: tuple(f"g{id_}" for id_ in ids)  # noqa: E731
    groups = tuple(
        LaneGroup(
            f"g{one.id}", (one.id,), one.polygon, one.is_connector, named(one.predecessors), named(one.successors)
        )
        for one in lanes
    )
    flat = GroundHeight(np.zeros((2, 2), np.float32), np.zeros(2), 1.0)
    return RoadMap(lanes, flat, groups)


def tangled():
    """Lanes a and b lead to lane c and connector x; x to connector y, which ends nowhere."""
    return plain_map(
        lane("a", 0, 40, (), ("c", "x")),
        lane("b", 0, 40, (), ("x",)),
        lane("c", 40, 80, ("a",), ()),
        lane("x", 40, 60, ("a", "b"), ("y",), connector=True),
        lane("y", 60, 80, ("x",), (), connector=True),
    )


def check_alternation(road_map):
    """Every link joins a lane and a connector, both of which know it; and so do groups."""
    for known in (road_map.lane_by_id, road_map.group_by_id):
        for one in known.values():
            for side, back in (("predecessors", "successors"), ("successors", "predecessors")):
                for other in getattr(one, side):
                    assert known[other].is_connector is not one.is_connector
                    assert one.id in getattr(known[other], back)
            if one.is_connector:
                assert len(one.predecessors) == len(one.successors) == 1
    for one in road_map.lanes:
        assert one.id in road_map.group_by_id[one.group_id].lane_ids


def test_other_maps_are_brought_into_nuplan_s_form(tmp_path):
    made = alternating_map(tangled(), ("gb", "gx", "gy"))
    check_alternation(made.road_map)
    lanes = made.road_map.lane_by_id
    # a to c; x to y; y to its end; and x twice.
    assert set(lanes) == {"a", "b", "c", "x", "x#1", "y", "a|c", "x|y", "y|"}
    assert made.copies == {"x": ["x", "x#1"]}
    assert "3 pieces of 5 cm were inserted" in made.note
    assert "1 connectors with several lanes" in made.note
    assert lanes["a"].successors == ("a|c", "x")
    assert lanes["b"].successors == ("x#1",)
    assert [made.road_map.group_by_id[group].lane_ids for group in made.route] == [("b",), ("x#1",), ("x|y",), ("y",)]
    nuplan, ids = written(tmp_path, made.road_map)
    assert nuplan.lane(str(ids.lanes["x#1"])).incoming == (str(ids.lanes["b"]),)


def test_ids_with_the_marks_of_inserted_pieces_do_not_collide(tmp_path):
    """Lanes of other maps may be named "a|c", "x#1" or "group a|c", as pieces and copies are."""
    taken = [lane(id_, 200 + 50 * row, 240 + 50 * row) for row, id_ in enumerate(("a|c", "x#1", "x|y", "y|", "a#7"))]
    road_map = plain_map(*tangled().lanes, *taken)
    made = alternating_map(road_map, ())
    check_alternation(made.road_map)
    lanes = made.road_map.lane_by_id
    assert len(lanes) == len(made.road_map.lanes) == 14
    for one in taken:
        np.testing.assert_array_equal(lanes[one.id].centerline, one.centerline)
    assert {"a|c'", "x#1'", "x|y'", "y|'"} <= set(lanes)
    assert len({group.id for group in made.road_map.lane_groups}) == len(made.road_map.lane_groups)
    written(tmp_path, made.road_map)


def test_centrelines_keep_their_path():
    lanes = alternating_map(tangled(), ()).road_map.lane_by_id
    for path, end in ((("a", "a|c", "c"), 80.0), (("b", "x#1", "x|y", "y", "y|"), 80.0)):
        line = np.concatenate([lanes[id_].centerline for id_ in path])
        assert (np.diff(line[:, 0]) >= 0).all()
        assert (line[0, 0], line[-1, 0]) == (0.0, end)
        assert not line[:, 1].any()
    assert lanes["c"].centerline[0, 0] == pytest.approx(40.05)
    assert lanes["a|c"].polygon[:, 0].tolist() == pytest.approx([40.0, 40.05, 40.05, 40.0])
    assert np.abs(lanes["a|c"].polygon[:, 1]) == pytest.approx(2.0)


def test_real_maps_are_brought_into_nuplan_s_form(test_data):
    from swerve.data import open_source

    source = open_source(f"av2:{test_data / 'av2'}")
    for name in source.names():
        log = source.load(name)
        made = alternating_map(log.road_map, log.route)
        check_alternation(made.road_map)
        groups = made.road_map.group_by_id
        for before, after in zip(made.route[:-1], made.route[1:], strict=True):
            assert after in groups[before].successors


def test_a_lane_without_a_group_is_an_error(tmp_path):
    road_map = plain_map(lane("a", 0, 40))
    alone = replace(road_map, lanes=(replace(road_map.lanes[0], group_id="other"),))
    with pytest.raises(SwerveError, match="lane a is in no lane group of its kind"):
        written(tmp_path, alone)


def test_indices_are_neighbours_only_beside_each_other():
    """From the left: a, b beside each other; then c alone."""
    a, b, c = (lane(name, 0, 40) for name in "abc")
    a, b = replace(a, right_neighbor="b"), replace(b, left_neighbor="a")
    group = LaneGroup("g", ("b", "a", "c"), a.polygon)
    indices = lane_indices(group, replace(plain_map(a), lanes=(a, b, c)))
    assert indices["b"] - indices["a"] == 1
    assert min(abs(indices["c"] - indices[other]) for other in "ab") > 1


@given(st.permutations("abcdefgh"), st.lists(st.sets(st.sampled_from("abcdefgh"), max_size=4), max_size=5))
def test_merged_order_agrees_with_lists_that_agree(hidden, sets):
    lists = [sorted(one, key=hidden.index) for one in sets]
    order = merged_order("abcdefgh", lists)
    assert sorted(order) == list("abcdefgh")
    assert all(sorted(one, key=order.index) == one for one in lists)


def test_merged_order_takes_the_given_one_where_lists_disagree():
    assert merged_order("abc", ["ba", "ab"]) == ["c", "a", "b"]
