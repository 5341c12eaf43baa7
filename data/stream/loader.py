"""Batches one after the other, made ahead by worker processes, and where to go on after a stop."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from swerve.data.stream.batch import INSTALL_TORCH, Batch
from swerve.data.stream.stream import SampleStream
from swerve.scenes import MissingExtraError, SwerveError


class StreamLoader:
    """Iterates over the batches of a stream from the current step on, as tensors.

    The order depends on the stream alone, not on the number of workers. The state is the step of the next batch that
    is handed out: batches that workers have made ahead do not count. It draws nothing from torch's global generator.

    Args:
        stream: makes the batches.
        steps: at which the iteration ends.
        workers: processes that make batches ahead; 0 makes them here. They are started anew ("spawn"), so a script
            needs `if __name__ == "__main__":`.

    Raises:
        MissingExtraError: torch is not installed.
    """

    def __init__(self, stream: SampleStream, steps: int, workers: int = 0) -> None:
        try:
            import torch.utils.data
        except ImportError as error:
            raise MissingExtraError("torch", INSTALL_TORCH) from error
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
            generator=self._torch.Generator(),
        )
        with _deaths_told():
            for made in loader:
                if isinstance(made, SwerveError):
                    raise made
                self.step += 1
                yield made

    def state_dict(self) -> dict[str, Any]:
        """Where the stream is, as JSON can hold it; the same for all ranks."""
        return {"step": self.step, "stream": self._stream.identity}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where a stream stopped; takes effect with the next iteration.

        Raises:
            SwerveError: it was another stream, whose batches this one would not go on with; it says what differs.
        """
        here, there = self._stream.identity, state["stream"]
        if differing := [name for name in sorted({*here, *there}) if _plain(here.get(name)) != _plain(there.get(name))]:
            name = differing[0]
            raise SwerveError(
                f"the stream cannot be resumed: {name} was {there.get(name)}, is {here.get(name)}. Go on with the same "
                "set, options and number of processes, or start anew"
            )
        self.step = state["step"]


@contextmanager
def _deaths_told() -> Iterator[None]:
    """Torch says in a plain RuntimeError that a worker is no more; or its connection breaks while it hands over.

    Raises:
        SwerveError: instead of it.
    """
    try:
        yield
    except (RuntimeError, EOFError, ConnectionError) as error:
        if isinstance(error, RuntimeError) and "DataLoader worker" not in str(error):
            raise
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise SwerveError(
            f"a process that makes batches ended ({said}), most often because memory ran out: use fewer workers or a "
            "smaller batch"
        ) from error


@dataclass(frozen=True)
class _Steps:
    """The stream as torch takes it. Errors of the user's are handed over as they are: torch would wrap them."""

    stream: SampleStream

    def __getitem__(self, step: int) -> Batch | SwerveError:
        try:
            return self.stream.batch(step).to()
        except SwerveError as error:
            return error


def _unchanged(batch: Batch | SwerveError) -> Batch | SwerveError:
    return batch


def _plain(value: Any) -> Any:  # noqa: ANN401 anything that JSON can hold
    """Without the difference between tuples and lists, which JSON does not know."""
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, (list, tuple)) else value
