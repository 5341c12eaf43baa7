"""Bodies stay within their boxes; houses and trees stand clear of whatever is driven, walked or parked on."""

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from swerve.data.sources.town.photos.buildings import CLEARANCE, build_house, draw_plots
from swerve.data.sources.town.photos.ground import paved_area
from swerve.data.sources.town.photos.look import draw_look
from swerve.data.sources.town.photos.objects import signal_head, thing
from swerve.data.sources.town.photos.people import cyclist_body, draw_clothes, pedestrian_body
from swerve.data.sources.town.photos.shapes import ball, box, tube
from swerve.data.sources.town.photos.solids import Material, plane_normals
from swerve.data.sources.town.photos.vegetation import build_vegetation
from swerve.data.sources.town.photos.vehicles import vehicle_body
from swerve.data.sources.town.plan import plan_town
from swerve.data.sources.town.roundabouts import RADIUS, WIDTH, circle
from swerve.scenes import LightState, ObjectClass, keyed_generator
from swerve.scenes.primitives.cuboids import SIGNAL_SIZE

NAME, TINT = "town-000006", (0.2, 0.3, 0.4)


def excess(solid, size):
    """By how much a body leaves its box, metres."""
    low, high = solid.corners.min(axis=(0, 1)), solid.corners.max(axis=(0, 1))
    half = np.array([size[0] / 2, size[1] / 2])
    return max((np.abs([low[:2], high[:2]]) - half).max(), -low[2], high[2] - size[2])


@settings(max_examples=15)
@given(st.floats(3.6, 12.0), st.floats(1.62, 2.6), st.floats(1.4, 3.5), st.integers(0, 9))
def test_vehicles_of_any_size_fill_their_box_and_stay_in_it(length, width, height, seed):
    size = np.array([length, width, height])
    body = vehicle_body(size, keyed_generator(seed, "body"), lit=bool(seed % 2))
    assert excess(body, size) < 1e-6
    assert np.ptp(body.corners.reshape(-1, 3), axis=0) / size == pytest.approx(np.ones(3), abs=0.06)


@settings(max_examples=8)
@given(st.floats(0.5, 0.75), st.floats(0.45, 0.65), st.floats(1.5, 1.95), st.floats(0.0, 6.28))
def test_people_fill_their_box_upwards_and_stay_in_it(length, width, height, phase):
    clothes = draw_clothes(keyed_generator(0, "clothes"))
    for body, size in (
        (pedestrian_body(np.array([length, width, height]), clothes, phase), (length, width, height)),
        (cyclist_body(np.array([1.75, 0.62, height]), clothes, TINT, phase), (1.75, 0.62, height)),
    ):
        assert excess(body, size) < 1e-6
        assert np.ptp(body.corners[..., 2]) == pytest.approx(size[2])


def test_things_and_signals_stay_in_their_boxes():
    sizes = {
        ObjectClass.TRAFFIC_CONE: (0.36, 0.36, 0.75),
        ObjectClass.BARRIER: (0.4, 1.9, 1.0),
        ObjectClass.SIGN: (0.25, 0.75, 1.5),
        ObjectClass.GENERIC: (3.4, 1.4, 1.5),
    }
    for kind, size in sizes.items():
        assert excess(thing(kind, np.array(size), keyed_generator(0, "thing")), size) < 1e-6
    for state in LightState:
        head = signal_head(state)
        lit = head.reflectances[head.materials == Material.LAMP]
        assert (np.abs(head.corners) <= np.array(SIGNAL_SIZE) / 2 + 0.03).all()
        assert (len(lit) > 0) == (state != LightState.UNKNOWN)
        if state == LightState.RED:
            assert (lit[:, 0] > 5 * lit[:, 1]).all()
        if state == LightState.GREEN:
            assert (lit[:, 1] > 5 * lit[:, 0]).all()


@pytest.mark.parametrize(
    ("solid", "volume"),
    [
        (box((0, 0, 0), (2, 3, 4), Material.MATT, TINT), 24.0),
        (tube((0, 0, 0), (0, 0, 2), (1.0, 1.0), Material.MATT, TINT, 64), 2 * np.pi),
        (ball((5, 0, 0), (1, 1, 2), Material.MATT, TINT, 3), 4 / 3 * np.pi * 2),
        (vehicle_body(np.array([4.5, 1.8, 1.5]), keyed_generator(0, "v"), False), 7.0),
    ],
)
def test_solids_are_closed_and_face_outwards(solid, volume):
    """By the divergence theorem: the volume is positive and the right one; normals lie on the outer side."""
    a, b, c = (solid.corners[:, k] for k in range(3))
    found = np.einsum("ij,ij->", a, np.cross(b, c)) / 6
    assert found == pytest.approx(volume, rel=0.03 if volume != 7.0 else 0.35)
    assert (np.einsum("fj,fkj->fk", plane_normals(solid.corners), solid.normals) > -1e-9).mean() > 0.97


@pytest.fixture(scope="module")
def town():
    road_map = plan_town(NAME, 0).road_map
    return road_map, paved_area(road_map)


def test_houses_stand_clear_of_every_lane_walkway_and_bay(town):
    road_map, paved = town
    plots = draw_plots(paved, keyed_generator(0, NAME, "plots"))
    areas = [*road_map.lanes, *road_map.walkways, *road_map.parking_areas, *road_map.drivable_areas]
    ground = shapely.STRtree([shapely.Polygon(area.polygon[:, :2]).buffer(0) for area in areas])
    footprints = [shapely.Polygon(plot.corners) for plot in plots]
    assert len(plots) > 80
    assert not ground.query(footprints, predicate="intersects").size
    assert shapely.distance(np.array(footprints), paved).min() >= CLEARANCE - 0.02
    assert all(outline.exterior.is_ccw for outline in footprints)
    for first, second in shapely.STRtree(footprints).query(footprints).T:
        if first < second:
            assert footprints[first].intersection(footprints[second]).area < 0.05 * footprints[first].area
    house = build_house(plots[0], road_map.ground, keyed_generator(0, "house"))
    walls = house.corners[house.materials == Material.FACADE]
    assert shapely.distance(shapely.points(walls.reshape(-1, 3)[:, :2]), footprints[0]).max() < 1e-6


def test_no_house_stands_on_the_largest_island_of_a_roundabout():
    island = shapely.Polygon(circle(np.zeros(2), RADIUS[1] - WIDTH[0]))
    plots = draw_plots(shapely.box(-60.0, -60.0, 60.0, 60.0) - island, keyed_generator(0, "island", "plots"))
    assert plots
    assert not any(island.intersects(shapely.Polygon(plot.corners)) for plot in plots)


def test_nothing_grows_on_the_road(town):
    road_map, paved = town
    built = shapely.Polygon()
    way = np.concatenate([lane.centerline[:, :2] for lane in road_map.lanes[:6]])
    look = draw_look(NAME, 0)
    green = build_vegetation(paved, built, way, road_map.ground, look, keyed_generator(0, NAME, "garden"))
    points = green.corners.mean(axis=1)
    low = points[:, 2] - road_map.ground.at(points[:, :2]) < 1.5
    shapely.prepare(paved)
    assert low.sum() > 500
    assert not shapely.contains_xy(paved, *points[low, :2].T).any()
