"""Network inputs: tensors of a batch, from a training stream or from observations."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor
from torch.nn import functional

from swerve.data.stream import ImageFit, camera_arrays
from swerve.planners.learning.hidden_states import hidden_states_of
from swerve.planners.learning.model_config import ModelConfig, patch_of
from swerve.planners.learning.projection import CameraRig
from swerve.scenes import Camera, SwerveError
from swerve.scenes.planning import Observation
from swerve.scenes.viewpoints import Command

# Velocity, acceleration, yaw rate and command, each divided by a typical value.
STATUS: Final = 2 + 2 + 1 + len(Command)
_USUAL = (10.0, 1.0, 2.0, 2.0, 0.3)
# Times (s) of the past poses, as in NAVSIM.
PAST: Final = (-1.5, -1.0, -0.5)


@dataclass(frozen=True)
class ModelInput:
    """Batch of views: one timestamp seen through one rig, as rasters or photos.

    Attributes:
        images: image of each camera.
        rig: calibration of the same cameras.
        present: mask of available images; others are ignored.
        status: see `status_of`.
        past: poses (x, y, heading; ego frame of now) at `PAST`, see `past_poses`.
        motion: forward speed, m/s, and yaw rate, rad/s: the same as in `status`, also where that is hidden in training.
        footprint: corners of the ego body in the ego frame, see `Vehicle.footprint`.
        hidden: hidden states of a vision-language model for the images, see `HiddenStateSpec`; None without.
    """

    images: UInt8[Tensor, "b c 3 h w"]
    rig: CameraRig
    present: Bool[Tensor, "b c"]
    status: Float[Tensor, "b s"]
    past: Float[Tensor, "b p 3"]
    motion: Float[Tensor, "b 2"]
    footprint: Float[Tensor, "b 4 2"]
    hidden: Float[Tensor, "b t e"] | None = None

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device) -> "ModelInput":
        """Copy to another device."""
        return self.converted(lambda one: one.to(device, non_blocking=True))

    def rows(self, chosen: Int[Tensor, "n"] | Bool[Tensor, "b"]) -> "ModelInput":
        """Select views."""
        return self.converted(lambda one: one[chosen])

    def converted(self, convert: Callable[[Tensor], Tensor]) -> "ModelInput":
        """Apply a function to every tensor."""
        rig = self.rig.converted(convert)
        names = ("images", "present", "status", "past", "motion", "footprint")
        hidden = None if self.hidden is None else convert(self.hidden)
        return ModelInput(rig=rig, hidden=hidden, **{name: convert(getattr(self, name)) for name in names})


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


def past_poses(
    seconds: Float[np.ndarray, "t"], poses: Float[np.ndarray, "b t 3"], valid: Bool[np.ndarray, "b t"]
) -> Float[np.ndarray, "b p 3"]:
    """Interpolate histories linearly at `PAST`; poses before the first known one are zero.

    Args:
        seconds: of the steps, ascending; the last is 0.
        poses: x, y, heading of each step.
        valid: known steps: all from some step on.
    """
    found = np.zeros((len(poses), len(PAST), 3), np.float32)
    for row, (own, there) in enumerate(zip(poses, valid, strict=True)):
        for column in range(3):
            found[row, :, column] = np.interp(PAST, seconds[there], own[there, column])
        found[row, np.array(PAST) < seconds[there][0] - 1e-6] = 0.0
    return found


def inputs_of(observations: Sequence[Observation], config: ModelConfig) -> ModelInput:
    """Convert observations to network inputs: those that a training sample of the same view has.

    Raises:
        SwerveError: an observation lacks a camera that the planner was trained with, or its image; or the model whose
            hidden states it needs is not there.
    """
    histories = [one.history for one in observations]
    motion = np.array([[*one.velocity[-1], *one.acceleration[-1], one.yaw_rate[-1]] for one in histories])
    velocity, acceleration, yaw_rate = torch.as_tensor(motion).float().split([2, 2, 1], dim=1)
    command = torch.tensor([int(one.command) for one in observations])
    status = status_of(velocity, acceleration, yaw_rate[:, 0], command)
    past = [past_poses(one.seconds, one.poses[None], np.ones((1, len(one.seconds)), bool)) for one in histories]
    footprint = torch.as_tensor(np.stack([one.vehicle.footprint() for one in observations])).float()
    images, rig = _images(observations, config) if config.cameras else no_images(len(observations), config)
    present = torch.ones(images.shape[:2], dtype=torch.bool)
    moving = torch.stack([velocity[:, 0], yaw_rate[:, 0]], dim=1)
    hidden = hidden_states_of(images, config.hidden_states) if config.hidden_states else None
    return ModelInput(images, rig, present, status, torch.as_tensor(np.concatenate(past)), moving, footprint, hidden)


def image_fit(config: ModelConfig) -> ImageFit:
    """Return how images are cropped and resized for a network."""
    return ImageFit((config.image_width, config.image_height), config.trim)


def no_images(count: int, config: ModelConfig) -> tuple[UInt8[Tensor, "b c 3 h w"], CameraRig]:
    """Return images and rigs without cameras."""
    size = (config.image_width, config.image_height)
    return torch.zeros(count, 0, 3, size[1], size[0], dtype=torch.uint8), CameraRig.without_cameras(count, size)


def _images(observations: Sequence[Observation], config: ModelConfig) -> tuple[UInt8[Tensor, "b c 3 h w"], CameraRig]:
    """Return the images as in training, with their cameras."""
    fit = image_fit(config)
    rigs, images = [], []
    for one in observations:
        cameras = [_camera(one, name, config) for name in config.cameras]
        own = [one.images[camera.name] for camera in cameras]
        if not one.prepared:
            own = [fit.pixels(image, camera) for image, camera in zip(own, cameras, strict=True)]
            cameras = [fit.camera(camera) for camera in cameras]
        images.append(own)
        rigs.append(cameras)
    stacked = torch.as_tensor(np.array(images)).movedim(-1, -3).contiguous()
    return stacked, CameraRig.of(camera_arrays(rigs)).with_rays(patch_of(config))


def _camera(observation: Observation, name: str, config: ModelConfig) -> Camera:
    for camera in observation.cameras:
        if camera.name == name and name in observation.images:
            return camera
    known = ", ".join(camera.name for camera in observation.cameras) or "none"
    raise SwerveError(
        f"scene {observation.token}: this planner was trained with cameras {', '.join(config.cameras)}; "
        f"the image of {name} is missing. Available: {known}"
    )
