"""Cameras of AlpaSim's messages: lenses, sizes and mounting poses."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from jaxtyping import Float

from swerve.data.storage.checked_image import MOST_PIXELS
from swerve.eval.alpasim.frames import PIXEL_CENTER, pose_message, pose_of
from swerve.eval.alpasim.protocol import protocol
from swerve.eval.alpasim.service_error import LONGEST_NAME, ServiceError, invalid
from swerve.scenes import Camera, Lens
from swerve.scenes.camera import LensModel

# An f-theta lens becomes Swerve's fisheye if that is off by less than this, pixels.
_FIT_TOLERANCE: Final = 0.5
# Angles off the axis that the fit covers, radians: images of Swerve's cameras end at 85 degrees.
_WIDEST: Final = np.deg2rad(85.0)
_LARGEST_SIDE: Final = 1 << 14


def camera_of(message: Any) -> Camera:  # noqa: ANN401
    """Return the camera of an `AvailableCamera`, by its logical id.

    Raises:
        ServiceError: a number is out of range, or the lens is one that Swerve has not.
    """
    name = message.logical_id or message.intrinsics.logical_id
    if not 0 < len(name) <= LONGEST_NAME:
        raise invalid(f"the logical_id of an available camera has {len(name)} characters, not 1 to {LONGEST_NAME}")
    ego_from_camera = pose_of(message.rig_to_camera, f"camera {name}: rig_to_camera")
    return spec_camera(message.intrinsics, name, ego_from_camera)


def spec_camera(spec: Any, name: str, ego_from_camera: Float[np.ndarray, "4 4"]) -> Camera:  # noqa: ANN401
    """Return the camera of a `CameraSpec`.

    Raises:
        ServiceError: see `camera_of`.
    """
    width, height = spec.resolution_w, spec.resolution_h
    if not (0 < width <= _LARGEST_SIDE and 0 < height <= _LARGEST_SIDE and width * height <= MOST_PIXELS):
        raise invalid(f"camera {name}: its resolution is {width}x{height}")
    if spec.WhichOneof("external_distortion"):
        raise invalid(f"camera {name}: the distortion of a windshield is not known to Swerve")
    try:
        focal, center, lens = _lens_of(spec, name, np.hypot(width, height))
        return Camera(
            name, width, height, *focal, center[0] + PIXEL_CENTER, center[1] + PIXEL_CENTER, ego_from_camera, lens
        )
    except ServiceError:
        raise
    except ValueError as error:
        raise invalid(f"camera {name}: {error}") from error


def camera_message(camera: Camera) -> Any:  # noqa: ANN401
    """Return the `AvailableCamera` of a camera."""
    messages = protocol()
    spec = messages.CameraSpec(
        logical_id=camera.name, resolution_h=camera.height, resolution_w=camera.width, shutter_type=5
    )
    fisheye = camera.lens.model == LensModel.FISHEYE
    lens = spec.opencv_fisheye_param if fisheye else spec.opencv_pinhole_param
    lens.principal_point_x, lens.principal_point_y = camera.cx - PIXEL_CENTER, camera.cy - PIXEL_CENTER
    lens.focal_length_x, lens.focal_length_y = camera.fx, camera.fy
    if fisheye:
        lens.radial_coeffs.extend(camera.lens.coefficients)
        lens.max_angle = float(np.arctan(camera.lens.limit))
    else:
        k1, k2, p1, p2, k3, k4, k5, k6 = camera.lens.padded.tolist()
        lens.radial_coeffs.extend([k1, k2, k3, k4, k5, k6])
        lens.tangential_coeffs.extend([p1, p2])
        lens.thin_prism_coeffs.extend([0.0] * 4)
    mounted = pose_message(camera.ego_from_camera)
    return messages.AvailableCamerasReturn.AvailableCamera(
        intrinsics=spec, rig_to_camera=mounted, logical_id=camera.name
    )


def sized(camera: Camera, width: int, height: int) -> Camera:
    """Return the camera of images of another size: AlpaSim states intrinsics for the sensor's own."""
    return camera if (camera.width, camera.height) == (width, height) else camera.resized(width, height)


def mounted_at(camera: Camera, ego_from_camera: Float[np.ndarray, "4 4"]) -> Camera:
    """Return the camera at another mounting pose."""
    return replace(camera, ego_from_camera=ego_from_camera)


