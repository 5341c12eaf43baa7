"""Properties of every image: order, position, tightness, limits, batches, memory, errors."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain

import numpy as np
import pytest
import trimesh
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial import Delaunay

from swerve.rasterizer import Style, render
from swerve.rasterizer.numba import numba_renderer
from swerve.rasterizer.optics import lens_table
from swerve.scenes import Lens, SwerveError
from swerve.scenes.primitives import Face, Primitives, Semantic, build_dynamic, build_static
from swerve.scenes.transforms import pose_from_yaw, transform_points
from tests.support.drawn_scenes import (
    LENSES,
    box,
    facing_square,
    flat_style,
    joined,
    looking,
    random_scene,
    seeing,
    tiled_ground,
    triangles,
)
from tests.support.simple_log import simple_log

ALL = ("rgb", "depth", "semantic", "instance")
HERE = np.eye(4)[None]
each_lens = pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())


def draw(primitives, camera, style=None, **kwargs):
    return render(primitives, [camera], HERE, style or Style.rap(), ALL, **kwargs)[0][0]


def assert_same(view, other):
    for name in ALL:
        np.testing.assert_array_equal(getattr(view, name), getattr(other, name))


@each_lens
@given(seed=st.integers(0, 1000))
def test_the_order_of_triangles_does_not_matter(lens, seed):
    primitives = random_scene(seed % 5)
    order = np.random.default_rng(seed).permutation(len(primitives))
    shuffled = Primitives.from_triangles(
        primitives.vertices,
        primitives.triangles[order],
        primitives.semantics[order],
        primitives.faces[order],
        primitives.instances[order],
        cell=1.0 + seed % 60,
    )
    camera = looking(yaw=seed, lens=lens, width=160, height=90, focal=120.0)
    assert_same(draw(primitives, camera), draw(shuffled, camera))


@each_lens
@given(u=st.floats(4, 316), v=st.floats(4, 176), depth=st.floats(1.0, 100.0), yaw=st.floats(-3.1, 3.1))
def test_a_small_square_is_drawn_where_the_camera_projects_it(lens, u, v, depth, yaw):
    """Middle between the outermost drawn pixels against `Camera.project`, at most half a pixel apart."""
    camera = looking(yaw=yaw, lens=lens)
    ray = camera.unproject(np.array([[u, v]]))
    corners = ray * depth + np.array([[1, 1, 0], [-1, 1, 0], [-1, -1, 0], [1, -1, 0]]) * (1.5 * depth / camera.fx)
    square = transform_points(camera.ego_from_camera, corners[::-1])
    rows, columns = np.nonzero(draw(triangles(square, [(0, 1, 2), (0, 2, 3)], [7, 7]), camera).instance == 7)
    ((expected_u, expected_v),), _, _ = camera.project(ray * depth)
    assert abs((columns.min() + columns.max() + 1) / 2 - expected_u) <= 0.5 + 1e-6
    assert abs((rows.min() + rows.max() + 1) / 2 - expected_v) <= 0.5 + 1e-6


@each_lens
@given(seed=st.integers(0, 1000))
def test_a_wall_of_triangles_has_no_holes(lens, seed):
    """Random triangles that share vertices and fill the view, seen at a slant."""
    rng = np.random.default_rng(seed)
    points = np.concatenate([rng.uniform(-1, 1, (150, 2)), [[-1, -1], [1, -1], [1, 1], [-1, 1]]]) * [60, 40]
    slant = rng.uniform(-0.4, 0.4, 2)
    wall = np.stack([8 + points @ slant * [0.1], points[:, 0], points[:, 1]], axis=1)
    rows = Delaunay(points).simplices
    corners = wall[rows]
    towards = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 0] > 0
    rows = np.where(towards[:, None], rows[:, ::-1], rows)
    camera = looking(lens=lens, width=160, height=90, focal=90.0)
    view = draw(triangles(wall, rows, np.arange(1, len(rows) + 1)), camera)
    np.testing.assert_array_equal(view.instance > 0, seeing(camera))


@each_lens
@pytest.mark.parametrize("radius", [0.6, 30.0])
def test_inside_a_closed_surface_there_is_no_way_out(lens, radius):
    """Every triangle that crosses the near plane, the sides or the corners of the view is clipped without a gap."""
    sphere = trimesh.creation.icosphere(subdivisions=2, radius=radius)
    inside_out = triangles(np.array(sphere.vertices), sphere.faces[:, ::-1], np.arange(1, len(sphere.faces) + 1))
    for yaw in np.linspace(0, 2 * np.pi, 7):
        camera = looking(yaw, (0.0, 0.01, 0.02), lens, focal=130.0)
        view = draw(inside_out, camera)
        np.testing.assert_array_equal(view.instance > 0, seeing(camera))
        assert (view.depth[seeing(camera)] <= radius + 0.02).all()


def test_triangles_have_one_side():
    square = facing_square((10.0, 0.0, 1.5), 1.0)
    back = replace(square, triangles=square.triangles[:, ::-1].copy())
    assert draw(square, looking()).instance.any()
    assert not draw(back, looking()).instance.any()


def test_from_within_a_box_one_looks_out():
    ahead = facing_square((10.0, 0.0, 1.5), 1.0, instance=5)
    view = draw(joined(box((0, 0, 1.5), (4, 2, 2), 9), ahead), looking())
    assert set(np.unique(view.instance)) == {0, 5}


@pytest.mark.parametrize("limit", [20.0, 55.0, np.inf])
def test_nothing_beyond_the_depth_limit_is_in_any_output(limit):
    everything = draw(random_scene(1), looking(), flat_style())
    view = draw(random_scene(1), looking(), flat_style(limit))
    beyond = everything.depth > limit
    assert (view.instance[beyond] == 0).all()
    assert (view.semantic[beyond] == 0).all()
    assert np.isinf(view.depth[beyond]).all()
    assert (view.rgb[beyond] == 0).all()
    np.testing.assert_array_equal(view.instance[~beyond], everything.instance[~beyond])


def test_an_infinite_limit_means_no_fading():
    view = draw(facing_square((5000.0, 0.0, 1.5), 100.0), looking(), flat_style())
    assert (view.rgb[90, 160] == Style.rap().palette[Semantic.CROSSING, 0]).all()
    assert view.depth[90, 160] == pytest.approx(5000.0)


@pytest.mark.parametrize("background", [(0, 0, 0), (10, 20, 30), (255, 255, 255)])
def test_nothing_is_background(background):
    nothing = triangles(np.zeros((0, 3)), np.zeros((0, 3)), [])
    view = draw(nothing, looking(), flat_style(background=background))
    assert (view.rgb == background).all()
    assert np.isinf(view.depth).all()
    assert not view.semantic.any()
    assert not view.instance.any()


def test_views_come_by_pose_then_camera_and_each_is_drawn_on_its_own():
    primitives = random_scene(2)
    cameras = [looking(0.0), looking(2.0, lens=LENSES["brown"], width=200, height=210), looking(4.0, width=90)]
    poses = pose_from_yaw(np.array([[0.0, 0, 0], [3, 4, 0.2]]), np.array([0.3, 2.0]))
    views = render(primitives, cameras, poses, outputs=ALL)
    for pose, row in zip(poses, views, strict=True):
        for camera, view in zip(cameras, row, strict=True):
            assert view.camera is camera
            np.testing.assert_array_equal(view.world_from_ego, pose)
            assert_same(view, render(primitives, [camera], pose[None], outputs=ALL)[0][0])


def test_only_what_was_asked_for_is_there():
    view = render(random_scene(0), [looking()], HERE, outputs=("depth", "semantic"))[0][0]
    assert view.rgb is None
    assert view.instance is None
    full = draw(random_scene(0), looking())
    np.testing.assert_array_equal(view.depth, full.depth)
    np.testing.assert_array_equal(view.semantic, full.semantic)


def test_views_can_be_drawn_over():
    """No trace of the earlier image is left, and the memory is the same."""
    cameras = [looking(0.0), looking(2.0)]
    old = render(random_scene(0), cameras, HERE, outputs=ALL)
    new = render(random_scene(1), cameras, HERE, outputs=ALL, out=old)
    for before, after, fresh in zip(
        old[0], new[0], render(random_scene(1), cameras, HERE, outputs=ALL)[0], strict=True
    ):
        assert_same(after, fresh)
        assert after.rgb is before.rgb


def test_views_that_do_not_fit_are_not_drawn_over():
    old = render(random_scene(0), [looking()], HERE, outputs=("rgb",))
    for kwargs in (
        {"outputs": ("depth",)},
        {"cameras": [looking(width=100)]},
        {"world_from_ego": np.eye(4)[None][[0, 0]]},
    ):
        arguments = {"cameras": [looking()], "world_from_ego": HERE, "outputs": ("rgb",)} | kwargs
        with pytest.raises(SwerveError, match="out"):
            render(random_scene(0), out=old, **arguments)


def test_threads_draw_the_same():
    primitives = random_scene(4)
    cameras = [looking(yaw) for yaw in np.linspace(0, 6, 12)]
    with ThreadPoolExecutor(4) as pool:
        for camera, view in zip(cameras, pool.map(lambda camera: draw(primitives, camera), cameras), strict=True):
            assert_same(view, draw(primitives, camera))


def test_more_spans_than_expected_are_drawn_too(monkeypatch):
    expected = draw(random_scene(0), looking())
    monkeypatch.setattr(numba_renderer, "_FIRST_SPANS", 3)
    assert_same(draw(random_scene(0), looking()), expected)


@each_lens
def test_rays_of_the_table_are_the_cameras(lens):
    camera = looking(lens=lens, width=333, height=187)
    if lens == Lens():
        assert lens_table(camera).rays_x.size == 0
        return
    u, v = np.meshgrid(np.arange(333) + 0.5, np.arange(187) + 0.5)
    rays = camera.unproject(np.stack([u.ravel(), v.ravel()], axis=1)).reshape(187, 333, 3)
    table = lens_table(camera)
    np.testing.assert_allclose(table.rays_x, rays[..., 0], atol=2e-7)
    np.testing.assert_allclose(table.rays_y, rays[..., 1], atol=2e-7)


@pytest.mark.parametrize("outputs", [("rgb", "normals"), (), ("RGB",)])
def test_unknown_outputs_are_an_error(outputs):
    with pytest.raises(SwerveError, match="rgb, depth, semantic, instance"):
        render(tiled_ground(), [looking()], HERE, outputs=outputs)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("vertices", np.full((4, 3), np.nan), "not finite"),
        ("triangles", np.array([[0, 1, 4], [0, 2, 3]], np.int32), "vertex outside"),
        ("triangles", np.array([[0, 1, -1], [0, 2, 3]], np.int32), "vertex outside"),
        ("semantics", np.array([1, 200], np.uint8), "unknown"),
        ("faces", np.array([1, 9], np.uint8), "unknown"),
        ("instances", np.array([1], np.int32), "as many as triangles"),
        ("chunk_starts", np.array([0, 1], np.int32), "chunk_starts"),
        ("chunk_radii", np.ones(5), "one per chunk"),
    ],
)
def test_primitives_that_would_read_foreign_memory_are_an_error(field, value, message):
    square = facing_square((10.0, 0.0, 1.5), 1.0)
    object.__setattr__(square, field, value)
    with pytest.raises(SwerveError, match=message):
        render(square, [looking()], HERE)


def test_a_pose_that_is_not_a_number_is_an_error():
    with pytest.raises(SwerveError, match="pose 1"):
        render(tiled_ground(), [looking()], np.stack([np.eye(4), np.full((4, 4), np.nan)]))


def test_styles_tell_classes_apart():
    """Every class but the black surfaces of RAP's look has a colour of its own, seen from the front."""
    palette = Style.rap().palette[:, Face.FRONT].astype(int)
    colors = palette[palette.any(axis=1)]
    apart = np.abs(colors[:, None] - colors).max(axis=2)
    assert len(colors) == len(Semantic) - 5
    assert apart[~np.eye(len(colors), dtype=bool)].min() >= 30
    tinted = Style.surfaces().palette
    assert all(tinted[semantic].any() for semantic in Semantic if semantic != Semantic.NOTHING)


