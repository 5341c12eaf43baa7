"""The scene as triangles: solids are closed, surfaces lie on the ground, paint lies on the surfaces."""

from dataclasses import replace

import numpy as np
import pytest
import shapely

from swerve.scenes import GroundHeight, LaneMarking, LightState, RoadLine, Tracks
from swerve.scenes.primitives import (
    FIRST_SIGNAL_INSTANCE,
    Face,
    Primitives,
    Semantic,
    agent_cuboids,
    build_dynamic,
    build_static,
    signal_cuboids,
)
from swerve.scenes.primitives.ribbons import DASH, DOUBLE_LINE_GAP, LINE_WIDTH, paint_ribbons
from swerve.scenes.primitives.terrain import Terrain
from tests.support.simple_log import simple_log


def corners(primitives: Primitives, chosen=slice(None)) -> np.ndarray:
    return primitives.vertices[primitives.triangles[chosen]]


def normals(triangles: np.ndarray) -> np.ndarray:
    return np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0])


def area_from_above(triangles: np.ndarray) -> float:
    return float(normals(triangles)[:, 2].sum() / 2)


def bumpy(amplitude: float = 0.5) -> GroundHeight:
    x, y = np.meshgrid(np.arange(-20, 120, 0.5), np.arange(-40, 60, 0.5))
    return GroundHeight((amplitude * np.sin(x / 7) * np.cos(y / 5)).astype(np.float32), np.array([-20.0, -40.0]), 0.5)


def kind(primitives: Primitives, semantic: Semantic) -> np.ndarray:
    return corners(primitives, primitives.semantics == semantic)


def test_cuboids_are_closed_and_of_their_size():
    log = simple_log()
    boxes = agent_cuboids(log.tracks, 0)
    triangles = corners(boxes)
    volume = np.einsum("fi,fi->f", triangles[:, 0], np.cross(triangles[:, 1], triangles[:, 2])).reshape(-1, 12) / 6
    np.testing.assert_allclose(volume.sum(axis=1), log.tracks.sizes[:, 0].prod(axis=1), rtol=1e-9)
    np.testing.assert_allclose(normals(triangles).reshape(-1, 12, 3).sum(axis=1), 0, atol=1e-9)
    assert boxes.instances[::12].tolist() == [1, 2, 3, 4, 5, 6]


def test_faces_are_named_for_the_agent_s_own_sides():
    log = simple_log()
    boxes = agent_cuboids(log.tracks, 0)
    out = normals(corners(boxes)) / np.linalg.norm(normals(corners(boxes)), axis=1, keepdims=True)
    forward = np.repeat(np.stack([np.cos(log.tracks.headings[:, 0]), np.sin(log.tracks.headings[:, 0])], 1), 12, axis=0)
    left = np.stack([-forward[:, 1], forward[:, 0]], axis=1)
    expected = {
        Face.FRONT: (out[:, :2] * forward).sum(1),
        Face.LEFT: (out[:, :2] * left).sum(1),
        Face.TOP: out[:, 2],
    }
    for face, along in expected.items():
        np.testing.assert_allclose(along[boxes.faces == face], 1.0)


def test_absent_agents_are_not_drawn():
    tracks = simple_log().tracks
    valid = tracks.valid.copy()
    valid[1:] = False
    assert set(agent_cuboids(replace(tracks, valid=valid), 3).instances) == {1}
    assert len(build_dynamic(Tracks.empty(5), simple_log().lights, 3)) == 12


def test_m4_four_light_states_stay_four():
    """M4: the original asked only whether a light was red, so yellow and unknown lights were drawn green."""
    lights = simple_log().lights
    drawn = {LightState(lights.states[0, step]): signal_cuboids(lights, step).semantics[0] for step in (0, 40, 80, 120)}
    assert drawn == {
        LightState.RED: Semantic.SIGNAL_RED,
        LightState.YELLOW: Semantic.SIGNAL_YELLOW,
        LightState.GREEN: Semantic.SIGNAL_GREEN,
        LightState.UNKNOWN: Semantic.SIGNAL_UNKNOWN,
    }


