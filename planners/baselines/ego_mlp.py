"""Ego-status MLP: a small network with ego motion and driving command as its only inputs.

A blind baseline (Li et al., "Is ego status all you need for open-loop end-to-end autonomous driving?", 2024). Training
needs torch; inference needs numpy and the file.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
from jaxtyping import Float

from swerve.data.storage.checked_json import anything, check_shape, fields, integer, mapping_of
from swerve.data.storage.files import os_errors_as_swerve_errors, write_atomically
from swerve.eval.scoring.thresholds import POSE_INTERVAL
from swerve.planners.trained_file import HEADER, read_tensors, require_safetensors
from swerve.scenes import SwerveError
from swerve.scenes.planning import History, Observation, Trajectory
from swerve.scenes.viewpoints import Command

POSES: Final = 8
# Times (s) of the past poses, as in NAVSIM.
PAST: Final = (-1.5, -1.0, -0.5)
INPUTS: Final = 2 + 2 + 1 + 3 * len(PAST) + len(Command)
# Clipping range of standardised inputs, in standard deviations: a quantity that hardly varies in one set of logs (a car
# does not slip sideways in a town) may be far out of range in another.
_FARTHEST: Final = 3.0
# To be increased whenever inputs, outputs or the file layout change, so that old files are rejected.
VERSION: Final = 1
_FORMAT: Final = "swerve-ego-mlp"
_HEADER_SHAPE: Final = fields({"layers": integer(1, 100), "config": mapping_of(anything)})
_SCALES = ("input_mean", "input_scale", "output_mean", "output_scale")


@dataclass(frozen=True)
class EgoMlp:
    """Trained network. Inputs and outputs are standardised.

    Attributes:
        weights: of each layer, (outputs, inputs); a ReLU follows all but the last.
        biases: of each layer.
        input_mean: mean of the training set's inputs.
        input_scale: standard deviation of the training set's inputs.
        output_mean: mean of the training set's poses.
        output_scale: standard deviation of the training set's poses.
        config: training configuration.
    """

    cameras: ClassVar[tuple[str, ...]] = ()
    weights: tuple[Float[np.ndarray, "_ _"], ...]
    biases: tuple[Float[np.ndarray, "_"], ...]
    input_mean: Float[np.ndarray, "f"]
    input_scale: Float[np.ndarray, "f"]
    output_mean: Float[np.ndarray, "o"]
    output_scale: Float[np.ndarray, "o"]
    config: dict[str, Any]

    def plan(self, observation: Observation) -> Trajectory:
        """Return a trajectory of eight poses.

        Raises:
            SwerveError: the history is shorter than 1.5 s.
        """
        return self.plan_batch([observation])[0]

    def plan_batch(self, observations: Sequence[Observation]) -> list[Trajectory]:
        """Return a trajectory of eight poses for each observation."""
        inputs = np.stack([inputs_of(one) for one in observations])
        return [Trajectory(poses, POSE_INTERVAL) for poses in self.poses(inputs)]

    def poses(self, inputs: Float[np.ndarray, "n f"]) -> Float[np.ndarray, "n 8 3"]:
        """Compute the poses from inputs."""
        out = forward(standardised(inputs, self.input_mean, self.input_scale), self.weights, self.biases)
        poses: Float[np.ndarray, "n 8 3"] = (out * self.output_scale + self.output_mean).reshape(len(inputs), POSES, 3)
        return poses


def standardised(
    inputs: Float[np.ndarray, "n f"], mean: Float[np.ndarray, "f"], scale: Float[np.ndarray, "f"]
) -> Float[np.ndarray, "n f"]:
    """Standardise and clip inputs."""
    standardised: Float[np.ndarray, "n f"] = np.clip((inputs - mean) / scale, -_FARTHEST, _FARTHEST)
    return standardised


def forward(inputs: Any, weights: Sequence[Any], biases: Sequence[Any]) -> Any:  # noqa: ANN401
    """Run the network on numpy arrays or torch tensors."""
    values = inputs
    for layer, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
        values = values @ weight.T + bias
        if layer < len(weights) - 1:
            values = values.clip(min=0)
    return values


def inputs_of(observation: Observation) -> Float[np.ndarray, "f"]:
    """Compute the network's inputs from an observation.

    Raises:
        SwerveError: the history is shorter than 1.5 s.
    """
    if observation.history.seconds[0] > PAST[0] + 1e-6:
        begins = observation.history.seconds[0]
        raise SwerveError(f"scene {observation.token}: the history begins at {begins} s, the MLP needs {PAST[0]} s")
    return features(observation.history, observation.command)


def features(history: History, command: Command) -> Float[np.ndarray, "f"]:
    """Compute the input features: current velocity, acceleration and yaw rate, past poses, and the one-hot command."""
    past = [np.interp(PAST, history.seconds, column) for column in history.poses.T]
    now = (history.velocity[-1], history.acceleration[-1], history.yaw_rate[-1:])
    features: Float[np.ndarray, "f"] = np.concatenate(
        [*now, np.stack(past, axis=1).ravel(), np.eye(len(Command))[command]]
    ).astype(np.float64)
    return features


def save_ego_mlp(planner: EgoMlp, path: str | Path) -> None:
    """Write the network as safetensors, deterministically.

    Raises:
        MissingExtraError: safetensors is not installed.
        SwerveError: the file cannot be written.
    """
    tensors = {name: getattr(planner, name).astype(np.float32) for name in _SCALES}
    for layer, (weight, bias) in enumerate(zip(planner.weights, planner.biases, strict=True)):
        tensors[f"layers.{layer}.weight"] = weight.astype(np.float32)
        tensors[f"layers.{layer}.bias"] = bias.astype(np.float32)
    header = {"format": _FORMAT, "version": VERSION, "layers": len(planner.weights), "config": planner.config}
    # A single entry, since safetensors does not keep the order of several.
    content = require_safetensors().numpy.save(tensors, {HEADER: json.dumps(header, sort_keys=True)})
    with os_errors_as_swerve_errors(Path(path)):
        write_atomically(Path(path), content)


def load_ego_mlp(path: str | Path) -> EgoMlp:
    """Read a network.

    Raises:
        MissingExtraError: safetensors is not installed.
        SwerveError: the file is missing, not such a network, or of another version, or damaged.
    """
    header, tensors = read_tensors(path, "a trained planner", "numpy")
    if header.get("format") != _FORMAT or header.get("version") != VERSION:
        raise SwerveError(f"{path}: not an ego-status MLP of version {VERSION}. Train it again: swerve train ego-mlp")
    check_shape(header, _HEADER_SHAPE, path)
    try:
        own = {name: _numbers(path, name, tensors[name]) for name in tensors}
        layers = range(header["layers"])
        weights = tuple(own[f"layers.{layer}.weight"] for layer in layers)
        biases = tuple(own[f"layers.{layer}.bias"] for layer in layers)
        planner = EgoMlp(weights, biases, **{name: own[name] for name in _SCALES}, config=header["config"])
    except KeyError as error:
        raise SwerveError(f"{path}: the trained planner lacks {error}") from error
    _check(path, planner)
    return planner


def _numbers(path: str | Path, name: str, tensor: np.ndarray) -> Float[np.ndarray, "..."]:
    """Return a tensor of a file.

    Raises:
        SwerveError: it is not of finite floats, or no vector or matrix.
    """
    if tensor.dtype.kind != "f" or tensor.ndim not in (1, 2) or not np.isfinite(tensor).all():
        raise SwerveError(
            f"{path}: the trained planner holds values that are not finite, or not numbers of a layer, in {name}"
        )
    return tensor.astype(np.float64)


def _check(path: str | Path, planner: EgoMlp) -> None:
    """Check that the layers fit each other.

    Raises:
        SwerveError: shapes do not fit.
    """
    sizes = [INPUTS, *(len(bias) for bias in planner.biases)]
    wanted = [(after, before) for before, after in pairwise(sizes)]
    shapes = [weight.shape for weight in planner.weights]
    scales = [getattr(planner, name) for name in _SCALES]
    lengths = [len(scale) for scale in scales]
    if shapes != wanted or sizes[-1] != POSES * 3 or lengths != [INPUTS, INPUTS, POSES * 3, POSES * 3]:
        raise SwerveError(f"{path}: the trained planner's layers have shapes {shapes}, which do not fit")
