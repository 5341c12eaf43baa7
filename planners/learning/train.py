"""Training run of any family, with checkpoints, metrics and validation."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from swerve.data.jobs.folder_locks import held
from swerve.data.storage.files import make_folder
from swerve.data.stream import SampleStream, StreamLoader
from swerve.eval.context.context_store import ContextStore
from swerve.planners.learning.check_run import check_hidden_states, check_run
from swerve.planners.learning.checkpoint import load_checkpoint
from swerve.planners.learning.hidden_state_store import HiddenStateStore
from swerve.planners.learning.initial_weights import begin
from swerve.planners.learning.learned_planner import LearnedPlanner
from swerve.planners.learning.model_config import ModelConfig
from swerve.planners.learning.precision import float32_matmul, is_mixed
from swerve.planners.learning.prepared_batches import batched, open_score_store, prepared_batches
from swerve.planners.learning.run_outputs import CHECKPOINT, PLANNER, RunOutputs
from swerve.planners.learning.train_options import LoopOptions, TrainingOptions
from swerve.planners.learning.training_step import Training
from swerve.planners.learning.validation import Validation, require_held_out, validate

# Columns of metrics.csv with the timing of a step, see docs/train_rap.md.
PARTS: Final = ("wait", "load", "contexts", "step", "forward", "scoring_wait", "scoring_cpu", "backward", "optimizer")


@dataclass(frozen=True)
class Process:
    """Process of distributed training.

    Attributes:
        rank: rank of the process.
        world: world size.
        device: training device.
    """

    rank: int
    world: int
    device: torch.device


@contextmanager
def processes() -> Iterator[Process]:
    """Initialise distributed training from torchrun's environment; without it, yield a single process."""
    rank, world, local = (int(os.environ.get(name, "0")) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    cuda = torch.cuda.is_available()
    device = torch.device("cuda", local) if cuda else torch.device("cpu")
    if cuda:
        torch.cuda.set_device(device)
    if world < 2:
        yield Process(0, 1, device)
        return
    torch.distributed.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Process(rank, world, device)
    finally:
        torch.distributed.destroy_process_group()


@dataclass(frozen=True)
class RunOptions(LoopOptions):
    """Options of a run that do not change the weights, and its validation.

    Attributes:
        validation: What the planner is validated on; None for nothing.
    """

    validation: Validation | None = None


def train(
    stream: SampleStream,
    store: ContextStore | None,
    config: ModelConfig,
    options: TrainingOptions,
    folder: str | Path,
    process: Process,
    run: RunOptions = RunOptions(),
    report: Callable[[dict[str, int | float]], None] = lambda noted: None,
    report_validation: Callable[[int, dict[str, float]], None] = lambda step, found: None,
    hidden: HiddenStateStore | None = None,
) -> Path:
    """Train until `options.steps`, resuming from the folder's checkpoint if there is one; return the planner's file.

    The folder gets `checkpoint.safetensors`, `metrics.csv` with a row per step of the first process, and in the end
    `planner.safetensors` with the averaged weights; with a validation `validation.csv`, and `best.safetensors` with the
    averaged weights of the best one. A killed run resumes from its last checkpoint.

    Args:
        stream: stream of batches with the config's cameras and image size.
        store: scoring contexts of the same set; None trains without sub-scores.
        config: config of the network.
        options: training options.
        folder: folder of the run.
        process: current process.
        run: options of the run.
        report: called in the first process after each step with its row of metrics.
        report_validation: called in the first process with the step and no scores when a validation begins, and with
            its scores when it ends.
        hidden: hidden states of the set, for a config that is conditioned on them.

    Raises:
        MissingExtraError: TensorBoard or Weights & Biases is requested and not installed.
        SwerveError: another process trains in the folder, the stream does not fit the config, the benchmark lacks a
            camera or shares a log with the set, the checkpoint is of another run, the loss is not finite, or memory
            does not suffice.
    """
    folder = Path(folder)
    check_run(stream, store, config)
    check_hidden_states(hidden, config)
    with held(folder) if process.rank == 0 else nullcontext(), float32_matmul(options.tf32):
        return _train(stream, store, config, options, folder, process, run, report, report_validation, hidden)


def _train(
    stream: SampleStream,
    store: ContextStore | None,
    config: ModelConfig,
    options: TrainingOptions,
    folder: Path,
    process: Process,
    run: RunOptions,
    report: Callable[[dict[str, int | float]], None],
    report_validation: Callable[[int, dict[str, float]], None],
    hidden: HiddenStateStore | None,
) -> Path:
    """Train as `train` does, in a folder that is locked."""
    training = Training(config, options, process.device, process.rank, process.world)
    if run.validation:
        require_held_out(run.validation.benchmark, stream.logs, LearnedPlanner(training.model, {}))
    make_folder(folder)
    loader = StreamLoader(stream, options.steps * options.gradient_accumulation_steps, run.workers)
    resumed = load_checkpoint(folder / CHECKPOINT, training)
    if resumed is None:
        begin(training, stream)
    else:
        loader.load_state_dict(resumed)
    scores = open_score_store(folder, training, stream) if store else None
    first = process.rank == 0
    # Processes of a sharded training each give their share of what the first one writes.
    outputs = RunOutputs(folder, training, loader, run, first) if first or training.is_sharded else None
    with (
        closing(prepared_batches(loader, store, scores, training, run.prefetch, hidden)) as batches,
        outputs or nullcontext(),
    ):
        for parts in batched(batches, options.gradient_accumulation_steps):
            noted = training.train_step(*parts)
            row = {**noted, **_seconds(training)}
            due = run.validation and _is_due(run.validation, training)
            if first and due:
                report_validation(training.step, {})
            found = _validated(run.validation, training, process) if run.validation and due else {}
            if outputs:
                outputs.write_step(row, found)
            if first and found:
                report_validation(training.step, found)
            if first:
                report(row)
    if outputs:
        outputs.finish()
    return folder / PLANNER


def _is_due(validation: Validation, training: Training) -> bool:
    return training.step == training.options.steps or training.step % validation.every == 0


def _validated(validation: Validation, training: Training, process: Process) -> dict[str, float]:
    """Validate the averaged weights."""
    precision = training.options.precision
    mixed = is_mixed(precision, training.device)
    planner = LearnedPlanner(training.averaged_model(), {}, "bf16" if mixed else "fp32")
    return validate(planner, validation.benchmark, process.rank, process.world, training.averaged_heads)


def _seconds(training: Training) -> dict[str, float]:
    """Return the columns of the step's timing by part."""
    taken = training.watch.take()
    return {f"{part}_seconds": taken.get(part, 0.0) for part in PARTS}
