"""Maps on a small road of known measures, and what is wrong with files. The devkit's answers: tests/golden."""

import json
import os
import pickle
import time

import numpy as np
import pytest
import shapely

from swerve.data.sources.nuplan import MapLayer, NuplanMap, load_nuplan_map
from swerve.data.sources.nuplan.geopackage import read_layer
from swerve.data.sources.nuplan.map_objects import MapLine
from swerve.data.sources.nuplan.nuplan_road_map import road_map_of
from swerve.scenes import LaneMarking, LogError
from tests.support.nuplan_writer import (
    EAST,
    EPSG,
    LOCATION,
    NORTH,
    VERSION,
    change,
    map_layers,
    strip,
    write_geopackage,
    write_maps,
)

AT = np.array([EAST, NORTH])


@pytest.fixture
def maps(tmp_path):
    return write_maps(tmp_path)


@pytest.fixture
def file(maps):
    return maps / LOCATION / VERSION / "map.gpkg"


@pytest.fixture
def nuplan(maps):
    return load_nuplan_map(maps, LOCATION)


def test_a_lane_is_what_its_rows_say(nuplan):
    lane = nuplan.lane("12")
    assert (lane.roadblock_id, lane.speed_limit_mps, lane.index, lane.adjacent) == ("31", None, 1, ("11", None))
    assert (lane.incoming, lane.outgoing) == ((), ())
    assert nuplan.lane("11").outgoing == ("21",)
    assert nuplan.lane("13").incoming == ("21",)
    assert lane.baseline_path.length == 80


def test_a_connector_leads_from_its_exit_lane_to_its_entry_lane(nuplan):
    connector = nuplan.lane("21")
    assert (connector.incoming, connector.outgoing, connector.roadblock_id) == (("11",), ("13",), "33")
    assert connector.has_traffic_lights
    assert nuplan.stop_lines(connector) == ("51",)


def test_roadblocks_and_their_connectors(nuplan):
    assert nuplan.roadblock("31").interior == ("11", "12")
    assert nuplan.roadblock("31").outgoing == nuplan.roadblock("32").incoming == ("33",)
    connector = nuplan.roadblock("33")
    assert (connector.incoming, connector.outgoing, connector.intersection_id) == (("31",), ("32",), "61")


def test_outlines_do_not_count_as_inside(nuplan):
    points = AT + np.array([[10.0, 2.0], [10.0, 4.0], [80.0, 2.0], [90.0, 2.0]])
    assert nuplan.is_in_layer(points, MapLayer.LANE).tolist() == [True, False, False, False]
    assert nuplan.is_in_layer(points, MapLayer.DRIVABLE_AREA).tolist() == [True, False, True, True]
    # The devkit's layer of lane connectors has their lines.
    assert nuplan.is_in_layer(points[3:], MapLayer.LANE_CONNECTOR).tolist() == [True]
    assert nuplan.is_in_turn_stop(AT + np.array([[91.0, 1.0], [79.0, 1.0]])).tolist() == [True, False]


def test_objects_at_a_point(nuplan):
    assert nuplan.ids_at(AT + np.array([90.0, 1.0]), MapLayer.LANE_CONNECTOR) == ("21",)
    assert nuplan.object_at(AT + np.array([90.0, 1.0]), MapLayer.LANE) is None
    assert nuplan.object_at(AT + np.array([10.0, 1.0]), MapLayer.LANE).id == "11"


def test_two_objects_are_not_one(tmp_path):
    lanes = [{**lane, "geom": strip(0, 80, -4, 4)} for lane in map_layers()["lanes_polygons"]]
    nuplan = load_nuplan_map(write_maps(tmp_path / "other", {"lanes_polygons": lanes}), LOCATION)
    with pytest.raises(ValueError, match="3 objects of LANE"):
        nuplan.object_at(AT + np.array([10.0, 1.0]), MapLayer.LANE)


def test_proximal_objects_are_those_that_touch_a_square(nuplan):
    corner = AT + np.array([-5.0, 9.0])
    assert nuplan.proximal_ids(corner, 5.0, MapLayer.LANE) == ("11",)  # at its corner, 7 m away
    assert nuplan.proximal_ids(corner, 4.9, MapLayer.LANE) == ()
    # A connector counts by its line, 4 m from the point, not by its polygon, 2 m from it.
    assert nuplan.proximal_ids(AT + np.array([90.0, 6.0]), 3.0, MapLayer.LANE_CONNECTOR) == ()
    assert nuplan.proximal_ids(AT + np.array([90.0, 6.0]), 4.0, MapLayer.LANE_CONNECTOR) == ("21",)


def test_nearest(nuplan):
    assert nuplan.nearest(AT + np.array([85.0, 2.0]), MapLayer.LANE) == ("11", 5.0)
    assert nuplan.nearest(AT + np.array([10.0, 1.0]), MapLayer.LANE) == ("11", 0.0)


