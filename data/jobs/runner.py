"""Runs a job's work on all cores."""

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
from swerve.data.jobs.work import Work
from swerve.scenes import SwerveError


@dataclass(frozen=True)
class Outcome:
    """How one run ended.

    Attributes:
        noun: what was made, such as "samples".
        count: how many this run made.
        seconds: that it took.
        worker_seconds: of all workers together, by stage.
        failures: of what has no record: whole logs, and parts whose worker died or that raised. Failures that `Made`
            told are in the records, where the next run finds them too.
    """

    noun: str
    count: int
    seconds: float
    worker_seconds: dict[str, float]
    failures: tuple[Failure, ...]

    @property
    def timing(self) -> dict[str, Any]:
        """As timing.json holds it."""
        return {
            self.noun: self.count,
            "seconds": self.seconds,
            f"{self.noun}_per_second": self.count / max(self.seconds, 1e-3),
            "worker_seconds": self.worker_seconds,
        }


def run_work(
    work: Work,
    folder: Path,
    logs: Sequence[str],
    finished: FinishedParts,
    noun: str,
    workers: int | None = None,
    console: Console | None = None,
) -> Outcome:
    """Makes every part of every log that is not finished.

    Args:
        work: what is done.
        folder: where it is written.
        logs: names of all logs, in the order to take them.
        finished: by log, the parts that earlier runs made, of how many the log has.
        noun: what is made, in the plural: "samples".
        workers: processes; one per usable core if None.
        console: where progress is shown; nowhere if None.

    Raises:
        SwerveError: the folder cannot be written.
    """
    if workers is not None and workers < 1:
        raise SwerveError(f"workers: {workers} must be 1 or more")
    shown = console or Console(quiet=True)
    with JobProgress(shown, len(logs), finished, noun) as progress:
        failures = run_tasks(work, folder, Schedule(logs, finished), workers or usable_cores(), progress)
    return Outcome(noun, progress.count, progress.elapsed, progress.seconds, tuple(failures))


def usable_cores() -> int:
    """Cores that this process may run on; all of them where the system does not say."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
