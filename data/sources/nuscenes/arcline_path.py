"""Centrelines of nuScenes' lanes: chains of Dubins paths ("arcline paths").

A path has three parts of constant curvature, named by its shape: L turns left, R right, S goes straight; the curvature
of turns is one over the radius. After a length s of curvature k from the pose (x, y, a), the pose is

    x + (sin(a + k s) - sin a) / k,  y - (cos(a + k s) - cos a) / k,  a + k s

and x + s cos a, y + s sin a, a where k is zero (L. Dubins, "On curves of minimal length with a constraint on average
curvature", American Journal of Mathematics 79, 1957).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

SHAPES = ("LRL", "RLR", "LSL", "LSR", "RSL", "RSR")
_SIGNS = {"L": 1.0, "S": 0.0, "R": -1.0}
_STRAIGHT = 1e-9


@dataclass(frozen=True)
class ArclinePath:
    """A Dubins path.

    Attributes:
        start: x, y and heading where it begins, metres and radians.
        shape: one of `SHAPES`.
        radius: of its turns, metres.
        lengths: of its three parts, metres.
    """

    start: tuple[float, float, float]
    shape: str
    radius: float
    lengths: tuple[float, float, float]

    def points(self, spacing: float) -> Float[np.ndarray, "n 2"]:
        """Return points along the path, its ends included, at most `spacing` metres apart."""
        total = sum(self.lengths)
        along = np.linspace(0.0, total, max(int(np.ceil(total / spacing)), 1) + 1)
        pose, begin = np.array(self.start), 0.0
        points = np.empty((len(along), 2))
        for sign, length in zip(self.shape, self.lengths, strict=True):
            own = along >= begin
            curvature = _SIGNS[sign] / self.radius
            points[own] = _advance(pose, along[own] - begin, curvature)[:, :2]
            pose, begin = _advance(pose, np.array([length]), curvature)[0], begin + length
        return points


def _advance(
    pose: Float[np.ndarray, "3"], lengths: Float[np.ndarray, "n"], curvature: float
) -> Float[np.ndarray, "n 3"]:
    """Return the poses after some lengths of constant curvature."""
    x, y, heading = pose
    after = heading + curvature * lengths
    if abs(curvature) < _STRAIGHT:
        return np.column_stack([x + lengths * np.cos(heading), y + lengths * np.sin(heading), after])
    east, north = (np.sin(after) - np.sin(heading)) / curvature, (np.cos(after) - np.cos(heading)) / curvature
    return np.column_stack([x + east, y - north, after])


def centerline_of(paths: Sequence[ArclinePath], spacing: float) -> Float[np.ndarray, "n 2"]:
    """Return the points of a chain of paths, at most `spacing` metres apart; where two join, there is one point."""
    pieces = [path.points(spacing) for path in paths]
    return np.concatenate([piece if index == 0 else piece[1:] for index, piece in enumerate(pieces)])
