"""RAP as a planner, and its file format."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import safetensors
import safetensors.torch
import torch

from swerve.data.storage.files import write_atomically
from swerve.planners.rap.inputs import inputs_of
from swerve.planners.rap.rap_config import RapConfig
from swerve.planners.rap.rap_model import RapModel
from swerve.planners.rap.scorer import best_proposal
from swerve.scenes import SwerveError
from swerve.scenes.planning import Observation, Trajectory

# To be increased whenever inputs, outputs or the file layout change, so that old files are rejected.
VERSION: Final = 2
FORMAT: Final = "swerve-rap"
_HEADER: Final = "swerve"
# Scenes per forward pass; with more, the largest backbone would need tens of gigabytes.
_AT_ONCE: Final = 16


@dataclass(frozen=True)
class RapPlanner:
    """Planner that returns the network's proposal with the highest predicted score.

    Attributes:
        model: network in evaluation mode.
        record: training record.
    """

    model: RapModel
    record: dict[str, Any]

    @property
    def cameras(self) -> tuple[str, ...]:
        """Names of the cameras of the network."""
        return self.model.config.cameras

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
        inputs = inputs_of(observations, config).to(next(self.model.parameters()).device)
        try:
            with torch.inference_mode():
                output = self.model(inputs)
                chosen = best_proposal(output.logits, output.poses).double().cpu().numpy()
        except torch.OutOfMemoryError as error:
            raise SwerveError(
                f"RAP: the GPU's memory does not suffice for {len(observations)} scenes at once. Plan fewer at a "
                "time, or hide the GPU (CUDA_VISIBLE_DEVICES=)"
            ) from error
        return [Trajectory(poses.astype(np.float64), config.interval) for poses in chosen]


def save_rap(model: RapModel, record: dict[str, Any], path: str | Path) -> None:
    """Write a planner with its config as safetensors, deterministically.

    Args:
        model: the network; its backbone is written too, frozen or not, so that the file is self-contained.
        record: training record, as JSON values.
        path: path of the file.

    Raises:
        SwerveError: the file cannot be written.
    """
    header = {"format": FORMAT, "version": VERSION, "config": model.config.to_json(), "record": record}
    tensors = {name: value.detach().cpu().contiguous() for name, value in model.state_dict().items()}
    content = safetensors.torch.save(tensors, {_HEADER: json.dumps(header, sort_keys=True)})
    try:
        write_atomically(Path(path), content)
    except OSError as error:
        raise SwerveError(f"{path} cannot be written ({error.strerror})") from error


def load_rap(path: str | Path, device: str | torch.device | None = None) -> RapPlanner:
    """Load a planner, by default onto the GPU if there is one.

    Raises:
        MissingExtraError: the backbone needs timm, which is not installed.
        SwerveError: the file is missing, not such a planner, or of another version, or damaged.
    """
    header, tensors = _read(path)
    try:
        model = RapModel(RapConfig.from_json(header.get("config")), weights=False)
        model.load_state_dict(tensors)
    except SwerveError as error:
        raise SwerveError(f"{path}: {error}") from error
    except RuntimeError as error:
        raise SwerveError(f"{path}: the tensors do not fit the planner's config ({error})") from error
    if bad := [name for name, value in tensors.items() if not value.isfinite().all()]:
        raise SwerveError(f"{path}: the trained planner holds values that are not finite, in {bad[0]}")
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    return RapPlanner(model.to(device).eval(), header.get("record", {}))


def _read(path: str | Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Read header and tensors.

    Raises:
        SwerveError: the file is not a RAP planner of this version.
    """
    try:
        with safetensors.safe_open(str(path), framework="pt") as file:
            header = json.loads((file.metadata() or {}).get(_HEADER, "{}"))
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise SwerveError(f"{path}: cannot be read as a trained planner ({error})") from error
    if not isinstance(header, dict) or header.get("format") != FORMAT or header.get("version") != VERSION:
        raise SwerveError(f"{path}: not a RAP planner of version {VERSION}. Train it again: swerve train rap")
    return header, tensors
