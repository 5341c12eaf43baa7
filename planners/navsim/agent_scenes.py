"""Scenes for NAVSIM agents that require one, made from what Swerve's privileged planners get."""

from types import ModuleType
from typing import Final, NoReturn

import numpy as np

from swerve.data.sources.navsim.frames import NavsimScene, OpenSceneFrame
from swerve.data.sources.nuplan_classes import NAMES
from swerve.eval import PrivilegedInput
from swerve.planners.navsim.agent_inputs import TIMES, cameras_of
from swerve.planners.navsim.agent_types import AgentFrame, AgentInput, AgentScene, Annotations, EgoStatus
from swerve.scenes import ObjectClass, SwerveError
from swerve.scenes.planning import Observation
from swerve.scenes.transforms import wrap_angle

_FRAME_US: Final = 500_000


class _NoMap:
    """Stands where NAVSIM has its map: any use is an error."""

    def __getattr__(self, name: str) -> NoReturn:
        raise SwerveError(f"the agent asks for map_api.{name}: Swerve gives agents no nuPlan map")


def agent_scene_of(observation: Observation, agent_input: AgentInput, classes: ModuleType) -> AgentScene:
    """Return the scene of a privileged observation: four frames of history and the human's next 4 s.

    Ego poses are global. The current frame has annotations: boxes without heights, standing on the ego's ground. All
    other frames have none, and there is no map and no route. Velocities and accelerations of future frames are zero.

    Args:
        observation: of a planner that declares `privileged`.
        agent_input: input of the agent, whose ego states and cameras are taken.
        classes: module navsim.common.dataclasses.

    Raises:
        SwerveError: the observation has no simulator state, or the human's future is not known.
    """
    privileged_input = observation.privileged
    if not isinstance(privileged_input, PrivilegedInput) or privileged_input.human is None:
        raise SwerveError(f"scene {observation.token}: the agent requires a scene, and the human's future is unknown")
    history = [_status(one, _global(one.ego_pose, privileged_input), classes) for one in agent_input.ego_statuses]
    standing = np.zeros(2, np.float32)
    future = [
        classes.EgoStatus(_global(pose, privileged_input), standing, standing, history[-1].driving_command, True)
        for pose in privileged_input.human
    ]
    frames = [
        _frame(observation, index, status, agent_input, classes) for index, status in enumerate([*history, *future])
    ]
    frames[len(history) - 1].annotations = _annotations(privileged_input, classes)
    metadata = classes.SceneMetadata("", "", "", observation.token, len(history), len(future))
    return classes.Scene(metadata, _NoMap(), frames)


def agent_scene_of_recording(scene: NavsimScene, agent_input: AgentInput, classes: ModuleType) -> AgentScene:
    """Return the scene of a NAVSIM scene, with all that is recorded but the map; sensors only of the history.

    Args:
        scene: the scene.
        agent_input: input of the agent, whose cameras and point clouds are taken.
        classes: module navsim.common.dataclasses.
    """
    metadata = classes.SceneMetadata(
        scene.log_name,
        scene.scene_token,
        scene.map_name,
        scene.token,
        scene.num_history_frames,
        scene.num_future_frames,
        scene.original_scene,
        scene.original_initial_token,
    )
    frames = [_recorded_frame(frame, classes) for frame in scene.frames]
    for frame, cameras, lidar in zip(frames, agent_input.cameras, agent_input.lidars, strict=False):
        frame.cameras, frame.lidar = cameras, lidar
    return classes.Scene(metadata, _NoMap(), frames)


def _recorded_frame(frame: OpenSceneFrame, classes: ModuleType) -> AgentFrame:
    """Return a frame without sensors."""
    status = classes.EgoStatus(frame.ego_pose, frame.ego_velocity, frame.ego_acceleration, frame.driving_command, True)
    own = frame.boxes
    annotations = own and classes.Annotations(
        own.boxes, np.array(own.names), own.velocities, list(own.instance_tokens), list(own.track_tokens)
    )
    return classes.Frame(
        frame.token,
        frame.timestamp_us,
        list(frame.roadblock_ids),
        list(frame.traffic_lights),
        annotations,
        status,
        classes.Lidar(),
        cameras_of({}, classes),
    )


def _status(status: EgoStatus, pose: np.ndarray, classes: ModuleType) -> EgoStatus:
    return classes.EgoStatus(pose, status.ego_velocity, status.ego_acceleration, status.driving_command, True)


def _frame(
    observation: Observation, index: int, status: EgoStatus, agent_input: AgentInput, classes: ModuleType
) -> AgentFrame:
    seen = index < len(TIMES)
    cameras = agent_input.cameras[index] if seen else cameras_of({}, classes)
    lidar = agent_input.lidars[index] if seen else classes.Lidar()
    time_us = observation.time_us + (index - len(TIMES) + 1) * _FRAME_US
    return classes.Frame(f"{observation.token}{index:02d}", time_us, [], [], None, status, lidar, cameras)


def _global(pose: np.ndarray, privileged_input: PrivilegedInput) -> np.ndarray:
    """Return the global pose of one relative to the current ego pose."""
    x, y, heading = privileged_input.ego[:3]
    cosine, sine = np.cos(heading), np.sin(heading)
    ahead, left, turned = np.asarray(pose, dtype=np.float64)
    return np.array([x + cosine * ahead - sine * left, y + sine * ahead + cosine * left, heading + turned])


def _annotations(privileged_input: PrivilegedInput, classes: ModuleType) -> Annotations:
    """Return the tracks that are present now, in the ego frame."""
    traffic, (x, y, heading) = privileged_input.traffic, privileged_input.ego[:3]
    rows = np.flatnonzero(traffic.present[0])
    back = np.array([[np.cos(heading), np.sin(heading)], [-np.sin(heading), np.cos(heading)]])
    zeros = np.zeros((len(rows), 1))
    poses = traffic.poses[0, rows]
    headings = np.reshape(wrap_angle(poses[:, 2] - heading), (-1, 1))
    boxes = np.hstack([(poses[:, :2] - [x, y]) @ back.T, zeros, traffic.sizes[rows], zeros, headings])
    velocity = np.hstack([traffic.velocities[0, rows] @ back.T, zeros])
    names = np.array([NAMES[ObjectClass(traffic.classes[row])] for row in rows], dtype=object)
    tokens = [traffic.ids[row] for row in rows]
    return classes.Annotations(boxes, names, velocity, tokens, list(tokens))
