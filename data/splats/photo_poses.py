"""Poses of the photos that a scene was fitted to, as a fit keeps them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float

from swerve.data.storage.archive import load_archive, save_archive
from swerve.scenes import Camera, SwerveError

PHOTOS = "photos.npz"
_KIND, _VERSION = "training photos", 1


@dataclass(frozen=True, eq=False)
class PhotoPose:
    """Camera, time and pose of a training photo, without its colours.

    Attributes:
        camera: camera with the size of the resized photo.
        time_us: capture time.
        world_from_ego: ego pose at the capture time.
    """

    camera: Camera
    time_us: int
    world_from_ego: Float[np.ndarray, "4 4"]

    @property
    def world_from_camera(self) -> Float[np.ndarray, "4 4"]:
        """Pose of the camera."""
        pose: Float[np.ndarray, "4 4"] = self.world_from_ego @ self.camera.ego_from_camera
        return pose


@dataclass(frozen=True, eq=False)
class _TrainingPhotos:
    """Content of the file of training photos."""

    poses: tuple[PhotoPose, ...]


def write_training_poses(folder: Path, poses: tuple[PhotoPose, ...]) -> None:
    """Write the poses of the training photos of one log to its folder."""
    save_archive(folder / PHOTOS, _TrainingPhotos(poses), _KIND, _VERSION)


def read_training_poses(folder: Path) -> tuple[PhotoPose, ...]:
    """Read the poses of the training photos of one log.

    Raises:
        SwerveError: the file is missing, as in fits of earlier versions, or damaged.
    """
    path = folder / PHOTOS
    if not path.is_file():
        raise SwerveError(
            f"{path}: is missing; fits of earlier versions have none. Run the same swerve fit again, which adds it in "
            "seconds, or build with --gate off"
        )
    return load_archive(path, _TrainingPhotos, _KIND, _VERSION).poses
