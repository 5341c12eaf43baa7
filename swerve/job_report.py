"""Print the outcome of a job, and end it on Ctrl-C."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

from rich.console import Console

from swerve.data import Source, open_source
from swerve.data.jobs import Execution, Failure
from swerve.data.jobs.execution import ProgressKind
from swerve.data.jobs.failures import FAILURES
from swerve.data.sources.source import require_scenes
from swerve.data.storage.mirror import shown
from swerve.scenes import SwerveError
from swerve.scenes.printable import printable
from swerve.stopping import resumable, stop_message

# Reasons of failures that are printed, and places named at each.
_REASONS_SHOWN: Final = 20
_PLACES_SHOWN: Final = 3


def open_sources(texts: Sequence[str], navsim_split: str | None = None) -> list[Source]:
    """Return the sources that arguments name.

    Args:
        texts: the arguments.
        navsim_split: split of NAVSIM whose scenes are taken; all scenes if None.

    Raises:
        SwerveError: there is none, one cannot be opened, its logs have nothing to render or score, or it is not of
            NAVSIM and a split is given.
    """
    if not texts:
        raise SwerveError("no SOURCE is given: SOURCE... and then OUT are needed")
    opened = [open_source(text) for text in texts]
    if navsim_split is not None:
        opened = [_of_split(source, text, navsim_split) for source, text in zip(opened, texts, strict=True)]
    for source in opened:
        require_scenes(source)
    return opened


def _of_split(source: Source, text: str, split: str) -> Source:
    from swerve.data.sources.navsim.navsim_source import NavsimSource

    if not isinstance(source, NavsimSource):
        raise SwerveError(f"--navsim-split {split}: {text} is not navsim:ROOT, and has no splits of NAVSIM")
    return source.of_split(split)


@runtime_checkable
class JobCommand(Protocol):
    """Options of a command that is a job."""

    @property
    def workers(self) -> int | None:
        """Worker processes."""

    @property
    def part(self) -> str | None:
        """Share of the job."""

    @property
    def on(self) -> str:
        """Place of the workers."""

    @property
    def progress(self) -> ProgressKind:
        """Form of the progress."""


def execution_of(args: JobCommand) -> Execution:
    """Return how a command executes its job.

    Raises:
        SwerveError: the share of the job is no share.
    """
    return Execution.parse(args.workers, args.part, args.progress, args.on)


@contextmanager
def stoppable() -> Iterator[None]:
    """End a command that resumes with one line on Ctrl-C."""
    with resumable():
        try:
            yield
        except KeyboardInterrupt:
            print(stop_message(), file=sys.stderr)
            raise SystemExit(130) from None


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, which takes an s unless the number is 1."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def show_failures(console: Console, failures: Sequence[Failure]) -> None:
    """Print the first failures, one line for each reason; nothing if there are none."""
    if not failures:
        return
    console.print(f"{counted(len(failures), 'failure')}:", style="red", highlight=False)
    places = dict[str, list[str]]()
    for failure in failures:
        places.setdefault(failure.reason, []).append(failure.where)
    for reason, where in list(places.items())[:_REASONS_SHOWN]:
        named = ", ".join(where[:_PLACES_SHOWN])
        more = f" and {len(where) - _PLACES_SHOWN} more" if len(where) > _PLACES_SHOWN else ""
        console.print(printable(f"  {named}{more}: {reason}"), markup=False, highlight=False, soft_wrap=True)
    if len(places) > _REASONS_SHOWN:
        left = sum(map(len, list(places.values())[_REASONS_SHOWN:]))
        console.print(f"  and {left} more in failures.json", highlight=False)


def show_planner_failures(console: Console, failures: Sequence[Failure], out: Path) -> None:
    """Print the failures of planners in scenes, one line for each planner and reason; nothing if there are none."""
    groups = dict[tuple[str, str], list[Failure]]()
    for failure in failures:
        groups.setdefault((failure.item, failure.reason.replace(failure.token, "")), []).append(failure)
    lines = [_planner_failure(own) for own in list(groups.values())[:_REASONS_SHOWN]]
    if failures:
        kinds = f" for {len(groups)} reasons" if len(groups) > len(lines) else ""
        each = "each scored 0" if len(failures) > 1 else "scored 0"
        lines.append(f"{counted(len(failures), 'failure')}{kinds}, {each}: {shown(out / FAILURES)}")
    for line in lines:
        console.print(printable(line), style="red", markup=False, highlight=False, soft_wrap=True)


def _planner_failure(failures: Sequence[Failure]) -> str:
    """Return a line on the failures of one planner for one reason."""
    first, others = failures[0], f" and {len(failures) - 1} more" if len(failures) > 1 else ""
    scene = first.token if first.token.startswith(first.log) else f"{first.log} {first.token}"
    return f"failed: {first.item} in {scene}{others}: {first.reason}"


def timing_line(timing: dict[str, Any], noun: str, failures: int = 0) -> str:
    """Return a line with the rate and the shares of the stages in the workers' time.

    Args:
        timing: of `swerve.data.jobs.RunResult`.
        noun: of the same.
        failures: number of items that could not be made.
    """
    spent, count = timing["worker_seconds"], timing[noun]
    total = max(sum(spent.values()), 1e-9)
    if not count:
        return f"No {noun} were made." if failures or total > 1e-6 else "Everything was finished before."
    shares = ", ".join(f"{stage} {100 * seconds / total:.0f} %" for stage, seconds in spent.items())
    return f"{count} {noun} in {timing['seconds']:.1f} s: {timing[f'{noun}_per_second']:.1f} a second ({shares})"
