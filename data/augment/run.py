"""Logs in, a training set out."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from swerve.data.augment.job import finished_chunks, job_config, log_names, open_job, read_records
from swerve.data.augment.manifest import to_json, write_manifest
from swerve.data.augment.part import Job
from swerve.data.augment.pool import run_tasks
from swerve.data.augment.progress import JobProgress
from swerve.data.augment.schedule import Schedule
from swerve.data.files import write_atomically
from swerve.data.options import AugmentOptions
from swerve.data.source import Source
from swerve.scenes import SwerveError


@dataclass(frozen=True)
class AugmentReport:
    """How a job ended.

    Attributes:
        summary: counts over the whole set, as in summary.json.
        timing: of this run alone, as in timing.json.
    """

    summary: dict[str, Any]
    timing: dict[str, Any]


def augment(
    sources: Sequence[Source],
    folder: Path,
    options: AugmentOptions,
    workers: int | None = None,
    console: Console | None = None,
) -> AugmentReport:
    """Draws every viewpoint of every scene of the logs into WebDataset shards with a manifest (docs/formats.md).

    The set's bytes depend on the logs and the options alone, not on the number of workers. A job that was stopped or
    killed goes on where it was when it is called again, and makes failed parts anew.

    Args:
        sources: of the logs.
        folder: of the set; a new or empty one, or one of the same job.
        options: what to make.
        workers: processes; one per usable core if None.
        console: where progress is shown; nowhere if None.

    Raises:
        SwerveError: the sources hold no log or one twice, the folder is not this job's, or cannot be written.
    """
    if workers is not None and workers < 1:
        raise SwerveError(f"workers: {workers} must be 1 or more")
    owners = log_names(sources)
    job = Job(folder, tuple(sources), owners, options)
    with open_job(folder, job_config(sources, options)):
        finished = finished_chunks(folder)
        schedule = Schedule(owners, finished)
        shown = console or Console(quiet=True)
        with JobProgress(shown, len(owners), finished) as progress:
            failures = run_tasks(job, schedule, workers or _usable_cores(), progress)
        summary = write_manifest(folder, read_records(folder), failures)
        timing = _timing(progress)
        write_atomically(folder / "timing.json", to_json(timing))
    return AugmentReport(summary, timing)


def _usable_cores() -> int:
    """Cores that this process may run on; all of them where the system does not say."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _timing(progress: JobProgress) -> dict[str, Any]:
    """Figures of one run: seconds of all workers together, by stage."""
    return {
        "samples": progress.samples,
        "seconds": progress.elapsed,
        "samples_per_second": progress.samples / max(progress.elapsed, 1e-3),
        "worker_seconds": progress.seconds,
    }
