"""Asynchronous encoding: samples are encoded in worker threads while the next one is rendered."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from types import TracebackType
from typing import TypeVar

from swerve.data.dataset.augment_options import AugmentOptions
from swerve.data.dataset.sample import RenderedSample, encode_numbers, encode_view
from swerve.data.dataset.shards import Sample
from swerve.data.jobs.stopwatch import Stopwatch

_T = TypeVar("_T")


class SampleEncoder:
    """Encoder of rendered samples; its output does not depend on the number of threads.

    Args:
        options: options of the set.
        threads: threads of the worker: one renders, all others encode; a single one does both in turn.
        watch: timer of "encoding", summed over threads.

    Attributes:
        ahead: maximum number of samples in flight.
    """

    def __init__(self, options: AugmentOptions, threads: int, watch: Stopwatch) -> None:
        self._options, self._watch = options, watch
        self._pool = ThreadPoolExecutor(threads - 1, "encoding") if threads > 1 else None
        self.ahead = 1 if self._pool else 0

    def start(self, drawn: RenderedSample) -> Callable[[], Sample]:
        """Start to encode a sample, whose views must not change until the encoding ends.

        Returns:
            callable that waits for the result; it raises the exceptions of the encoding threads.

        Raises:
            SwerveError: a photo's file cannot be read.
        """
        pairs = zip(drawn.captures, drawn.views, strict=True)
        images = [self._begin(partial(encode_view, capture, view, self._options)) for capture, view in pairs]
        numbers = self._begin(partial(encode_numbers, drawn, self._options))
        return partial(_whole, numbers, images)

    def _begin(self, task: Callable[[], _T]) -> Future[_T]:
        """Run a task in another thread, or immediately if there is none."""
        if self._pool is not None:
            return self._pool.submit(self._timed, task)
        done = Future[_T]()
        done.set_result(self._timed(task))
        return done

    def _timed(self, task: Callable[[], _T]) -> _T:
        with self._watch.measure("encoding"):
            return task()

    def __enter__(self) -> "SampleEncoder":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._pool is not None:
            self._pool.shutdown()


def _whole(numbers: Future[Sample], images: Sequence[Future[dict[str, bytes]]]) -> Sample:
    """Return the sample with all its members."""
    wait(images)  # waits for all: if one fails, the others must not read views that are being overwritten
    sample = numbers.result()
    members = {name: content for image in images for name, content in image.result().items()}
    return replace(sample, members={**members, **sample.members})
