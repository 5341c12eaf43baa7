"""Roles of cameras: where they look, whatever their data set calls them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from swerve.scenes.camera import Camera
from swerve.scenes.errors import SwerveError

# Directions of the eight roles, degrees to the left of straight ahead: those of nuPlan's vehicles.
ROLES: Final[Mapping[str, float]] = {
    "front": 0.0,
    "front_left": 50.0,
    "left": 95.0,
    "back_left": 145.0,
    "back": 180.0,
    "back_right": -145.0,
    "right": -95.0,
    "front_right": -50.0,
}
HINT: Final = f"Names are those of the log, or else roles: {', '.join(ROLES)}"
_FARTHEST: Final = 30.0
# Cameras whose directions differ less look the same way: the first of the rig is taken.
_RESOLUTION: Final = 5.0


def cameras_by_role(
    cameras: Sequence[Camera], roles: Mapping[str, float] = ROLES, by_name: bool = False
) -> dict[str, Camera]:
    """Return the camera of each role that one has.

    A camera has the role nearest to its direction, if that is within 30 degrees. Of several cameras of a role, the
    nearest has it; the first in the rig of those that differ by less than 5 degrees.

    Args:
        cameras: of a rig.
        roles: directions by role, degrees to the left of straight ahead.
        by_name: whether a camera that bears the name of a role, in upper or lower case, has it wherever it looks.
    """
    found: dict[str, tuple[int, Camera]] = {}
    for camera in cameras:
        role, degrees = _role(camera, roles, by_name)
        rank = round(degrees / _RESOLUTION)
        if degrees <= _FARTHEST and (role not in found or rank < found[role][0]):
            found[role] = rank, camera
    return {role: found[role][1] for role in roles if role in found}


def cameras_named(cameras: Sequence[Camera], names: Sequence[str]) -> dict[str, Camera]:
    """Return the camera of each name: that of this very name, or else of this role (`ROLES`).

    Args:
        cameras: of a rig.
        names: names or roles; names of no camera are left out.

    Raises:
        SwerveError: two names mean the same camera.
    """
    own, roles = {camera.name: camera for camera in cameras}, cameras_by_role(cameras)
    found = {name: own.get(name, roles.get(name)) for name in names}
    chosen = {name: camera for name, camera in found.items() if camera is not None}
    meanings = {camera.name: name for name, camera in chosen.items()}
    for name, camera in chosen.items():
        if meanings[camera.name] != name:
            raise SwerveError(f"cameras: {name} and {meanings[camera.name]} are the same camera, {camera.name}")
    return chosen


def rig_names(names: Sequence[str], rig: Sequence[Camera]) -> list[str]:
    """Return the name in the rig of each camera that is asked for by name or role; names of no camera as they are."""
    own, roles = {camera.name for camera in rig}, cameras_by_role(rig)
    return [name if name in own or name not in roles else roles[name].name for name in names]


def renamed(cameras: Mapping[str, Camera], rig: Sequence[Camera]) -> tuple[Camera, ...]:
    """Return cameras under the names they were asked for, in the order of the rig.

    Args:
        cameras: of `cameras_named`.
        rig: from which they were taken.
    """
    name_of = {camera.name: name for name, camera in cameras.items()}
    chosen = ((camera, name_of[camera.name]) for camera in rig if camera.name in name_of)
    return tuple(camera if camera.name == name else replace(camera, name=name) for camera, name in chosen)


def _role(camera: Camera, roles: Mapping[str, float], by_name: bool) -> tuple[str, float]:
    """Return the nearest role and the angle to it, degrees; 0 if the camera's name decides."""
    if by_name and camera.name.lower() in roles:
        return camera.name.lower(), 0.0
    ahead, left, _ = camera.ego_from_camera[:3, 2]
    direction = math.degrees(math.atan2(left, ahead))
    angles = {role: abs((direction - towards + 180.0) % 360.0 - 180.0) for role, towards in roles.items()}
    role = min(angles, key=angles.__getitem__)
    return role, angles[role]
