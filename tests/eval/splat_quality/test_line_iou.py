"""Lane lines in a view are compared with those that the raster projects."""

from dataclasses import replace

import numpy as np
import pytest

from swerve.eval.splat_quality.line_iou import LINES, bright_lines, line_iou
from swerve.rasterizer import View
from swerve.scenes import FORWARD, Camera
from swerve.scenes.primitives import Semantic
from swerve.scenes.transforms import rigid_transform

WIDTH, HEIGHT = 60, 40
# At 10 m 0.35 m are 7 pixels.
CAMERA = Camera("front", WIDTH, HEIGHT, 200.0, 200.0, 30.0, 20.0, rigid_transform(FORWARD, np.array([0.0, 0.0, 1.5])))
GREY, WHITE = 90, 200


def raster(left=20, width=3, depth=10.0):
    """Return a raster of a road with one white line from top to bottom."""
    semantic = np.full((HEIGHT, WIDTH), Semantic.ROAD, np.uint8)
    semantic[:, left : left + width] = Semantic.LINE_WHITE
    return View(CAMERA, np.eye(4), depth=np.full((HEIGHT, WIDTH), depth, np.float32), semantic=semantic)


def drawing(left=20, width=3):
    """Return a picture of the same."""
    image = np.full((HEIGHT, WIDTH, 3), GREY, np.uint8)
    image[:, left : left + width] = WHITE
    return image


def test_an_identical_view_agrees_wholly():
    view = raster()
    np.testing.assert_array_equal(bright_lines(drawing(), view), view.semantic == Semantic.LINE_WHITE)
    assert line_iou(bright_lines(drawing(), view), view) == 1.0


@pytest.mark.parametrize("shift", [1, 2, 4, 5, 9])
def test_a_shifted_drawing_has_the_iou_that_its_overlap_says(shift):
    # Both are thickened from 3 to 5 columns, of which 5 - shift coincide.
    both = max(5 - shift, 0)
    view = raster()
    assert line_iou(bright_lines(drawing(20 + shift), view), view) == pytest.approx(both / (10 - both))


def test_only_the_ground_nearby_counts():
    view, image = raster(), drawing()
    # A bright post beside the road, and a line that the raster shows too far away.
    view.semantic[:, 40:50] = Semantic.VEHICLE
    image[:, 43:45] = 255
    assert line_iou(bright_lines(image, view), view) == 1.0
    view.depth[:10] = 30.0
    image[:10] = GREY
    assert line_iou(bright_lines(image, view), view) == 1.0


def test_a_wide_bright_patch_is_no_line():
    assert not bright_lines(drawing(10, 40), raster())[:, 17:43].any()
    assert line_iou(np.zeros((HEIGHT, WIDTH), bool), raster()) == 0.0


def test_without_lines_it_is_unknown():
    view = raster()
    bare = replace(view, semantic=np.full_like(view.semantic, Semantic.ROAD))
    assert np.isnan(line_iou(np.ones((HEIGHT, WIDTH), bool), bare))


def test_lines_at_the_border_are_not_told_from_what_lies_outside():
    assert not bright_lines(drawing(left=2), raster(left=2)).any()


def test_true_photos_of_a_town_agree_until_they_are_shifted():
    from swerve.data import open_source
    from swerve.data.sources.town.photos import TownPhotoRenderer
    from swerve.rasterizer import StaticLayer, Style
    from swerve.scenes.primitives import build_dynamic, build_static

    log = open_source("town:1").load("town-000000")
    camera, layer = log.cameras[0].resized(320, 187), StaticLayer(build_static(log.road_map))

    def seen(step):
        moving, pose = build_dynamic(log.tracks, log.lights, step), log.ego.world_from_ego[step]
        return layer.render(moving, [camera], pose[None], Style.surfaces(), ("depth", "semantic", "instance"))[0][0]

    # The photo in which most of the lines are seen.
    step = max(range(0, 200, 10), key=lambda one: np.isin(seen(one).semantic, LINES).sum())
    now, view = slice(step, step + 1), seen(step)
    at = log.tracks.at(now), log.lights.at(now)
    photo = TownPhotoRenderer(log, 0).photograph([camera], log.ego.world_from_ego[step], *at)[0].rgb
    ious = [line_iou(bright_lines(np.roll(photo, shift, axis=1), view), view) for shift in (0, 4, 12)]
    assert ious[0] > 0.6
    assert ious[0] > ious[1] + 0.2
    assert ious[1] > ious[2]
