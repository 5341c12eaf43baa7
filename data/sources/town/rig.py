"""Cameras of the town's recording vehicle."""

import numpy as np

from swerve.scenes import FORWARD, Camera, Lens, LensModel
from swerve.scenes.transforms import rigid_transform, rotation_about_z

_WIDTH, _HEIGHT = 1920, 1120
# A lens of 64 degrees, with barrel distortion, and one of 100 degrees.
_NORMAL = 1545.0, Lens(LensModel.BROWN, (-0.35, 0.16, 0.0004, -0.0003, -0.04))
_WIDE = 1085.0, Lens(LensModel.FISHEYE, (-0.012, 0.004, -0.002, 0.0003))
# Name: (yaw and pitch in degrees, left and down positive), (x, y, z) in metres, optics.
_MOUNTS = {
    "front": ((0.0, 1.0), (1.75, 0.0, 1.62), _NORMAL),
    "front_left": ((52.0, 2.0), (1.65, 0.55, 1.62), _NORMAL),
    "front_right": ((-52.0, 2.0), (1.65, -0.55, 1.62), _NORMAL),
    "left": ((98.0, 8.0), (1.2, 0.72, 1.66), _WIDE),
    "right": ((-98.0, 8.0), (1.2, -0.72, 1.66), _WIDE),
    "back_left": ((146.0, 2.0), (-0.35, 0.6, 1.62), _NORMAL),
    "back_right": ((-146.0, 2.0), (-0.35, -0.6, 1.62), _NORMAL),
    "back": ((180.0, 3.0), (-0.7, 0.0, 1.6), _NORMAL),
}


def town_rig() -> tuple[Camera, ...]:
    """Return eight cameras on the roof's edge covering 360 degrees: six normal (BROWN) and two wide (FISHEYE)."""
    return tuple(_camera(name, *mount) for name, mount in _MOUNTS.items())


def _camera(
    name: str, direction: tuple[float, float], place: tuple[float, float, float], optics: tuple[float, Lens]
) -> Camera:
    """Build a camera with a direction in degrees; its principal point is 3 and 2 pixels off the centre."""
    yaw, pitch = np.deg2rad(direction)
    down = np.array([[np.cos(pitch), 0, np.sin(pitch)], [0, 1, 0], [-np.sin(pitch), 0, np.cos(pitch)]])
    pose = rigid_transform(rotation_about_z(yaw) @ down @ FORWARD, np.array(place))
    focal, lens = optics
    return Camera(name, _WIDTH, _HEIGHT, focal, focal, _WIDTH / 2 + 3.0, _HEIGHT / 2 - 2.0, pose, lens)
