"""Pictures of 3D views show what is where, in its colour, and hide what is behind."""

from dataclasses import replace

import numpy as np
import pytest

from swerve.scenes import Tracks
from swerve.viz.picture_parts import camera_strip, curve_strip
from swerve.viz.scene_picture import Eye, draw_scene, scene_picture
from swerve.viz.scene_view import AGENT_COLORS, EGO_COLOR, Curve, moving_paths, track_facts
from swerve.viz.solids import box_corners, boxes, frustum_edges, outline, ribbon_to
from tests.support.small_view import ROAD, STEPS, small_tracks, small_view

BEHIND = Eye((-12.0, 0.0, 6.0), (10.0, 0.0, 0.0))
SIZE = (240, 160)


def close_to(image, color, tolerance=0.12):
    """Return how many pixels are of a color's hue: a share of it, apart from shading and fog."""
    color = np.array(color, float) / np.linalg.norm(color)
    pixels = image.reshape(-1, 3).astype(float)
    bright = np.linalg.norm(pixels, axis=1)
    cosine = pixels @ color / np.maximum(bright, 1.0)
    return int(((1 - cosine < tolerance**2) & (bright > 40)).sum())


def test_the_parts_of_a_scene_are_seen():
    alone = small_view(tracks=Tracks.empty(STEPS), paths=(), markers=(), cameras=(), points=None)
    empty, whole = draw_scene(alone, 1, SIZE, BEHIND), draw_scene(small_view(), 1, SIZE, BEHIND)
    assert close_to(empty, ROAD) > 2000
    for color in ((92, 214, 163), (200, 1, 1)):
        assert close_to(whole, color, 0.05) > 5 > close_to(empty, color, 0.05)
    assert (whole != empty).any(axis=2).sum() > 300


def test_lines_appear_at_their_steps():
    dark = small_view(paths=(replace(small_view().paths[1], color=(250, 250, 0)),))
    shown = [close_to(draw_scene(dark, step, SIZE, BEHIND), (250, 250, 0), 0.05) > 5 for step in range(STEPS)]
    assert shown == [False, False, False, True, True]


def test_what_is_behind_is_hidden():
    """A point behind the car, on the line from the eye through it, is not drawn; beside it, it is."""
    view = small_view(paths=(), markers=(), cameras=(), meshes=())
    eye, car = np.array([-12.0, 0.0, 6.0]), small_tracks().positions[0, 0]
    cloud = np.array([car + 0.3 * (car - eye), car + 0.3 * (car - eye) + [0, 6, 0]], np.float32)
    without = draw_scene(replace(view, points=None), 0, (480, 320), BEHIND)
    hidden, beside = (
        draw_scene(replace(view, points=lambda _, p=point[None]: p), 0, (480, 320), BEHIND) for point in cloud
    )
    assert (hidden == without).all()
    assert (beside != without).any()


def test_the_whole_picture_has_its_strips():
    picture = scene_picture(small_view(), size=(420, 300))
    assert picture.shape[1] == 420
    assert picture.shape[0] > 300 + 150
    later = scene_picture(small_view(), 2, (420, 300))
    assert (picture != later).any()
    assert close_to(picture, EGO_COLOR) > 50


def test_the_eye_looks_at_its_target():
    pose = small_view().world_from_ego[3]
    world_from_camera = BEHIND.world_from_camera(pose)
    rotation = world_from_camera[:3, :3]
    np.testing.assert_allclose(rotation.T @ rotation, np.eye(3), atol=1e-12)
    assert np.linalg.det(rotation) == pytest.approx(1.0)
    ahead = rotation.T @ (pose[:3, 3] + [10.0, 0, 0] - world_from_camera[:3, 3])
    assert ahead[:2] == pytest.approx([0.0, 0.0], abs=1e-9)
    assert ahead[2] > 0
    assert rotation[2, 1] < 0, "down in the image is down in the world"


