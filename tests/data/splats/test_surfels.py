"""Pieces of a road that is seen aslant, against what a road is."""

import numpy as np
import pytest

from swerve.data.splats.image_priors import ImagePriors
from swerve.data.splats.initialization import initial_scene
from swerve.data.splats.log_images import PosedImage
from swerve.data.splats.surfels import spans_of
from swerve.rasterizer.splats import render_splats
from swerve.scenes import FORWARD, Camera
from swerve.scenes.transforms import rigid_transform
from tests.support.simple_source import small_log

HEIGHT = 1.6
CAMERA = Camera("front", 120, 80, 100.0, 100.0, 60.0, 30.2, rigid_transform(FORWARD, np.array([0.0, 0.0, HEIGHT])))
SPACING = 6


def pose_at(x):
    return rigid_transform(np.eye(3), np.array([x, 0.0, 0.0]))


def road_before(x):
    """A photograph of a level road, and its depths."""
    below = np.arange(CAMERA.height)[:, None] + 0.5 - CAMERA.cy
    depth = np.where(below > 0, HEIGHT * CAMERA.fy / below, np.inf)
    depth = np.broadcast_to(depth, (CAMERA.height, CAMERA.width)).astype(np.float32)
    picture = PosedImage(CAMERA, round(1e6 * x), pose_at(x), np.full((80, 120, 3), 90, np.uint8))
    return ImagePriors(picture, depth, np.zeros(depth.shape, np.int32), np.full_like(depth, np.inf))


def test_spans_of_a_road_by_hand():
    """A pixel down is depth / height times as far as one across; three times six pixels across is the longest."""
    known = road_before(0.0)
    down, across = spans_of(known.image, np.where(np.isfinite(known.depth), known.depth, 150.0), SPACING)
    depths = HEIGHT * CAMERA.fy / (np.arange(CAMERA.height) + 0.5 - CAMERA.cy)
    for row, span in ((40, 1), (50, 3), (60, 5), (70, 6)):
        assert span == max(int(18 / np.hypot(1, depths[row] / HEIGHT)), 1)
        assert (down[row] == span).all()
    assert (across[37:] == SPACING).all()


def test_spans_at_a_rim():
    """Where depth jumps nothing is seen aslant."""
    depth = np.full((CAMERA.height, CAMERA.width), 50.0)
    depth[20:60, 30:90] = 5.0
    for span in spans_of(road_before(0.0).image, depth, SPACING):
        assert (span == SPACING).all()


@pytest.mark.parametrize("x", [2.5, 5.0, 7.5, 10.0])
def test_a_road_has_no_holes_between_photographs(x):
    """Seen from between two photographs that are 10 m apart, or from one, it is opaque, and nothing rises over it."""
    known = [road_before(0.0), road_before(10.0)]
    scene = initial_scene(small_log(), known, 2000)
    assert len(scene.background) > 1000
    ((view,),) = render_splats(scene.at(0), [CAMERA], pose_at(x)[None], ("alpha",))
    # From 4 m ahead, before which the first photograph shows nothing, to 20 m.
    first = 4 if x < 10 else 3.3
    depths = HEIGHT * CAMERA.fy / (np.arange(CAMERA.height) + 0.5 - CAMERA.cy)
    road = (depths > first) & (depths < 20)
    assert view.alpha[road, 20:100].min() > 0.65
    assert view.alpha[:24].mean() < 0.02
