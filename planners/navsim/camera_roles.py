"""Names of NAVSIM's eight cameras for the cameras of any rig."""

import math
from collections.abc import Sequence
from typing import Final

from swerve.scenes import Camera

# Directions of the cameras of nuPlan's vehicles, degrees to the left of straight ahead.
ROLES: Final = {
    "cam_f0": 0.0,
    "cam_l0": 50.0,
    "cam_l1": 95.0,
    "cam_l2": 145.0,
    "cam_r0": -50.0,
    "cam_r1": -95.0,
    "cam_r2": -145.0,
    "cam_b0": 180.0,
}
_FARTHEST: Final = 30.0
# Cameras whose directions differ less look the same way: the first of the rig is taken.
_RESOLUTION: Final = 5.0


def cameras_by_role(cameras: Sequence[Camera]) -> dict[str, Camera]:
    """Return the cameras that have a role of NAVSIM's eight.

    A camera has the role of its name, if it has one of these names, else the role nearest to its direction, if that is
    within 30 degrees. Of several cameras of a role, the nearest has it.
    """
    found: dict[str, tuple[int, Camera]] = {}
    for camera in cameras:
        role, degrees = _role(camera)
        rank = round(degrees / _RESOLUTION)
        if degrees <= _FARTHEST and (role not in found or rank < found[role][0]):
            found[role] = rank, camera
    return {role: found[role][1] for role in ROLES if role in found}


def _role(camera: Camera) -> tuple[str, float]:
    """Return the nearest role and the angle to it, degrees."""
    if camera.name.lower() in ROLES:
        return camera.name.lower(), 0.0
    ahead, left, _ = camera.ego_from_camera[:3, 2]
    direction = math.degrees(math.atan2(left, ahead))
    angles = {role: abs((direction - towards + 180.0) % 360.0 - 180.0) for role, towards in ROLES.items()}
    role = min(angles, key=angles.__getitem__)
    return role, angles[role]