@pytest.mark.parametrize(
    ("background", "shape", "limit"),
    [((0, 0, 300), (23, 7, 3), 1.0), ((0, 0, 0), (3, 7, 3), 1.0), ((0, 0, 0), (23, 7, 3), 0.0)],
)
def test_impossible_styles_are_an_error(background, shape, limit):
    with pytest.raises(ValueError, match=r"background|palette|limit"):
        Style(background, np.zeros(shape, np.uint8), limit)


@pytest.mark.parametrize("samples", [2, 3])
def test_smoothed_colours_are_means_of_a_finer_image(samples):
    log = simple_log()
    primitives = build_static(log.road_map).concatenate(build_dynamic(log.tracks, log.lights, 10))
    pose = log.ego.world_from_ego[10:11]
    cameras = [camera.resized(161, 90) for camera in log.cameras]
    every = ("rgb", "depth", "semantic", "instance")
    smooth = render(primitives, cameras, pose, Style.surfaces(supersampling=samples), every)[0]
    plain = render(primitives, cameras, pose, Style.surfaces(), every)[0]
    finer = [camera.resized(samples * camera.width, samples * camera.height) for camera in cameras]
    fine = render(primitives, finer, pose, Style.surfaces())[0]
    for view, same, large in zip(smooth, plain, fine, strict=True):
        mean = large.rgb.reshape(90, samples, 161, samples, 3).mean(axis=(1, 3))
        assert np.abs(view.rgb - mean).max() <= 0.5
        for name in every[1:]:
            np.testing.assert_array_equal(getattr(view, name), getattr(same, name))


