"""Initialization of Gaussians at measured points, or on the surfaces of primitives."""

import numpy as np
import scipy
from jaxtyping import Float

from swerve.rasterizer.splats.gaussians import Gaussians
from swerve.rasterizer.splats.harmonics import SIZES, rgb_to_sh
from swerve.rasterizer.style import Style
from swerve.scenes import SwerveError
from swerve.scenes.primitives import Primitives

_NEIGHBOURS = 3
# Ratio of a surface Gaussian's standard deviation across the surface to that along it.
_FLATNESS = 0.1
_SMALLEST = 1e-3


def gaussians_at_points(
    points: Float[np.ndarray, "n 3"], colors: Float[np.ndarray, "n 3"], degree: int = 3, opacity: float = 0.1
) -> Gaussians:
    """Build isotropic Gaussians sized by the root of the mean squared distance to the three nearest points.

    This is the initialization of 3D Gaussian Splatting (Kerbl et al. 2023).

    Args:
        points: metres, in the frame of the Gaussians.
        colors: 0 to 1.
        degree: degree of the harmonics; those above 0 are zero.
        opacity: opacity of each, between 0 and 1.

    Raises:
        SwerveError: there are too few points, or one is not finite.
    """
    if len(points) <= _NEIGHBOURS or not np.isfinite(points).all():
        raise SwerveError(f"Gaussians need {_NEIGHBOURS + 1} finite points or more to start from, got {len(points)}")
    distances = scipy.spatial.cKDTree(points).query(points, _NEIGHBOURS + 1)[0][:, 1:]
    scales = np.sqrt((distances**2).mean(axis=1)).clip(_SMALLEST)
    upright = np.tile([1.0, 0.0, 0.0, 0.0], (len(points), 1))
    return _gaussians(points, upright, np.repeat(scales[:, None], 3, axis=1), colors, degree, opacity)


def gaussians_on_surfaces(
    primitives: Primitives,
    style: Style,
    count: int,
    generator: np.random.Generator,
    degree: int = 3,
    opacity: float = 0.5,
) -> Gaussians:
    """Sample flat Gaussians on triangles by area, in the triangles' colours.

    Along the surface each Gaussian's standard deviation is half the root of the area that it represents.

    Args:
        primitives: primitives in the Gaussians' frame.
        style: style with the palette.
        count: number of Gaussians.
        generator: random number generator of the positions.
        degree: degree of the harmonics; those above 0 are zero.
        opacity: opacity of each, between 0 and 1.

    Raises:
        SwerveError: the primitives have no area.
    """
    corners = primitives.vertices[primitives.triangles]
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    areas = np.linalg.norm(across, axis=1) / 2
    if not areas.sum() > 0:
        raise SwerveError(f"Gaussians cannot start from {len(primitives)} triangles without area")
    chosen = generator.choice(len(areas), count, p=areas / areas.sum())
    # Uniform sampling of the triangle: the unit square is folded over its diagonal.
    s, t = generator.random((2, count))
    folded = s + t > 1
    s, t = np.where(folded, 1 - s, s)[:, None], np.where(folded, 1 - t, t)[:, None]
    first, second, third = corners[chosen].transpose(1, 0, 2)
    points = first + s * (second - first) + t * (third - first)
    size = np.sqrt(areas.sum() / count) / 2
    scales = np.tile([size, size, size * _FLATNESS], (count, 1)).clip(_SMALLEST)
    colors = style.palette[primitives.semantics[chosen], primitives.faces[chosen]] / 255.0
    return _gaussians(points, _facing(across[chosen]), scales, colors, degree, opacity)


def _facing(normals: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 4"]:
    """Return quaternions of frames whose z axis is along each normal."""
    z = normals / np.linalg.norm(normals, axis=1, keepdims=True)
    # The coordinate axis with the smallest normal component cannot be parallel to it.
    x = np.cross(np.eye(3)[np.abs(z).argmin(axis=1)], z)
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    facing: Float[np.ndarray, "n 4"] = scipy.spatial.transform.Rotation.from_matrix(
        np.stack([x, np.cross(z, x), z], axis=2)
    ).as_quat(scalar_first=True)
    return facing


def _gaussians(
    points: Float[np.ndarray, "n 3"],
    quaternions: Float[np.ndarray, "n 4"],
    scales: Float[np.ndarray, "n 3"],
    colors: Float[np.ndarray, "n 3"],
    degree: int,
    opacity: float,
) -> Gaussians:
    harmonics = np.zeros((len(points), SIZES[degree], 3))
    harmonics[:, 0] = rgb_to_sh(colors)
    logits = np.full(len(points), np.log(opacity / (1 - opacity)))
    arrays = (points, quaternions, np.log(scales), logits, harmonics)
    return Gaussians(*(array.astype(np.float32) for array in arrays))
