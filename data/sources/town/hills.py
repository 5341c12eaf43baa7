"""Hilly terrain with slopes of a few per cent."""

import numpy as np
from jaxtyping import Float

from swerve.scenes import GroundHeight

# Metres between the nodes of the raster, and its margin around the streets.
_SPACING, _MARGIN = 2.0, 60.0
_WAVES = 6


def hills(points: Float[np.ndarray, "n 2"], generator: np.random.Generator) -> GroundHeight:
    """Generate a smooth height field around the given points.

    A sum of waves 180 to 600 m long; the steepest slope lies between 1 and 6 %, sampled per town.

    Args:
        points: points to cover, metres.
        generator: random number generator.
    """
    low = points.min(axis=0) - _MARGIN
    size = np.ceil((np.ptp(points, axis=0) + 2 * _MARGIN) / _SPACING).astype(int) + 1
    x, y = np.meshgrid(*(low[axis] + _SPACING * np.arange(size[axis]) for axis in (0, 1)))
    angle, phase = generator.uniform(0, 2 * np.pi, (2, _WAVES))
    number = 2 * np.pi / generator.uniform(180.0, 600.0, _WAVES)
    steepness = generator.uniform(0.3, 1.0, _WAVES)
    waves = zip(steepness / number, number, angle, phase, strict=True)
    heights = sum(a * np.sin(k * (np.cos(w) * x + np.sin(w) * y) + p) for a, k, w, p in waves)
    slopes = np.hypot(*np.gradient(heights, _SPACING))
    scale = generator.uniform(0.01, 0.06) / slopes.max()
    return GroundHeight(((heights - heights.mean()) * scale).astype(np.float32), low, _SPACING)


def lifted(ground: GroundHeight, points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 3"]:
    """Return the points with the height of the ground."""
    return np.concatenate([points, ground.at(points)[:, None]], axis=1)
