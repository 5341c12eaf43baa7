"""Moving tracks, each of which becomes a node."""

import numpy as np

from swerve.rasterizer.splats import Gaussians, RigidNode
from swerve.scenes import Log, Tracks
from swerve.scenes.transforms import pose_from_yaw

# Tracks that stay within this distance of their first position, metres, are static and belong to the background.
_STILL = 1.0


def moving_rows(tracks: Tracks) -> np.ndarray:
    """Return the rows of the tracks that leave their first position."""
    return np.array([row for row in range(len(tracks)) if _moves(tracks, row)], int)


def empty_node(log: Log, row: int, degree: int = 0) -> RigidNode:
    """Build a track's node with its box poses and without Gaussians (with harmonics of the given degree)."""
    tracks, steps = log.tracks, np.flatnonzero(log.tracks.valid[row])
    poses = pose_from_yaw(tracks.positions[row, steps], tracks.headings[row, steps])
    return RigidNode(tracks.ids[row], row + 1, Gaussians.empty(degree), log.times_us[steps].astype(np.int64), poses)


def box_size(tracks: Tracks, row: int) -> np.ndarray:
    """Return length, width and height of a track's box: the median over time."""
    size: np.ndarray = np.median(tracks.sizes[row, tracks.valid[row]], axis=0)
    return size


def _moves(tracks: Tracks, row: int) -> bool:
    places = tracks.positions[row, tracks.valid[row]]
    return len(places) > 0 and bool(np.linalg.norm(places - places[0], axis=1).max() > _STILL)
