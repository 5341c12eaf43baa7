"""One test per fault of the original's renderer that a rasterizer can have, named after it.

The original is RAP's released renderer: OpenCV lines and filled faces on a black canvas, in painter's order.
"""

import numpy as np
import pytest

from swerve.rasterizer import Style, render
from swerve.scenes import FORWARD, Area, Camera, GroundHeight, LightState, RoadMap, TrafficLights
from swerve.scenes.primitives import FIRST_SIGNAL_INSTANCE, Face, Semantic, build_static, cuboids, signal_cuboids
from swerve.scenes.transforms import inverse, pose_from_yaw, rigid_transform, rotation_about_z, transform_points
from tests.support.drawn_scenes import (
    LENSES,
    NUPLAN_LENS,
    away_from_edges,
    box,
    cast,
    facing_square,
    flat_style,
    joined,
    looking,
    polygon,
    tiled_ground,
)

ALL = ("rgb", "depth", "semantic", "instance")


def draw(primitives, camera, style=None, pose=np.eye(4)):  # noqa: B008
    return render(primitives, [camera], pose[None], style or flat_style(), ALL)[0][0]


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())
@pytest.mark.parametrize("distance", [0.3, 1.0, 2.5])
def test_r1_a_box_with_few_visible_corners_is_drawn(lens, distance):
    """The original skipped a box with fewer than 4 of its 8 corners in front and in the image: most that were near."""
    truck = box((distance + 1.3, 0.0, 1.5), (2.6, 14.0, 3.2), 5)
    camera = looking(lens=lens)
    corners = transform_points(inverse(camera.ego_from_camera), truck.vertices)
    assert camera.project(corners)[2].sum() < 4
    view = draw(truck, camera)
    triangle, _ = cast(truck, camera)
    assert (triangle >= 0).mean() > 0.2
    away = away_from_edges(triangle)
    np.testing.assert_array_equal((view.instance == 5)[away], (triangle >= 0)[away])


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())
def test_r2_one_camera_draws_and_projects(lens):
    """The original drew with a camera moved by (-2, 0, 0.8) m and projected with one that was not."""
    mounting = rigid_transform(rotation_about_z(0.4) @ FORWARD, np.array([1.7, 0.3, 1.6]))
    camera = Camera("front_left", 960, 560, 772.0, 772.0, 480.0, 280.0, mounting, lens)
    pose = pose_from_yaw(np.array([100.0, -40.0, 3.0]), np.array(2.1))
    mark = transform_points(pose @ mounting, np.array([[-2.0, 0.5, 10.0]]))[0]
    view = draw(box(mark, (0.1, 0.1, 0.1), 1), camera, pose=pose)
    rows, columns = np.nonzero(view.instance == 1)
    pixels, _, visible = camera.project_world(mark[None], pose)
    assert visible[0]
    assert np.hypot(columns.mean() + 0.5 - pixels[0, 0], rows.mean() + 0.5 - pixels[0, 1]) <= 0.5


def test_r3_a_crop_moves_the_principal_point():
    """The original cut 20 rows off the top and left the principal point where it was."""
    scene = joined(box((9.0, 1.0, 1.0), (4, 2, 2), 3, heading=0.7), tiled_ground())
    for lens in LENSES.values():
        whole = draw(scene, looking(lens=lens))
        window = draw(scene, looking(lens=lens).cropped(30, 20, 200, 140))
        # Chords of 1/16 pixel may differ where the two images cut an edge in different places.
        assert (window.instance == whole.instance[20:160, 30:230]).mean() > 0.999


def test_r4_the_lens_bends_what_is_drawn():
    """The original drew its 1920x1120 images without the lens: off by 103 pixels at (1900, 560)."""
    camera = Camera("front", 1920, 1120, 1545.0, 1545.0, 960.0, 560.0, looking().ego_from_camera, NUPLAN_LENS)
    seen = camera.unproject(np.array([[1899.5, 560.5]]))
    (straight,), _, _ = camera.undistorted().project(seen)
    assert straight[0] - 1899.5 > 95
    mark = transform_points(camera.ego_from_camera, 20 * seen)[0]
    rows, columns = np.nonzero(draw(box(mark, (0.06, 0.06, 0.06), 1), camera).instance == 1)
    assert abs(columns.mean() + 0.5 - 1899.5) <= 0.5
    assert abs(rows.mean() + 0.5 - 560.5) <= 0.5


def test_r5_depth_decides_for_each_pixel():
    """The original painted whole faces by their mean depth, so a long near one was covered by what stood behind it."""
    wall = polygon([(5, 2, 0), (55, 6, 0), (55, 6, 3), (5, 2, 3)], 1)
    behind = facing_square((20.0, 5.0, 1.5), 0.5, 2)
    camera = looking()
    assert behind.vertices[:, 0].mean() < wall.vertices[:, 0].mean()
    assert (draw(behind, camera).instance == 2).any()
    assert not (draw(joined(wall, behind), camera).instance == 2).any()


