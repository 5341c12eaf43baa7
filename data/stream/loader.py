"""Loader of batches with prefetching worker processes and resumable state."""

import atexit
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakSet

from swerve.data.jobs.signals import signals_blocked
from swerve.data.stream.batch import INSTALL_TORCH, Batch
from swerve.data.stream.stream import SampleStream
from swerve.scenes import MissingExtraError, SwerveError

# Iterators whose worker processes run.
_OPEN: WeakSet[Any] = WeakSet()


class StreamLoader:
    """Iterator over the batches of a stream from the current step on, as tensors.

    The order depends only on the stream, not on the number of workers. The state is the step of the next batch to be
    returned: prefetched batches do not count. Torch's global generator is not used. Worker processes end with the
    iteration, however it ends: at the last step, by break, an exception or Ctrl-C, when the iterator is deleted, or
    with the program.

    Args:
        stream: stream of the batches.
        steps: step at which the iteration ends.
        workers: number of prefetching processes; 0 for none. They are started with "spawn", so a script
            needs `if __name__ == "__main__":`.

    Raises:
        MissingExtraError: torch is not installed.
        SwerveError: there is no stream, or the number of workers is negative.
    """

    def __init__(self, stream: SampleStream, steps: int, workers: int = 0) -> None:
        try:
            import torch.utils.data
        except ImportError as error:
            raise MissingExtraError("torch", INSTALL_TORCH) from error
        if not isinstance(stream, SampleStream):
            raise SwerveError(f"stream: {stream!r} is not a SampleStream: give SampleStream(FOLDER, options)")
        if workers < 0:
            raise SwerveError(f"workers: {workers} must be 0 or more")
        self._stream, self._steps, self._workers, self._torch = stream, steps, workers, torch
        self.step = 0

    def __iter__(self) -> Iterator[Batch]:
        data = self._torch.utils.data
        loader = data.DataLoader(
            _Steps(self._stream),
            batch_size=None,
            sampler=range(self.step, self._steps),
            num_workers=self._workers,
            collate_fn=_unchanged,
            multiprocessing_context="spawn" if self._workers else None,
            worker_init_fn=_exit_without_finalization if self._workers else None,
            generator=self._torch.Generator(),
        )
        with _deaths_told(), _iterated(loader) as batches:
            for made in batches:
                if isinstance(made, SwerveError):
                    raise made
                self.step += 1
                yield made

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the stream as JSON values; the same for all ranks."""
        return self.state_at(self.step)

    def state_at(self, step: int) -> dict[str, Any]:
        """Return the position in the stream when so many batches were used, which may be fewer than were loaded."""
        return {"step": step, "stream": self._stream.identity, "consumed": self._stream.consumed(step)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Resume at a stream's position; takes effect with the next iteration.

        The number of processes may differ: the parts' orders are continued where all processes together stopped. The
        samples of a step, of all processes together, must stay the same.

        Raises:
            SwerveError: it is no state, or of another stream; the message names the difference.
        """
        if not isinstance(state, dict) or not {"step", "stream", "consumed"} <= state.keys():
            raise SwerveError("the state is not one of state_dict(): it needs step, stream and consumed")
        here, there = self._stream.identity, state["stream"]
        if differing := [name for name in sorted({*here, *there}) if _plain(here.get(name)) != _plain(there.get(name))]:
            name = differing[0]
            raise SwerveError(
                f"the stream cannot be resumed: {name} was {there.get(name)}, is {here.get(name)}. Resume with "
                "the same set, options and samples of a step in all processes together, or start again"
            )
        self.step = state["step"]
        self._stream.resume(self.step, state["consumed"])


@contextmanager
def _iterated(loader: Any) -> Iterator[Any]:  # noqa: ANN401 a DataLoader
    """Start the worker processes of a loader, and end them."""
    batches: Any = None
    # Registered last, it runs before torch's own, after which torch ends no workers.
    atexit.unregister(_end_workers)
    atexit.register(_end_workers)
    try:
        with signals_blocked(signal.SIGINT):  # Ctrl-C is this process's, which ends the workers
            batches = iter(loader)
            if hasattr(batches, "_shutdown_workers"):  # there are workers
                _OPEN.add(batches)
        yield batches
    finally:
        if hasattr(batches, "_shutdown_workers"):
            batches._shutdown_workers()


def _end_workers() -> None:
    """End the workers of iterators that still exist, while the interpreter can: torch leaves them to be killed."""
    for batches in list(_OPEN):
        batches._shutdown_workers()


def _exit_without_finalization(_: int) -> None:
    """Let a worker process end as soon as its work does.

    A worker that is told to stop does not wait for its queue's thread. When the interpreter is finalized, it ends that
    thread wherever it is, which in torch's C++ code ends the process by `std::terminate`.
    """
    atexit.register(_exit)


def _exit() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


@contextmanager
def _deaths_told() -> Iterator[None]:
    """Convert torch's RuntimeError about dead workers, or a broken connection to them, to a SwerveError.

    Raises:
        SwerveError: replaces the error.
    """
    try:
        yield
    except (RuntimeError, EOFError, ConnectionError) as error:
        if isinstance(error, RuntimeError) and "DataLoader worker" not in str(error):
            raise
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SwerveError(
            f"a worker process of the loader ended ({said}), usually because memory ran out: use fewer workers or a "
            "smaller batch. If it said so at the start: workers import the script, so put what it does below "
            'if __name__ == "__main__":'
        ) from error


@dataclass(frozen=True)
class _Steps:
    """Stream as a torch dataset. User errors are returned as values: torch would wrap them."""

    stream: SampleStream

    def __getitem__(self, step: int) -> Batch | SwerveError:
        try:
            return self.stream.batch(step).to()
        except SwerveError as error:
            return error


def _unchanged(batch: Batch | SwerveError) -> Batch | SwerveError:
    return batch


def _plain(value: Any) -> Any:  # noqa: ANN401 anything that JSON can hold
    """Convert tuples to lists, since JSON does not distinguish them."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value
