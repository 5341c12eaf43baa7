"""Trained networks as planners, and their file format."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import safetensors.torch
import torch
from jaxtyping import UInt8

from swerve.data.storage.checked_json import describe
from swerve.data.storage.files import os_errors_as_swerve_errors, write_atomically
from swerve.planners.learning.families import build_model, model_class
from swerve.planners.learning.hidden_states import require_model
from swerve.planners.learning.inputs import image_fit, inputs_of
from swerve.planners.learning.model import PlannerModel
from swerve.planners.learning.model_config import ModelConfig
from swerve.planners.learning.precision import autocast
from swerve.planners.learning.selection import best_proposal
from swerve.planners.learning.train_options import Precision
from swerve.planners.trained_file import HEADER, read_tensors
from swerve.scenes import Camera, SwerveError
from swerve.scenes.planning import Observation, Trajectory
from swerve.scenes.printable import printable

# To be increased whenever inputs, outputs or the file layout change, so that old files are rejected.
VERSION: Final = 3
FORMAT: Final = "swerve-planner"
# RAP's files say their family by their format.
RAP_FORMAT: Final = "swerve-rap"
FORMATS: Final = (FORMAT, RAP_FORMAT)
# Scenes per forward pass; with more, the largest backbone would need tens of gigabytes.
_AT_ONCE: Final = 16


@dataclass(frozen=True)
class LearnedPlanner:
    """Planner that returns the network's proposal with the highest predicted score.

    Attributes:
        model: network in evaluation mode.
        record: training record.
        precision: precision of the network's operators, as in training.
    """

    model: PlannerModel
    record: dict[str, Any]
    precision: Precision = "fp32"

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras of the network."""
        return self.model.config.cameras

    def check_sensors(self) -> None:
        """Check that the model whose hidden states the network needs is there, if it needs any.

        Raises:
            SwerveError: it is not.
        """
        if (spec := self.model.config.hidden_states) is not None:
            require_model(spec)

    def prepare_image(
        self, image: UInt8[np.ndarray, "_ _ 3"], camera: Camera
    ) -> tuple[UInt8[np.ndarray, "_ _ 3"], Camera]:
        """Crop and resize an image to the network's size, with its camera."""
        fit = image_fit(self.model.config)
        return fit.pixels(image, camera), fit.camera(camera)

    def plan(self, observation: Observation) -> Trajectory:
        """Return the proposal with the highest predicted score.

        Raises:
            SwerveError: the image of a camera is missing, or the GPU's memory does not suffice.
        """
        return self.plan_batch([observation])[0]

    def plan_batch(self, observations: Sequence[Observation]) -> list[Trajectory]:
        """Return one trajectory per observation; see `plan`."""
        made = []
        for first in range(0, len(observations), _AT_ONCE):
            made += self._planned(observations[first : first + _AT_ONCE])
        return made

    def _planned(self, observations: Sequence[Observation]) -> list[Trajectory]:
        config = self.model.config
        device = next(self.model.parameters()).device
        inputs = inputs_of(observations, config).to(device)
        try:
            with torch.inference_mode(), autocast(self.precision, device):
                output = self.model(inputs)
                chosen = best_proposal(output.logits, output.poses, config).double().cpu().numpy()
        except torch.OutOfMemoryError as error:
            raise SwerveError(
                f"{config.family}: the GPU's memory does not suffice for {len(observations)} scenes at once. Plan "
                "fewer at a time, or hide the GPU (CUDA_VISIBLE_DEVICES=)"
            ) from error
        return [Trajectory(poses.astype(np.float64), config.interval) for poses in chosen]


def save_learned(model: PlannerModel, record: dict[str, Any], path: str | Path) -> None:
    """Write a planner with its config as safetensors, deterministically.

    Args:
        model: the network; its backbone is written too, frozen or not, so that the file is self-contained.
        record: training record, as JSON values.
        path: path of the file.

    Raises:
        SwerveError: the file cannot be written.
    """
    family = model.config.family
    named = {"format": RAP_FORMAT} if family == "rap" else {"format": FORMAT, "family": family}
    header = {**named, "version": VERSION, "config": model.config.to_json(), "record": record}
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    content = safetensors.torch.save(tensors, {HEADER: json.dumps(header, sort_keys=True)})
    with os_errors_as_swerve_errors(Path(path)):
        write_atomically(Path(path), content)


def load_learned(path: str | Path, device: str | torch.device | None = None) -> LearnedPlanner:
    """Load a planner, by default onto the GPU if there is one.

    Raises:
        MissingExtraError: the backbone needs timm, which is not installed.
        SwerveError: the file is missing, not such a planner, of an unknown family or another version, or damaged.
    """
    header, tensors = _read(path)
    try:
        family = "rap" if header["format"] == RAP_FORMAT else str(header.get("family"))
        config = model_class(family).config_class.from_json(header.get("config"))
        _check_shapes(config, tensors)
        model = build_model(config, weights=False)
        model.load_state_dict(dict(tensors))
    except SwerveError as error:
        raise SwerveError(f"{path}: {error}") from error
    except (RuntimeError, ValueError, TypeError, AssertionError) as error:
        reason = printable(str(error))[:300]
        raise SwerveError(f"{path}: the tensors do not fit the planner's config ({reason})") from error
    if bad := [name for name, value in tensors.items() if not value.float().isfinite().all()]:
        raise SwerveError(f"{path}: the trained planner holds values that are not finite, in {bad[0]}")
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    record = header.get("record", {})
    if not isinstance(record, dict):
        raise SwerveError(f"{path}: record: is {describe(record)}, not an object")
    mixed = record.get("precision") == "bf16"
    return LearnedPlanner(model.to(device).eval(), record, "bf16" if mixed else "fp32")


def _check_shapes(config: ModelConfig, tensors: Mapping[str, torch.Tensor]) -> None:
    """Compare a file's tensors with those of its config, before memory is allocated as the config says.

    Raises:
        ValueError: they differ in names or shapes.
    """
    with torch.device("meta"):
        wanted = {name: tuple(one.shape) for name, one in build_model(config, weights=False).state_dict().items()}
    there = {name: tuple(one.shape) for name, one in tensors.items()}
    for name in wanted.keys() | there.keys():
        if wanted.get(name) != there.get(name):
            raise ValueError(f"{name} is of shape {there.get(name)}, not {wanted.get(name)}")


def _read(path: str | Path) -> tuple[dict[str, Any], Mapping[str, torch.Tensor]]:
    """Read header and tensors.

    Raises:
        SwerveError: the file is not a planner of this version.
    """
    header, tensors = read_tensors(path, "a trained planner", "pt")
    if header.get("format") not in FORMATS or header.get("version") != VERSION:
        raise SwerveError(f"{path}: not a trained planner of version {VERSION}. Train it again: swerve train")
    return header, tensors
