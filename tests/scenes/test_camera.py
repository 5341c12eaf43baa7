"""The camera: round trips, an independent implementation, and what moves with a crop."""

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from swerve.scenes import Camera, Lens, LensModel, lens_kernels
from swerve.scenes.transforms import rigid_transform

LENSES = {
    "pinhole": Lens(),
    "brown4": Lens(LensModel.BROWN, (-0.1, 0.02, 0.001, -0.002)),
    "brown5": Lens(LensModel.BROWN, (-0.356123, 0.172545, -0.00213, 0.000464, -0.05231)),
    "brown8": Lens(LensModel.BROWN, (0.3, -0.1, 0.0005, 0.0002, 0.02, 0.6, -0.05, 0.04)),
    "fisheye": Lens(LensModel.FISHEYE, (-0.02, 0.01, -0.004, 0.0005)),
}


def camera(lens: Lens, focal: float = 1545.0) -> Camera:
    return Camera("front", 1920, 1120, focal, focal, 960.0, 560.0, np.eye(4), lens)


@pytest.mark.parametrize("lens", LENSES.values(), ids=LENSES.keys())
@given(u=st.floats(0, 1919.99), v=st.floats(0, 1119.99), depth=st.floats(0.1, 500))
def test_project_undoes_unproject(lens, u, v, depth):
    point = camera(lens).unproject(np.array([[u, v]])) * depth
    pixels, depths, visible = camera(lens).project(point)
    np.testing.assert_allclose(pixels, [[u, v]], atol=1e-6)
    np.testing.assert_allclose(depths, depth)
    # On the very border rounding decides.
    assert visible[0] or min(u, v) < 1e-6 or u > 1920 - 1e-6 or v > 1120 - 1e-6


@pytest.mark.parametrize("name", ["brown4", "brown5", "brown8", "fisheye"])
def test_opencv_agrees(name):
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.uniform(-0.5, 0.5, (200, 2)), np.ones((200, 1))], axis=1) * rng.uniform(
        1, 50, (200, 1)
    )
    ours = camera(LENSES[name])
    coefficients = np.array(ours.lens.coefficients)
    zero = np.zeros(3)
    if name == "fisheye":
        theirs, _ = cv2.fisheye.projectPoints(points[:, None], zero, zero, ours.matrix, coefficients)
    else:
        theirs, _ = cv2.projectPoints(points[:, None], zero, zero, ours.matrix, coefficients)
    np.testing.assert_allclose(ours.project(points)[0], theirs[:, 0], atol=1e-6)


def test_points_beyond_the_lens_do_not_fold_back_into_the_image():
    strong = camera(Lens(LensModel.BROWN, (-0.5, 0.0, 0.0, 0.0)))
    radii = np.linspace(0.0, 10.0, 500)
    pixels, _, visible = strong.project(np.stack([radii, 0 * radii, 0 * radii + 1], axis=1))
    assert (np.diff(pixels[:, 0]) > 0).all()
    assert not visible[radii > strong.lens.limit].any()


def test_points_behind_are_not_visible():
    pixels, _, visible = camera(Lens()).project(np.array([[0.0, 0.0, -5.0], [0.0, 0.0, 0.0], [0.0, 0.0, 5.0]]))
    assert visible.tolist() == [False, False, True]
    assert np.isnan(pixels[:2]).all()


@given(left=st.integers(0, 300), top=st.integers(0, 300))
def test_r3_a_crop_moves_the_principal_point(left, top):
    """R3: the original cropped 20 rows off its images and left cy where it was: 20 px between raster and photo."""
    whole = camera(LENSES["brown5"])
    part = whole.cropped(left, top, 1600, 800)
    points = np.array([[0.3, -0.1, 2.0], [-1.0, 0.2, 9.0]])
    np.testing.assert_allclose(part.project(points)[0] + [left, top], whole.project(points)[0])


def test_resizing_scales_pixels():
    whole = camera(LENSES["fisheye"])
    half = whole.resized(960, 560)
    points = np.array([[0.3, -0.1, 2.0], [-1.0, 0.2, 9.0]])
    np.testing.assert_allclose(half.project(points)[0] * 2, whole.project(points)[0])


def test_project_world_uses_the_whole_pose():
    """M6: the original turned the camera by the ego's yaw alone, so pitch and roll shifted the raster."""
    pitch = np.deg2rad(3.0)
    rotation = np.array([[np.cos(pitch), 0, np.sin(pitch)], [0, 1, 0], [-np.sin(pitch), 0, np.cos(pitch)]])
    forward = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
    mounted = camera(Lens()).mounted(rigid_transform(forward, np.zeros(3)))
    pixels, _, _ = mounted.project_world(np.array([[10.0, 0.0, 0.0]]), rigid_transform(rotation, np.zeros(3)))
    np.testing.assert_allclose(pixels, [[960.0, 560.0 - 1545.0 * np.tan(pitch)]])


@pytest.mark.parametrize("coefficients", [(1.0,), (1.0, 2.0, 3.0)])
def test_a_lens_of_the_wrong_length_is_refused(coefficients):
    with pytest.raises(ValueError, match="coefficients"):
        Lens(LensModel.BROWN, coefficients)
    with pytest.raises(ValueError, match="finite"):
        Lens(LensModel.FISHEYE, (np.nan, 0.0, 0.0, 0.0))


def test_far_beyond_the_limit_distortion_ends():
    """For this point, cutting the radius to the limit leaves it above the limit by rounding, however often."""
    lens = Lens(LensModel.BROWN, (0.0404, -0.33, 0.001, -0.0016, 0.0))
    camera = Camera("c", 1920, 1280, 2044.0, 2044.0, 950.0, 633.0, np.eye(4), lens)
    points = np.random.default_rng(0).normal(size=(20000, 3)) * [3.0, 3.0, 0.0] + [0.0, 0.0, 1.0]
    pixels, _, visible = camera.project(points)
    assert np.isfinite(pixels).all()
    assert not visible[np.linalg.norm(points[:, :2], axis=1) > lens.limit].any()


def test_kernels_number_lens_models_as_cameras_do():
    assert tuple(LensModel) == (lens_kernels.PINHOLE, lens_kernels.BROWN, lens_kernels.FISHEYE)
