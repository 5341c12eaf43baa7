"""Frames of OpenScene / NAVSIM, decoded: plain data, units metres, radians, seconds unless said otherwise.

Frames of reference: "ego" is the rear axle (x forward, y left, z up), "global" the map's projected coordinates.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Float32, Int

from swerve.data.sources.nuplan_classes import CLASSES

CAMERA_NAMES = ("cam_f0", "cam_l0", "cam_l1", "cam_l2", "cam_r0", "cam_r1", "cam_r2", "cam_b0")
# By nuPlan's numbers.
OBJECT_NAMES = tuple(CLASSES)


@dataclass(frozen=True)
class OpenSceneCamera:
    """One camera of a frame.

    Attributes:
        path: of the image, relative to the folder of the split's sensor data.
        sensor2lidar_rotation: rotation of the camera frame (x right, y down, z forward) into the lidar frame, which is
            the ego frame.
        sensor2lidar_translation: position of the camera in that frame.
        intrinsics: pinhole matrix, pixel centres at whole numbers.
        distortion: k1, k2, p1, p2, k3.
    """

    path: str
    sensor2lidar_rotation: Float[np.ndarray, "3 3"]
    sensor2lidar_translation: Float[np.ndarray, "3"]
    intrinsics: Float[np.ndarray, "3 3"]
    distortion: Float[np.ndarray, "k"]


@dataclass(frozen=True)
class OpenSceneBoxes:
    """Annotated objects of a frame.

    Attributes:
        boxes: x, y, z of the centre, length, width, height, heading, in the ego frame; headings are not wrapped. Number
            type as in the file (log files float64, synthetic scenes float32).
        names: of `OBJECT_NAMES`.
        velocities: x, y, z in the ego frame's axes, m/s.
        instance_tokens: unique in the frame.
        track_tokens: the same for an object in all frames.
    """

    boxes: Float[np.ndarray, "n 7"]
    names: tuple[str, ...]
    velocities: Float[np.ndarray, "n 3"]
    instance_tokens: tuple[str, ...]
    track_tokens: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class OpenSceneFrame:
    """One frame at 2 Hz.

    Attributes:
        token: of the frame: 16 hexadecimal digits, 17 or more in synthetic scenes.
        timestamp_us: microseconds.
        log_name: name of the log.
        scene_token: nuPlan scene that the frame belongs to; its number of frames is not that of NAVSIM's scenes.
        map_location: such as "us-ma-boston".
        roadblock_ids: the route; empty where there is none.
        traffic_lights: lane connector and whether its light is red.
        boxes: annotations; None in files of hidden tests.
        ego_pose: x, y, heading, global.
        world_from_ego: the same with height, roll and pitch where the file has them.
        ego_velocity: forward, left, m/s.
        ego_acceleration: forward, left, m/s2.
        driving_command: one-hot: left, straight, right, unknown.
        lidar_path: of the point cloud, relative to the folder of the split's sensor data; None if there is none.
        cameras: by `CAMERA_NAMES`; those that the file has.
    """

    token: str
    timestamp_us: int
    log_name: str
    scene_token: str
    map_location: str
    roadblock_ids: tuple[str, ...]
    traffic_lights: tuple[tuple[int, bool], ...]
    boxes: OpenSceneBoxes | None
    ego_pose: Float[np.ndarray, "3"]
    world_from_ego: Float[np.ndarray, "4 4"]
    ego_velocity: Float32[np.ndarray, "2"]
    ego_acceleration: Float32[np.ndarray, "2"]
    driving_command: Int[np.ndarray, "4"]
    lidar_path: str | None
    cameras: dict[str, OpenSceneCamera]


@dataclass(frozen=True)
class GlobalBoxes:
    """Objects of a moment after a synthetic scene's last frame, global coordinates.

    Attributes:
        track_tokens: the same for an object at all moments.
        names: of `OBJECT_NAMES`.
        boxes: x, y, heading, length, width, height.
        velocities: x, y, m/s.
    """

    track_tokens: tuple[str, ...]
    names: tuple[str, ...]
    boxes: Float[np.ndarray, "n 6"]
    velocities: Float[np.ndarray, "n 2"]

    def __len__(self) -> int:
        return len(self.names)


@dataclass(frozen=True)
class LightStatus:
    """Light of a lane connector after a synthetic scene's last frame; status is RED, YELLOW, GREEN or UNKNOWN."""

    lane_connector_id: int
    status: str
    timestamp_us: int


