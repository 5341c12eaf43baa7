"""Training checkpoints."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import safetensors.torch

from swerve.data.storage.checked_json import anything, check_shape, fields, integer, mapping_of, told
from swerve.data.storage.files import os_errors_as_swerve_errors, write_atomically
from swerve.planners.rap.training_step import Training
from swerve.planners.trained_file import HEADER, read_tensors
from swerve.scenes import SwerveError
from swerve.scenes.printable import printable

VERSION: Final = 2
_FORMAT: Final = "swerve-rap-checkpoint"
_SHAPE: Final = fields(
    {
        "step": integer(0),
        "options": fields({"steps": integer(1)}),
        **dict.fromkeys(("stream", "config"), mapping_of(anything)),
    },
)


def save_checkpoint(path: Path, training: Training, stream: dict[str, Any]) -> None:
    """Write the complete training state atomically.

    Args:
        path: path of the file.
        training: training state between two steps.
        stream: state of the data loader, as JSON values.

    Raises:
        WriteError: the file cannot be written.
    """
    header = {"format": _FORMAT, "version": VERSION, "step": training.step, "stream": stream, **_identity(training)}
    tensors = {name: one.detach().cpu().contiguous() for name, one in training.state_dict().items()}
    content = safetensors.torch.save(tensors, {HEADER: json.dumps(header, sort_keys=True)})
    with os_errors_as_swerve_errors(path.parent):
        write_atomically(path, content)


def load_checkpoint(path: Path, training: Training) -> dict[str, Any]:
    """Restore the training state from a checkpoint; return the state of the data loader.

    Raises:
        SwerveError: not a checkpoint of this version, damaged, or of a run with another config or options; only the
            steps of a finished run may grow.
    """
    header, tensors = read_tensors(path, "a checkpoint", "pt")
    if header.get("format") != _FORMAT or header.get("version") != VERSION:
        raise SwerveError(f"{path}: not a checkpoint of version {VERSION}. Train in another folder")
    check_shape(header, _SHAPE, path)
    identity, was = _identity(training), header["options"]["steps"]
    if header["step"] == was < training.options.steps:  # a finished run may be lengthened
        identity["options"]["steps"] = was
    elif training.options.steps != was:
        raise SwerveError(
            f"{path}: this run was started with steps {was}, not {training.options.steps}. It can be lengthened when "
            f"it is finished, and is at step {header['step']}"
        )
    _require_same(path, header, identity)
    try:
        training.load_state_dict(dict(tensors), header["step"])
    except (RuntimeError, KeyError, ValueError, TypeError, IndexError) as error:
        reason = printable(str(error))[:200]
        raise SwerveError(f"{path}: tensors: do not fit this training ({reason}). Train in another folder") from error
    stream: dict[str, Any] = header["stream"]
    return stream


def _identity(training: Training) -> dict[str, Any]:
    """Return the settings that must not change on resumption; threads do not affect results."""
    options = {name: value for name, value in asdict(training.options).items() if name != "threads"}
    return {"config": training.config.to_json(), "options": options}


def _require_same(path: Path, header: dict[str, Any], identity: dict[str, Any]) -> None:
    for part, own in identity.items():
        for name, value in own.items():
            if header[part].get(name) != value:
                was = told(header[part].get(name))
                raise SwerveError(
                    f"{path}: this run was started with {name} {was}, not {value}. Use the same, or train in another "
                    "folder"
                )
