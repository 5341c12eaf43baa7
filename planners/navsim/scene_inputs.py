"""Inputs of planners from NAVSIM's own scenes: exactly NAVSIM's for its agents, observations for Swerve's planners."""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Final

import numpy as np
from jaxtyping import UInt8

from swerve.data.sources.navsim.cameras import axle_height, image_path, scene_cameras
from swerve.data.sources.navsim.frames import NavsimScene, OpenSceneCamera, OpenSceneFrame
from swerve.data.sources.nuplan.point_cloud import read_point_cloud
from swerve.data.storage.checked_image import decode_pixels
from swerve.eval.benchmark.evaluate.observations import declared_cameras, uses_images
from swerve.eval.benchmark.navsim_scenes import command_of
from swerve.planners.navsim.agent_inputs import cameras_of
from swerve.planners.navsim.agent_types import AgentCamera, AgentInput, AgentLidar, Cameras, SensorConfig
from swerve.scenes import Camera, SwerveError, Vehicle
from swerve.scenes.camera_roles import rig_names
from swerve.scenes.planning import History, Observation, Planner

_LIDAR: Final = "lidar_pc"
_STEP: Final = 0.1
_FRAME: Final = 0.5


def agent_input_of_scene(scene: NavsimScene, folder: Path, sensors: SensorConfig, classes: ModuleType) -> AgentInput:
    """Return the input that NAVSIM gives its agents: the history, with the sensors that are asked for at each frame.

    As in NAVSIM, poses are float32, but float64 in synthetic scenes with a future.

    Args:
        scene: the scene.
        folder: of its sensor data.
        sensors: sensor config of the agent.
        classes: module navsim.common.dataclasses.

    Raises:
        SwerveError: a sensor that is asked for is not there.
    """
    kind = np.float64 if scene.original_scene is not None else np.float32
    poses = scene.relative_history().astype(kind)
    statuses = [
        classes.EgoStatus(pose, frame.ego_velocity, frame.ego_acceleration, frame.driving_command)
        for pose, frame in zip(poses, scene.history, strict=True)
    ]
    asked = [sensors.get_sensors_at_iteration(index) for index in range(len(statuses))]
    frames = list(zip(scene.history, asked, strict=True))
    cameras = [_cameras(frame, folder, names, classes) for frame, names in frames]
    return classes.AgentInput(statuses, cameras, [_lidar(frame, folder, names, classes) for frame, names in frames])


def _cameras(frame: OpenSceneFrame, folder: Path, names: Sequence[str], classes: ModuleType) -> Cameras:
    wanted = [name for name in names if name != _LIDAR]
    return cameras_of({name: _agent_camera(frame, folder, name, classes) for name in wanted}, classes)


def _agent_camera(frame: OpenSceneFrame, folder: Path, name: str, classes: ModuleType) -> AgentCamera:
    camera = _camera_of(frame, name)
    return classes.Camera(
        image=read_image(folder / camera.path),
        sensor2lidar_rotation=camera.sensor2lidar_rotation,
        sensor2lidar_translation=camera.sensor2lidar_translation,
        intrinsics=camera.intrinsics,
        distortion=camera.distortion,
        camera_path=camera.path,
    )


def _camera_of(frame: OpenSceneFrame, name: str) -> OpenSceneCamera:
    if name not in frame.cameras:
        there = ", ".join(frame.cameras) or "none"
        raise SwerveError(f"frame {frame.token}: the agent asks for {name}. Cameras that are there: {there}")
    return frame.cameras[name]


def _lidar(frame: OpenSceneFrame, folder: Path, names: Sequence[str], classes: ModuleType) -> AgentLidar:
    if _LIDAR not in names:
        return classes.Lidar()
    if frame.lidar_path is None:
        raise SwerveError(
            f"frame {frame.token}: the agent asks for {_LIDAR}, and the frame has none, as all of synthetic scenes"
        )
    return classes.Lidar(read_point_cloud(folder / frame.lidar_path), Path(frame.lidar_path))


def read_image(path: Path) -> UInt8[np.ndarray, "_ _ 3"]:
    """Read an image as NAVSIM does.

    Raises:
        SwerveError: the file is missing or damaged.
    """
    try:
        return np.array(decode_pixels(path.read_bytes()))
    except (OSError, ValueError) as error:
        raise SwerveError(f"{path}: the image cannot be read ({error}). Are the split's sensor data there?") from error


def observation_of_scene(scene: NavsimScene, folder: Path, planner: Planner, images: bool = True) -> Observation:
    """Return what a planner of Swerve observes in a NAVSIM scene.

    The history is interpolated linearly between the frames. Cameras have NAVSIM's names in lower case, or the roles by
    which the planner asks for them.

    Args:
        scene: the scene.
        folder: of its sensor data.
        planner: see `Planner` for what it may declare.
        images: whether it gets the images that it declares.

    Raises:
        SwerveError: the planner needs the simulator state, or an image that is not there.
    """
    if getattr(planner, "privileged", False):
        raise SwerveError("the planner needs what only the simulator knows: submissions do not allow it")
    cameras: tuple[Camera, ...] = ()
    rig: Sequence[Camera] = ()
    if images:
        rig = scene_cameras(scene.current, folder, axle_height(scene.history)) if uses_images(planner) else ()
        lacking = "there are none in the split's sensor data. Download them"
        cameras = declared_cameras(planner, rig, scene.token, lacking)
    asked = [camera.name for camera in cameras]
    names = dict(zip(asked, rig_names(asked, rig), strict=True))
    return Observation(
        scene.token,
        scene.current.timestamp_us,
        Vehicle.pacifica(),
        _history(scene),
        command_of(scene),
        cameras,
        {name: read_image(image_path(scene.current, own, folder)) for name, own in names.items()},
    )


def _history(scene: NavsimScene) -> History:
    """Return the history at 10 Hz."""
    frames = -_FRAME * np.arange(len(scene.history))[::-1]
    seconds = np.round(np.arange(frames[0], _STEP / 2, _STEP), 9)
    poses = scene.relative_history()
    poses[:, 2] = np.unwrap(poses[:, 2])
    columns = [
        poses,
        np.array([frame.ego_velocity for frame in scene.history], dtype=np.float64),
        np.array([frame.ego_acceleration for frame in scene.history], dtype=np.float64),
        np.gradient(poses[:, 2], _FRAME)[:, None],
    ]
    made = [np.stack([np.interp(seconds, frames, column) for column in values.T], axis=1) for values in columns]
    return History(seconds, made[0], made[1], made[2], made[3][:, 0])
