"""A training run: batches in, a planner with checkpoints and metrics out."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import torch

from swerve.data.files import make_folder
from swerve.data.stream import Batch, SampleStream, StreamLoader
from swerve.eval.context import Context
from swerve.eval.context_store import ContextStore
from swerve.planners.rap.batch import views_of
from swerve.planners.rap.checkpoint import add_metrics, keep_metrics, load_checkpoint, save_checkpoint
from swerve.planners.rap.config import RapConfig
from swerve.planners.rap.planner import save_rap
from swerve.planners.rap.training import RapTrainOptions, Training
from swerve.scenes import SwerveError

CHECKPOINT: Final = "checkpoint.safetensors"
PLANNER: Final = "planner.safetensors"
METRICS: Final = "metrics.csv"


@dataclass(frozen=True)
class Process:
    """One of the processes that train together.

    Attributes:
        rank: its number.
        world: how many there are.
        device: that it trains on.
    """

    rank: int
    world: int
    device: torch.device


@contextmanager
def processes() -> Iterator[Process]:
    """This process, as torchrun's environment describes it; alone, on the GPU if there is one, without torchrun."""
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


def train_rap(
    stream: SampleStream,
    store: ContextStore | None,
    config: RapConfig,
    options: RapTrainOptions,
    folder: Path,
    process: Process,
    workers: int = 0,
    checkpoint_every: int = 1000,
    told: Callable[[dict[str, int | float]], None] = lambda noted: None,
) -> Path:
    """Trains until `options.steps`, from the folder's checkpoint on if there is one; returns the planner's file.

    The folder gets `checkpoint.safetensors`, `metrics.csv` with a row per step of the first process, and in the end
    `planner.safetensors`, which holds the averaged weights. A run that was killed at any moment goes on from its last
    checkpoint.

    Args:
        stream: of batches with the config's cameras and image size.
        store: contexts of the same set; None trains without sub-scores.
        config: of the network.
        options: how to train.
        folder: of the run.
        process: this one.
        workers: processes that make batches ahead.
        checkpoint_every: steps.
        told: called after each step with its row of metrics.

    Raises:
        SwerveError: the stream does not fit the config, the checkpoint is of another run, the loss is not finite, or
            memory does not suffice.
    """
    config = _checked(stream, store, config)
    make_folder(folder)
    training = Training(config, options, process.device, process.rank, process.world)
    loader = StreamLoader(stream, options.steps, workers)
    if (folder / CHECKPOINT).is_file():
        loader.load_state_dict(load_checkpoint(folder / CHECKPOINT, training))
    if process.rank == 0:
        keep_metrics(folder / METRICS, training.step)
    for batch in _timed(loader, training):
        with training.watch.measure("contexts"):
            contexts = _contexts(store, batch, options.threads)
        noted = training.advance(views_of(batch, contexts, config))
        if process.rank == 0:
            row = {**noted, **_seconds(training)}
            add_metrics(folder / METRICS, row)
            told(row)
            if training.step % checkpoint_every == 0 or training.step == options.steps:
                save_checkpoint(folder / CHECKPOINT, training, loader.state_dict())
    if process.rank == 0:
        save_rap(training.averaged(), {"steps": training.step, "seed": options.seed}, folder / PLANNER)
    return folder / PLANNER


def _checked(stream: SampleStream, store: ContextStore | None, config: RapConfig) -> RapConfig:
    """The config.

    Raises:
        SwerveError: images or cameras are not the stream's, or sub-scores are to be learned without contexts.
    """
    size, trim = (config.width, config.height), config.trim
    if stream.options.fit.size != size or stream.options.fit.trim != trim or stream.cameras != config.cameras:
        fit = stream.options.fit
        raise SwerveError(
            f"rap: the config wants cameras {', '.join(config.cameras)} at {size[0]}x{size[1]} with trim {trim}; the "
            f"stream gives {', '.join(stream.cameras)} at {fit.size[0]}x{fit.size[1]} with trim {fit.trim}"
        )
    if store is None and config.score_weight:
        raise SwerveError("rap: sub-scores need contexts (see `swerve contexts`). Give them, or set score_weight to 0")
    return config


def _contexts(store: ContextStore | None, batch: Batch, threads: int) -> list[Context | None]:
    return store.contexts(batch.provenance, threads) if store else [None] * len(batch)


def _timed(loader: StreamLoader, training: Training) -> Iterator[Batch]:
    """The batches; the time until each is there is measured as "load"."""
    batches = iter(loader)
    while True:
        with training.watch.measure("load"):
            batch = next(batches, None)
        if batch is None:
            return
        yield batch


def _seconds(training: Training) -> dict[str, float]:
    """Columns of the time that the step took, by part; the scorer's is part of the step's."""
    taken = training.watch.take()
    return {f"{part}_seconds": taken.get(part, 0.0) for part in ("load", "contexts", "step", "scorer")}
