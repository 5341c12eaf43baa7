"""Flat Gaussians where the pixels of a photograph lie, as they lie: along the surface that its depths show."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int
from scipy.ndimage import uniform_filter
from scipy.spatial.transform import Rotation

from swerve.data.fitting.pictures import Picture
from swerve.rasterizer.splats import Gaussians
from swerve.rasterizer.splats.harmonics import SIZES, constant_harmonics
from swerve.scenes.transforms import transform_points

# Standard deviations over the spacing of pixels: along the surface, and across it.
_WIDTH, _THICKNESS = 0.6, 0.2
# Depths of pixels that lie one spacing apart on a surface differ by less than this factor.
_SMOOTH = 1.25
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
    picture: Picture,
    depth: Float[np.ndarray, "h w"],
    rows: Int[np.ndarray, "n"],
    columns: Int[np.ndarray, "n"],
    spacing: int,
) -> Surfels:
    """What the squares of `spacing` pixels around pixels show, in the world.

    Args:
        picture: the photograph.
        depth: of all its pixels, metres along the camera's z axis, finite.
        rows: of the pixels.
        columns: of the pixels.
        spacing: pixels.
    """
    places = _places(picture, depth, rows, columns)
    color = uniform_filter(picture.rgb.astype(np.float64), (spacing, spacing, 0))[rows, columns] / 255
    size = spacing * depth[rows, columns] / picture.camera.fx
    across = _tangents(picture, depth, rows, columns, (0, spacing))
    down = _tangents(picture, depth, rows, columns, (spacing, 0))
    thick = (_THICKNESS * size)[:, None, None] ** 2 * np.eye(3)
    covariances = _WIDTH**2 * (_square(across) + _square(down)) + thick
    return Surfels(places, color, covariances)


def _places(picture: Picture, depth: np.ndarray, rows: np.ndarray, columns: np.ndarray) -> Float[np.ndarray, "n 3"]:
    """World points of pixels."""
    rays = picture.camera.unproject(np.stack([columns, rows], axis=1) + 0.5)
    return transform_points(picture.world_from_camera, rays * depth[rows, columns][:, None])


def _tangents(
    picture: Picture, depth: np.ndarray, rows: np.ndarray, columns: np.ndarray, step: tuple[int, int]
) -> Float[np.ndarray, "n 3"]:
    """How far the surface goes on over a step of pixels; at a rim of it, as if it faced the camera."""
    ahead = (rows + step[0]).clip(0, depth.shape[0] - 1), (columns + step[1]).clip(0, depth.shape[1] - 1)
    behind = (rows - step[0]).clip(0, depth.shape[0] - 1), (columns - step[1]).clip(0, depth.shape[1] - 1)
    gone = np.maximum(np.abs(ahead[0] - behind[0]) + np.abs(ahead[1] - behind[1]), 1)[:, None]
    along = (_places(picture, depth, *ahead) - _places(picture, depth, *behind)) * max(step) / gone
    # Both neighbours must lie on it.
    ratios = np.log(np.stack([depth[ahead], depth[behind]]) / depth[rows, columns])
    smooth = (np.abs(ratios) < np.log(_SMOOTH)).all(axis=0)
    axis = picture.world_from_camera[:3, 0 if step[1] else 1]
    facing = (max(step) * depth[rows, columns] / picture.camera.fx)[:, None] * axis
    return np.where(smooth[:, None], along, facing)


def _square(vectors: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3 3"]:
    return vectors[:, :, None] * vectors[:, None, :]
