"""Flat Gaussians where the pixels of a photograph lie, as they lie: along the surface that its depths show."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from swerve.data.splats.log_images import PosedImage
from swerve.rasterizer.splats import Gaussians
from swerve.rasterizer.splats.harmonics import SIZES, constant_harmonics
from swerve.scenes.transforms import transform_points

# Standard deviations over the spacing of pixels: along the surface, and across it.
_WIDTH, _THICKNESS = 0.6, 0.2
# Depths of pixels that lie one span apart on a surface differ by less than this factor.
_SMOOTH = 1.25
# How long a piece may be, over the width of a square of pixels there.
_LONGEST = 3.0
_SMALLEST = 1e-3


class Surfels(NamedTuple):
    """Coloured flat pieces.

    Attributes:
        places: of their middles, metres.
        colors: 0 to 1.
        covariances: squared metres.
    """

    places: Float[np.ndarray, "n 3"]
    colors: Float[np.ndarray, "n 3"]
    covariances: Float[np.ndarray, "n 3 3"]

    @classmethod
    def none(cls) -> "Surfels":
        """Not a single one."""
        return cls(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros((0, 3, 3)))

    def joined(self, other: "Surfels") -> "Surfels":
        """These, then the others."""
        return Surfels(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))

    def of(self, rows: np.ndarray) -> "Surfels":
        """The given ones alone."""
        return Surfels(*(array[rows] for array in self))

    def moved(self, target_from_source: Float[np.ndarray, "4 4"]) -> "Surfels":
        """In another frame, by a rigid transform."""
        turn = target_from_source[:3, :3]
        return self._replace(
            places=transform_points(target_from_source, self.places), covariances=turn @ self.covariances @ turn.T
        )

    def gaussians(self, degree: int, opacity: float) -> Gaussians:
        """One for each, of this opacity."""
        squares, axes = np.linalg.eigh(self.covariances)
        axes[np.linalg.det(axes) < 0, :, 0] *= -1
        harmonics = np.zeros((len(self.places), SIZES[degree], 3))
        harmonics[:, 0] = constant_harmonics(self.colors)
        arrays = (
            self.places,
            Rotation.from_matrix(axes).as_quat(scalar_first=True),
            np.log(np.sqrt(squares.clip(0)).clip(_SMALLEST)),
            np.full(len(self.places), np.log(opacity / (1 - opacity))),
            harmonics,
        )
        return Gaussians(*(array.astype(np.float32) for array in arrays))


def surfels_of(
    picture: PosedImage,
    depth: Float[np.ndarray, "h w"],
    rows: Int[np.ndarray, "n"],
    columns: Int[np.ndarray, "n"],
    spans: tuple[Int[np.ndarray, "n"], Int[np.ndarray, "n"]],
) -> Surfels:
    """What the rectangles around pixels show, in the world.

    Args:
        picture: the photograph.
        depth: of all its pixels, metres along the camera's z axis, finite.
        rows: of the pixels.
        columns: of the pixels.
        spans: how many pixels high and wide each rectangle is.
    """
    places = _places(picture, depth, rows, columns)
    color = _mean_colors(picture, rows, columns, spans)
    size = np.maximum(*spans) * depth[rows, columns] / picture.camera.fx
    down = _tangents(picture, depth, rows, columns, spans[0], (1, 0))
    across = _tangents(picture, depth, rows, columns, spans[1], (0, 1))
    thick = (_THICKNESS * size)[:, None, None] ** 2 * np.eye(3)
    covariances = _WIDTH**2 * (_square(across) + _square(down)) + thick
    return Surfels(places, color, covariances)


def spans_of(
    picture: PosedImage, depth: Float[np.ndarray, "h w"], spacing: int
) -> tuple[Int[np.ndarray, "h w"], Int[np.ndarray, "h w"]]:
    """How high and wide the rectangle of a pixel may be, pixels: `spacing`, or less where the surface is seen aslant.

    On a road a few pixels further up is many metres further on. One piece for all of them would be long enough to rise
    before a camera that comes near, since it is drawn as if it were small; a short one would leave holes that such a
    camera sees. So no piece is longer than three times what `spacing` pixels are across there.

    Args:
        picture: the photograph.
        depth: of all its pixels, metres along the camera's z axis, finite.
        spacing: pixels.
    """
    down, across = (_span(1 / depth, axis, spacing, f) for axis, f in enumerate((picture.camera.fy, picture.camera.fx)))
    return down, across


def _span(nearness: Float[np.ndarray, "h w"], axis: int, spacing: int, focal: float) -> Int[np.ndarray, "h w"]:
    """Along an axis of the image. On a plane the inverse depth is linear along it, which tells a plane from a rim."""
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


def _places(picture: PosedImage, depth: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> Float[np.ndarray, "n 3"]:
    """World points of pixels."""
    rays = picture.camera.unproject(np.stack([columns, rows], axis=1) + 0.5)
    return transform_points(picture.world_from_camera, rays * depth[rows, columns][:, None])


def _mean_colors(
    picture: PosedImage, rows: np.ndarray, columns: np.ndarray, spans: tuple[np.ndarray, np.ndarray]
) -> Float[np.ndarray, "n 3"]:
    """Of each rectangle, as far as it is in the image, from sums over all that lies above and to the left."""
    height, width = picture.rgb.shape[:2]
    sums = np.pad(picture.rgb, ((1, 0), (1, 0), (0, 0))).astype(np.int64).cumsum(axis=0).cumsum(axis=1)
    top, left = rows - spans[0] // 2, columns - spans[1] // 2
    bottom, right = np.minimum(top + spans[0], height), np.minimum(left + spans[1], width)
    top, left = np.maximum(top, 0), np.maximum(left, 0)
    total = sums[bottom, right] - sums[top, right] - sums[bottom, left] + sums[top, left]
    return total / (255 * (bottom - top) * (right - left))[:, None]


def _tangents(
    picture: PosedImage,
    depth: np.ndarray,
    rows: np.ndarray,
    columns: np.ndarray,
    span: np.ndarray,
    axis: tuple[int, int],
) -> Float[np.ndarray, "n 3"]:
    """How far the surface goes on over a span of pixels; at a rim of it, as if it faced the camera."""
    step = np.outer(axis, span)
    ahead = (rows + step[0]).clip(0, depth.shape[0] - 1), (columns + step[1]).clip(0, depth.shape[1] - 1)
    behind = (rows - step[0]).clip(0, depth.shape[0] - 1), (columns - step[1]).clip(0, depth.shape[1] - 1)
    gone = np.maximum(np.abs(ahead[0] - behind[0]) + np.abs(ahead[1] - behind[1]), 1)
    along = (_places(picture, depth, *ahead) - _places(picture, depth, *behind)) * (span / gone)[:, None]
    # Both neighbours must lie on it.
    ratios = np.log(np.stack([depth[ahead], depth[behind]]) / depth[rows, columns])
    smooth = (np.abs(ratios) < np.log(_SMOOTH)).all(axis=0)
    side = picture.world_from_camera[:3, 0 if axis[1] else 1]
    facing = (span * depth[rows, columns] / picture.camera.fx)[:, None] * side
    return np.where(smooth[:, None], along, facing)


def _square(vectors: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3 3"]:
    return vectors[:, :, None] * vectors[:, None, :]
