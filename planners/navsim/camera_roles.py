"""Names of NAVSIM's eight cameras for the cameras of any rig."""

from collections.abc import Sequence
from typing import Final

from swerve.scenes import Camera
from swerve.scenes.camera_roles import ROLES as OWN
from swerve.scenes.camera_roles import cameras_by_role as by_role

_NAMES: Final = {
    "cam_f0": "front",
    "cam_l0": "front_left",
    "cam_l1": "left",
    "cam_l2": "back_left",
    "cam_r0": "front_right",
    "cam_r1": "right",
    "cam_r2": "back_right",
    "cam_b0": "back",
}
# Directions of the cameras of nuPlan's vehicles, degrees to the left of straight ahead.
ROLES: Final = {name: OWN[role] for name, role in _NAMES.items()}


def cameras_by_role(cameras: Sequence[Camera]) -> dict[str, Camera]:
    """Return the cameras that have a role of NAVSIM's eight.

    A camera has the role of its name, if it has one of these names, else the role nearest to its direction, if that is
    within 30 degrees. Of several cameras of a role, the nearest has it.
    """
    return by_role(cameras, ROLES, by_name=True)
