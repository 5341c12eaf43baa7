"""KITTI's recording car: where its sensors are, and what follows for its ego frame.

The ego frame has the axes of the inertial unit (which may lean against the car by some degree) and its origin in the
car's centre plane, on the ground below the unit, which lies over the rear axle to about 0.1 m. From the published
setup: the unit is 0.93 m above the ground, the cameras 1.65 m, and the laser scanner, in the centre plane, 0.32 m to
the right of the unit.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float

from swerve.data.sources.kitti.oxts import Oxts
from swerve.scenes import Camera, Ego, Vehicle
from swerve.scenes.transforms import inverse, rigid_transform

PASSAT: Final = Vehicle("passat", length=4.77, width=1.82, height=1.52, wheelbase=2.71, rear_overhang=1.11)
_ASIDE, _UP = 0.32, 0.93
EGO_FROM_IMU: Final = rigid_transform(np.eye(3), np.array([0.0, _ASIDE, _UP]))


@dataclass(frozen=True)
class KittiCalibration:
    """Calibration of a sequence.

    Attributes:
        velo_from_imu: pose of the inertial unit in the laser scanner's frame.
        rect_from_velo: pose of the scanner in the rectified frame of the left grey camera, in which labels are given.
        projections: pixels from the rectified frame, by the number of the camera.
    """

    velo_from_imu: Float[np.ndarray, "4 4"]
    rect_from_velo: Float[np.ndarray, "4 4"]
    projections: dict[int, Float[np.ndarray, "3 4"]]

    @property
    def ego_from_velo(self) -> Float[np.ndarray, "4 4"]:
        """Pose of the laser scanner in the ego frame."""
        mounted: Float[np.ndarray, "4 4"] = EGO_FROM_IMU @ inverse(self.velo_from_imu)
        return mounted

    @property
    def ego_from_rect(self) -> Float[np.ndarray, "4 4"]:
        """Pose of the rectified camera frame in the ego frame."""
        mounted: Float[np.ndarray, "4 4"] = self.ego_from_velo @ inverse(self.rect_from_velo)
        return mounted

    def camera(self, number: int, name: str, size: tuple[int, int]) -> Camera:
        """Return a camera of P = K [I | t], t from the rectified frame; principal points count from pixel centres.

        Raises:
            ValueError: the projection is not one of a rectified camera.
        """
        matrix = self.projections[number]
        fx, fy, cx, cy = matrix[0, 0], matrix[1, 1], matrix[0, 2], matrix[1, 2]
        if not (min(fx, fy) > 0 and np.allclose(matrix[[0, 1, 2, 2, 2], [1, 0, 0, 1, 2]], [0, 0, 0, 0, 1])):
            raise ValueError("is not the projection of a rectified camera")
        rect_from_camera = rigid_transform(np.eye(3), -np.linalg.solve(matrix[:, :3], matrix[:, 3]))
        mount = self.ego_from_rect @ rect_from_camera
        return Camera(name, *size, float(fx), float(fy), float(cx) + 0.5, float(cy) + 0.5, mount)


def ego_of(oxts: Oxts) -> Ego:
    """Return the ego's measured motion: that of the inertial unit moved to the car's centre plane.

    With the rate of yaw w the point 0.32 m to the right moves 0.32 w faster ahead, and is accelerated by 0.32 w^2 more
    to the left.
    """
    poses = oxts.world_from_imu @ inverse(EGO_FROM_IMU)
    none = np.zeros_like(oxts.yaw_rate)
    velocity = oxts.velocity + np.column_stack([_ASIDE * oxts.yaw_rate, none])
    acceleration = oxts.acceleration + np.column_stack([none, _ASIDE * oxts.yaw_rate**2])
    return Ego(poses, velocity, acceleration, oxts.yaw_rate, measured=True)
