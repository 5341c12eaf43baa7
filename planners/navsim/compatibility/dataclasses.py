"""Inputs and outputs of agents, in place of `navsim.common.dataclasses`. All arrays are NAVSIM's: see each class."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from swerve.planners.navsim.compatibility.trajectory_sampling import TrajectorySampling

NAVSIM_INTERVAL_LENGTH: float = 0.5
DEFAULT_SAMPLING = TrajectorySampling(time_horizon=4, interval_length=0.5)


@dataclass
class Camera:
    """One camera at one time; every field is None if the agent's sensor config does not ask for it.

    Attributes:
        image: RGB, (height, width, 3), uint8.
        sensor2lidar_rotation: (3, 3), from the camera to the lidar frame, which is the ego's.
        sensor2lidar_translation: (3,), metres.
        intrinsics: (3, 3), pixels; pixel centres are whole numbers.
        distortion: (5,), k1, k2, p1, p2, k3, as in OpenCV.
        camera_path: of the image file.
    """

    image: Any = None
    sensor2lidar_rotation: Any = None
    sensor2lidar_translation: Any = None
    intrinsics: Any = None
    distortion: Any = None
    camera_path: str | Path | None = None


@dataclass
class Cameras:
    """The eight cameras at one time: front, left, right and back."""

    cam_f0: Camera
    cam_l0: Camera
    cam_l1: Camera
    cam_l2: Camera
    cam_r0: Camera
    cam_r1: Camera
    cam_r2: Camera
    cam_b0: Camera


@dataclass
class Lidar:
    """The merged point cloud at one time.

    Attributes:
        lidar_pc: (6, n), float32: x, y, z, intensity, ring, number of the lidar; None if the agent does not ask for it.
        lidar_path: of the file.
    """

    lidar_pc: Any = None
    lidar_path: Path | None = None


@dataclass
class EgoStatus:
    """The ego at one time.

    Attributes:
        ego_pose: (3,), x, y, heading of the rear axle; in an `AgentInput` relative to the current pose.
        ego_velocity: (2,), forward and left, m/s.
        ego_acceleration: (2,), forward and left, m/s2.
        driving_command: (4,), one-hot: left, straight, right, unknown.
        in_global_frame: whether the pose is one of the map's frame, as in a `Scene`.
    """

    ego_pose: Any
    ego_velocity: Any
    ego_acceleration: Any
    driving_command: Any
    in_global_frame: bool = False


@dataclass
class AgentInput:
    """Input of an agent: ego states, cameras and lidars of the same frames, 0.5 s apart; the last is now."""

    ego_statuses: list[EgoStatus]
    cameras: list[Cameras]
    lidars: list[Lidar]


@dataclass
class Annotations:
    """Boxes of one frame.

    Attributes:
        boxes: (n, 7), x, y, z, length, width, height, heading in the ego frame.
        names: classes.
        velocity_3d: (n, 3), ego frame, m/s.
        instance_tokens: unique in the log.
        track_tokens: the same over time.

    Raises:
        AssertionError: the lengths differ.
    """

    boxes: Any
    names: Any
    velocity_3d: Any
    instance_tokens: Any
    track_tokens: Any

    def __post_init__(self) -> None:
        lengths = {field.name: len(getattr(self, field.name)) for field in fields(self)}
        assert len(set(lengths.values())) == 1, f"annotations must have equal lengths, not {lengths}"


@dataclass
class Trajectory:
    """Output of an agent.

    Attributes:
        poses: (n, 3), x, y, heading of the rear axle in the ego frame of now, without the current pose.
        trajectory_sampling: times of the poses.

    Raises:
        AssertionError: poses have another shape.
    """

    poses: Any
    trajectory_sampling: TrajectorySampling = DEFAULT_SAMPLING

    def __post_init__(self) -> None:
        wanted = (self.trajectory_sampling.num_poses, 3)
        assert self.poses.shape == wanted, f"trajectory: poses have shape {self.poses.shape}, the sampling {wanted}"


@dataclass
class SceneMetadata:
    """Origin of a scene; the last two fields are those of follow-up scenes."""

    log_name: str
    scene_token: str
    map_name: str
    initial_token: str
    num_history_frames: int
    num_future_frames: int
    corresponding_original_scene: str | None = None
    corresponding_original_initial_token: str | None = None


@dataclass
class Frame:
    """One time of a scene, with what only the simulator knows."""

    token: str
    timestamp: int
    roadblock_ids: list[str]
    traffic_lights: list[tuple[Any, bool]]
    annotations: Any
    ego_status: EgoStatus
    lidar: Lidar
    cameras: Cameras


@dataclass
class Scene:
    """A scene, for agents that declare `requires_scene`.

    Attributes:
        scene_metadata: its origin.
        map_api: the map.
        frames: history, the current frame, and the future.
        extended_traffic_light_data: lights after the last frame.
        extended_detections_tracks: objects after the last frame.
    """

    scene_metadata: SceneMetadata
    map_api: Any
    frames: list[Frame]
    extended_traffic_light_data: Any = None
    extended_detections_tracks: Any = None

    def get_future_trajectory(self, num_trajectory_frames: int | None = None) -> Trajectory:
        """Return the human's poses after the current one: the given number, or all."""
        count = self.scene_metadata.num_future_frames if num_trajectory_frames is None else num_trajectory_frames
        now = self.scene_metadata.num_history_frames - 1
        poses = [frame.ego_status.ego_pose for frame in self.frames[now : now + count + 1]]
        if len(poses) <= count:
            raise IndexError(f"the scene has {len(poses) - 1} future frames, {count} are asked for")
        return _sampled(relative_se2(poses[0], poses[1:]))

    def get_history_trajectory(self, num_trajectory_frames: int | None = None) -> Trajectory:
        """Return the poses of the first frames, relative to the last of these: the given number, or the history."""
        count = self.scene_metadata.num_history_frames if num_trajectory_frames is None else num_trajectory_frames
        poses = [frame.ego_status.ego_pose for frame in self.frames[:count]]
        return _sampled(relative_se2(poses[-1], poses))

    def get_agent_input(self) -> AgentInput:
        """Return what an agent may know of the scene."""
        history = self.frames[: self.scene_metadata.num_history_frames]
        local = self.get_history_trajectory().poses
        states = [frame.ego_status for frame in history]
        statuses = [
            EgoStatus(pose, one.ego_velocity, one.ego_acceleration, one.driving_command)
            for pose, one in zip(local, states, strict=True)
        ]
        return AgentInput(statuses, [frame.cameras for frame in history], [frame.lidar for frame in history])


