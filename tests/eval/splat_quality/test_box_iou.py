"""Boxes of vehicles in a view are compared with those that the raster projects."""

from dataclasses import replace

import numpy as np
import pytest

from swerve.eval.splat_quality.box_iou import box_iou_by_detector, box_iou_by_labels, iou, projected_vehicles
from swerve.rasterizer import View
from swerve.rasterizer.splats import SplatView
from swerve.scenes import FORWARD, Camera
from swerve.scenes.primitives import Semantic
from swerve.scenes.transforms import rigid_transform

WIDTH, HEIGHT = 48, 32
CAMERA = Camera("front", WIDTH, HEIGHT, 40.0, 40.0, 24.0, 16.0, rigid_transform(FORWARD, np.array([0.0, 0.0, 1.5])))


def raster(boxes, depth=20.0):
    """Return a raster with a vehicle in each box, left, top, right, bottom; later ones cover earlier ones."""
    instance = np.zeros((HEIGHT, WIDTH), np.int32)
    for number, (left, top, right, bottom) in enumerate(boxes, 1):
        instance[top:bottom, left:right] = number
    semantic = np.where(instance > 0, Semantic.VEHICLE, Semantic.ROAD).astype(np.uint8)
    return View(
        CAMERA,
        np.eye(4),
        depth=np.full((HEIGHT, WIDTH), depth, np.float32),
        semantic=semantic,
        instance=instance,
    )


def splat(view, right=0, alpha=1.0):
    """Return a splat view whose instances are those of a raster, moved to the right by some pixels."""
    return SplatView(
        view.camera,
        np.eye(4),
        alpha=np.full((HEIGHT, WIDTH), alpha, np.float32),
        instance=np.roll(view.instance, right, axis=1),
    )


def test_an_identical_view_agrees_wholly():
    view = raster([(4, 5, 14, 15), (20, 8, 40, 20)])
    found = projected_vehicles(view)
    np.testing.assert_array_equal(found[1], [(4, 5, 14, 15), (20, 8, 40, 20)])
    assert box_iou_by_labels(*found, splat(view)) == 1.0
    assert box_iou_by_detector(found[1], found[1][::-1], WIDTH) == 1.0


def test_a_shifted_drawing_has_the_iou_that_its_overlap_says():
    view = raster([(4, 5, 14, 15)])
    # Moved by 2 of 10 pixels: 80 pixels are in both, 120 in either.
    assert box_iou_by_labels(*projected_vehicles(view), splat(view, right=2)) == pytest.approx(80 / 120)
    # Its own node is not there at all.
    assert box_iou_by_labels(*projected_vehicles(view), splat(view, alpha=0.4)) == 0.0


def test_a_hidden_vehicle_is_compared_where_it_is_seen():
    _, boxes = projected_vehicles(raster([(4, 5, 24, 15), (14, 4, 30, 16)]))
    np.testing.assert_array_equal(boxes, [(4, 5, 14, 15), (14, 4, 30, 16)])


@pytest.mark.parametrize(
    ("boxes", "depth"),
    [([(0, 5, 14, 15)], 20.0), ([(34, 5, 48, 15)], 20.0), ([(4, 5, 9, 15)], 20.0), ([(4, 5, 14, 15)], 51.0)],
    ids=["at the left border", "at the right border", "five pixels wide", "too far"],
)
def test_vehicles_that_say_nothing_are_left_out(boxes, depth):
    view = raster(boxes, depth)
    found = projected_vehicles(view)
    assert not len(found[1])
    assert np.isnan(box_iou_by_labels(*found, splat(view)))
    assert np.isnan(box_iou_by_detector(found[1], np.zeros((0, 4)), WIDTH))


def test_a_detector_counts_by_the_nearest_box_within_ten_of_480_pixels():
    boxes = np.array([(100.0, 100.0, 140.0, 120.0), (300.0, 100.0, 320.0, 110.0)])
    # The first is off by 8 pixels (IoU 32/48), with a better box farther away; the second's nearest is off by 10.
    detected = np.array([(108.0, 100.0, 148.0, 120.0), (80.0, 100.0, 140.0, 120.0), (310.0, 100.0, 330.0, 110.0)])
    assert box_iou_by_detector(boxes, detected, 480) == pytest.approx((32 / 48 + 0.0) / 2)
    # In an image twice as wide 10 pixels are within the limit.
    assert box_iou_by_detector(boxes, detected, 960) == pytest.approx((32 / 48 + 10 / 30) / 2)
    assert box_iou_by_detector(boxes, np.zeros((0, 4)), 480) == 0.0


def test_iou_is_symmetric_and_at_most_one():
    generator = np.random.default_rng(0)
    for _ in range(200):
        corners = np.sort(generator.integers(0, 9, (2, 2, 2)), axis=1).reshape(2, 4).astype(float)
        grid = np.indices((9, 9)).reshape(2, -1).T[:, ::-1]
        one, other = (((grid >= box[:2]) & (grid < box[2:])).all(axis=1) for box in corners)
        union = (one | other).sum()
        assert iou(*corners) == pytest.approx((one & other).sum() / union if union else 0.0)


def test_raster_boxes_are_those_of_the_corners_projected():
    from swerve.data import open_source
    from swerve.rasterizer import render
    from swerve.rasterizer.style import Style
    from swerve.scenes.primitives import agent_cuboids

    log = open_source("town:1").load("town-000000")
    camera = log.cameras[0].resized(320, 187)
    cuboids, checked = agent_cuboids(log.tracks, 60), 0
    corners = cuboids.vertices.reshape(-1, 8, 3).astype(float)
    rows = np.flatnonzero(log.tracks.valid[:, 60])
    for row, box in zip(rows, corners, strict=True):
        alone = replace(log.tracks, valid=log.tracks.valid & (np.arange(len(log.tracks)) == row)[:, None])
        pose = log.ego.world_from_ego[60]
        outputs = ("depth", "semantic", "instance")
        view = render(agent_cuboids(alone, 60), [camera], pose[None], Style.surfaces(), outputs)[0][0]
        instances, boxes = projected_vehicles(view)
        if len(instances):
            pixels, _, _ = camera.project_world(box, pose)
            assert instances.tolist() == [row + 1]
            np.testing.assert_allclose(boxes[0], [*pixels.min(axis=0), *pixels.max(axis=0)], atol=1.0)
            checked += 1
    assert checked >= 2