def test_r9_signals_face_their_lane_at_their_own_height():
    """R9: the original's lights were aligned with the world's axes, at 5 m above the ego whatever the ground."""
    lights = replace(simple_log(slope=0.03).lights, headings=np.array([2.0]))
    head = signal_cuboids(lights, 0)
    front = normals(corners(head, head.faces == Face.FRONT))[0]
    np.testing.assert_allclose(front / np.linalg.norm(front), [np.cos(2.0), np.sin(2.0), 0], atol=1e-9)
    np.testing.assert_allclose(head.vertices[:, 2].mean(), lights.positions[0, 2])
    assert set(head.instances) == {FIRST_SIGNAL_INSTANCE}


def test_m8_r10_every_class_is_its_own():
    """M8, R10: the original drew cones, barriers, signs, pedestrians and cars all as the same coloured cuboids."""
    boxes = agent_cuboids(simple_log().tracks, 0)
    assert [Semantic(kind) for kind in boxes.semantics[::12]] == [
        *[Semantic.VEHICLE] * 4,
        Semantic.PEDESTRIAN,
        Semantic.TRAFFIC_CONE,
    ]


@pytest.mark.parametrize("amplitude", [0.0, 0.5])
def test_draped_polygons_keep_their_area_and_lie_on_the_terrain(amplitude):
    polygon = shapely.Polygon(
        [(0, 0), (60.5, 3), (55, 31), (20, 25), (-3, 30)], [[(10, 8), (20, 8), (20, 18), (10, 18)]]
    )
    terrain = Terrain.over(bumpy(amplitude), np.array([-10.0, -10.0]), np.array([70.0, 40.0]))
    triangles = terrain.drape(polygon, 0.25)
    assert (normals(triangles)[:, 2] > 0).all()
    np.testing.assert_allclose(area_from_above(triangles), polygon.area, rtol=1e-9)
    middle = triangles.mean(axis=1)
    np.testing.assert_allclose(middle[:, 2], terrain.at(middle[:, :2]) + 0.25, atol=1e-9)


def test_m6_surfaces_follow_the_ground():
    """M6: the original's map was a flat plane through the ego, so hills shifted the raster against the image."""
    drawn = build_static(simple_log(slope=0.03).road_map)
    np.testing.assert_allclose(drawn.vertices[:, 2], 0.03 * drawn.vertices[:, 0], atol=0.05)


def test_terrain_keeps_its_tolerance():
    ground = bumpy(0.2)
    terrain = Terrain.over(ground, np.array([0.0, 0.0]), np.array([100.0, 50.0]))
    points = np.random.default_rng(1).uniform([0, 0], [100, 50], (5000, 2))
    gaps = np.abs(terrain.at(points) - ground.at(points))
    assert np.quantile(gaps, 0.99) < 0.035


def test_paint_lies_above_the_road_on_rough_ground():
    terrain = Terrain.over(bumpy(), np.array([-10.0, -10.0]), np.array([110.0, 50.0]))
    line = np.array([[0.0, 0.0, 0.0], [50.0, 20.0, 0.0], [100.0, 10.0, 0.0]])
    (strip,) = paint_ribbons(line, LaneMarking.SOLID_WHITE, terrain, 0.035)
    shares = np.random.default_rng(0).dirichlet(np.ones(3), 50)
    inside = np.einsum("sk,fkd->fsd", shares, strip).reshape(-1, 3)
    above = inside[:, 2] - terrain.at(inside[:, :2])
    assert above.min() > 0
    assert above.max() < 0.1