def _lens_of(
    spec: Any,  # noqa: ANN401
    name: str,
    diagonal: float,
) -> tuple[tuple[float, float], tuple[float, float], Lens]:
    """Return focal lengths, principal point (of whole-numbered pixel centres) and lens."""
    kind = spec.WhichOneof("camera_param")
    if kind is None:
        raise invalid(f"camera {name}: it has no lens (ftheta_param, opencv_pinhole_param, opencv_fisheye_param)")
    lens = getattr(spec, kind)
    center = (lens.principal_point_x, lens.principal_point_y)
    if kind == "ftheta_param":
        focal, coefficients = _fitted(lens, name, diagonal)
        return focal, center, Lens(LensModel.FISHEYE, coefficients)
    focal = (lens.focal_length_x, lens.focal_length_y)
    radial = list(lens.radial_coeffs)
    if kind == "opencv_fisheye_param":
        if len(radial) > 4 and any(radial[4:]):
            raise invalid(f"camera {name}: radial_coeffs of a fisheye are 4 numbers, not {len(radial)}")
        return focal, center, Lens(LensModel.FISHEYE, tuple((radial + [0.0] * 4)[:4]))
    return focal, center, _pinhole_lens(radial, list(lens.tangential_coeffs), list(lens.thin_prism_coeffs), name)


def _pinhole_lens(radial: Sequence[float], tangential: Sequence[float], thin_prism: Sequence[float], name: str) -> Lens:
    """Return a pinhole with OpenCV's distortion, if any of its coefficients is not zero."""
    if any(thin_prism):
        raise invalid(f"camera {name}: thin_prism_coeffs other than zero are not known to Swerve")
    if len(radial) > 6 or len(tangential) > 2:
        raise invalid(f"camera {name}: it has {len(radial)} radial and {len(tangential)} tangential coefficients")
    k1, k2, k3, k4, k5, k6 = [*radial, *[0.0] * (6 - len(radial))]
    p1, p2 = [*tangential, *[0.0] * (2 - len(tangential))]
    coefficients = (k1, k2, p1, p2, k3, k4, k5, k6)
    return Lens(LensModel.BROWN, coefficients) if any(coefficients) else Lens()


def _fitted(lens: Any, name: str, diagonal: float) -> tuple[tuple[float, float], tuple[float, ...]]:  # noqa: ANN401
    """Return focal lengths and fisheye coefficients nearest to an f-theta lens.

    An f-theta lens maps the angle off the axis to a radius by any polynomial, OpenCV's fisheye by an odd one of degree
    nine: it is fitted by least squares to the angles within the image.

    Raises:
        ServiceError: no fisheye is within half a pixel of it.
    """
    linear = lens.linear_cde
    skewed = lens.HasField("linear_cde") and (linear.linear_c, linear.linear_d, linear.linear_e) not in (
        (1.0, 0.0, 0.0),
        (0.0, 0.0, 0.0),
    )
    angles, radii = _ftheta_curve(lens, name, diagonal)
    powers = angles[:, None] ** np.array([1, 3, 5, 7, 9])
    found = np.linalg.lstsq(powers, radii, rcond=None)[0]
    worst = float(np.abs(powers @ found - radii).max())
    if skewed or worst > _FIT_TOLERANCE or not found[0] > 0:
        reason = "it is skewed" if skewed else f"the nearest is {worst:.2g} pixels off"
        raise invalid(
            f"camera {name}: its f-theta lens is no fisheye of OpenCV ({reason}). Configure the camera as "
            "opencv_pinhole or opencv_fisheye (extra_cameras)"
        )
    focal = float(found[0])
    return (focal, focal), tuple((found[1:] / focal).tolist())


def _ftheta_curve(
    lens: Any,  # noqa: ANN401
    name: str,
    diagonal: float,
) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Return angles off the axis, radians, and radii, pixels, of an f-theta lens within the image."""
    by_angle = np.array(lens.angle_to_pixeldist_poly, dtype=np.float64)
    by_radius = np.array(lens.pixeldist_to_angle_poly, dtype=np.float64)
    backward = lens.reference_poly == 1 or not len(by_angle)
    polynomial = by_radius if backward else by_angle
    if not 2 <= len(polynomial) <= 16 or not np.isfinite(polynomial).all():
        raise invalid(f"camera {name}: its f-theta polynomial has {len(polynomial)} finite coefficients, not 2 to 16")
    widest = min(lens.max_angle or _WIDEST, _WIDEST)
    steps = np.linspace(0.0, diagonal if backward else widest, 512)
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.polynomial.polynomial.polyval(steps, polynomial)
    angles, radii = (values, steps) if backward else (steps, values)
    inside = (angles <= widest) & (radii <= diagonal)
    count = len(steps) if inside.all() else int(np.argmin(inside))
    angles, radii = angles[:count], radii[:count]
    if count < 16 or (np.diff(angles) <= 0).any() or (np.diff(radii) <= 0).any():
        raise invalid(f"camera {name}: its f-theta polynomial does not grow from 0 on")
    return angles, radii
