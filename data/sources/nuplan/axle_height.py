"""Height of the rear axle over the road, where neither map nor calibration states it."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import scipy
from jaxtyping import Float

# Metres from the driven path of vehicles whose bottoms tell the road's height; a wheel's radius, and the range of
# estimates.
_NEAR: Final = 5.0
_WHEEL_RADIUS: Final = 0.36
_LOWEST, _HIGHEST = 0.2, 0.6


def estimate_axle_height(
    path: Float[np.ndarray, "n 3"], bottoms: Float[np.ndarray, "m 3"], tracks: Sequence[str]
) -> float:
    """Estimate the height of the driven path, that of the rear axle, over the road, metres.

    Vehicles drive where the ego does: the height is that of the path above the bottom of a box at most 5 m away, the
    median over the boxes of a track, and over the tracks. Without such boxes it is a wheel's radius.

    Args:
        path: positions of the rear axle, world.
        bottoms: centres of the bottoms of vehicles' boxes, world.
        tracks: the track of each box.
    """
    if not len(bottoms):
        return _WHEEL_RADIUS
    gaps, nearest = scipy.spatial.cKDTree(path[:, :2]).query(bottoms[:, :2], distance_upper_bound=_NEAR)
    near = np.isfinite(gaps)
    if not near.any():
        return _WHEEL_RADIUS
    above, owners = path[nearest[near], 2] - bottoms[near, 2], np.array(tracks)[near]
    heights = [float(np.median(above[owners == owner])) for owner in np.unique(owners)]
    return float(np.clip(np.median(heights), _LOWEST, _HIGHEST))
