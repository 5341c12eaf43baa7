"""Resized cameras: a point in space lands where the resized image shows it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swerve.data.sources.av2.av2_tables import read_cameras
from swerve.scenes import Camera, Lens, LensModel, SwerveError
from swerve.scenes.resize import Resize

# Argoverse 2's front camera stands upright; its numbers are of one of its logs, rounded.
PORTRAIT = Camera("ring_front_center", 1550, 2048, 1684.0, 1684.0, 775.0, 1024.0, np.eye(4))
LENSES = (
    Lens(),
    Lens(LensModel.BROWN, (-0.25, 0.12, 0.001, -0.002, -0.02)),
    Lens(LensModel.FISHEYE, (-0.02, 0.01, -0.004, 0.0005)),
)
POINTS = np.random.default_rng(0).uniform((-0.4, -0.4, 1.0), (0.4, 0.4, 1.0), (200, 3)) * 7


def moved_by_hand(pixels, width, height, size, fit):
    """Scale about the middle of the image, by the larger ratio of the sides for a crop, by the smaller to pad."""
    ratios = np.array([size[0] / width, size[1] / height])
    scale = {"crop": ratios.max(), "pad": ratios.min(), "stretch": ratios}[fit]
    return (pixels - [width / 2, height / 2]) * scale + [size[0] / 2, size[1] / 2]


@given(
    st.sampled_from(LENSES),
    st.tuples(st.integers(1, 3000), st.integers(1, 3000)),
    st.sampled_from(["crop", "pad", "stretch"]),
)
def test_a_point_lands_where_the_resized_image_has_it(lens, size, fit):
    camera = Camera("front", 1550, 2048, 1684.0, 1690.0, 770.0, 1031.0, np.eye(4), lens)
    resized = Resize(size, fit).camera(camera)
    assert (resized.width, resized.height, resized.lens) == (*size, lens)
    wanted = moved_by_hand(camera.project(POINTS)[0], 1550, 2048, size, fit)
    np.testing.assert_allclose(resized.project(POINTS)[0], wanted, rtol=1e-9, atol=1e-8 * max(size))


def test_the_upright_camera_of_argoverse_by_hand():
    """960x560 is 0.6194 of its width: 904.2 of 2048 rows are kept, 571.9 are cut off above them."""
    crop, pad = (Resize((960, 560), fit).camera(PORTRAIT) for fit in ("crop", "pad"))
    assert crop.fx == pytest.approx(1684 * 960 / 1550) == crop.fy
    assert (crop.cx, crop.cy) == (pytest.approx(480), pytest.approx(280))
    assert pad.fx == pytest.approx(1684 * 560 / 2048) == pad.fy
    np.testing.assert_allclose(Resize((960, 560)).window(PORTRAIT), [0, 571.9 / 2048, 1, 1 - 571.9 / 2048], atol=1e-4)
    left, top, right, bottom = Resize((960, 560), "pad").window(PORTRAIT)
    assert (top, bottom) == (pytest.approx(0), pytest.approx(1))
    assert (right - left) * 1550 == pytest.approx(960 * 2048 / 560)
    assert left + right == pytest.approx(1)


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_the_same_aspect_ratio_is_only_resized(fit):
    camera = Camera("front", 1920, 1120, 1545.0, 1540.0, 961.0, 557.0, np.eye(4))
    assert Resize((768, 448), fit).camera(camera) == camera.resized(768, 448)
    assert Resize((768, 448), fit).window(camera) == (0, 0, 1, 1)


def test_without_a_size_nothing_is_done():
    assert Resize(fit="pad").camera(PORTRAIT) is PORTRAIT


@pytest.mark.parametrize("size", [(0, 5), (5, 16385)])
def test_sizes_have_bounds(size):
    with pytest.raises(SwerveError, match="1 to 16384 pixels"):
        Resize(size)


@pytest.mark.parametrize("fit", ["crop", "pad"])
def test_the_cameras_of_a_car_of_argoverse(test_data, fit):
    """Its front camera stands upright, its others lie: on both, boxes keep their proportions."""
    for camera in read_cameras(test_data / "av2" / "calibration"):
        resized = Resize((960, 560), fit).camera(camera)
        wanted = moved_by_hand(camera.project(POINTS)[0], camera.width, camera.height, (960, 560), fit)
        np.testing.assert_allclose(resized.project(POINTS)[0], wanted, atol=1e-6)
        assert resized.fx / resized.fy == pytest.approx(camera.fx / camera.fy, rel=1e-12)
