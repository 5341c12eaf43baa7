"""Spherical harmonics: view-dependent colours."""

import numpy as np
from jaxtyping import Float

from swerve.rasterizer.splats import harmonics_kernels

# Number of functions up to each degree.
SIZES = (1, 4, 9, 16)
_CONSTANT = float(np.sqrt(1 / (4 * np.pi)))


def sh_basis(directions: Float[np.ndarray, "n 3"], degree: int) -> Float[np.ndarray, "n k"]:
    """Evaluate the harmonics at unit vectors; see `harmonics_kernels` for their order and signs."""
    out = np.empty((len(directions), SIZES[degree]))
    harmonics_kernels.basis_many(np.asarray(directions, np.float64), out)
    return out


def rgb_to_sh(colors: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """Return the coefficients of degree 0 for constant colours (0 to 1)."""
    return (colors - 0.5) / _CONSTANT


def sh_to_rgb(constants: Float[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """Invert `rgb_to_sh`: return the mean colour over all directions."""
    return constants * _CONSTANT + 0.5


def rotation_of_harmonics(target_from_source: Float[np.ndarray, "3 3"], degree: int) -> Float[np.ndarray, "k k"]:
    """Compute the matrix that takes coefficients in the source frame to those in the target frame.

    Functions up to a degree rotate into each other, so their values at more directions than functions determine the
    coefficients: a least-squares solve, exact to rounding.
    """
    directions = np.random.default_rng(0).normal(size=(4 * SIZES[degree], 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    seen = sh_basis(directions @ target_from_source, degree)
    rotation: Float[np.ndarray, "k k"] = np.linalg.lstsq(sh_basis(directions, degree), seen, rcond=None)[0]
    return rotation