def test_r5_things_that_pass_through_each_other_are_cut_where_they_meet():
    """The original's painter's order shows one of two such faces whole."""
    left = polygon([(10, 2, 0), (20, -2, 0), (20, -2, 3), (10, 2, 3)], 1)
    right = polygon([(20, 2, 0), (10, -2, 0), (10, -2, 3), (20, 2, 3)], 2)
    view = draw(joined(left, right), looking())
    # The faces meet at y = 0; each is nearer on the side where it begins at x = 10.
    row = view.instance[90]
    covered = np.flatnonzero(row)
    assert covered[0] < 150
    assert covered[-1] > 170
    assert (row[covered[covered < 160]] == 1).all()
    assert (row[covered[covered >= 160]] == 2).all()


def test_r6_a_polygon_that_reaches_behind_the_camera_is_clipped():
    """The original dropped the corners behind the camera: the rest had an IoU of 0.21 with the truth."""
    camera = looking(width=321, height=181)
    view = draw(polygon([(10, -10, 0), (10, 10, 0), (-10, 10, 0), (-10, -10, 0)], 1), camera)
    u, v = np.meshgrid(np.arange(321) + 0.5 - camera.cx, np.arange(181) + 0.5 - camera.cy)
    below = v > 0
    depth = np.where(below, 1.5 * camera.fy / np.where(below, v, 1.0), 1e9)
    expected = below & (depth <= 10) & (np.abs(u) * depth <= 10 * camera.fx)
    np.testing.assert_array_equal(view.instance == 1, expected)
    np.testing.assert_allclose(view.depth[expected], depth[expected], rtol=1e-5)


def test_polygons_behind_the_camera_are_not_drawn():
    """Projected without clipping they would appear in front, upside down."""
    view = draw(joined(box((-8, 0, 1), (3, 2, 2), 1), facing_square((-3.0, 0.0, 1.5), 1.0, 2)), looking())
    assert not view.instance.any()


def test_r7_a_surface_fades_within_itself():
    """The original gave a crossing one shade, that of the mean depth of its corners."""
    view = draw(polygon([(3, -3, 0), (80, -3, 0), (80, 3, 0), (3, 3, 0)], 1), looking(), Style.rap())
    seen = view.instance == 1
    expected = Style.rap().palette[Semantic.CROSSING, 0] * (1 - view.depth[seen] / 120)[:, None]
    assert np.ptp(view.depth[seen]) > 50
    assert np.abs(view.rgb[seen] - expected).max() <= 0.6


def test_r7_a_crossing_that_is_not_convex_keeps_its_notch():
    """The original filled it with a routine for convex polygons."""
    outline = np.array([(5, -4, 0), (20, -4, 0), (20, 4, 0), (5, 4, 0), (12, 0, 0)], float)
    flat = GroundHeight(np.zeros((2, 2), np.float32), np.array([-50.0, -50.0]), 100.0)
    crossing = build_static(RoadMap(lanes=(), ground=flat, crosswalks=(Area("c", outline),)))
    camera = looking()
    pixels, _, _ = camera.project_world(np.array([[9.0, 0, 0], [15.0, 0, 0], [9.0, 2.9, 0]]), np.eye(4))
    in_notch, beyond, beside = draw(crossing, camera).semantic[tuple(pixels.astype(int).T[::-1])]
    assert (in_notch, beyond, beside) == (Semantic.NOTHING, Semantic.CROSSING, Semantic.CROSSING)


def test_r8_a_long_line_fades_along_its_length():
    """The original gave a segment one shade, however long."""
    line = polygon([(4, 0.3, 0), (4, -0.3, 0), (110, -0.3, 0), (110, 0.3, 0)], 1, Semantic.LINE_WHITE)
    view = draw(line, looking(), Style.rap())
    column = np.flatnonzero(view.instance[:, 160] == 1)
    shade = view.rgb[column, 160, 2].astype(int)
    assert (np.diff(shade) >= 0).all()
    assert shade[0] < 0.3 * 249
    assert shade[-1] > 0.9 * 249


def signals(x, y, heading, state=LightState.RED):
    return signal_cuboids(
        TrafficLights(("s",), np.array([[x, y, 4.0]]), np.array([heading]), np.array([[state]], np.uint8)), 0
    )


def test_r9_signals_are_hidden_by_what_stands_before_them():
    """The original drew signals first and without depth, so that things farther away covered them too."""
    camera, signal = looking(), signals(40.0, 0.0, np.pi)
    near, far = box((20, 0, 3), (4, 3, 6), 1), box((60, 0, 3), (4, 12, 12), 2)
    assert (draw(joined(signal, far), camera).instance == FIRST_SIGNAL_INSTANCE).any()
    assert not (draw(joined(signal, near), camera).instance == FIRST_SIGNAL_INSTANCE).any()


