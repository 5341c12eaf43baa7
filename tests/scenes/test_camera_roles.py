"""Roles of cameras: where they look, whatever they are called."""

import numpy as np
import pytest

from swerve.data.sources.default_rigs import default_rig
from swerve.data.sources.town import town_rig
from swerve.scenes import FORWARD, Camera, SwerveError
from swerve.scenes.camera_roles import ROLES, cameras_by_role, cameras_named, renamed
from swerve.scenes.transforms import rigid_transform, rotation_about_z


def looking(name, degrees):
    pose = rigid_transform(rotation_about_z(np.deg2rad(degrees)) @ FORWARD, np.zeros(3))
    return Camera(name, 64, 36, 50.0, 50.0, 32.0, 18.0, pose)


# Argoverse 2's rig; its stereo cameras look ahead as well.
AV2 = {
    "stereo_front_left": 1.0,
    "ring_front_center": 0.2,
    "ring_front_left": 45.0,
    "ring_front_right": -45.0,
    "ring_side_left": 99.0,
    "ring_side_right": -99.0,
    "ring_rear_left": 153.0,
    "ring_rear_right": -153.0,
}
RIG = tuple(looking(name, degrees) for name, degrees in AV2.items())


@pytest.mark.parametrize("rig", [town_rig(), default_rig()], ids=["towns", "default"])
def test_the_rigs_of_swerve_bear_the_names_of_their_roles(rig):
    assert {role: camera.name for role, camera in cameras_by_role(rig).items()} == {role: role for role in ROLES}


def test_roles_are_by_direction():
    named = {role: camera.name for role, camera in cameras_by_role(RIG).items()}
    assert named == {
        "front": "stereo_front_left",  # the first of those that look the same way
        "front_left": "ring_front_left",
        "left": "ring_side_left",
        "back_left": "ring_rear_left",
        "back_right": "ring_rear_right",
        "right": "ring_side_right",
        "front_right": "ring_front_right",
    }
    assert "back" not in named


def test_a_name_comes_before_a_role():
    """KITTI's `left` is the left one of two that look ahead."""
    stereo = looking("left", 0.0), looking("right", 0.0)
    chosen = cameras_named(stereo, ("left", "front_left"))
    assert {name: camera.name for name, camera in chosen.items()} == {"left": "left"}
    assert cameras_named(stereo, ("front",))["front"] is stereo[0]


def test_cameras_bear_the_names_they_were_asked_for_in_the_order_of_the_rig():
    chosen = cameras_named(RIG, ("left", "ring_front_center"))
    assert [camera.name for camera in renamed(chosen, RIG)] == ["ring_front_center", "left"]


def test_two_names_of_one_camera_are_refused():
    with pytest.raises(SwerveError, match="front and stereo_front_left are the same camera"):
        cameras_named(RIG, ("front", "stereo_front_left"))
