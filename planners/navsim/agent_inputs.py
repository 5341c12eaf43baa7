"""Inputs of NAVSIM agents, made from what Swerve's planners observe in any log."""

from collections.abc import Mapping
from types import ModuleType
from typing import Final

import numpy as np
from jaxtyping import Float, UInt8

from swerve.planners.navsim.agent_types import AgentCamera, AgentInput, Cameras, SensorConfig
from swerve.planners.navsim.camera_roles import ROLES, cameras_by_role
from swerve.scenes import Camera, LensModel, SwerveError
from swerve.scenes.planning import Observation
from swerve.scenes.viewpoints import Command

# Times of the frames, seconds; the last is now.
TIMES: Final = (-1.5, -1.0, -0.5, 0.0)
NOW: Final = len(TIMES) - 1
# OpenCV's pixel coordinates are 0 at the centre of the first pixel, Swerve's at its corner.
_HALF_PIXEL: Final = 0.5
_COEFFICIENTS: Final = 5


def agent_input_of(observation: Observation, sensors: SensorConfig, classes: ModuleType) -> AgentInput:
    """Return an agent's input: four frames, 0.5 s apart, of which the last is now.

    Poses, velocities and accelerations are float32, poses relative to the current one. The driving command of all
    frames is the current one. Images are those of now. A camera that the sensor config does not ask for, or that the
    rig does not have, is an empty `Camera`; so is every camera of the earlier frames.

    Args:
        observation: what a planner gets.
        sensors: sensor config of the agent.
        classes: module navsim.common.dataclasses.

    Raises:
        SwerveError: the history is shorter than 1.5 s, or a camera has a lens that NAVSIM's cannot describe.
    """
    poses, velocity, acceleration = _history(observation)
    command = np.eye(len(Command), dtype=np.int64)[observation.command]
    statuses = [
        classes.EgoStatus(*states, command.copy()) for states in zip(poses, velocity, acceleration, strict=True)
    ]
    asked = sensors.get_sensors_at_iteration(NOW)
    by_role = {role: one for role, one in cameras_by_role(observation.cameras).items() if role in asked}
    now = {role: _camera(one, observation.images, classes) for role, one in by_role.items()}
    cameras = [cameras_of(now if frame == NOW else {}, classes) for frame in range(len(TIMES))]
    return classes.AgentInput(statuses, cameras, [classes.Lidar() for _ in TIMES])


def _history(observation: Observation) -> tuple[Float[np.ndarray, "4 _"], ...]:
    """Return poses, velocities and accelerations at `TIMES`."""
    history = observation.history
    if history.seconds[0] > TIMES[0] + 1e-6:
        raise SwerveError(
            f"scene {observation.token}: the history begins at {history.seconds[0]} s, NAVSIM agents need {TIMES[0]} s"
        )
    return tuple(
        np.stack([np.interp(TIMES, history.seconds, column) for column in values.T], axis=1).astype(np.float32)
        for values in (history.poses, history.velocity, history.acceleration)
    )


def cameras_of(by_role: Mapping[str, AgentCamera], classes: ModuleType) -> Cameras:
    """Return the eight cameras of a frame; those that are not given are empty."""
    return classes.Cameras(**{role: by_role.get(role) or classes.Camera() for role in ROLES})


def _camera(camera: Camera, images: Mapping[str, UInt8[np.ndarray, "_ _ 3"]], classes: ModuleType) -> AgentCamera:
    intrinsics = camera.matrix
    intrinsics[:2, 2] -= _HALF_PIXEL
    return classes.Camera(
        image=images[camera.name],
        sensor2lidar_rotation=camera.ego_from_camera[:3, :3].copy(),
        sensor2lidar_translation=camera.ego_from_camera[:3, 3].copy(),
        intrinsics=intrinsics,
        distortion=_distortion(camera),
    )


def _distortion(camera: Camera) -> Float[np.ndarray, "5"]:
    """Return k1, k2, p1, p2, k3.

    Raises:
        SwerveError: the lens has another model.
    """
    coefficients = camera.lens.padded
    if camera.lens.model == LensModel.FISHEYE or coefficients[_COEFFICIENTS:].any():
        raise SwerveError(
            f"camera {camera.name}: NAVSIM's cameras have no lens {camera.lens.model.name} with "
            f"{len(camera.lens.coefficients)} coefficients. Choose another log, or an agent without this camera"
        )
    return coefficients[:_COEFFICIENTS].copy()