def test_poses_and_curvature_of_a_line(nuplan):
    path = nuplan.lane("11").baseline_path
    np.testing.assert_allclose(path.nearest_pose(AT + np.array([33.0, 5.0])), [*(AT + np.array([33.0, 2.0])), 0.0])
    np.testing.assert_allclose(path.nearest_pose(AT + np.array([99.0, 5.0])), [*(AT + np.array([80.0, 2.0])), 0.0])
    assert path.curvature_at(0.0) == path.curvature_at(80.0) == 0.0
    with pytest.raises(ValueError, match="outside"):
        path.curvature_at(80.1)


@pytest.mark.parametrize(("turn", "sign"), [(1, 1), (-1, -1)])
def test_curvature_of_a_circle(turn, sign):
    angle = np.linspace(0, np.pi, 4000)
    circle = MapLine("1", shapely.LineString(np.stack([20 * np.sin(angle), -turn * 20 * np.cos(angle)], axis=1)))
    assert circle.curvature_at(30.0) == pytest.approx(sign / 20, rel=1e-5)


def test_layers_load_when_used_and_once(maps, monkeypatch):
    read = []
    module = "swerve.data.sources.nuplan.nuplan_map.read_layer"
    monkeypatch.setattr(module, lambda path, name: read.append(name) or read_layer(path, name))
    nuplan = load_nuplan_map(maps, LOCATION)
    assert read == []
    nuplan.ids(MapLayer.LANE)
    load_nuplan_map(maps, f"{LOCATION}.gpkg").ids(MapLayer.LANE)
    nuplan.roadblock("31")
    assert sorted(read) == ["lane_group_connectors", "lane_groups_polygons", "lanes_polygons"]


def test_a_changed_file_is_read_again(maps, file):
    before = load_nuplan_map(maps, LOCATION)
    assert load_nuplan_map(maps, LOCATION) is before
    change(file, "UPDATE lanes_polygons SET speed_limit_mps = 5.0")
    stamp = time.time_ns() + 1_000_000_000
    os.utime(file, ns=(stamp, stamp))
    assert load_nuplan_map(maps, LOCATION).lane("11").speed_limit_mps == 5.0


def test_a_map_travels_as_its_path(nuplan):
    blob = pickle.dumps(nuplan)
    assert len(blob) < 500
    assert pickle.loads(blob).lane("11").outgoing == ("21",)


def test_the_road_map_has_everything(nuplan):
    road_map = road_map_of(nuplan, origin=AT)
    assert [lane.id for lane in road_map.lanes] == ["11", "12", "13", "21"]
    assert [group.id for group in road_map.lane_groups] == ["31", "32", "33"]
    first, second, _, connector = road_map.lanes
    assert (first.right_neighbor, second.left_neighbor, first.left_neighbor) == ("12", "11", None)
    assert (first.successors, connector.predecessors, connector.successors) == (("21",), ("11",), ("13",))
    # Stored against the driving direction, and turned.
    np.testing.assert_array_equal(first.left_boundary[[0, -1], :2], [[0, 4], [80, 4]])
    assert (first.left_marking, first.right_marking) == (LaneMarking.SOLID_WHITE, LaneMarking.DASHED_WHITE)
    assert [line.id for line in road_map.road_lines] == ["41", "42", "43", "44", "45"]  # not the virtual ones
    (stop,) = road_map.stop_lines  # not the turn stop
    assert (stop.id, stop.lane_ids) == ("51", ("11", "21"))
    np.testing.assert_array_equal(np.sort(stop.points[:, :2], axis=0), [[79, 0], [79, 4]])
    names = ("intersections", "crosswalks", "walkways", "parking_areas", "generic_drivable_areas")
    assert [[area.id for area in getattr(road_map, name)] for name in names] == [
        ["61"],
        ["55"],
        ["65"],
        ["66"],
        ["67", "68"],
    ]
    assert road_map.drivable_areas == ()
    assert not road_map.has_height


def test_a_part_of_a_map_refers_to_nothing_outside(nuplan):
    road_map = road_map_of(nuplan, AT + np.array([50.0, 0.0]), 20.0)
    assert [group.id for group in road_map.lane_groups] == ["31"]
    assert road_map.lane_groups[0].successors == road_map.lanes[0].successors == ()
    further = road_map_of(nuplan, AT + np.array([50.0, 0.0]), 20.0, roadblocks=("33", "missing"))
    assert [group.id for group in further.lane_groups] == ["31", "33"]
    assert further.lane_by_id["11"].successors == ("21",)


