"""Training run of RAP, with checkpoints, metrics and validation."""

import os
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from swerve.data.storage.files import make_folder
from swerve.data.stream import Batch, SampleStream, StreamLoader
from swerve.eval.context.context_store import ContextStore
from swerve.eval.scoring.score import PreparedContext, prepare_context
from swerve.planners.rap.checkpoint import load_checkpoint, save_checkpoint
from swerve.planners.rap.rap_batch import RapBatch, views_of
from swerve.planners.rap.rap_config import RapConfig
from swerve.planners.rap.rap_planner import RapPlanner, save_rap
from swerve.planners.rap.train_options import LoopOptions, RapTrainOptions
from swerve.planners.rap.training_log import TrainingLog
from swerve.planners.rap.training_step import Training
from swerve.planners.rap.validation import Validation, require_held_out, validate
from swerve.scenes import SwerveError

CHECKPOINT: Final = "checkpoint.safetensors"
PLANNER: Final = "planner.safetensors"
BEST: Final = "best.safetensors"
# Columns of metrics.csv with the timing of a step, see docs/train_rap.md.
PARTS: Final = ("wait", "load", "contexts", "step", "forward", "scorer", "scoring", "backward", "optimizer")


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


def train_rap(
    stream: SampleStream,
    store: ContextStore | None,
    config: RapConfig,
    options: RapTrainOptions,
    folder: Path,
    process: Process,
    run: RunOptions = RunOptions(),
    report: Callable[[dict[str, int | float]], None] = lambda noted: None,
    validating: Callable[[dict[str, float]], None] = lambda found: None,
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
        validating: called when a validation begins, with nothing, and when it is done, with its scores.

    Raises:
        MissingExtraError: TensorBoard is requested and not installed.
        SwerveError: the stream does not fit the config, the benchmark lacks a camera or shares a log with the set, the
            checkpoint is of another run, the loss is not finite, or memory does not suffice.
    """
    _check(stream, store, config)
    training = Training(config, options, process.device, process.rank, process.world)
    if run.validation:
        require_held_out(run.validation.benchmark, stream.logs, RapPlanner(training.model, {}))
    make_folder(folder)
    loader = StreamLoader(stream, options.steps, run.workers)
    if (folder / CHECKPOINT).is_file():
        loader.load_state_dict(load_checkpoint(folder / CHECKPOINT, training))
    keeper = _Keeper(folder, training, stream, run) if process.rank == 0 else None
    with closing(_prepared(loader, store, training)) as batches:
        for batch in batches:
            noted = training.train_step(batch)
            row = {**noted, **_seconds(training)}
            found = _validated(run.validation, training, process, validating)
            if keeper:
                keeper.keep(row, found)
                report(row)
    if keeper:
        keeper.finish()
    return folder / PLANNER


class _Keeper:
    """Writer of a run's outputs in the first process."""

    def __init__(self, folder: Path, training: Training, stream: SampleStream, run: RunOptions) -> None:
        self._folder, self._training, self._stream, self._run = folder, training, stream, run
        self._journal = TrainingLog(folder, training.step, run.tensorboard)

    def keep(self, row: dict[str, int | float], found: dict[str, float]) -> None:
        """Write the outputs of a step: metrics, validation if any, and a checkpoint if due.

        The checkpoint comes last, so that a step that is not repeated has written everything.
        """
        training = self._training
        self._journal.step(row)
        if found and self._journal.validation({"step": training.step, **found}):
            self._save(BEST, found)
        if training.step % self._run.checkpoint_every == 0 or training.step == training.options.steps:
            self._journal.flush()
            # The loader's own state is ahead of the training.
            stream = {"step": training.step, "stream": self._stream.identity}
            save_checkpoint(self._folder / CHECKPOINT, training, stream)

    def finish(self) -> None:
        """Write the planner."""
        self._journal.close()
        self._save(PLANNER, {})

    def _save(self, name: str, found: dict[str, float]) -> None:
        record = {"steps": self._training.step, "seed": self._training.options.seed}
        save_rap(
            self._training.averaged_model(), {**record, **({"validation": found} if found else {})}, self._folder / name
        )


def _check(stream: SampleStream, store: ContextStore | None, config: RapConfig) -> None:
    """Check that stream, contexts and config are consistent.

    Raises:
        SwerveError: images or cameras are not the stream's, or sub-scores are trained without contexts.
    """
    size, trim = (config.image_width, config.image_height), config.trim
    if stream.options.fit.size != size or stream.options.fit.trim != trim or stream.cameras != config.cameras:
        fit = stream.options.fit
        raise SwerveError(
            f"rap: the config has cameras {', '.join(config.cameras)} at {size[0]}x{size[1]} with trim {trim}; the "
            f"stream has {', '.join(stream.cameras)} at {fit.size[0]}x{fit.size[1]} with trim {fit.trim}"
        )
    if store is None and config.score_weight:
        raise SwerveError("rap: sub-scores need contexts (see `swerve contexts`). Give them, or set score_weight to 0")


def _prepared(loader: StreamLoader, store: ContextStore | None, training: Training) -> Generator[RapBatch, None, None]:
    """Yield the batches with their contexts, prefetching one in a thread during training.

    Reading contexts is mostly decompression, which releases the GIL, as do the kernels.
    """
    batches, watch = iter(loader), training.watch

    def made() -> RapBatch | None:
        with watch.measure("load"):
            batch = next(batches, None)
        if batch is None:
            return None
        with watch.measure("contexts"):
            return views_of(batch, _yardsticks(store, batch, training.options.threads), training.config)

    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(made)
        while True:
            with watch.measure("wait"):
                ready = pending.result()
            if ready is None:
                return
            pending = pool.submit(made)
            yield ready


def _yardsticks(store: ContextStore | None, batch: Batch, threads: int) -> list[PreparedContext | None]:
    if store is None:
        return [None] * len(batch)
    contexts = store.contexts(batch.provenance, threads)
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda one: prepare_context(one) if one else None, contexts))


def _validated(
    validation: Validation | None,
    training: Training,
    process: Process,
    tell: Callable[[dict[str, float]], None],
) -> dict[str, float]:
    """Validate the averaged weights if due; return no values otherwise."""
    last = training.step == training.options.steps
    if validation is None or not (last or training.step % validation.every == 0):
        return {}
    planner = RapPlanner(training.averaged_model(), {})
    tell({})
    found = validate(planner, validation.benchmark, process.rank, process.world)
    tell(found)
    return found


def _seconds(training: Training) -> dict[str, float]:
    """Return the columns of the step's timing by part."""
    taken = training.watch.take()
    return {f"{part}_seconds": taken.get(part, 0.0) for part in PARTS}
