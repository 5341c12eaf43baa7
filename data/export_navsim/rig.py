"""A log's cameras as NAVSIM's eight, with the calibration of OpenScene."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
import scipy

from swerve.data.sources.navsim.frames import CAMERA_NAMES
from swerve.scenes import Camera, LensModel
from swerve.scenes.transforms import wrap_angle

# Metres of OpenScene's ego frame, at the rear axle, over the road: a wheel's radius.
AXLE_HEIGHT: Final = 0.36
# Directions of NAVSIM's cameras, degrees from ahead to the left, in the order of `CAMERA_NAMES`; a camera that looks
# elsewhere by more than the last number is none of them.
_DIRECTIONS: Final = (0.0, 55.0, 105.0, 150.0, -55.0, -105.0, -150.0, 180.0)
_FARTHEST: Final = 35.0
# Swerve's pixel centres lie at +0.5, OpenCV's are whole numbers.
_CENTER: Final = 0.5
_PARAMETERS: Final = 5


def navsim_names(cameras: Sequence[Camera]) -> dict[str, str]:
    """Return NAVSIM's name of each camera that can be one of NAVSIM's, by the log's name.

    Cameras that bear NAVSIM's names keep them; others get those that fit their directions best. Fisheye cameras get
    none, since NAVSIM's files have no such lens.
    """
    known = [camera for camera in cameras if camera.lens.model is not LensModel.FISHEYE]
    if not known or all(camera.name in CAMERA_NAMES for camera in known):
        return {camera.name: camera.name for camera in known}
    towards = [np.arctan2(camera.ego_from_camera[1, 2], camera.ego_from_camera[0, 2]) for camera in known]
    apart = np.abs(wrap_angle(np.array(towards)[:, None] - np.deg2rad(_DIRECTIONS)))
    pairs = zip(*scipy.optimize.linear_sum_assignment(apart), strict=True)
    return {
        known[row].name: CAMERA_NAMES[column] for row, column in pairs if apart[row, column] <= np.deg2rad(_FARTHEST)
    }


def camera_record(camera: Camera, path: str) -> dict[str, Any]:
    """Return OpenScene's record of a camera.

    Args:
        camera: the camera, at the size of the image.
        path: of the image, relative to the folder of sensor data.
    """
    lens = list(camera.lens.coefficients)
    return {
        "data_path": path,
        "sensor2lidar_rotation": camera.ego_from_camera[:3, :3].astype(np.float64),
        "sensor2lidar_translation": camera.ego_from_camera[:3, 3] - np.array([0.0, 0.0, AXLE_HEIGHT]),
        "cam_intrinsic": np.array(
            [
                [camera.fx, 0.0, camera.cx - _CENTER],
                [0.0, camera.fy, camera.cy - _CENTER],
                [0.0, 0.0, 1.0],
            ]
        ),
        "distortion": np.array(lens + [0.0] * (_PARAMETERS - len(lens)), dtype=np.float64),
    }


def camera_records(records: Mapping[str, dict[str, Any]], upper: bool) -> dict[str, dict[str, Any]]:
    """Return the records of all eight cameras by NAVSIM's name, empty for those without an image."""
    return {name.upper() if upper else name: records.get(name, {}) for name in CAMERA_NAMES}
