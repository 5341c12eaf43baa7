"""Training checkpoints: what training changes, and a digest of what it does not."""

import json
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

import safetensors.torch
import torch

from swerve.data.storage.checked_json import anything, check_shape, describe, integer, mapping_of
from swerve.data.storage.checked_json import fields as fields_of
from swerve.data.storage.files import os_errors_as_swerve_errors, write_atomically
from swerve.planners.learning.reduction import world_size
from swerve.planners.learning.training_step import Training
from swerve.planners.trained_file import HEADER, read_tensors_of
from swerve.scenes import SwerveError
from swerve.scenes.printable import printable

VERSION: Final = 4
_FORMAT: Final = "swerve-rap-checkpoint"
_SHAPE: Final = fields_of(
    {
        "step": integer(0),
        "options": fields_of({"steps": integer(1)}),
        **dict.fromkeys(("stream", "config"), mapping_of(anything)),
    },
)
# Options that do not affect results, or only those of the first step.
_FREE: Final = ("scoring_threads", "compile", "initial_weights", "fsdp")


def save_checkpoint(path: Path, training: Training, stream: dict[str, Any]) -> None:
    """Write the training state atomically: trained tensors, those of the optimizer, and a digest of the frozen ones.

    Args:
        path: path of the file.
        training: training state between two steps.
        stream: state of the data loader, as JSON values.

    Raises:
        WriteError: it cannot be written.
    """
    _write(path, *_snapshot(training, stream))


class CheckpointWriter:
    """Writer of checkpoints in a thread beside training; at most one is written at a time.

    Args:
        path: path of the file.
        writes: whether it writes; a process of a sharded training that does not only gives its share.
    """

    def __init__(self, path: Path, writes: bool = True) -> None:
        self._writes = writes
        self._path, self._pool, self._pending = path, ThreadPoolExecutor(1), list[Future[None]]()

    def save(self, training: Training, stream: dict[str, Any]) -> None:
        """Copy the state and write it beside training, once the previous checkpoint is written.

        Raises:
            WriteError: the previous checkpoint could not be written.
        """
        self.wait()
        header, tensors = _snapshot(training, stream)
        if not self._writes:
            return
        copied = {name: one.clone() for name, one in tensors.items()}
        self._pending = [self._pool.submit(_write, self._path, header, copied)]

    def wait(self) -> None:
        """Wait until the checkpoint is written.

        Raises:
            WriteError: it could not be written.
        """
        while self._pending:
            self._pending.pop().result()


def load_checkpoint(path: Path, training: Training) -> dict[str, Any] | None:
    """Restore the training state from the first process's checkpoint; return the state of the data loader.

    Only the first process reads its file; the others get its content, so that all resume from the same step, also
    without a shared disk. None if it has no file: the run begins.

    Raises:
        SwerveError: not a checkpoint of this version, damaged, or of a run with another config or options; only the
            steps of a finished run may grow. Or the processes' states differ.
    """
    content = _from_first(path, training)
    if content is None:
        return None
    header, tensors = read_tensors_of(content, path, "a checkpoint")
    if header.get("format") != _FORMAT or header.get("version") != VERSION:
        raise SwerveError(f"{path}: not a checkpoint of version {VERSION}. Train in another folder")
    check_shape(header, _SHAPE, path)
    _check_identity(path, header, training)
    try:
        training.load_state_dict(tensors, header["step"])
    except (RuntimeError, KeyError, ValueError, TypeError, IndexError) as error:
        reason = printable(str(error))[:200]
        raise SwerveError(f"{path}: tensors: do not fit this training ({reason}). Train in another folder") from error
    require_equal_states(training)
    stream: dict[str, Any] = header["stream"]
    return stream


def require_equal_states(training: Training) -> None:
    """Check that all processes are at the same step with the same weights.

    Raises:
        SwerveError: they are not.
    """
    if world_size() < 2:
        return
    total = torch.stack([one.detach().double().sum() for _, one in sorted(training.state_dict().items())]).sum()
    own = (training.step, float(total), training.frozen_digest)
    everybodys: list[Any] = [None] * world_size()
    torch.distributed.all_gather_object(everybodys, own)
    if len({repr(one) for one in everybodys}) > 1:
        steps = [one[0] for one in everybodys]
        raise SwerveError(
            f"the processes do not have the same training state (steps {steps}). They must have the same backbone "
            "weights, and be started by the same command"
        )


def _from_first(path: Path, training: Training) -> bytes | None:
    """Return the content of the first process's file, in all processes; None if there is none."""
    own = path.read_bytes() if path.is_file() else None
    if world_size() < 2:
        return own
    first, device = torch.distributed.get_rank() == 0, training.device
    size = torch.tensor([-1 if own is None else len(own)], device=device)
    torch.distributed.broadcast(size, 0)
    if size.item() < 0:
        return None
    content = torch.empty(int(size.item()), dtype=torch.uint8, device=device)
    if first and own is not None:
        content.copy_(torch.frombuffer(bytearray(own), dtype=torch.uint8))
    torch.distributed.broadcast(content, 0)
    return content.cpu().numpy().tobytes()


def _write(path: Path, header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    with os_errors_as_swerve_errors(path.parent):
        write_atomically(path, _content(header, tensors))


def _snapshot(training: Training, stream: dict[str, Any]) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Return header and tensors in host memory."""
    header = {"format": _FORMAT, "version": VERSION, "step": training.step, "stream": stream, **_identity(training)}
    header["frozen"] = training.frozen_digest
    return header, {name: one.detach().cpu().contiguous() for name, one in training.state_dict().items()}


def _content(header: dict[str, Any], tensors: dict[str, torch.Tensor]) -> bytes:
    return safetensors.torch.save(tensors, {HEADER: json.dumps(header, sort_keys=True)})


def _identity(training: Training) -> dict[str, Any]:
    """Return the settings that must not change on resumption."""
    options = {name: value for name, value in asdict(training.options).items() if name not in _FREE}
    return {"config": training.config.to_json(), "options": options}


def _check_identity(path: Path, header: dict[str, Any], training: Training) -> None:
    """Check that a checkpoint is of this run.

    Raises:
        SwerveError: it is not.
    """
    identity, was = _identity(training), header["options"]["steps"]
    if header["step"] == was < training.options.steps:  # a finished run may be lengthened
        identity["options"]["steps"] = was
    elif training.options.steps != was:
        raise SwerveError(
            f"{path}: this run was started with steps {was}, not {training.options.steps}. It can be lengthened when "
            f"it is finished, and is at step {header['step']}"
        )
    for part, defaults in {"config": training.config, "options": training.options}.items():
        _require_same(path, {**_defaults(defaults), **header[part]}, identity[part])
    if header.get("frozen") != training.frozen_digest:
        raise SwerveError(
            f"{path}: this run was started with other frozen weights (backbone_weights, or another version of timm). "
            "Use the same, or train in another folder"
        )


def _defaults(settings: Any) -> dict[str, Any]:  # noqa: ANN401 any dataclass
    """Return the defaults of a dataclass, for files that are older than a field."""
    plain = {field.name: field.default for field in fields(settings)}
    return {name: list(one) if isinstance(one, tuple) else one for name, one in plain.items()}


def _require_same(path: Path, was: dict[str, Any], own: dict[str, Any]) -> None:
    for name, value in own.items():
        if was.get(name) != value:
            raise SwerveError(
                f"{path}: this run was started with {name} {describe(was.get(name))}, not {value}. Use the same, or "
                "train in another folder"
            )
