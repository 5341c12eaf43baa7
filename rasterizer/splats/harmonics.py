"""Colours that depend on the direction from which they are seen."""

import numpy as np
from jaxtyping import Float

from swerve.rasterizer.splats import harmonics_kernels

# How many functions there are up to each degree.
SIZES = (1, 4, 9, 16)
_CONSTANT = float(np.sqrt(1 / (4 * np.pi)))


def basis(directions: Float[np.ndarray, "n 3"], degree: int) -> Float[np.ndarray, "n k"]:
    """The harmonics at unit vectors; see `harmonics_kernels` for their order and signs."""
    out = np.empty((len(directions), SIZES[degree]))
    harmonics_kernels.basis_many(np.asarray(directions, np.float64), out)
    return out


def constant_harmonics(colors: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """The coefficient of degree 0 that alone gives each colour (0 to 1)."""
    return (colors - 0.5) / _CONSTANT


def mean_colors(constants: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """The inverse of `constant_harmonics`: the mean colour over all directions."""
    return constants * _CONSTANT + 0.5


def rotation_of_harmonics(target_from_source: Float[np.ndarray, "3 3"], degree: int) -> Float[np.ndarray, "k k"]:
    """What takes coefficients in the source frame to those of the same colours in the target frame.

    Functions up to a degree rotate into each other, so the values at more directions than there are functions
    determine the coefficients: they are solved for, which is exact to rounding.
    """
    directions = np.random.default_rng(0).normal(size=(4 * SIZES[degree], 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    seen = basis(directions @ target_from_source, degree)
    return np.linalg.lstsq(basis(directions, degree), seen, rcond=None)[0]
