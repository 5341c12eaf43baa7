"""Poses and motion of KITTI's car from its inertial and satellite navigation (OXTS RT 3003).

A record has 30 numbers; of these are read: latitude, longitude (degrees), altitude (m), roll, pitch, yaw (rad, yaw from
east counter-clockwise), forward and leftward velocity, and the same of acceleration (along the ground) and the rate of
yaw. Positions are Mercator coordinates scaled at the first latitude (Geiger et al., "Vision meets robotics: the KITTI
dataset", IJRR 2013, and its development kit): x east, y north, z up, with the earth's radius R = 6,378,137 m and
s = cos(lat0),

    x = s R lon,  y = s R ln tan(pi / 4 + lat / 2),  z = altitude

and rotations Rz(yaw) Ry(pitch) Rx(roll).
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy
from jaxtyping import Float

from swerve.data.sources.kitti.kitti_text import lines_of, numbers_of
from swerve.scenes import LogError
from swerve.scenes.transforms import rigid_transform

_RADIUS = 6_378_137.0
_COLUMNS = 30
_FORWARD, _LEFT, _FORWARD_ACCELERATION, _LEFT_ACCELERATION, _YAW_RATE = 8, 9, 14, 15, 22
_HIGHEST_LATITUDE = 85.0


@dataclass(frozen=True)
class Oxts:
    """Motion of the inertial unit, frame by frame.

    Attributes:
        world_from_imu: poses, Mercator coordinates minus `origin`; the unit's axes are forward, left, up.
        origin: whole metres, subtracted from the coordinates.
        velocity: forward, left, m/s.
        acceleration: forward, left, m/s2.
        yaw_rate: rad/s.
    """

    world_from_imu: Float[np.ndarray, "t 4 4"]
    origin: Float[np.ndarray, "3"]
    velocity: Float[np.ndarray, "t 2"]
    acceleration: Float[np.ndarray, "t 2"]
    yaw_rate: Float[np.ndarray, "t"]


def read_oxts_lines(path: Path) -> Oxts:
    """Read a file with a record in each line (tracking).

    Raises:
        LogError: it cannot be read, or a record is malformed.
    """
    lines = lines_of(path)
    if not lines:
        raise LogError(path, "file", "has no records")
    return _oxts(np.stack([numbers_of(path, lines, row, _COLUMNS) for row in range(len(lines))]), path)


def read_oxts_files(paths: list[Path]) -> Oxts:
    """Read files with one record each (raw data).

    Raises:
        LogError: a file cannot be read or is malformed.
    """
    return _oxts(np.stack([numbers_of(path, lines_of(path), 0, _COLUMNS) for path in paths]), paths[0].parent)


def _oxts(records: Float[np.ndarray, "t 30"], path: Path) -> Oxts:
    latitude, longitude = records[:, 0], records[:, 1]
    wrong = np.flatnonzero((np.abs(latitude) > _HIGHEST_LATITUDE) | (np.abs(longitude) > 180.0))
    if len(wrong):
        place = f"{latitude[wrong[0]]}, {longitude[wrong[0]]}"
        raise LogError(path, f"record {wrong[0]}", f"is at latitude and longitude {place}, which is no place on a road")
    positions = mercator(latitude, longitude, records[:, 2])
    origin = np.round(positions[0])
    rotations = scipy.spatial.transform.Rotation.from_euler("ZYX", records[:, [5, 4, 3]]).as_matrix()
    return Oxts(
        rigid_transform(rotations, positions - origin),
        origin,
        records[:, [_FORWARD, _LEFT]],
        records[:, [_FORWARD_ACCELERATION, _LEFT_ACCELERATION]],
        records[:, _YAW_RATE],
    )


def mercator(
    latitude: Float[np.ndarray, "t"], longitude: Float[np.ndarray, "t"], altitude: Float[np.ndarray, "t"]
) -> Float[np.ndarray, "t 3"]:
    """Convert degrees and metres to Mercator coordinates scaled at the first latitude."""
    scaled = np.cos(np.deg2rad(latitude[0])) * _RADIUS
    north = np.log(np.tan(np.pi / 4 + np.deg2rad(latitude) / 2))
    return np.column_stack([scaled * np.deg2rad(longitude), scaled * north, altitude])
