"""Execution of a job's work on all cores."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from swerve.data.jobs.array_runs import (
    RUNS,
    ArrayResult,
    array_results,
    failed_parts,
    missing_parts,
    remove_leftovers_of_part,
    write_array_result,
)
from swerve.data.jobs.execution import LOCAL, ArrayPart, ArrayPartDone, Execution, PartsMissingError, Resources, Workers
from swerve.data.jobs.failures import FailedPart, Failure
from swerve.data.jobs.job_progress import JobProgress
from swerve.data.jobs.pool import run_tasks
from swerve.data.jobs.ray_pool import run_on_ray
from swerve.data.jobs.run_state import StateFile
from swerve.data.jobs.schedule import FinishedParts, Schedule
from swerve.data.jobs.work import JobSpec
from swerve.data.storage.files import make_folder, os_errors_as_swerve_errors
from swerve.data.storage.mirror import refresh


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
    workers: Workers = None,
    console: Console | None = None,
    is_last: bool = True,
    single: bool = False,
    needs: Resources = Resources(),  # noqa: B008 it is frozen
) -> RunResult:
    """Run every unfinished part of every log, or those of this run of an array.

    A run of an array first removes the incomplete shards and records that an earlier try left of its last stage.

    Args:
        work: work of the job.
        folder: output folder.
        logs: names of all logs, in the order to take them.
        finished: by log, the parts finished by earlier runs, and their total number.
        noun: plural name of the items: "samples".
        workers: how the job is executed; one process per usable core if None.
        console: console for progress; none if None.
        single: whether every log has one part; runs of an array then take whole logs.
        is_last: whether nothing follows but summing up; otherwise a run of an array goes on where all of them are done.
        needs: what a worker uses, which a cluster reserves for it.

    Raises:
        SwerveError: the folder cannot be written; or the job is to be completed, and parts are missing.
        ArrayPartDone: this run of an array made its part.
    """
    folder, execution = Path(folder), Execution.of(workers)
    with os_errors_as_swerve_errors(folder):
        make_folder(folder / RUNS)
    if execution.finish:
        return completed_runs(folder, logs, finished, noun)
    part = execution.part
    owns = part.owns(logs, single) if part else None
    if owns is not None and is_last:  # parts of a later stage are divided otherwise
        with os_errors_as_swerve_errors(folder):
            remove_leftovers_of_part(folder, logs, owns)
    schedule = Schedule(logs, finished, owns, part.count if part else 1)
    state = StateFile.of(folder / RUNS, part)
    with JobProgress(console or Console(quiet=True), schedule, noun, state, execution.progress) as progress:
        if execution.on == LOCAL:
            failed = run_tasks(work, folder, schedule, local_processes(execution), progress)
        else:
            failed = run_on_ray(work, folder, schedule, execution, needs, progress)
    failures = tuple(one.failure for one in failed)
    result = RunResult(noun, progress.count, progress.elapsed, progress.seconds, failures)
    if part is None:
        return result
    return part_done(folder, part, result, failed, is_last)


def part_done(
    folder: str | Path, part: ArrayPart, result: RunResult, failed: Sequence[FailedPart], is_last: bool
) -> RunResult:
    """Write the result of a run of an array; return those of all runs, if something follows.

    Raises:
        ArrayPartDone: nothing follows, or other runs are not done.
    """
    folder = Path(folder)
    own = ArrayResult(part, result.item_name, result.item_count, result.seconds, result.worker_seconds, tuple(failed))
    with os_errors_as_swerve_errors(folder):
        write_array_result(folder, own)
        refresh(folder)
    done, failures = array_results(folder, result.item_name), len(result.failures)
    made = f"Run {part} made {result.item_count} {result.item_name} in {result.seconds:.1f} s"
    if is_last:
        raise ArrayPartDone(f"{made}. When all runs are done: swerve finish OUT", failures)
    if len(done) < part.count:
        wait = f"{len(done)} of {part.count} runs are done with them: start all runs again when all are"
        raise ArrayPartDone(f"{made}. {wait}", failures, again=True)
    return _merged(result.item_name, done, [one for each in done for one in each.failed])


def completed_runs(folder: str | Path, logs: Sequence[str], finished: FinishedParts, noun: str) -> RunResult:
    """Return the result of all runs of an array together.

    Raises:
        PartsMissingError: parts are missing.
    """
    folder = Path(folder)
    results = array_results(folder, noun)
    failed = failed_parts(results, finished)
    if missing := list(missing_parts(logs, finished, failed)):
        raise PartsMissingError(_missing(folder, logs, missing, results))
    return _merged(noun, results, failed)


def _missing(
    folder: Path, logs: Sequence[str], missing: Sequence[tuple[str, int | None]], results: Sequence[ArrayResult]
) -> str:
    """Return which parts are missing, and which runs make them."""
    whole = sum(chunk is None for _, chunk in missing)
    counts = [f"{whole} logs"] * bool(whole) + [f"{len(missing) - whole} parts of logs"] * (whole < len(missing))
    log, chunk = missing[0]
    first = f"{log}{'' if chunk is None else f', part {chunk}'}"
    text = f"{folder}: {' and '.join(counts)} are missing, the first: {first}. "
    if not results:
        return f"{text}Start the job, or its runs with --part K/N"
    count = results[-1].part.count
    parts = [ArrayPart(number, count) for number in range(1, count + 1)]
    done = {result.part for result in results}
    lacking = [str(part) for part in parts if _lacks(part, part in done, logs, missing)]
    return f"{text}Start these runs again: --part {', '.join(lacking[:8])}{', ...' if len(lacking) > 8 else ''}"


def _lacks(part: ArrayPart, is_done: bool, logs: Sequence[str], missing: Sequence[tuple[str, int | None]]) -> bool:
    """Test whether a run has to make what is missing; of logs of which nothing is known, if it is not done."""
    owns = part.owns(logs)
    of_logs = () if is_done else [log for log, chunk in missing if chunk is None]
    return any(owns(log, chunk) for log in of_logs for chunk in range(part.count)) or any(
        owns(log, chunk) for log, chunk in missing if chunk is not None
    )


def _merged(noun: str, results: Sequence[ArrayResult], failed: Sequence[FailedPart]) -> RunResult:
    """Return the results of several runs as one; its duration is that of the longest."""
    seconds = dict[str, float]()
    for result in results:
        for stage, spent in result.worker_seconds.items():
            seconds[stage] = seconds.get(stage, 0.0) + spent
    longest = max((result.seconds for result in results), default=0.0)
    count = sum(result.count for result in results)
    return RunResult(noun, count, longest, seconds, tuple(one.failure for one in failed))


def local_processes(workers: Workers) -> int:
    """Return how many processes work on this machine: one per usable core if the workers are those of a cluster."""
    execution = Execution.of(workers)
    return (execution.workers if execution.on == LOCAL else None) or usable_cores()


def usable_cores() -> int:
    """Return the number of cores available to this process; all cores where the system does not tell."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
