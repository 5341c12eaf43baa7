"""Cameras in AlpaSim's messages."""

import numpy as np
import pytest

from swerve.eval.alpasim.camera_specs import camera_message, camera_of, sized
from swerve.eval.alpasim.protocol import protocol
from swerve.eval.alpasim.service_error import ServiceError
from swerve.scenes import Camera, Lens
from swerve.scenes.camera import FORWARD, LensModel
from swerve.scenes.transforms import rigid_transform

MOUNT = rigid_transform(FORWARD, np.array([1.7, 0.1, 1.5]))
POINTS = np.array([[0.0, 0.0, 10.0], [3.0, 1.0, 9.0], [-4.0, 2.0, 6.0], [5.0, -3.0, 5.0]])


@pytest.mark.parametrize(
    "lens",
    [
        Lens(),
        Lens(LensModel.BROWN, (-0.35, 0.17, -0.002, 0.0005)),
        Lens(LensModel.BROWN, (-0.35, 0.17, -0.002, 0.0005, -0.05, 0.01, 0.02, 0.003)),
        Lens(LensModel.FISHEYE, (0.01, -0.02, 0.003, -0.001)),
    ],
)
def test_cameras_return_as_they_were(lens):
    camera = Camera("CAM_F0", 1920, 1080, 1545.0, 1540.0, 960.5, 560.25, MOUNT, lens)
    found = camera_of(camera_message(camera))
    assert (found.name, found.width, found.height, found.fx, found.cy) == ("CAM_F0", 1920, 1080, 1545.0, 560.25)
    assert np.allclose(found.ego_from_camera, MOUNT, atol=1e-6)
    assert np.allclose(found.project(POINTS)[0], camera.project(POINTS)[0], atol=1e-9)


def test_pixels_count_from_the_centre_of_the_first():
    """OpenCV projects the optical axis to (cx, cy) with whole-numbered centres; ours are half a pixel farther."""
    found = camera_of(pinhole())
    assert np.allclose(found.project(np.array([[0.0, 0.0, 1.0]]))[0], [[960.5, 560.5]])


def test_images_of_another_size_have_its_camera():
    small = sized(camera_of(pinhole()), 960, 540)
    assert (small.fx, small.cx) == (772.5, 480.25)


def test_an_equidistant_f_theta_lens_is_a_fisheye():
    """R = 600 theta is OpenCV's fisheye of focal length 600 without coefficients."""
    message = ftheta([0.0, 600.0])
    found = camera_of(message)
    assert found.lens.model == LensModel.FISHEYE
    assert found.fx == pytest.approx(600.0, rel=1e-6)
    angles = np.linspace(0.0, 0.9, 10)
    points = np.column_stack([np.sin(angles), np.zeros(10), np.cos(angles)])
    assert np.allclose(found.project(points)[0][:, 0], 960.5 + 600.0 * angles, atol=0.01)


def test_an_f_theta_lens_of_any_direction_is_fitted():
    """The polynomial from radius to angle, as NVIDIA's cameras have it, with an even term."""
    backward = [0.0, 1.0 / 900.0, 2e-8, 1e-11]
    found = camera_of(ftheta([], backward))
    radii = np.linspace(1.0, 900.0, 9)
    angles = np.polynomial.polynomial.polyval(radii, backward)
    points = np.column_stack([np.sin(angles), np.zeros(9), np.cos(angles)])
    assert np.allclose(found.project(points)[0][:, 0], 960.5 + radii, atol=0.5)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda one: one.intrinsics.ClearField("opencv_pinhole_param"), "no lens"),
        (lambda one: setattr(one.intrinsics, "resolution_w", 0), "resolution is 0x1080"),
        (lambda one: one.intrinsics.opencv_pinhole_param.thin_prism_coeffs.append(0.1), "thin_prism"),
        (lambda one: one.intrinsics.opencv_pinhole_param.radial_coeffs.extend([0.1] * 7), "7 radial"),
        (lambda one: one.intrinsics.opencv_pinhole_param.radial_coeffs.append(np.nan), "finite"),
        (lambda one: setattr(one.intrinsics.opencv_pinhole_param, "focal_length_x", 0.0), "positive"),
        (lambda one: one.intrinsics.bivariate_windshield_model_param.SetInParent(), "windshield"),
        (lambda one: one.rig_to_camera.quat.Clear(), "length one"),
        (lambda one: (one.ClearField("logical_id"), one.intrinsics.ClearField("logical_id")), "0 characters"),
        (lambda one: setattr(one, "logical_id", "x" * 201), "201 characters"),
        (lambda one: one.intrinsics.MergeFrom(type(one.intrinsics)(resolution_w=9000, resolution_h=9000)), "9000x9000"),
        (lambda one: one.intrinsics.ftheta_param.SetInParent(), "0 finite coefficients"),
        (lambda one: one.intrinsics.ftheta_param.angle_to_pixeldist_poly.extend([0, 500.0, -900.0]), "grow"),
    ],
)
def test_cameras_that_cannot_be_are_named(change, reason):
    message = pinhole()
    change(message)
    with pytest.raises(ServiceError, match=reason):
        camera_of(message)


def pinhole():
    messages = protocol()
    spec = messages.CameraSpec(logical_id="CAM_F0", resolution_w=1920, resolution_h=1080)
    lens = spec.opencv_pinhole_param
    lens.principal_point_x, lens.principal_point_y, lens.focal_length_x, lens.focal_length_y = 960, 560, 1545, 1545
    mounted = messages.Pose(quat=messages.Quat(w=0.5, x=-0.5, y=0.5, z=-0.5))
    return messages.AvailableCamerasReturn.AvailableCamera(intrinsics=spec, rig_to_camera=mounted, logical_id="CAM_F0")


def ftheta(by_angle, by_radius=()):
    message = pinhole()
    lens = message.intrinsics.ftheta_param
    lens.principal_point_x, lens.principal_point_y, lens.max_angle = 960, 560, 1.2
    lens.angle_to_pixeldist_poly.extend(by_angle)
    lens.pixeldist_to_angle_poly.extend(by_radius)
    return message
