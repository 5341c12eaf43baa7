"""Calibrated camera model: projection and unprojection, shared by the rasterizers, the sources and the planners."""

from dataclasses import dataclass, replace
from enum import IntEnum
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float

from swerve.scenes.transforms import inverse, transform_points


class LensModel(IntEnum):
    """Lens distortion model; coefficients are in OpenCV's order."""

    PINHOLE = 0
    BROWN = 1
    FISHEYE = 2


_COEFFICIENTS = {LensModel.PINHOLE: (0,), LensModel.BROWN: (4, 5, 8), LensModel.FISHEYE: (4,)}
# The field of view is limited to 85 degrees off the optical axis: images are planes in front of the camera (z > 0).
_WIDEST_RADIUS = float(np.tan(np.deg2rad(85.0)))


@dataclass(frozen=True)
class Lens:
    """A lens model and its coefficients.

    Attributes:
        model: PINHOLE, BROWN (OpenCV radial-tangential) or FISHEYE (OpenCV / Kannala-Brandt).
        coefficients: none; (k1, k2, p1, p2[, k3[, k4, k5, k6]]); or (k1, k2, k3, k4).

    Raises:
        ValueError: the number of coefficients does not fit the model, or one is not finite.
    """

    model: LensModel = LensModel.PINHOLE
    coefficients: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if len(self.coefficients) not in _COEFFICIENTS[self.model]:
            raise ValueError(
                f"{self.model.name} takes {_COEFFICIENTS[self.model]} coefficients, got {len(self.coefficients)}"
            )
        if not np.isfinite(self.coefficients).all():
            raise ValueError(f"lens coefficients must be finite, got {self.coefficients}")

    @cached_property
    def padded(self) -> Float[np.ndarray, "8"]:
        """Coefficients zero-padded to the eight numbers that the kernels take."""
        return np.array([*self.coefficients, *[0.0] * (8 - len(self.coefficients))])

    @cached_property
    def limit(self) -> float:
        """Undistorted radius (tangent of the angle off the axis) up to which the model is one-to-one."""
        if self.model == LensModel.PINHOLE:
            return _WIDEST_RADIUS
        # Imported where it is used, here and below: planners' processes have cameras, but few need numba for them.
        from swerve.scenes import lens_kernels

        radii = np.tan(np.linspace(0.0, np.arctan(_WIDEST_RADIUS), 4000))
        scales = np.array([lens_kernels.radial_scale(int(self.model), self.padded, r * r) for r in radii])
        falling = np.flatnonzero(np.diff(radii * scales) <= 0)
        return float(radii[falling[0]]) if len(falling) else _WIDEST_RADIUS


@dataclass(frozen=True)
class Camera:
    """A calibrated camera on a vehicle.

    Pixels are (u, v), u to the right, v down, (0, 0) the image's top left corner, so that pixel centres lie at +0.5
    (OpenCV counts from centres: add 0.5 to its cx and cy). The camera frame is OpenCV's: x right, y down, z forward.

    Attributes:
        name: unique in the rig.
        width: pixels.
        height: pixels.
        fx: focal length, pixels.
        fy: focal length, pixels.
        cx: principal point, pixels.
        cy: principal point, pixels.
        ego_from_camera: mounting, in metres.
        lens: distortion.
    """

    name: str
    width: int
    height: int
    fx: float
    fy: float
    cx: float
    cy: float
    ego_from_camera: Float[np.ndarray, "4 4"]
    lens: Lens = Lens()

    def __post_init__(self) -> None:
        numbers = np.array([self.fx, self.fy, self.cx, self.cy, *np.ravel(self.ego_from_camera)])
        if not np.isfinite(numbers).all() or min(self.fx, self.fy, self.width, self.height) <= 0:
            raise ValueError(f"camera {self.name!r}: sizes and focal lengths must be positive and finite: {self}")

    @property
    def matrix(self) -> Float[np.ndarray, "3 3"]:
        """Intrinsic matrix K of the pinhole part, for pixel coordinates whose centres lie at +0.5."""
        return np.array([[self.fx, 0.0, self.cx], [0.0, self.fy, self.cy], [0.0, 0.0, 1.0]])

    def project(
        self, points: Float[np.ndarray, "n 3"]
    ) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n"], Bool[np.ndarray, "n"]]:
        """Project points of the camera frame; return pixels, depths and visibility.

        Returns:
            pixels, NaN for points behind the camera; depth along z in metres; whether the point lies in the image
            (occlusion is not tested).
        """
        from swerve.scenes import lens_kernels

        depth = points[:, 2]
        ahead = depth > 1e-6
        normal = points[:, :2] / np.where(ahead, depth, np.nan)[:, None]
        bent = np.empty_like(normal)
        lens_kernels.distort_many(int(self.lens.model), self.lens.padded, self.lens.limit, normal, bent)
        pixels = bent * [self.fx, self.fy] + [self.cx, self.cy]
        inside = ((pixels >= 0) & (pixels < [self.width, self.height])).all(axis=1)
        return pixels, depth, ahead & inside & (np.linalg.norm(normal, axis=1) <= self.lens.limit)

    def unproject(self, pixels: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
        """Return the points at depth one on the pixels' rays, camera frame; NaN beyond the lens model's limit."""
        from swerve.scenes import lens_kernels

        bent = (pixels - [self.cx, self.cy]) / [self.fx, self.fy]
        normal = np.empty_like(bent)
        lens_kernels.undistort_many(int(self.lens.model), self.lens.padded, self.lens.limit, bent, normal)
        return np.concatenate([normal, np.where(np.isnan(normal[:, :1]), np.nan, 1.0)], axis=1)

    def project_world(
        self, points: Float[np.ndarray, "n 3"], world_from_ego: Float[np.ndarray, "4 4"]
    ) -> tuple[Float[np.ndarray, "n 2"], Float[np.ndarray, "n"], Bool[np.ndarray, "n"]]:
        """Project points of the world frame, with the ego at the given pose (see `project`)."""
        return self.project(transform_points(inverse(world_from_ego @ self.ego_from_camera), points))

    def resized(self, width: int, height: int) -> "Camera":
        """Return the camera of the resized image."""
        sx, sy = width / self.width, height / self.height
        return replace(
            self, width=width, height=height, fx=self.fx * sx, fy=self.fy * sy, cx=self.cx * sx, cy=self.cy * sy
        )

    def cropped(self, left: int, top: int, width: int, height: int) -> "Camera":
        """Return the camera of a cropped image; the principal point moves with it."""
        return replace(self, width=width, height=height, cx=self.cx - left, cy=self.cy - top)

    def undistorted(self) -> "Camera":
        """Return the pinhole camera of the same focal length and size."""
        return replace(self, lens=Lens())

    def mounted(self, ego_from_camera: Float[np.ndarray, "4 4"]) -> "Camera":
        """Return the same camera with another mounting pose."""
        return replace(self, ego_from_camera=ego_from_camera)


# Rotation ego_from_camera of a camera (x right, y down, z forward) that looks along the vehicle's x axis.
FORWARD = np.array([[0.0, 0.0, 1.0], [-1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