@dataclass(frozen=True)
class NavsimScene:
    """A scene as NAVSIM scores it: frames around a current one.

    Attributes:
        token: of the current frame, which names the scene.
        log_name: name of the log.
        scene_token: nuPlan scene of the current frame; in synthetic scenes the token.
        map_name: such as "us-ma-boston".
        num_history_frames: frames up to and including the current one.
        num_future_frames: frames after it.
        frames: history, current frame, future.
        synthetic: whether it belongs to the second stage.
        original_scene: token of the logged scene at the same time; None in logged scenes.
        original_initial_token: token of that scene's current frame; None in logged scenes.
        future_lights: lights 0.5, 1, ... s after a synthetic scene's last frame; None in logged scenes.
        future_boxes: objects at these times.
    """

    token: str
    log_name: str
    scene_token: str
    map_name: str
    num_history_frames: int
    num_future_frames: int
    frames: tuple[OpenSceneFrame, ...]
    synthetic: bool = False
    original_scene: str | None = None
    original_initial_token: str | None = None
    future_lights: tuple[tuple[LightStatus, ...], ...] | None = None
    future_boxes: tuple[GlobalBoxes, ...] | None = None

    @property
    def now(self) -> int:
        """Index of the current frame."""
        return self.num_history_frames - 1

    @property
    def current(self) -> OpenSceneFrame:
        """The current frame."""
        return self.frames[self.now]

    @property
    def history(self) -> tuple[OpenSceneFrame, ...]:
        """The frames up to and including the current one."""
        return self.frames[: self.num_history_frames]

    def relative_history(self) -> Float[np.ndarray, "h 3"]:
        """Return the history's ego poses (x, y, heading) relative to the current one."""
        return relative_to(self.current.ego_pose, _poses(self.history))

    def relative_future(self, steps: int | None = None) -> Float[np.ndarray, "f 3"]:
        """Return the future ego poses (x, y, heading) relative to the current one; all of them if `steps` is None."""
        end = None if steps is None else self.num_history_frames + steps
        return relative_to(self.current.ego_pose, _poses(self.frames[self.num_history_frames : end]))


def _poses(frames: tuple[OpenSceneFrame, ...]) -> Float[np.ndarray, "f 3"]:
    return np.array([frame.ego_pose for frame in frames], dtype=np.float64).reshape(-1, 3)


def relative_to(base: Float[np.ndarray, "3"], poses: Float[np.ndarray, "f 3"]) -> Float[np.ndarray, "f 3"]:
    """Return poses (x, y, heading) in the frame of the pose `base`; headings wrapped to [-pi, pi]."""
    cos, sin = np.cos(base[2]), np.sin(base[2])
    x, y = (poses[:, :2] - base[:2]).T
    turn = poses[:, 2] - base[2]
    return np.column_stack([cos * x + sin * y, cos * y - sin * x, np.arctan2(np.sin(turn), np.cos(turn))])


@dataclass(frozen=True)
class SensorFolders:
    """Folders that the frames' paths are relative to.

    Attributes:
        logged: of the split's logs.
        synthetic: of the synthetic scenes.
    """

    logged: Path
    synthetic: Path

    def of(self, scene: NavsimScene) -> Path:
        """Return the folder of a scene's sensor data."""
        return self.synthetic if scene.synthetic else self.logged
