"""Shares of tracks that are seen from a point, with other tracks in between."""

from typing import Final

import numpy as np
from jaxtyping import Float

from swerve.scenes.tracks import Tracks
from swerve.scenes.visibility_kernels import visible_points

# Points of a box that are looked at, as shares of its size from its middle: at three heights, its middle and corners,
# a little inside.
_POINTS: Final = np.array(
    [[x, y, z] for z in (-0.3, 0.0, 0.45) for x, y in ((0, 0), (-0.4, -0.4), (-0.4, 0.4), (0.4, -0.4), (0.4, 0.4))]
)


def visible_shares(tracks: Tracks, eyes: Float[np.ndarray, "t 3"], reach: float = np.inf) -> Float[np.ndarray, "n t"]:
    """Compute the share of each track's box that is seen from an eye at each step, 0 to 1.

    A line of sight from the eye to each of 15 points of the box is free if it leads through no other box. Buildings,
    walls and the ground hide nothing. nuScenes' levels of visibility are shares of 0.4, 0.6 and 0.8.

    Args:
        tracks: all boxes, in the world frame.
        eyes: position of the eye, such as a camera's, at each step of the tracks, world frame, metres.
        reach: tracks farther away in the plane are not seen, metres.

    Returns:
        shares; 0 where a track is not valid.
    """
    shares = np.zeros(tracks.valid.shape)
    headings = tracks.headings
    visible_points(
        np.ascontiguousarray(eyes, np.float64),
        np.ascontiguousarray(tracks.positions, np.float64),
        np.cos(headings),
        np.sin(headings),
        np.ascontiguousarray(tracks.sizes, np.float64),
        np.ascontiguousarray(tracks.valid),
        float(reach),
        _POINTS,
        shares,
    )
    return shares
