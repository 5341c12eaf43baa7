"""Surfels: flat Gaussians at the pixels of a photo, aligned with the surface given by its depths."""

from typing import NamedTuple

import numpy as np
import scipy
from jaxtyping import Float, Int

from swerve.data.splats.log_images import PosedImage
from swerve.rasterizer.splats import Gaussians
from swerve.rasterizer.splats.harmonics import SIZES, rgb_to_sh
from swerve.scenes.transforms import transform_points

# Standard deviations relative to the pixel spacing: along the surface, and across it.
_WIDTH, _THICKNESS = 0.6, 0.2
# Largest ratio of depths of pixels one span apart on a surface.
_SMOOTH = 1.25
# Largest length of a surfel relative to the width of a square of pixels.
_LONGEST = 3.0
_SMALLEST = 1e-3


class Surfels(NamedTuple):
    """Coloured flat Gaussians.

    Attributes:
        centers: centres, metres.
        colors: 0 to 1.
        covariances: squared metres.
    """

    centers: Float[np.ndarray, "n 3"]
    colors: Float[np.ndarray, "n 3"]
    covariances: Float[np.ndarray, "n 3 3"]

    @classmethod
    def empty(cls) -> "Surfels":
        """Return an empty set."""
        return cls(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 3, 3)))

    def concatenate(self, other: "Surfels") -> "Surfels":
        """Concatenate surfels."""
        return Surfels(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))

    def of(self, rows: np.ndarray) -> "Surfels":
        """Select the given surfels."""
        return Surfels(*(array[rows] for array in self))

    def moved(self, target_from_source: Float[np.ndarray, "4 4"]) -> "Surfels":
        """Transform to another frame by a rigid transform."""
        turn = target_from_source[:3, :3]
        return self._replace(
            centers=transform_points(target_from_source, self.centers), covariances=turn @ self.covariances @ turn.T
        )

    def gaussians(self, degree: int, opacity: float) -> Gaussians:
        """Convert to Gaussians of the given opacity."""
        squares, axes = np.linalg.eigh(self.covariances)
        axes[np.linalg.det(axes) < 0, :, 0] *= -1
        harmonics = np.zeros((len(self.centers), SIZES[degree], 3))
        harmonics[:, 0] = rgb_to_sh(self.colors)
        arrays = (
            self.centers,
            scipy.spatial.transform.Rotation.from_matrix(axes).as_quat(scalar_first=True),
            np.log(np.sqrt(squares.clip(0)).clip(_SMALLEST)),
            np.full(len(self.centers), np.log(opacity / (1 - opacity))),
            harmonics,
        )
        return Gaussians(*(array.astype(np.float32) for array in arrays))


def surfels_of(
    photo: PosedImage,
    depth: Float[np.ndarray, "h w"],
    rows: Int[np.ndarray, "n"],
    columns: Int[np.ndarray, "n"],
    spans: tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"]],
) -> Surfels:
    """Build surfels of the rectangles around pixels, world frame.

    Args:
        photo: photo.
        depth: of all its pixels, metres along the camera's z axis, finite.
        rows: pixel rows.
        columns: pixel columns.
        spans: height and width of each rectangle, pixels.
    """
    places = _places(photo, depth, rows, columns)
    color = _mean_colors(photo, rows, columns, spans)
    size = np.maximum(*spans) * depth[rows, columns] / photo.camera.fx
    down = _tangents(photo, depth, rows, columns, spans[0], (1, 0))
    across = _tangents(photo, depth, rows, columns, spans[1], (0, 1))
    thick = (_THICKNESS * size)[:, None, None] ** 2 * np.eye(3)
    covariances = _WIDTH**2 * (_square(across) + _square(down)) + thick
    return Surfels(places, color, covariances)


