"""Training run of any family, with checkpoints, metrics and validation."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeVar

import torch

from swerve.data.jobs.folder import held
from swerve.data.storage.files import make_folder
from swerve.data.stream import Batch, ImageFit, SampleStream, StreamLoader
from swerve.data.stream.batch import Provenance
from swerve.eval.context.context_file import VERSION
from swerve.eval.context.context_store import ContextStore
from swerve.eval.scoring.score import PreparedContext, prepare_context
from swerve.planners.learning.alignment import neck_of
from swerve.planners.learning.checkpoint import CheckpointWriter, load_checkpoint, require_equal_states
from swerve.planners.learning.hidden_state_store import HiddenStateStore
from swerve.planners.learning.learned_planner import LearnedPlanner, save_learned
from swerve.planners.learning.model import PlannerModel
from swerve.planners.learning.model_config import ModelConfig
from swerve.planners.learning.precision import is_mixed
from swerve.planners.learning.reduction import summed
from swerve.planners.learning.score_store import ScoreStore
from swerve.planners.learning.sharding import load_whole, whole
from swerve.planners.learning.train_options import LoopOptions, TrainingOptions
from swerve.planners.learning.training_batch import TrainingBatch, views_of
from swerve.planners.learning.training_log import TrainingLog
from swerve.planners.learning.training_step import Training
from swerve.planners.learning.validation import Validation, require_held_out, validate
from swerve.planners.learning.vocabulary import Vocabulary, kmeans_anchors
from swerve.planners.learning.wandb_run import WandbRun
from swerve.planners.trained_file import read_tensors
from swerve.scenes import SwerveError

CHECKPOINT: Final = "checkpoint.safetensors"
PLANNER: Final = "planner.safetensors"
BEST: Final = "best.safetensors"
# Columns of metrics.csv with the timing of a step, see docs/train_rap.md.
PARTS: Final = ("wait", "load", "contexts", "step", "forward", "scorer", "scoring", "backward", "optimizer")

T = TypeVar("T")


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
    _check(stream, store, config)
    _check_hidden(hidden, config)
    with held(folder) if process.rank == 0 else nullcontext():
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
    loader = StreamLoader(stream, options.steps * options.accumulation, run.workers)
    resumed = load_checkpoint(folder / CHECKPOINT, training)
    if resumed is None:
        begin(training, stream)
    else:
        loader.load_state_dict(resumed)
    scores = _score_store(folder, training, stream) if store else None
    first = process.rank == 0
    # Processes of a sharded training each give their share of what the first one writes.
    keeper = _Keeper(folder, training, loader, run, first) if first or training.is_sharded else None
    with closing(_prepared(loader, store, scores, training, run.prefetch, hidden)) as batches, keeper or nullcontext():
        for parts in batched(batches, options.accumulation):
            noted = training.train_step(*parts)
            row = {**noted, **_seconds(training)}
            due = run.validation and _is_due(run.validation, training)
            if first and due:
                report_validation(training.step, {})
            found = _validated(run.validation, training, process) if run.validation and due else {}
            if keeper:
                keeper.keep(row, found)
            if first and found:
                report_validation(training.step, found)
            if first:
                report(row)
    if keeper:
        keeper.finish()
    return folder / PLANNER


class _Keeper:
    """Writer of a run's outputs: the first process; others of a sharded training take part without writing."""

    def __init__(
        self, folder: Path, training: Training, loader: StreamLoader, run: RunOptions, writes: bool = True
    ) -> None:
        self._folder, self._training, self._loader, self._run = folder, training, loader, run
        self._checkpoints = CheckpointWriter(folder / CHECKPOINT, writes)
        self._journal = None
        if writes:
            curves = WandbRun(folder, run.wandb, _shown(training)) if run.wandb else None
            self._journal = TrainingLog(folder, training.step, run.tensorboard, curves)

    def __enter__(self) -> "_Keeper":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Wait for the last checkpoint, however the steps ended."""
        self._checkpoints.wait()

    def keep(self, row: dict[str, int | float], found: dict[str, float]) -> None:
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
            stream = self._loader.state_at(training.step * training.options.accumulation)
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


def _shown(training: Training) -> dict[str, Any]:
    """Return the config and the options of a run as JSON values."""
    options = {name: str(one) if isinstance(one, Path) else one for name, one in vars(training.options).items()}
    return {"family": training.config.family, "model": training.config.to_json(), **options}


def _check(stream: SampleStream, store: ContextStore | None, config: ModelConfig) -> None:
    """Check that stream, contexts and config are consistent.

    Raises:
        SwerveError: images or cameras are not the stream's, or sub-scores are trained without contexts.
    """
    size, trim = (config.image_width, config.image_height), config.trim
    fits = stream.options.fit.size == size and stream.options.fit.trim == trim and stream.cameras == config.cameras
    if config.cameras and not fits:
        fit = stream.options.fit
        raise SwerveError(
            f"{config.family}: the config has cameras {', '.join(config.cameras)} at {size[0]}x{size[1]} with "
            f"trim {trim}; the stream has {', '.join(stream.cameras)} at {fit.size[0]}x{fit.size[1]} with "
            f"trim {fit.trim}"
        )
    if store is None and config.auxiliary:
        raise SwerveError(
            f"{config.family}: the targets of auxiliary heads are in contexts (see `swerve contexts`). Give them, or "
            "leave auxiliary out"
        )
    if store is None and (config.score_weight or config.ranking_weight):
        raise SwerveError(
            f"{config.family}: sub-scores need contexts (see `swerve contexts`). Give them, or set score_weight and "
            "ranking_weight to 0"
        )


def _check_hidden(hidden: HiddenStateStore | None, config: ModelConfig) -> None:
    """Check that hidden states are what the config is conditioned on.

    Raises:
        SwerveError: they are of other images or another model, or are given or missing against the config.
    """
    if config.hidden_states is None and hidden is None:
        return
    if config.hidden_states is None:
        raise SwerveError(
            f"{config.family}: hidden states are given, and this network is not conditioned on them. Leave them out, "
            "or train chainflow with conditioning hidden_states"
        )
    if hidden is None:
        raise SwerveError(
            f"{config.family}: conditioning is on hidden states, which needs them (see `swerve hidden-states`). Give "
            "those of the set"
        )
    stored, fit = hidden.stored, ImageFit((config.image_width, config.image_height), config.trim)
    if (stored.cameras, stored.fit) != (config.cameras, fit):
        was, own = (
            f"{', '.join(cameras)} at {one.size[0]}x{one.size[1]} with trim {one.trim}"
            for cameras, one in ((stored.cameras, stored.fit), (config.cameras, fit))
        )
        raise SwerveError(
            f"{config.family}: the hidden states are of cameras {was}; the network has {own}. Make them for these"
        )
    if stored.spec != config.hidden_states:
        raise SwerveError(f"{config.family}: the hidden states are of another model, layer or prompt than the config's")


def begin(training: Training, stream: SampleStream) -> None:
    """Prepare a run that begins: find the vocabulary's anchors, take the weights of `warm_start`.

    All processes must then have the same weights.

    Raises:
        SwerveError: the file is no planner, or shares no weights with the network; or the processes' weights differ.
    """
    vocabulary = vocabulary_of(training.model)
    if vocabulary is not None and len(vocabulary.anchors):
        targets = stream.targets(training.config.interval, training.config.poses)
        anchors = kmeans_anchors(targets, len(vocabulary.anchors), training.options.seed)
        vocabulary.set_anchors(torch.as_tensor(anchors).float())
    if training.options.warm_start:
        warm_start(training, training.options.warm_start)
    require_equal_states(training)


def warm_start(training: Training, path: Path) -> list[str]:
    """Take the weights of a trained planner where names and shapes are the same; return their names.

    Raises:
        SwerveError: the file is no planner, or none of its weights fits.
    """
    _, tensors = read_tensors(path, "a trained planner", "pt")
    own = training.model.state_dict()
    fitting = {name: one for name, one in tensors.items() if name in own and own[name].shape == one.shape}
    if not fitting:
        raise SwerveError(f"{path}: none of its weights fits {training.config.family}. Choose another warm_start")
    load_whole(training.model, fitting, strict=False)
    for name, one in training.model.named_parameters():
        if name in training.average:
            training.average[name].copy_(one.detach())
    neck = neck_of(training.model)
    if neck and training.teacher:
        training.teacher.neck.load_state_dict({name: whole(one) for name, one in neck.state_dict().items()})
    return sorted(fitting)


def vocabulary_of(model: PlannerModel) -> Vocabulary | None:
    """Return the vocabulary of a network; None without one."""
    found = getattr(model, "vocabulary", None)
    return found if isinstance(found, Vocabulary) else None


def _score_store(folder: Path, training: Training, stream: SampleStream) -> ScoreStore | None:
    """Open the store of the scores of a fixed vocabulary, in the folder of the run."""
    vocabulary = vocabulary_of(training.model)
    if vocabulary is None or not vocabulary.is_fixed:
        return None
    # Contexts of another version score otherwise: their sub-scores are not taken for these.
    dataset = f"{stream.identity['set']}, contexts {VERSION}"
    return ScoreStore(folder, vocabulary.anchors, vocabulary.profiles, vocabulary.interval, dataset)


def batched(items: Iterator[T], count: int) -> Iterator[tuple[T, ...]]:
    """Yield tuples of `count` successive items; a rest is left out."""
    while len(found := tuple(islice(items, count))) == count:
        yield found


def _prepared(
    loader: StreamLoader,
    store: ContextStore | None,
    scores: ScoreStore | None,
    training: Training,
    ahead: int,
    hidden: HiddenStateStore | None = None,
) -> Generator[TrainingBatch, None, None]:
    """Yield the batches with their contexts, in order, prefetching some in threads during training.

    One thread reads batches. Reading contexts is mostly decompression, which releases the GIL, as do the kernels.
    """
    batches, watch = iter(loader), training.watch

    def read() -> Batch | None:
        with watch.measure("load"):
            return next(batches, None)

    def made(reading: Future[Batch | None]) -> TrainingBatch | None:
        batch = reading.result()
        if batch is None:
            return None
        with watch.measure("contexts"):
            if scores is not None and store is not None:
                views = _scored_views(batch, store, scores, training, hidden)
            else:
                contexts = _yardsticks(store, batch, training.options.threads)
                views = views_of(batch, contexts, training.config, hidden=hidden)
            return views.pinned() if training.device.type == "cuda" else views

    with ThreadPoolExecutor(1) as reader, ThreadPoolExecutor(ahead) as pool:
        pending = deque(pool.submit(made, reader.submit(read)) for _ in range(ahead))
        while True:
            with watch.measure("wait"):
                ready = pending.popleft().result()
            if ready is None:
                return
            pending.append(pool.submit(made, reader.submit(read)))
            yield ready


def _yardsticks(store: ContextStore | None, batch: Batch, threads: int) -> list[PreparedContext | None]:
    if store is None:
        return [None] * len(batch)
    return _prepared_contexts(store, batch.provenance, threads)


def _prepared_contexts(
    store: ContextStore, provenances: Sequence[Provenance], threads: int
) -> list[PreparedContext | None]:
    contexts = store.contexts(provenances, threads)
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(lambda one: prepare_context(one) if one else None, contexts))


def _scored_views(
    batch: Batch, store: ContextStore, scores: ScoreStore, training: Training, hidden: HiddenStateStore | None
) -> TrainingBatch:
    """Return the views with the stored scores of the vocabulary; those of samples seen first are computed."""
    keys, threads = [f"{one.dataset}/{one.key}" for one in batch.provenance], training.options.threads
    yardsticks: list[PreparedContext | None] = [None] * len(batch)
    # Of stored samples, contexts are needed for learned proposals and auxiliary heads alone.
    if _needs_contexts(training):
        yardsticks = _prepared_contexts(store, batch.provenance, threads)
    # Batches that are prepared at the same time may share samples, each of which is scored once.
    with scores.adding:
        if missing := scores.missing(keys):
            own = [yardsticks[row] for row in missing]
            if not _needs_contexts(training):
                own = _prepared_contexts(store, [batch.provenance[row] for row in missing], threads)
            motion = torch.stack([batch.history_velocity[:, -1, 0], batch.history_yaw_rate[:, -1]], dim=1)[missing]
            scores.add([keys[row] for row in missing], own, motion, threads)
    return views_of(batch, yardsticks, training.config, scores.scores(keys), hidden)


def _needs_contexts(training: Training) -> bool:
    return bool(getattr(training.config, "proposals", 0) or training.config.auxiliary)


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
