"""Batches of a training run with their scoring contexts, read and prepared in threads."""

from collections import deque
from collections.abc import Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import TypeVar

import torch

from swerve.data.stream import Batch, SampleStream, StreamLoader
from swerve.data.stream.batch import Provenance
from swerve.eval.context.context_file import VERSION
from swerve.eval.context.context_store import ContextStore
from swerve.eval.scoring.score import PreparedContext, prepare_context
from swerve.planners.learning.hidden_state_store import HiddenStateStore
from swerve.planners.learning.initial_weights import vocabulary_of
from swerve.planners.learning.score_store import ScoreStore
from swerve.planners.learning.training_batch import TrainingBatch, views_of
from swerve.planners.learning.training_step import Training

T = TypeVar("T")


def open_score_store(folder: Path, training: Training, stream: SampleStream) -> ScoreStore | None:
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


def prepared_batches(
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
                contexts = _optional_contexts(store, batch, training.options.scoring_threads)
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


def _optional_contexts(store: ContextStore | None, batch: Batch, threads: int) -> list[PreparedContext | None]:
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
    keys, threads = [f"{one.dataset}/{one.key}" for one in batch.provenance], training.options.scoring_threads
    contexts: list[PreparedContext | None] = [None] * len(batch)
    # Of stored samples, contexts are needed for learned proposals and auxiliary heads alone.
    if _needs_contexts(training):
        contexts = _prepared_contexts(store, batch.provenance, threads)
    # Batches that are prepared at the same time may share samples, each of which is scored once.
    with scores.adding:
        if missing := scores.missing(keys):
            own = [contexts[row] for row in missing]
            if not _needs_contexts(training):
                own = _prepared_contexts(store, [batch.provenance[row] for row in missing], threads)
            motion = torch.stack([batch.history_velocity[:, -1, 0], batch.history_yaw_rate[:, -1]], dim=1)[missing]
            scores.add([keys[row] for row in missing], own, motion, threads)
    return views_of(batch, contexts, training.config, scores.scores(keys), hidden)


def _needs_contexts(training: Training) -> bool:
    return bool(getattr(training.config, "proposals", 0) or training.config.auxiliary)