def test_islands_and_further_parts_of_polygons_stay(tmp_path):
    island = strip(20, 40, -9, -4).difference(strip(25, 30, -8, -5))
    parks = [
        {"fid": 66, "geom": island},
        {"fid": 69, "geom": shapely.MultiPolygon([strip(0, 5, -9, -5), strip(10, 15, -9, -5)])},
    ]
    nuplan = load_nuplan_map(write_maps(tmp_path, {"carpark_areas": parks}), LOCATION)
    assert [len(area.holes) for area in road_map_of(nuplan).parking_areas] == [1, 1]


def test_longitudes_and_latitudes_are_projected(tmp_path):
    file = tmp_path / "map.gpkg"
    write_geopackage(file, {"crosswalks": [{"fid": 1, "geom": shapely.box(-69.01, 42.0, -69.0, 42.01)}]})
    change(file, "UPDATE gpkg_geometry_columns SET srs_id = 4326")
    (polygon,) = read_layer(file, "crosswalks").geometry
    # On the central meridian of zone 19, 42 degrees north.
    assert polygon.bounds[2] == 500_000.0
    assert polygon.bounds[1] == pytest.approx(4_649_776.224, abs=1e-3)


def test_other_coordinates_are_refused(file):
    change(file, "UPDATE gpkg_geometry_columns SET srs_id = 3857")
    with pytest.raises(LogError, match=r"lanes_polygons: is stored in EPSG:3857"):
        read_layer(file, "lanes_polygons")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.9])
def test_a_truncated_map_is_one_error(file, nuplan, share):
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(LogError, match=r"map\.gpkg") as error:
        road_map_of(NuplanMap(file, LOCATION))
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        b"GP",
        b"XX\0\1" + EPSG.to_bytes(4, "little"),
        b"GP\0\x0f" + b"\0" * 20,
        b"GP\0\x21" + b"\0" * 20,
        b"GP\0\1" + b"\0" * 9,
        None,
        "text",
    ],
)
def test_damaged_geometry_is_named(file, blob):
    change(file, "UPDATE crosswalks SET geom = ?", blob)
    with pytest.raises(LogError, match=r"crosswalks\.geom"):
        read_layer(file, "crosswalks")


def test_geometry_that_is_not_finite_is_refused(file):
    endless = shapely.to_wkb(shapely.Polygon([(0, 0), (1, 0), (np.inf, 1)]))
    change(file, "UPDATE crosswalks SET geom = ?", b"GP\0\1" + EPSG.to_bytes(4, "little") + endless)
    with pytest.raises(LogError, match="not finite"):
        read_layer(file, "crosswalks")


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("DROP TABLE boundaries", "boundaries: no such layer"),
        ("DELETE FROM boundaries WHERE fid = 41", "boundaries: has no feature 41"),
        ("DELETE FROM baseline_paths WHERE fid = 81", "has 0 rows with lane_fid 11"),
        ("UPDATE baseline_paths SET lane_fid = 11 WHERE fid = 82", "has 2 rows with lane_fid 11"),
        ("ALTER TABLE lanes_polygons DROP COLUMN lane_group_fid", "has no column lane_group_fid"),
        ("UPDATE lane_connectors SET entry_lane_fid = 'x'", "is not an integer: 'x'"),
        ("UPDATE lanes_polygons SET lane_index = NULL", "lane_index: is not an integer: None"),
        ("UPDATE lanes_polygons SET left_boundary_fid = NULL", r"boundaries: has no feature \(none\)"),
        ("UPDATE lanes_polygons SET speed_limit_mps = 'fast'", "is not a number: 'fast'"),
        ("UPDATE boundaries SET boundary_type_fid = 'x'", "boundary_type_fid: is not an integer"),
        ("UPDATE baseline_paths SET geom = (SELECT geom FROM crosswalks)", "baseline_paths.geom: is not a line"),
        ("UPDATE lanes_polygons SET geom = (SELECT geom FROM boundaries)", "lanes_polygons.geom: is not a polygon"),
        ("ALTER TABLE lanes_polygons RENAME COLUMN geom TO shape", "lacks its column fid or geom"),
        ("UPDATE gpkg_geometry_columns SET srs_id = 'utm'", "srs_id: is not an integer"),
        ("DELETE FROM gpkg_geometry_columns", "has no geometry"),
        ("UPDATE meta SET value = 'epsg:2263'", "not a UTM zone"),
        ("DELETE FROM meta", "not a UTM zone"),
    ],
)
def test_missing_parts_of_a_map_are_named(maps, file, statement, message):
    change(file, statement)
    with pytest.raises(LogError, match=message):
        NuplanMap(file, LOCATION).lane("11")


@pytest.mark.parametrize("id_", ["99", "x", "", "-11", "11.0"])
def test_an_unknown_id_is_an_error(nuplan, id_):
    with pytest.raises(LogError, match="has no feature"):
        nuplan.map_object(id_, MapLayer.LANE)
    with pytest.raises(LogError, match="has no feature"):
        nuplan.lane(id_)
    with pytest.raises(LogError, match="has no feature"):
        nuplan.roadblock(id_)