def test_m1_painted_lines_have_their_true_width_and_pattern():
    """M1: the original's lane dividers had a type that no branch drew, so there were none."""
    terrain = Terrain(np.zeros((2, 2)), np.array([-50.0, -50.0]), 200.0)
    line = np.array([[0.0, 0.0, 0.0], [60.0, 0.0, 0.0], [60.0, 60.0, 0.0]])
    (solid,) = paint_ribbons(line[:2], LaneMarking.SOLID_WHITE, terrain, 0.0)
    np.testing.assert_allclose(area_from_above(solid), 60 * LINE_WIDTH)
    dashes = paint_ribbons(line[:2], LaneMarking.DASHED_WHITE, terrain, 0.0)
    assert len(dashes) == 5
    np.testing.assert_allclose([area_from_above(dash) for dash in dashes], DASH * LINE_WIDTH)
    left, right = paint_ribbons(line[:2], LaneMarking.DOUBLE_SOLID_YELLOW, terrain, 0.0)
    np.testing.assert_allclose(left[..., 1].min() - right[..., 1].max(), DOUBLE_LINE_GAP)
    (bent,) = paint_ribbons(line, LaneMarking.SOLID_WHITE, terrain, 0.0)
    np.testing.assert_allclose(area_from_above(bent), 120 * LINE_WIDTH, rtol=1e-3)
    solid, *dashed = paint_ribbons(line[:2], LaneMarking.SOLID_DASHED_YELLOW, terrain, 0.0)
    assert solid[..., 1].mean() > 0 > np.mean([dash[..., 1].mean() for dash in dashed])


def test_m2_m3_nothing_of_the_map_is_left_out():
    """M2, M3: the original read walkways, stop lines and car parks and never drew them."""
    log = simple_log()
    car_park = replace(log.road_map.drivable_areas[0], id="park")
    full = replace(log.road_map, parking_areas=(car_park,), intersections=(car_park,), speed_bumps=(car_park,))
    drawn = build_static(full)
    expected = {kind for kind in Semantic if Semantic.ROAD <= kind <= Semantic.STOP_LINE} - {Semantic.LINE_BLUE}
    assert {Semantic(kind) for kind in drawn.semantics} == expected


def test_r13_lanes_have_no_lines_across_their_ends():
    """R13: the original drew the outline of each lane's polygon, so every lane ended in a line across the road."""
    log = simple_log()
    drawn = build_static(replace(log.road_map, stop_lines=()))
    for semantic in (Semantic.LINE_WHITE, Semantic.LINE_YELLOW, Semantic.ROAD_EDGE):
        triangles = kind(drawn, semantic)
        assert np.ptp(triangles[..., 1], axis=1).max() < 0.2


def test_m5_map_features_are_instances_built_once():
    """M5: the original cut the map and joined its polygons anew for each frame and agent."""
    log = simple_log()
    drawn = build_static(log.road_map)
    features = len(log.road_map.road_lines) + len(log.road_map.road_edges) + 1 + 1 + 1 + 1
    assert len(np.unique(drawn.instances)) == features
    np.testing.assert_allclose(area_from_above(kind(drawn, Semantic.ROAD)), 17 * 200)


def test_r7_crossings_of_any_form_are_filled_exactly():
    """R7: the original filled crossings as if they were convex."""
    log = simple_log()
    arrow = np.array([[0.0, 0, 0], [10, 0, 0], [10, 10, 0], [5, 2, 0], [0, 10, 0]])
    crossing = replace(log.road_map.crosswalks[0], polygon=arrow)
    drawn = build_static(replace(log.road_map, crosswalks=(crossing,)))
    np.testing.assert_allclose(area_from_above(kind(drawn, Semantic.CROSSING)), shapely.Polygon(arrow[:, :2]).area)


def test_chunks_hold_their_triangles():
    drawn = build_static(simple_log(slope=0.02).road_map).concatenate(
        build_dynamic(simple_log().tracks, simple_log().lights, 0)
    )
    assert drawn.chunk_starts[-1] == len(drawn)
    chunk = np.repeat(np.arange(len(drawn.chunk_radii)), np.diff(drawn.chunk_starts))
    reach = np.linalg.norm(corners(drawn) - drawn.chunk_centers[chunk][:, None], axis=2).max(axis=1)
    assert (reach <= drawn.chunk_radii[chunk] + 1e-9).all()


def test_a_log_without_a_map_draws_nothing_static():
    assert len(build_static(None)) == 0
    log = simple_log()
    empty = RoadLine("none", log.road_map.road_lines[0].points, LaneMarking.NONE)
    bare = replace(log.road_map, lanes=(), drivable_areas=(), crosswalks=(), walkways=(), road_edges=(), stop_lines=())
    assert len(build_static(replace(bare, road_lines=(empty,)))) == 0
    assert len(build_static(replace(bare, road_lines=()))) == 0
