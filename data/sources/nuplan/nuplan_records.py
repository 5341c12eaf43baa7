"""Rows of a nuPlan log data base as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from jaxtyping import Float, Int

from swerve.scenes.transforms import rigid_transform, rotation_from_quaternion


@dataclass(frozen=True)
class LogRecord:
    """The data base's log; `map_version` is the location of its map."""

    token: str
    vehicle_name: str
    date: str
    timestamp: int
    logfile: str
    location: str
    map_version: str


@dataclass(frozen=True)
class CameraRecord:
    """Camera with its pose relative to the rear axle.

    Attributes:
        token: of the row.
        channel: name, such as "CAM_F0".
        ego_from_camera: pose; the camera's axes are x right, y down, z forward.
        translation: metres, as stored.
        rotation: quaternion w, x, y, z, as stored.
        intrinsic: camera matrix; pixel centres are integers.
        distortion: k1, k2, p1, p2, k3.
        width: pixels.
        height: pixels.
    """

    token: str
    channel: str
    translation: Float[np.ndarray, "3"]
    rotation: Float[np.ndarray, "4"]
    intrinsic: Float[np.ndarray, "3 3"]
    distortion: Float[np.ndarray, "5"]
    width: int
    height: int

    @property
    def ego_from_camera(self) -> Float[np.ndarray, "4 4"]:
        """Pose of the camera in the rear axle's frame."""
        return rigid_transform(rotation_from_quaternion(self.rotation), self.translation)


@dataclass(frozen=True)
class SceneRecord:
    """Scene of up to 20 s.

    Attributes:
        token: of the row.
        name: scenes are in order of their names.
        goal: token of the goal's ego pose; empty where there is none.
        roadblock_ids: the route; empty where there is none.
        roadblock_text: the route as stored.
    """

    token: str
    name: str
    goal: str
    roadblock_ids: tuple[str, ...]
    roadblock_text: str


@dataclass(frozen=True)
class EgoPoses:
    """Poses of the rear axle in UTM coordinates.

    Attributes:
        times_us: when they were taken.
        positions: metres.
        quaternions: w, x, y, z.
        velocity: x, y, z in m/s, in the ego's axes.
        acceleration: x, y, z in m/s2, in the ego's axes.
        yaw_rate: rad/s.
    """

    times_us: Int[np.ndarray, "n"]
    positions: Float[np.ndarray, "n 3"]
    quaternions: Float[np.ndarray, "n 4"]
    velocity: Float[np.ndarray, "n 3"]
    acceleration: Float[np.ndarray, "n 3"]
    yaw_rate: Float[np.ndarray, "n"]

    @property
    def headings(self) -> Float[np.ndarray, "n"]:
        """Headings as the devkit computes them, see `heading_of`."""
        return heading_of(self.quaternions)

    @property
    def world_from_axle(self) -> Float[np.ndarray, "n 4 4"]:
        """Poses in three dimensions."""
        return rigid_transform(rotation_from_quaternion(self.quaternions), self.positions)

    def of(self, rows: Int[np.ndarray, "m"] | Sequence[int]) -> "EgoPoses":
        """Select poses."""
        return EgoPoses(*(getattr(self, field.name)[rows] for field in fields(self)))


@dataclass(frozen=True)
class LidarPcs:
    """Samples of the log (20 Hz), in order of time. Each is named by its token and has an ego pose.

    Attributes:
        tokens: names.
        times_us: times of the samples; those of their ego poses differ by some milliseconds.
        scene_tokens: scene of each.
        ego_pose_tokens: ego pose of each.
        files: point clouds, relative to the folder of sensor data.
        poses: ego poses.
    """

    tokens: tuple[str, ...]
    times_us: Int[np.ndarray, "n"]
    scene_tokens: tuple[str, ...]
    ego_pose_tokens: tuple[str, ...]
    files: tuple[str, ...]
    poses: EgoPoses

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Row by token."""
        return {token: row for row, token in enumerate(self.tokens)}


@dataclass(frozen=True)
class Boxes:
    """Tracked objects, in order of time, then of track.

    Attributes:
        times_us: times of their samples.
        tokens: name of each box.
        track_tokens: track of each.
        categories: "vehicle", "pedestrian", ...
        centers: middles of the boxes in UTM coordinates, metres.
        headings: radians.
        sizes: length, width, height in metres.
        velocities: x, y in m/s, UTM axes; NaN where not stored.
    """

    times_us: Int[np.ndarray, "b"]
    tokens: tuple[str, ...]
    track_tokens: tuple[str, ...]
    categories: tuple[str, ...]
    centers: Float[np.ndarray, "b 3"]
    headings: Float[np.ndarray, "b"]
    sizes: Float[np.ndarray, "b 3"]
    velocities: Float[np.ndarray, "b 2"]


@dataclass(frozen=True)
class LightStates:
    """States of traffic lights, in order of time.

    Attributes:
        times_us: times of their samples.
        lane_connectors: id of the controlled lane connector.
        states: "green", "yellow", "red" or another word, which means unknown.
    """

    times_us: Int[np.ndarray, "s"]
    lane_connectors: Int[np.ndarray, "s"]
    states: tuple[str, ...]


@dataclass(frozen=True)
class Images:
    """Camera images, in order of time.

    Attributes:
        channels: camera of each.
        times_us: times of exposure.
        files: relative to the folder of sensor data.
        poses: ego poses at these times.
    """

    channels: tuple[str, ...]
    times_us: Int[np.ndarray, "i"]
    files: tuple[str, ...]
    poses: EgoPoses


@dataclass(frozen=True)
class ScenarioTags:
    """Tags of samples, in order of type, then of time."""

    types: tuple[str, ...]
    lidar_pc_tokens: tuple[str, ...]
    times_us: Int[np.ndarray, "g"]


def heading_of(quaternions: Float[np.ndarray, "n 4"]) -> Float[np.ndarray, "n"]:
    """Compute headings of quaternions (w, x, y, z) as nuPlan does: pyquaternion's yaw of the order yaw, pitch, roll.

    It differs from the direction of the x axis by up to a product of roll and pitch, some 1e-3 rad on a slope.
    """
    w, x, y, z = (quaternions / np.linalg.norm(quaternions, axis=1, keepdims=True)).T
    return np.asarray(np.arctan2(2 * (w * z - x * y), 1 - 2 * (y**2 + z**2)))
