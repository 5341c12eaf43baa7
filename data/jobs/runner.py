"""Execution of a job's work on all cores."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from swerve.data.jobs.failures import Failure
from swerve.data.jobs.job_progress import JobProgress
from swerve.data.jobs.pool import run_tasks
from swerve.data.jobs.schedule import FinishedParts, Schedule
from swerve.data.jobs.work import JobSpec
from swerve.scenes import SwerveError


@dataclass(frozen=True)
class RunResult:
    """Result of one run.

    Attributes:
        item_name: plural name of the items, such as "samples".
        item_count: number of items that this run produced.
        seconds: duration in seconds.
        worker_seconds: by stage, summed over workers.
        failures: failures without a record: whole logs, and parts whose worker died or raised. Failures stated in
            `Made` are in the records, where the next run finds them too.
    """

    item_name: str
    item_count: int
    seconds: float
    worker_seconds: dict[str, float]
    failures: tuple[Failure, ...]

    @property
    def timing(self) -> dict[str, Any]:
        """Content of timing.json."""
        return {
            self.item_name: self.item_count,
            "seconds": self.seconds,
            f"{self.item_name}_per_second": self.item_count / max(self.seconds, 1e-3),
            "worker_seconds": self.worker_seconds,
        }


def run_work(
    work: JobSpec,
    folder: str | Path,
    logs: Sequence[str],
    finished: FinishedParts,
    noun: str,
    workers: int | None = None,
    console: Console | None = None,
) -> RunResult:
    """Run every unfinished part of every log.

    Args:
        work: work of the job.
        folder: output folder.
        logs: names of all logs, in the order to take them.
        finished: by log, the parts finished by earlier runs, and their total number.
        noun: plural name of the items: "samples".
        workers: number of processes; one per usable core if None.
        console: console for progress; none if None.

    Raises:
        SwerveError: the folder cannot be written.
    """
    folder = Path(folder)
    if workers is not None and workers < 1:
        raise SwerveError(f"workers: {workers} must be 1 or more")
    shown = console or Console(quiet=True)
    with JobProgress(shown, len(logs), finished, noun) as progress:
        failures = run_tasks(work, folder, Schedule(logs, finished), workers or usable_cores(), progress)
    return RunResult(noun, progress.count, progress.elapsed, progress.seconds, tuple(failures))


def usable_cores() -> int:
    """Return the number of cores available to this process; all cores where the system does not tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
