"""Cameras of OpenScene: calibration with lens, and the size of the images on disk."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from swerve.data.sources.navsim.frames import CAMERA_NAMES, OpenSceneCamera, OpenSceneFrame
from swerve.data.sources.nuplan.axle_height import estimate_axle_height
from swerve.data.storage.checked_image import size_of
from swerve.scenes import Camera, Lens, LensModel, LogError
from swerve.scenes.camera_roles import HINT
from swerve.scenes.transforms import rigid_transform

# OpenCV's pixel centres are whole numbers, Swerve's lie at +0.5.
_CENTER: Final = 0.5


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
        there = f"has no camera {camera}; it has {', '.join(frame.cameras)}"
        raise LogError(folder, f"frame {frame.token}", there, HINT)
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
    return size_of(file)


def axle_height(frames: Sequence[OpenSceneFrame]) -> float:
    """Estimate the height of OpenScene's ego frame, at the rear axle, over the road; see `estimate_axle_height`."""
    bottoms, tracks = list[np.ndarray](), list[str]()
    for frame in frames:
        for token, name, row in _boxes(frame):
            if name == "vehicle":
                bottoms.append(frame.world_from_ego[:3] @ [row[0], row[1], row[2], 1.0] - [0.0, 0.0, row[5] / 2])
                tracks.append(token)
    path = np.array([frame.world_from_ego[:3, 3] for frame in frames])
    return estimate_axle_height(path, np.array(bottoms).reshape(-1, 3), tracks)


def _boxes(frame: OpenSceneFrame) -> Iterator[tuple[str, str, np.ndarray]]:
    if frame.boxes is not None:
        yield from zip(frame.boxes.track_tokens, frame.boxes.names, frame.boxes.boxes, strict=True)