def test_layers_without_objects_are_refused(nuplan):
    with pytest.raises(ValueError, match="BOUNDARIES has no objects"):
        nuplan.map_object("41", MapLayer.BOUNDARIES)


def test_a_connector_to_nowhere_has_no_lane_after_it(file):
    change(file, "UPDATE lane_connectors SET entry_lane_fid = NULL")
    assert NuplanMap(file, LOCATION).lane("21").outgoing == ()


def test_another_version_is_told(maps):
    index = {LOCATION: {"version": "9.99.1", "layers": {}}}
    (maps / "nuplan-maps-v1.0.json").write_text(json.dumps(index))
    with pytest.raises(LogError, match=rf"asks for version 9\.99\.1.*There is version {VERSION} instead"):
        load_nuplan_map(maps, LOCATION)


def test_another_index_is_told(maps):
    (maps / "nuplan-maps-v1.0.json").rename(maps / "nuplan-maps-v0.1.json")
    with pytest.raises(LogError, match=r"nuplan-maps-v1\.0\.json: file: no such file.*has nuplan-maps-v0\.1\.json"):
        load_nuplan_map(maps, LOCATION)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "file: is not JSON that can be read"),
        ("{", "file: is not JSON that can be read"),
        ("[" * 100_000, "file: is not JSON that can be read .nested more than 64 levels"),
        ("[]", "document: is a list of 0, not an object"),
        ("{}", f"locations: has no '{LOCATION}'"),
        ('{"us-ma-boston": {}}', "us-ma-boston.version: is missing"),
        ('{"us-ma-boston": 3}', "us-ma-boston: is 3, not an object"),
        ('{"us-ma-boston": {"version": "../../x"}}', "us-ma-boston.version: is '../../x', not the name of a file"),
        ('{"us-ma-boston": {"version": "' + "a" * 300 + '"}}', "us-ma-boston.version: is 'aaa"),
        ('{"../x": {"version": "1"}}', "name: is '../x', not the name of a file"),
    ],
)
def test_a_damaged_index_is_told(maps, text, problem):
    (maps / "nuplan-maps-v1.0.json").write_text(text)
    with pytest.raises(LogError, match=problem):
        load_nuplan_map(maps, LOCATION)


def test_a_neighbourhood_takes_milliseconds(nuplan_root):
    nuplan = load_nuplan_map(nuplan_root / "maps", "us-pa-pittsburgh-hazelwood")
    lane = nuplan.table(MapLayer.LANE)
    center = np.array(shapely.get_coordinates(shapely.centroid(lane.geometry[:1]))[0])
    for layer in list(MapLayer)[:9]:
        nuplan.proximal_objects(center, 50.0, layer)
    start = time.perf_counter()
    for layer in list(MapLayer)[:9]:
        nuplan.proximal_objects(center, 50.0, layer)
    assert time.perf_counter() - start < 0.05  # measured: 0.6 ms


def test_same_as_the_devkit(nuplan_root):
    factory = pytest.importorskip("nuplan.common.maps.nuplan_map.map_factory")
    layers = pytest.importorskip("nuplan.common.maps.maps_datatypes").SemanticMapLayer
    states = pytest.importorskip("nuplan.common.actor_state.state_representation")
    theirs = factory.get_maps_api(str(nuplan_root / "maps"), "nuplan-maps-v1.0", LOCATION)
    ours = load_nuplan_map(nuplan_root / "maps", LOCATION)
    for point in shapely.get_coordinates(shapely.centroid(ours.table(MapLayer.LANE).geometry[::7])):
        at = states.Point2D(*point)
        for layer in list(MapLayer)[:9]:
            found = theirs.get_proximal_map_objects(at, 30.0, [layers[layer.name]])[layers[layer.name]]
            assert ours.proximal_ids(point, 30.0, layer) == tuple(item.id for item in found)
            assert ours.ids_at(point, layer) == tuple(
                item.id for item in theirs.get_all_map_objects(at, layers[layer.name])
            )


def test_layers_may_be_empty(tmp_path):
    empty = {name: [] for name in ("generic_drivable_areas", "carpark_areas")}
    nuplan = load_nuplan_map(write_maps(tmp_path, empty), LOCATION)
    assert nuplan.ids(MapLayer.CARPARK_AREA) == nuplan.ids_at(AT, MapLayer.CARPARK_AREA) == ()
    assert nuplan.is_in_layer(AT[None] + 1, MapLayer.DRIVABLE_AREA).tolist() == [True]
    assert [area.id for area in road_map_of(nuplan).generic_drivable_areas] == ["67"]
    with pytest.raises(LogError, match="carpark_areas: is empty"):
        nuplan.nearest(AT, MapLayer.CARPARK_AREA)
