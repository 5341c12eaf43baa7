"""Default camera rigs, for logs without cameras."""

from collections.abc import Sequence

import numpy as np

from swerve.scenes import FORWARD, Camera, Lens, LensModel
from swerve.scenes.transforms import rigid_transform, rotation_about_z

# Name, direction in degrees (counter-clockwise from ahead), and position on the roof in metres (x, y).
_RING = (
    ("front", 0.0, 1.60, 0.00),
    ("front_left", 45.0, 1.50, 0.45),
    ("left", 90.0, 1.20, 0.60),
    ("back_left", 135.0, 0.40, 0.50),
    ("back", 180.0, 0.00, 0.00),
    ("back_right", -135.0, 0.40, -0.50),
    ("right", -90.0, 1.20, -0.60),
    ("front_right", -45.0, 1.50, -0.45),
)
_HEIGHT = 1.60
_FOCAL = 1545.0
_DISTORTION = (-0.10, 0.02, 0.0, 0.0, 0.0)


def default_rig() -> tuple[Camera, ...]:
    """Return eight 1920x1120 cameras in a ring on a car's roof, 45 degrees apart, each 64 degrees wide.

    A synthetic rig with a mild barrel distortion (a corner moves by 50 pixels), so that any log can be rendered.
    """
    lens = Lens(LensModel.BROWN, _DISTORTION)
    return tuple(
        Camera(name, 1920, 1120, _FOCAL, _FOCAL, 960.0, 560.0, _mounted(degrees, x, y), lens)
        for name, degrees, x, y in _RING
    )


def is_default_rig(cameras: Sequence[Camera]) -> bool:
    """Return whether cameras are those of `default_rig`."""
    rig = default_rig()
    return [camera.name for camera in cameras] == [camera.name for camera in rig] and all(
        np.array_equal(one.ego_from_camera, other.ego_from_camera) and one.lens == other.lens
        for one, other in zip(cameras, rig, strict=True)
    )


def _mounted(degrees: float, x: float, y: float) -> np.ndarray:
    """Return the mounting of a level camera that looks `degrees` to the left of straight ahead."""
    return rigid_transform(rotation_about_z(np.deg2rad(degrees)) @ FORWARD, np.array([x, y, _HEIGHT]))