def spans_of(
    photo: PosedImage, depth: Float[np.ndarray, "h w"], spacing: int
) -> tuple[Int[np.ndarray, "h w"], Int[np.ndarray, "h w"]]:
    """Compute height and width of each pixel's rectangle: `spacing`, or less at grazing angles.

    On a road a few pixels further up are many metres further on. One surfel for all of them would be long enough to
    protrude in front of an approaching camera, since splats are projected by a local approximation; a short one would
    leave holes. So no surfel is longer than three times the width of `spacing` pixels there.

    Args:
        photo: photo.
        depth: of all its pixels, metres along the camera's z axis, finite.
        spacing: pixels.
    """
    down, across = (_span(1 / depth, axis, spacing, f) for axis, f in enumerate((photo.camera.fy, photo.camera.fx)))
    return down, across


def _span(nearness: Float[np.ndarray, "h w"], axis: int, spacing: int, focal: float) -> Int[np.ndarray, "h w"]:
    """Compute the span along an image axis. Linear inverse depth separates planes from depth edges."""
    last = nearness.shape[axis] - 1
    places = np.arange(last + 1)
    after, before = np.minimum(places + spacing, last), np.maximum(places - spacing, 0)
    to_after, to_before = (np.expand_dims(gap, 1 - axis) for gap in (after - places, places - before))
    ends = nearness.take(after, axis), nearness.take(before, axis)
    gone = np.maximum(to_after + to_before, 1)
    between = (ends[0] * to_before + ends[1] * to_after) / gone
    plane = np.abs(np.log(between / nearness)) < np.log(_SMOOTH) / 2
    stretch = np.hypot(1.0, focal * (ends[0] - ends[1]) / gone / nearness)
    span = np.clip(_LONGEST * spacing / stretch, 1, spacing).astype(int)
    return np.where(plane, span, spacing)


def _places(photo: PosedImage, depth: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> Float[np.ndarray, "n 3"]:
    """Unproject pixels to world points."""
    rays = photo.camera.unproject(np.stack([columns, rows], axis=1) + 0.5)
    return transform_points(photo.world_from_camera, rays * depth[rows, columns][:, None])


def _mean_colors(
    photo: PosedImage, rows: np.ndarray, columns: np.ndarray, spans: tuple[np.ndarray, np.ndarray]
) -> Float[np.ndarray, "n 3"]:
    """Compute the mean colour of each rectangle, clipped to the image, from a summed-area table."""
    height, width = photo.rgb.shape[:2]
    sums = np.pad(photo.rgb, ((1, 0), (1, 0), (0, 0))).astype(np.int64).cumsum(axis=0).cumsum(axis=1)
    top, left = rows - spans[0] // 2, columns - spans[1] // 2
    bottom, right = np.minimum(top + spans[0], height), np.minimum(left + spans[1], width)
    top, left = np.maximum(top, 0), np.maximum(left, 0)
    total = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    means: Float[np.ndarray, "n 3"] = total / (255 * (bottom - top) * (right - left))[:, None]
    return means


def _tangents(
    photo: PosedImage,
    depth: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    span: np.ndarray,
    axis: tuple[int, int],
) -> Float[np.ndarray, "n 3"]:
    """Compute the surface tangent over a span of pixels; at depth edges, that of a plane facing the camera."""
    step = np.outer(axis, span)
    ahead = (rows + step[0]).clip(0, depth.shape[0] - 1), (columns + step[1]).clip(0, depth.shape[1] - 1)
    behind = (rows - step[0]).clip(0, depth.shape[0] - 1), (columns - step[1]).clip(0, depth.shape[1] - 1)
    gone = np.maximum(np.abs(ahead[0] - behind[0]) + np.abs(ahead[1] - behind[1]), 1)
    along = (_places(photo, depth, *ahead) - _places(photo, depth, *behind)) * (span / gone)[:, None]
    # Both neighbours must lie on the surface.
    ratios = np.log(np.stack([depth[ahead], depth[behind]]) / depth[rows, columns])
    smooth = (np.abs(ratios) < np.log(_SMOOTH)).all(axis=0)
    side = photo.world_from_camera[:3, 0 if axis[1] else 1]
    facing = (span * depth[rows, columns] / photo.camera.fx)[:, None] * side
    return np.where(smooth[:, None], along, facing)


def _square(vectors: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3 3"]:
    squares: Float[np.ndarray, "n 3 3"] = vectors[:, :, None] * vectors[:, None, :]
    return squares
