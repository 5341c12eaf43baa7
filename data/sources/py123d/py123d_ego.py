"""Ego states of 123D: poses of the inertial unit, and where the rear axle and the ground below it lie in its frame."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float, Int

from swerve.data.sources.py123d.arrow_file import ArrowFile
from swerve.scenes import Ego, LogError, RoadMap, Vehicle
from swerve.scenes.transforms import interpolate_poses, inverse, rigid_transform, rotation_from_quaternion

# Poses further apart are not interpolated, microseconds; heights of an axle above the ground that can be, metres.
_LONGEST_GAP_US: Final = 1_000_000
_AXLE_HEIGHTS: Final = (0.0, 1.0)
_ON_GROUND: Final = 1e-6


@dataclass(frozen=True)
class EgoFrame:
    """Poses of the inertial unit over time, and the ego frame in its frame.

    Attributes:
        path: file of the states.
        times_us: unique times of the poses.
        world_from_imu: poses in the log's world.
        motion: velocity, acceleration and angular velocity at the poses, in the unit's frame; None if not given.
        imu_from_axle: pose of the rear axle.
        vehicle: dimensions.
        lower: height of the lower end of the vehicle's box in the axle's frame.
        height: height of the axle above the ground.
        origin: of the log's world.
    """

    path: Path
    times_us: Int[np.ndarray, "p"]
    world_from_imu: Float[np.ndarray, "p 4 4"]
    motion: Float[np.ndarray, "p 9"] | None
    imu_from_axle: Float[np.ndarray, "4 4"]
    vehicle: Vehicle
    lower: float
    height: float
    origin: Float[np.ndarray, "3"]

    @property
    def imu_from_ego(self) -> Float[np.ndarray, "4 4"]:
        """Pose of the ego frame, which lies on the ground below the axle."""
        return np.asarray(self.imu_from_axle @ rigid_transform(np.eye(3), np.array([0.0, 0.0, -self.height])))

    def world_from_axle(self, times_us: Int[np.ndarray, "t"]) -> Float[np.ndarray, "t 4 4"]:
        """Return the poses of the rear axle at given times.

        Raises:
            LogError: a time does not lie between poses at most 1 s apart.
        """
        before = np.searchsorted(self.times_us, times_us, side="right") - 1
        after = np.minimum(np.searchsorted(self.times_us, times_us), len(self.times_us) - 1)
        gap = self.times_us[after] - self.times_us[np.maximum(before, 0)]
        outside = (before < 0) | (times_us > self.times_us[-1]) | (gap > _LONGEST_GAP_US)
        if outside.any():
            problem = f"{times_us[outside][0]} us does not lie between poses at most 1 s apart"
            raise LogError(self.path, "timestamp_us", problem)
        poses: Float[np.ndarray, "t 4 4"] = interpolate_poses(self.times_us, self.world_from_imu, times_us)
        return np.asarray(poses @ self.imu_from_axle)

    def world_from_ego(self, times_us: Int[np.ndarray, "t"]) -> Float[np.ndarray, "t 4 4"]:
        """Return the poses of the ego at given times.

        Raises:
            LogError: see `world_from_axle`.
        """
        lower = rigid_transform(np.eye(3), np.array([0.0, 0.0, -self.height]))
        return np.asarray(self.world_from_axle(times_us) @ lower)

    def height_of_box(self) -> float:
        """Return the height of the first pose's ground in the log's world, by the vehicle's box."""
        return float((self.world_from_imu[0] @ self.imu_from_axle)[2, 3] + self.lower)

    def on_ground(self, times_us: Int[np.ndarray, "t"], road_map: RoadMap | None) -> "EgoFrame":
        """Return the frame with the axle at its median height above the map's ground along the path.

        Without a map, or one without heights, it stays as high above the lower end of the box; so does an axle that is
        stated to lie at that end.

        Raises:
            LogError: the height is not between 0 and 1 m.
        """
        if road_map is None or not road_map.has_height or abs(self.lower) < _ON_GROUND:
            return self
        positions = self.world_from_axle(times_us)[:, :3, 3]
        height = float(np.median(positions[:, 2] - road_map.ground.at(positions[:, :2])))
        if not _AXLE_HEIGHTS[0] <= height <= _AXLE_HEIGHTS[1]:
            raise LogError(self.path, "imu_se3", f"the rear axle would be {height:.2f} m above the map's ground")
        return replace(self, height=height)

    def ego(self, times_us: Int[np.ndarray, "t"]) -> Ego:
        """Return the ego's states at given times."""
        poses = self.world_from_ego(times_us)
        if self.motion is None:
            return Ego.from_poses(poses, times_us)
        found = np.stack([np.interp(times_us, self.times_us, values) for values in self.motion.T], axis=1)
        turn = self.imu_from_axle[:3, :3]
        # A point of a rigid body at r moves at v + w x r, and its acceleration has w x (w x r) more.
        rates, arm = found[:, 6:], self.imu_from_axle[:3, 3]
        velocity = (found[:, :3] + np.cross(rates, arm)) @ turn
        acceleration = (found[:, 3:6] + np.cross(rates, np.cross(rates, arm))) @ turn
        return Ego(poses, velocity[:, :2], acceleration[:, :2], (rates @ turn)[:, 2], measured=True)