def test_steps_must_agree():
    with pytest.raises(ValueError, match="must have its 5 steps"):
        small_view(curves=(Curve("short", np.zeros(2)),))
    with pytest.raises(ValueError, match=r"start 9 must lie in 0\.\.4"):
        small_view(start=9)


def test_facts_and_paths_of_tracks():
    facts = track_facts(small_view(track_facts={"car": {"note": "x"}}), 0, 1)
    assert facts == {
        "track": "car", "class": "vehicle", "speed": "20.0 m/s", "size": "4.6 x 1.9 x 1.8 m",
        "distance from the ego": "27.0 m", "note": "x",
    }  # fmt: skip
    ((row, feet),) = moving_paths(small_tracks())
    assert row == 0
    np.testing.assert_allclose(feet[:, 2], 0.0, atol=1e-12)


def test_boxes_are_closed_and_face_outwards():
    center, size = np.array([[3.0, -2.0, 1.0]]), np.array([[4.0, 2.0, 1.5]])
    corners, colors = boxes(center, np.array([0.7]), size, np.array([AGENT_COLORS[1]], np.uint8))
    assert corners.shape == (12, 3, 3)
    assert colors.shape == (12, 3)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    assert (np.einsum("fi,fi->f", normals, corners.mean(axis=1) - center[0]) > 0).all()
    volume = np.einsum("fi,fi->", corners[:, 0], np.cross(corners[:, 1], corners[:, 2])) / 6
    assert volume == pytest.approx(12.0)
    ahead = corners[:2].mean(axis=(0, 1)) - center[0]
    assert ahead == pytest.approx([2 * np.cos(0.7), 2 * np.sin(0.7), 0.0])
    assert box_corners(center, np.array([0.0]), size)[0, 7] == pytest.approx([5.0, -1.0, 1.75])


def test_ribbons_face_the_eye_and_keep_a_least_width():
    points, eye = np.array([[10.0, -1, 0], [10.0, 1, 0]]), np.array([0.0, 0.0, 0.0])
    near, far = ribbon_to(points, 0.2, eye), ribbon_to(points, 0.2, eye, 0.1)
    assert np.ptp(near[..., 2]) == pytest.approx(0.2)
    assert np.ptp(far[..., 2]) > 0.9
    assert not len(ribbon_to(np.zeros((3, 3)), 0.2, eye))


def test_outlines_and_frusta():
    line = outline(np.array([1.0, 2.0, 0.0]), np.pi / 2, np.array([4.0, 2.0, 0.3]))
    np.testing.assert_allclose(line[0], line[-1])
    assert line[:, 1].max() == pytest.approx(4.0)
    assert np.ptp(line[:, 0]) == pytest.approx(2.0)
    view = small_view()
    edges = frustum_edges(view.cameras[0].camera, view.world_from_ego[2], 2.0)
    assert edges.shape == (8, 2, 3)
    assert edges[:4, 0] == pytest.approx(np.tile([3.5, 0.0, 1.5], (4, 1)))
    assert edges[:4, 1, 0] == pytest.approx(5.5)


def test_strips_fit_their_width():
    images = [(str(number), np.zeros((20, 40, 3), np.uint8)) for number in range(8)] + [("none", None)]
    rows = camera_strip(images, 1280)
    assert [row.shape[1] for row in rows] == [1280, 1280]
    assert camera_strip([("none", None)], 300) == []
    assert curve_strip(np.arange(3.0), (), 0, 300) == []
    (chart,) = curve_strip(np.arange(3.0), [Curve("flat", np.ones(3)), Curve("none", np.full(3, np.nan))], 1, 800)
    assert chart.shape == (150, 800, 3)


def test_a_moment_is_a_time_or_a_count():
    view = small_view()
    assert view.moment(1) == f"{view.times[1]:.1f} of {view.times[-1]:.1f} s"
    assert replace(view, unit="samples").moment(1) == f"2 of {STEPS} samples"