def test_far_lines_stay_whole_when_smoothed():
    """Point by point, a line thinner than a pixel breaks into dots; smoothed, it is there in every row."""
    log = simple_log()
    edge = replace(
        log.road_map, road_lines=(), crosswalks=(), stop_lines=(), walkways=(), road_edges=log.road_map.road_edges[:1]
    )
    primitives, camera = build_static(edge), log.cameras[0].resized(320, 180)
    holes = {}
    for samples in (1, 4):
        rgb = render(primitives, [camera], log.ego.world_from_ego[:1], Style.rap(supersampling=samples))[0][0].rgb
        lit = rgb.any(axis=2).any(axis=0)[180:300]
        holes[samples] = int((~lit[np.flatnonzero(lit)[0] :]).sum())
    assert holes[1] > 5
    assert holes[4] == 0


def test_threads_draw_the_same_images():
    scene = facing_square((9.0, 0.0, 2.0), 1.5, 2).concatenate(box((14, -3, 1), (4, 2, 2), 5))
    cameras = [looking(yaw=0.2 * k, width=64 + 16 * k, height=48) for k in range(3)]
    poses = np.stack([np.eye(4), pose_from_yaw(np.array([1.0, 0.5, 0.0]), 0.1)])
    outputs = ("rgb", "depth", "instance")
    alone, shared = (render(scene, cameras, poses, outputs=outputs, threads=threads) for threads in (1, 4))
    for one, other in zip(chain.from_iterable(alone), chain.from_iterable(shared), strict=True):
        for name in outputs:
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
