"""Show one bar for a job that other processes run, until it goes on no more."""

import time
from datetime import timedelta
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from swerve.data.jobs.array_runs import RUNS
from swerve.data.jobs.job_status import JobStatus, job_status
from swerve.data.jobs.run_state import ENDING
from swerve.data.jobs.sparse_lines import SparseLines
from swerve.data.storage.mirror import reread

_PERIOD: Final = 2.0


def watch(folder: Path, console: Console) -> JobStatus:
    """Show share, items, rate, failures and time left of a job and of all its runs together; return its last state.

    Args:
        folder: output of the job.
        console: where a bar is shown; `SparseLines` if it is no terminal.

    Raises:
        SwerveError: it is no job's, or its store does not answer.
    """
    columns = (TextColumn("{task.percentage:3.0f} %"), BarColumn(), TextColumn("{task.description}"))
    status, waited, lines = job_status(folder), 0.0, SparseLines(at_once=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        line = bar.add_task("", total=1.0)
        while status.is_running and not status.complete:
            bar.update(line, completed=status.share, description=_told(status), refresh=True)
            said = (round(100 * status.share), status.count, status.failures, status.is_finishing)
            if not console.is_terminal and lines.is_due(waited, status.share, said):
                console.print(f"{100 * status.share:.0f} %  {_told(status)}", highlight=False, soft_wrap=True)
            _wait(_PERIOD)
            waited += _PERIOD
            read_anew(folder)
            status = job_status(folder)
        bar.update(line, completed=status.share, description=_told(status), refresh=True)
    return status


def _wait(seconds: float) -> None:
    time.sleep(seconds)


def read_anew(folder: Path) -> None:
    """Copy the states of runs anew from the store of a folder, if it has one.

    Raises:
        StoreError: the store does not answer.
    """
    reread(folder, (f"{RUNS}/", f"job/{RUNS}/"), ENDING)


def _told(status: JobStatus) -> str:
    """Return the items, the rate, the failures, the runs of an array, and the time left."""
    if status.is_finishing:
        return "all runs have ended; the job is being completed"
    if not status.count and not status.failures:
        return "starting"
    noun = status.runs[0].state.noun if status.runs else "items"
    failures = f", {status.failures} failed" if status.failures else ""
    going = sum(run.is_alive for run in status.runs)
    runs = f", {going} of {status.array} runs at work" if status.array else ""
    left = "" if status.seconds_left is None else f", {timedelta(seconds=round(status.seconds_left))} left"
    return f"{status.count} {noun}, {status.per_second:.1f}/s{failures}{runs}{left}"
