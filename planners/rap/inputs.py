"""Network inputs of RAP: batch tensors from a training stream or from observations."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor
from torch.nn import functional

from swerve.data.stream import ImageFit, camera_arrays
from swerve.planners.rap.projection import CameraRig
from swerve.planners.rap.rap_config import RapConfig
from swerve.scenes import Camera, SwerveError
from swerve.scenes.planning import Observation
from swerve.scenes.viewpoints import Command

# Velocity, acceleration, yaw rate and command, each divided by a typical value.
STATUS: Final = 2 + 2 + 1 + len(Command)
_USUAL = (10.0, 1.0, 2.0, 2.0, 0.3)


@dataclass(frozen=True)
class RapInput:
    """Batch of views: one timestamp seen through one rig, as rasters or photos.

    Attributes:
        images: image of each camera.
        rig: calibration of the same cameras.
        present: mask of available images; others are ignored.
        status: see `status_of`.
        footprint: corners of the ego body in the ego frame, see `Vehicle.footprint`.
    """

    images: UInt8[Tensor, "b c 3 h w"]
    rig: CameraRig
    present: Bool[Tensor, "b c"]
    status: Float[Tensor, "b s"]
    footprint: Float[Tensor, "b 4 2"]

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device) -> "RapInput":
        """Copy to another device."""
        rest = (one.to(device, non_blocking=True) for one in (self.present, self.status, self.footprint))
        return RapInput(self.images.to(device, non_blocking=True), self.rig.to(device), *rest)

    def rows(self, chosen: Int[Tensor, "n"] | Bool[Tensor, "b"]) -> "RapInput":
        """Select views."""
        rest = (one[chosen] for one in (self.present, self.status, self.footprint))
        return RapInput(self.images[chosen], self.rig.rows(chosen), *rest)


def status_of(
    velocity: Float[Tensor, "b 2"],
    acceleration: Float[Tensor, "b 2"],
    yaw_rate: Float[Tensor, "b"],
    command: Int[Tensor, "b"],
) -> Float[Tensor, "b s"]:
    """Compute the ego status: current motion in the ego frame (SI units), and the one-hot command."""
    motion = torch.cat([velocity, acceleration, yaw_rate[:, None]], dim=1)
    motion = motion / motion.new_tensor(_USUAL)
    return torch.cat([motion, functional.one_hot(command, len(Command)).to(motion)], dim=1)


def inputs_of(observations: Sequence[Observation], config: RapConfig) -> RapInput:
    """Convert observations to network inputs; images are preprocessed as in training.

    Raises:
        SwerveError: an observation lacks a camera that the planner was trained with, or its image.
    """
    fit = ImageFit((config.image_width, config.image_height), config.trim)
    rigs, images = [], []
    for one in observations:
        cameras = [_camera(one, name, config) for name in config.cameras]
        images.append([fit.pixels(one.images[camera.name], camera) for camera in cameras])
        rigs.append([fit.camera(camera) for camera in cameras])
    stacked = torch.as_tensor(np.array(images)).movedim(-1, -3).contiguous()
    histories = [one.history for one in observations]
    motion = np.array([[*one.velocity[-1], *one.acceleration[-1], one.yaw_rate[-1]] for one in histories])
    velocity, acceleration, yaw_rate = torch.as_tensor(motion).float().split([2, 2, 1], dim=1)
    command = torch.tensor([int(one.command) for one in observations])
    status = status_of(velocity, acceleration, yaw_rate[:, 0], command)
    footprint = torch.as_tensor(np.stack([one.vehicle.footprint() for one in observations])).float()
    present = torch.ones(stacked.shape[:2], dtype=torch.bool)
    return RapInput(stacked, CameraRig.of(camera_arrays(rigs)), present, status, footprint)


def _camera(observation: Observation, name: str, config: RapConfig) -> Camera:
    for camera in observation.cameras:
        if camera.name == name and name in observation.images:
            return camera
    known = ", ".join(camera.name for camera in observation.cameras) or "none"
    raise SwerveError(
        f"scene {observation.token}: this planner was trained with cameras {', '.join(config.cameras)}; "
        f"the image of {name} is missing. Available: {known}"
    )
