"""Outputs of a training run: checkpoints, metrics, validations and planners."""

from pathlib import Path
from types import TracebackType
from typing import Any, Final

import torch

from swerve.data.stream import StreamLoader
from swerve.planners.learning.checkpoint import CheckpointWriter
from swerve.planners.learning.learned_planner import save_learned
from swerve.planners.learning.precision import is_mixed
from swerve.planners.learning.reduction import summed
from swerve.planners.learning.train_options import LoopOptions
from swerve.planners.learning.training_log import TrainingLog
from swerve.planners.learning.training_step import Training
from swerve.planners.learning.wandb_run import WandbRun

CHECKPOINT: Final = "checkpoint.safetensors"
PLANNER: Final = "planner.safetensors"
BEST: Final = "best.safetensors"


class RunOutputs:
    """Write a run's outputs in the first process; others of a sharded training give their shares without writing."""

    def __init__(
        self, folder: Path, training: Training, loader: StreamLoader, run: LoopOptions, writes: bool = True
    ) -> None:
        self._folder, self._training, self._loader, self._run = folder, training, loader, run
        self._checkpoints = CheckpointWriter(folder / CHECKPOINT, writes)
        self._journal = None
        if writes:
            curves = WandbRun(folder, run.wandb, _settings(training)) if run.wandb else None
            self._journal = TrainingLog(folder, training.step, run.tensorboard, curves)

    def __enter__(self) -> "RunOutputs":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Wait for the last checkpoint, however the steps ended."""
        self._checkpoints.wait()

    def write_step(self, row: dict[str, int | float], found: dict[str, float]) -> None:
        """Write the outputs of a step: metrics, validation if any, and a checkpoint if due.

        The checkpoint comes last, so that a step that is not repeated has written everything.
        """
        training = self._training
        if self._journal:
            self._journal.step(row)
        if found and self._is_best(found):
            self._save(BEST, found)
        if training.step % self._run.checkpoint_every == 0 or training.step == training.options.steps:
            if self._journal:
                self._journal.flush()
            # The loader's own state is ahead of the training.
            stream = self._loader.state_at(training.step * training.options.gradient_accumulation_steps)
            self._checkpoints.save(training, stream)

    def _is_best(self, found: dict[str, float]) -> bool:
        """Write a validation; return whether it is the best so far, in all processes that take part."""
        best = bool(self._journal and self._journal.validation({"step": self._training.step, **found}))
        if not self._training.is_sharded:
            return best
        return bool(summed(torch.tensor(float(best), device=self._training.device)))

    def finish(self) -> None:
        """Write the planner."""
        if self._journal:
            self._journal.close()
        self._save(PLANNER, {})

    def _save(self, name: str, found: dict[str, float]) -> None:
        options = self._training.options
        record: dict[str, Any] = {"steps": self._training.step, "seed": options.seed}
        if is_mixed(options.precision, self._training.device):
            record["precision"] = "bf16"
        model = self._training.averaged_model()
        if self._journal:
            save_learned(model, {**record, **({"validation": found} if found else {})}, self._folder / name)


def _settings(training: Training) -> dict[str, Any]:
    """Return the config and the options of a run as JSON values."""
    options = {name: str(one) if isinstance(one, Path) else one for name, one in vars(training.options).items()}
    return {"family": training.config.family, "model": training.config.to_json(), **options}