@dataclass
class SensorConfig:
    """Sensors that an agent asks for: True for all history frames, a list of history indices, or False."""

    cam_f0: bool | list[int]
    cam_l0: bool | list[int]
    cam_l1: bool | list[int]
    cam_l2: bool | list[int]
    cam_r0: bool | list[int]
    cam_r1: bool | list[int]
    cam_r2: bool | list[int]
    cam_b0: bool | list[int]
    lidar_pc: bool | list[int]

    def get_sensors_at_iteration(self, iteration: int) -> list[str]:
        """Return the names of the sensors that are asked for at a history index."""
        asked = {field.name: getattr(self, field.name) for field in fields(self)}
        return [name for name, value in asked.items() if value is True or (value and iteration in value)]

    @classmethod
    def build_all_sensors(cls, include: bool | list[int] = True) -> "SensorConfig":
        """Return a config that asks for all sensors alike."""
        return cls(**{field.name: include for field in fields(cls)})

    @classmethod
    def build_no_sensors(cls) -> "SensorConfig":
        """Return a config that asks for no sensor."""
        return cls.build_all_sensors(include=False)


def relative_se2(origin: Float[np.ndarray, "3"], poses: Sequence[Any] | Float[np.ndarray, "n 3"]) -> Any:  # noqa: ANN401
    """Return poses (x, y, heading) relative to an origin; headings in [-pi, pi]."""
    x, y, heading = (float(value) for value in origin)
    cosine, sine = np.cos(-heading), np.sin(-heading)
    moved = np.array(poses, dtype=np.float64).reshape(-1, 3) - [x, y, heading]
    moved[:, :2] = moved[:, :2] @ np.array([[cosine, -sine], [sine, cosine]]).T
    moved[:, 2] = np.arctan2(np.sin(moved[:, 2]), np.cos(moved[:, 2]))
    return moved


def _sampled(poses: Any) -> Trajectory:  # noqa: ANN401 an array
    return Trajectory(poses, TrajectorySampling(num_poses=len(poses), interval_length=NAVSIM_INTERVAL_LENGTH))
