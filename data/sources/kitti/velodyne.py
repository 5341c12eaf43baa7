"""Scans of KITTI's laser scanner (Velodyne HDL-64E).

A scan takes 103.6 ms, counter-clockwise from behind; its time is that when the scanner faces ahead, which triggers the
cameras. Files have the points as they were measured, while the car moved: here they are moved to where they would have
been measured at the scan's time, with the car's velocity and rate of yaw at that time.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float, Float32

from swerve.data.sources.kitti.car import PASSAT
from swerve.data.sources.point_records import read_point_records
from swerve.scenes.transforms import transform_points

_DURATION: Final = 0.1036
# float32: x, y, z, reflectance.
_POINT: Final = 4
# Returns this near to the car's outline, metres, are from the car itself.
_BODY: Final = 0.3


@dataclass(frozen=True)
class ScanReader:
    """Reader of a scan, given the car's motion.

    Attributes:
        ego_from_velo: mounting of the scanner.
        velocity: of the scanner in its own frame, m/s.
        yaw_rate: rad/s.
    """

    ego_from_velo: Float[np.ndarray, "4 4"]
    velocity: Float[np.ndarray, "3"]
    yaw_rate: float

    def __call__(self, path: Path) -> Float32[np.ndarray, "n 3"]:
        """Read the points in the scanner's frame at the scan's time, without returns from the ego's own body.

        Raises:
            LogError: the file is missing, cut off, or a point is not finite.
        """
        points = read_scan(path)
        corners = PASSAT.footprint()
        seen = transform_points(self.ego_from_velo, points)[:, :2]
        own = ((seen >= corners.min(axis=0) - _BODY) & (seen <= corners.max(axis=0) + _BODY)).all(axis=1)
        return untwisted(points[~own], self.velocity, self.yaw_rate).astype(np.float32)


def read_scan(path: Path) -> Float[np.ndarray, "n 3"]:
    """Read the points of a scan as they were measured.

    Raises:
        LogError: the file is missing, cut off, or a point is not finite.
    """
    values = read_point_records(path, _POINT)
    points: Float[np.ndarray, "n 3"] = values[:, :3].astype(np.float64)
    return points


def untwisted(
    points: Float[np.ndarray, "n 3"], velocity: Float[np.ndarray, "3"], yaw_rate: float
) -> Float[np.ndarray, "n 3"]:
    """Return where points would have been measured at the time when the scanner faced ahead.

    A point in the direction a (counter-clockwise from ahead) was measured a / 2 pi x 103.6 ms later; until then the
    scanner moved by its velocity, and turned.
    """
    later = np.arctan2(points[:, 1], points[:, 0]) / (2 * np.pi) * _DURATION
    turn = yaw_rate * later
    x = np.cos(turn) * points[:, 0] - np.sin(turn) * points[:, 1]
    y = np.sin(turn) * points[:, 0] + np.cos(turn) * points[:, 1]
    moved: Float[np.ndarray, "n 3"] = np.column_stack([x, y, points[:, 2]]) + later[:, None] * velocity
    return moved