def test_r9_signals_fade():
    """The original's signals were as bright at 119 m as at 5 m."""
    for x in (20.0, 60.0, 110.0):
        view = draw(signals(x, 0.0, np.pi), looking(focal=600.0), Style.rap())
        front = view.rgb[view.instance == FIRST_SIGNAL_INSTANCE][:, 0].max()
        assert front == pytest.approx(255 * (1 - (x - 0.175) / 120), abs=1)


def test_r9_signals_face_the_traffic_that_they_rule():
    """The original aligned them with the world's axes."""
    wide = [
        np.ptp(np.nonzero(draw(signals(15.0, 0.0, heading), looking(focal=600.0)).instance)[1])
        for heading in (np.pi, np.pi / 2)
    ]
    assert wide[0] > 1.3 * wide[1]
    assert len({tuple(Style.rap().palette[s, Face.FRONT]) for s in range(12, 16)}) == 4


def test_r10_classes_have_colours_of_their_own():
    """The original drew pedestrians, cyclists, cones, barriers and signs in the colours of cars."""
    kinds = [Semantic(kind) for kind in range(Semantic.GENERIC, Semantic.SIGN + 1)]
    for heading in (0.0, np.pi):
        views = [draw(box((8, 0, 1.5), (1, 1, 1), 1, heading, kind), looking()) for kind in kinds]
        assert [view.semantic[90, 160] for view in views] == kinds
        assert len({tuple(view.rgb[90, 160]) for view in views}) == len(kinds)


def test_r11_what_lies_beyond_the_limit_blackens_nothing():
    """The original drew a box at more than 120 m pure black over what was behind it."""
    far = box((150, 0, 5), (10, 30, 20), 1)
    view = draw(far, looking(), flat_style(120.0, background=(60, 70, 80)))
    assert (view.rgb == (60, 70, 80)).all()
    assert not view.instance.any()


def test_r11_what_crosses_the_limit_fades_into_the_background():
    """The original gave the whole face one shade; ours ends where the fade does."""
    wall = polygon([(60, 4, 0), (180, 4, 0), (180, 4, 30), (60, 4, 30)], 1)
    view = draw(wall, looking(), flat_style(120.0, background=(60, 70, 80)))
    seen = view.instance == 1
    assert view.depth[seen].max() == pytest.approx(120, abs=6)
    expected = 60 + (206 - 60) * (1 - view.depth[seen] / 120)
    assert np.abs(view.rgb[seen][:, 0] - expected).max() <= 0.6
    assert (view.rgb[~seen] == (60, 70, 80)).all()


def test_r12_long_lines_with_few_corners_are_not_culled():
    """The original skipped a line whose nearest corner was beyond 120 m, though it passed the car."""
    line = polygon([(-500, 2.3, 0), (-500, 2.0, 0), (500, 2.0, 0), (500, 2.3, 0)], 1, Semantic.LINE_WHITE)
    view = draw(line, looking(), Style.rap())
    assert (view.instance == 1).sum() > 100
    assert view.depth.min() < 8


@pytest.mark.parametrize("edge", [100.4, 100.6, 101.4])
def test_r14_edges_are_not_rounded_to_whole_pixels(edge):
    """The original truncated the corners of boxes to whole pixels: half a pixel off on average."""
    camera = looking()
    x = (edge - camera.cx) / camera.fx * 10
    square = polygon([(10, -x, 0.5), (10, -3, 0.5), (10, -3, 2.5), (10, -x, 2.5)], 1)
    assert np.flatnonzero(draw(square, camera).instance[90])[0] == np.ceil(edge - 0.5)


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())
def test_r15_the_last_row_and_column_are_drawn(lens):
    """The original clipped lines to one pixel less than the image."""
    view = draw(facing_square((5.0, 0.0, 1.5), 50.0), looking(lens=lens))
    assert (view.instance == 1).all()


def test_overlapping_agents_keep_their_own_instances():
    """Two boxes that share space: each pixel belongs to the one whose surface is nearer (by the ray caster)."""
    pair = cuboids(
        np.array([[10.0, 0.3, 1], [11.0, -0.3, 1]]),
        np.array([0.3, -0.5]),
        np.array([[4.0, 2, 1.5], [4.5, 1.9, 1.9]]),
        np.array([Semantic.VEHICLE] * 2, np.uint8),
        np.array([1, 2], np.int32),
    )
    view = draw(pair, looking())
    triangle, _ = cast(pair, looking())
    instance = np.where(triangle >= 0, pair.instances[triangle], 0)
    away = away_from_edges(instance)
    np.testing.assert_array_equal(view.instance[away], instance[away])
    assert {1, 2} <= set(np.unique(instance))
