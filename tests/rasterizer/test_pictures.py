"""Pictures for people: things are drawn where they are."""

import base64
import io
from dataclasses import replace

import numpy as np
from PIL import Image

from swerve.rasterizer import Style, render
from swerve.scenes.primitives import Semantic, agent_cuboids, build_static
from swerve.scenes.transforms import pose_from_yaw
from swerve.viz.birds_eye import BirdsEye
from swerve.viz.html_page import data_url, html_page
from swerve.viz.overlay import blend, draw_boxes
from tests.support.simple_log import simple_log


def test_a_bird_s_eye_view_puts_metres_at_their_pixels():
    log = simple_log(slope=0.03)
    picture = BirdsEye(np.array([100.0, 0.0]), 0.0, 20.0, 400)
    picture.primitives(build_static(log.road_map), Style.surfaces())
    image = picture.picture()
    palette = Style.surfaces().palette
    # 10 px a metre, +x up, +y left: the walkway lies 7 to 10 m to the left, the road edge at -10 m, then nothing.
    assert image[200, 200 - 85].tolist() == palette[Semantic.WALKWAY, 0].tolist()
    assert image[200, 200 + 20].tolist() == palette[Semantic.ROAD, 0].tolist()
    assert image[200, 200 + 150].tolist() == [0, 0, 0]
    assert np.abs(image[:, 200 + 70].astype(int) - palette[Semantic.LINE_WHITE, 0]).max() < 100


def test_a_bird_s_eye_view_turns_with_its_heading():
    picture = BirdsEye(np.array([5.0, 5.0]), np.pi / 2, 10.0, 200)
    picture.vehicle(pose_from_yaw(np.array([5.0, 10.0, 0.0]), np.pi / 2), simple_log().vehicle, (255, 0, 0))
    image = picture.picture()
    rows, columns = np.nonzero(image[..., 0] > 200)
    # The rear axle is 5 m up the picture; the body reaches 4.05 m ahead of it and 1.13 m behind.
    np.testing.assert_allclose([rows.min(), rows.max()], [100 - 90.5, 100 - 38.7], atol=2.5)
    np.testing.assert_allclose(columns.mean(), 99.5, atol=1)


def test_boxes_are_drawn_through_the_camera():
    log = simple_log()
    camera, pose = log.cameras[0], log.ego.world_from_ego[0]
    image = np.zeros((camera.height, camera.width, 3), np.uint8)
    drawn = draw_boxes(image, camera, pose, log.tracks, 0, Style.rap())
    boxes = agent_cuboids(log.tracks, 0)
    pixels, _, visible = camera.project_world(boxes.vertices[:8], pose)
    assert visible.all()
    for u, v in np.floor(pixels).astype(int):
        assert drawn[v - 2 : v + 3, u - 2 : u + 3].any()
    low, high = np.floor(pixels.min(0)).astype(int), np.ceil(pixels.max(0)).astype(int)
    only_first = draw_boxes(image, camera, pose, log.tracks.select_tracks(np.array([0])), 0, Style.rap())
    rows, columns = np.nonzero(only_first.any(axis=2))
    assert columns.min() >= low[0] - 2
    assert columns.max() <= high[0] + 2
    assert rows.min() >= low[1] - 2
    assert rows.max() <= high[1] + 2


def test_boxes_are_drawn_as_far_as_rasters_show_them():
    log = simple_log()
    camera, pose, style = log.cameras[0], log.ego.world_from_ego[0], Style.rap()
    image = np.zeros((camera.height, camera.width, 3), np.uint8)
    ahead = pose @ camera.ego_from_camera
    for depth, shown in ((110.0, True), (style.depth_limit + 10, False)):
        tracks = log.tracks.select_tracks(np.array([0])).at(slice(0, 1))
        away = ahead[:3, 3] + depth * ahead[:3, 2]
        moved = replace(tracks, positions=away[None, None], valid=np.ones((1, 1), bool))
        raster = render(agent_cuboids(moved, 0), [camera], pose[None], style, ("rgb",))[0][0].rgb
        assert raster.any() == shown
        assert draw_boxes(image, camera, pose, moved, 0, style).any() == shown


def test_blending_leaves_the_photo_where_nothing_is_drawn():
    photo = np.full((2, 2, 3), 100, np.uint8)
    raster = np.zeros((2, 2, 3), np.uint8)
    raster[0, 0] = 200
    assert blend(photo, raster, 0.5)[..., 0].tolist() == [[150, 100], [100, 100]]


def test_world_points_lie_at_their_pixels():
    picture = BirdsEye(np.array([5.0, 5.0]), np.pi / 2, 10.0, 200)
    # 10 px a metre; up is +y, so right is +x.
    points = picture.pixels(np.array([[5.0, 5.0], [7.0, 5.0], [5.0, 14.0]]))
    np.testing.assert_allclose(points, [[100, 100], [120, 100], [100, 10]], atol=1e-9)


def test_a_page_is_whole_and_escapes_its_title():
    page = html_page("<a & b>", "<p>body</p>", ".x { color: red }", "alert(1)")
    assert page.startswith("<!doctype html>")
    assert "<title>&lt;a &amp; b&gt;</title>" in page
    assert page.index("<p>body</p>") < page.index("<script>alert(1)</script>")


def test_pictures_are_embedded_as_what_is_smaller():
    flat = np.full((40, 60, 3), 90, np.uint8)
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    for image, kind in ((flat, "png"), (noise, "jpeg")):
        url = data_url(image)
        assert url.startswith(f"data:image/{kind};base64,")
        read = np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))))
        assert read.shape == image.shape
        assert kind == "jpeg" or (read == image).all()