def read_ego_frame(file: ArrowFile) -> EgoFrame:
    """Read the poses and the vehicle; of poses at one time the first is kept.

    Raises:
        LogError: the table or its description is malformed.
    """
    poses = file.vectors("imu_se3", 7)
    times_us, first = np.unique(file.times_us(), return_index=True)
    if len(times_us) < 2 or not np.isfinite(poses).all():
        raise LogError(file.path, "ego_state_se3.imu_se3", "needs two finite poses or more")
    origin = np.round(poses[0, :3])
    imu_from_axle = pose_of(file, "rear_axle_to_imu_se3")
    center = (inverse(imu_from_axle) @ pose_of(file, "center_to_imu_se3"))[:3, 3]
    vehicle = _vehicle(file, float(center[0]))
    motion = file.vectors("dynamic_state_se3", 9)[first] if file.has("dynamic_state_se3") else np.full((1, 9), np.nan)
    lower = float(center[2]) - vehicle.height / 2
    return EgoFrame(
        file.path,
        times_us,
        transforms_of(poses[first] - [*origin, 0, 0, 0, 0], file),
        motion if np.isfinite(motion).all() else None,
        imu_from_axle,
        vehicle,
        lower,
        float(np.clip(-lower, *_AXLE_HEIGHTS)),
        origin,
    )


def transforms_of(poses: Float[np.ndarray, "n 7"], file: ArrowFile) -> Float[np.ndarray, "n 4 4"]:
    """Convert rows of x, y, z, qw, qx, qy, qz to transforms.

    Raises:
        LogError: a quaternion is not of length one.
    """
    bad = np.flatnonzero(~(np.abs(np.linalg.norm(poses[:, 3:], axis=1) - 1.0) < 1e-3))
    if len(bad):
        raise LogError(file.path, file.key, f"row {bad[0]} has no rotation: the quaternion's length is not 1")
    return rigid_transform(rotation_from_quaternion(poses[:, 3:]), poses[:, :3])


def pose_of(file: ArrowFile, name: str) -> Float[np.ndarray, "4 4"]:
    """Return a pose of the description.

    Raises:
        LogError: it is missing or malformed.
    """
    values: Any = file.metadata.get(name)
    try:
        row = np.array(values, np.float64).reshape(1, 7)
    except (TypeError, ValueError) as error:
        raise LogError(file.path, name, "is not x, y, z, qw, qx, qy, qz") from error
    return np.asarray(transforms_of(row, file)[0])


def _vehicle(file: ArrowFile, axle_to_center: float) -> Vehicle:
    names = ("length", "width", "height", "wheel_base")
    try:
        length, width, height, wheelbase = (float(file.metadata[name]) for name in names)
        name = str(file.metadata.get("vehicle_name", "ego"))
        return Vehicle(name, length, width, height, wheelbase, length / 2 - axle_to_center)
    except (KeyError, TypeError, ValueError) as error:
        raise LogError(file.path, ", ".join(names), f"are not dimensions of a vehicle ({error})") from error
