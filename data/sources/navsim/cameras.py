"""Cameras of OpenScene: calibration with lens, and the size of the images on disk."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from swerve.data.sources.navsim.frames import CAMERA_NAMES, OpenSceneCamera, OpenSceneFrame
from swerve.scenes import Camera, Lens, LensModel, LogError
from swerve.scenes.transforms import rigid_transform

# OpenCV's pixel centres are whole numbers, Swerve's lie at +0.5.
_CENTER: Final = 0.5
# Metres: objects whose bottoms tell the road's height, and the height of nuPlan's axles where there are none.
_NEAR: Final = 30.0
_AXLE_HEIGHT: Final = 0.44
_ON_GROUND: Final = ("vehicle", "pedestrian", "bicycle")


def scene_cameras(frame: OpenSceneFrame, folder: Path, axle_height: float) -> tuple[Camera, ...]:
    """Return the cameras of a frame whose images are there, in NAVSIM's order; those of missing files are left out.

    Args:
        frame: with the calibration.
        folder: of the sensor data.
        axle_height: height of OpenScene's ego frame over the road, metres, see `axle_height`.

    Raises:
        LogError: an image or a calibration is damaged.
    """
    files = {name: folder / frame.cameras[name].path for name in CAMERA_NAMES if name in frame.cameras}
    sizes = {name: image_size(file) for name, file in files.items() if file.is_file()}
    return tuple(camera_of(name, frame.cameras[name], sizes[name], axle_height, files[name]) for name in sizes)


def image_path(frame: OpenSceneFrame, camera: str, folder: Path) -> Path:
    """Return the file of a camera's image.

    Raises:
        LogError: the frame has no such camera.
    """
    if camera not in frame.cameras:
        raise LogError(folder, f"frame {frame.token}", f"has no camera {camera}; it has {', '.join(frame.cameras)}")
    return folder / frame.cameras[camera].path


def camera_of(
    name: str, calibration: OpenSceneCamera, size: tuple[int, int], axle_height: float, where: Path
) -> Camera:
    """Return a camera from its calibration.

    Args:
        name: of `CAMERA_NAMES`.
        calibration: of a frame; the lidar frame is the ego frame, at the height of the axle.
        size: width and height of the images, pixels.
        axle_height: height of that frame over the road, metres.
        where: file, for messages.

    Raises:
        LogError: the calibration is not one of a camera.
    """
    matrix, rotation = calibration.intrinsics, calibration.sensor2lidar_rotation
    if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-4) or np.linalg.det(rotation) < 0:
        raise LogError(where, f"{name}, sensor2lidar_rotation", "is not a rotation")
    # Rotations stored as float32 are rigid to 1e-7 only; the nearest one is taken.
    left, _, right = np.linalg.svd(rotation)
    mounted = rigid_transform(left @ right, calibration.sensor2lidar_translation + np.array([0.0, 0.0, axle_height]))
    focal, center = (matrix[0, 0], matrix[1, 1]), (matrix[0, 2] + _CENTER, matrix[1, 2] + _CENTER)
    try:
        lens = Lens(LensModel.BROWN, tuple(float(k) for k in calibration.distortion))
        return Camera(name, *size, float(focal[0]), float(focal[1]), float(center[0]), float(center[1]), mounted, lens)
    except ValueError as error:
        raise LogError(where, f"{name}, calibration", str(error)) from error


@lru_cache(maxsize=4096)
def image_size(file: Path) -> tuple[int, int]:
    """Return width and height of an image file, reading its header only.

    Raises:
        LogError: it is not an image.
    """
    try:
        with Image.open(file) as image:
            return image.size
    except (OSError, ValueError) as error:
        raise LogError(file, "image", f"cannot be read ({error})") from error


def axle_height(frames: Sequence[OpenSceneFrame]) -> float:
    """Return the height of OpenScene's ego frame over the road, metres: by the bottoms of road users within 30 m.

    The median over all frames; nuPlan's 0.44 m where there are none.
    """
    bottoms = [
        row[2] - row[5] / 2
        for frame in frames
        if frame.boxes is not None
        for name, row in zip(frame.boxes.names, frame.boxes.boxes, strict=True)
        if name in _ON_GROUND and np.hypot(row[0], row[1]) < _NEAR
    ]
    return -float(np.median(bottoms)) if bottoms else _AXLE_HEIGHT
