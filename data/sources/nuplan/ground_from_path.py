"""Ground around a driven path, for maps without heights."""

import numpy as np
from jaxtyping import Float

from swerve.scenes import GroundHeight
from swerve.scenes.polyline import arc_lengths

# Metres between nodes of the ground, and between points of the path.
_SPACING, _SAMPLE = 4.0, 2.0
_POWER = 3


def ground_along(path: Float[np.ndarray, "t 3"], center: Float[np.ndarray, "2"], radius: float) -> GroundHeight:
    """Estimate the ground in a square around a path on it: the path's heights weighted by their inverse cubed distance.

    Level across the path and far from it (Shepard's interpolation). Off the path the true ground may differ by metres
    in hilly streets; no map or box says more.

    Args:
        path: points on the ground, metres.
        center: middle of the square.
        radius: half its side.
    """
    travelled = arc_lengths(path)
    marks = np.unique(
        np.searchsorted(travelled, np.arange(0.0, travelled[-1] + _SAMPLE, _SAMPLE)).clip(0, len(path) - 1)
    )
    known = path[marks]
    count = int(np.ceil(2 * radius / _SPACING)) + 1
    corner = center - _SPACING * (count - 1) / 2
    axis = _SPACING * np.arange(count)
    heights = np.empty((count, count), np.float32)
    for row in range(count):
        nodes = np.stack([corner[0] + axis, np.full(count, corner[1] + axis[row])], axis=1)
        squared = ((nodes[:, None] - known[:, :2]) ** 2).sum(axis=2) + 1.0
        weights = squared ** (-_POWER / 2)
        heights[row] = weights @ known[:, 2] / weights.sum(axis=1)
    return GroundHeight(heights, corner, _SPACING)
