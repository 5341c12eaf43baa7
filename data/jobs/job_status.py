"""State of a job, read from its folder alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Literal

from swerve.data.jobs.array_runs import RECORDS, RUNS
from swerve.data.jobs.failures import FAILURES, read_failures
from swerve.data.jobs.folder import JOB
from swerve.data.jobs.run_state import ENDING, FINISHING, WHOLE, WrittenState, read_states
from swerve.data.jobs.verify import job_folder, no_job
from swerve.data.storage.checked_json import anything, fields, list_of, read_json, text
from swerve.data.storage.mirror import shown

# "parts complete": all runs of an array have ended, and `swerve finish` is what is left; "finishing": it is at work;
# "failed": the job has ended, and is not complete because of failures.
Progress = Literal["complete", "complete with failures", "running", "finishing", "parts complete", "failed", "stopped"]
_JOB: Final = fields({"logs": list_of(anything)}, {"kind": text, "completion": text})


@dataclass(frozen=True)
class JobStatus:
    """State of a job.

    Attributes:
        kind: name of its command.
        logs: number of logs.
        records: number of finished parts.
        complete: whether its last file is there.
        runs: states of the run of the whole job, or of the runs of the latest array.
        array: number of runs of the array; 0 if it is none.
        failures: number of items that failed: those listed, or those that the runs have counted so far.
        failures_file: list of them, with reasons; None before the job has ended.
        finish: state of the last `swerve finish` of the array, if no run has gone on since.
    """

    kind: str
    logs: int
    records: int
    complete: bool
    runs: tuple[WrittenState, ...]
    array: int
    failures: int = 0
    failures_file: Path | None = None
    finish: WrittenState | None = None

    @property
    def share(self) -> float:
        """Finished share, 0 to 1; runs that have not begun count as nothing."""
        if self.complete:
            return 1.0
        return sum(run.state.share for run in self.runs) / max(self.array, len(self.runs), 1)

    @property
    def count(self) -> int:
        """Return the number of items that these runs have made."""
        return sum(run.state.count for run in self.runs)

    @property
    def per_second(self) -> float:
        """Return the items in a second of the runs that go on."""
        return sum((run.state.per_second for run in self.runs if run.is_alive), 0.0)

    @property
    def seconds_left(self) -> float | None:
        """Return the time until the last of the runs has ended; None while one cannot tell, or has not begun."""
        alive = [run.state.seconds_left for run in self.runs if run.is_alive]
        known = [seconds for seconds in alive if seconds is not None]
        everyone = len(self.runs) >= max(self.array, 1) and len(known) == len(alive) > 0
        return max(known) if everyone else None

    @property
    def is_running(self) -> bool:
        """Return whether a run goes on, or `swerve finish`."""
        return self.is_finishing or any(run.is_alive for run in self.runs)

    @property
    def is_finishing(self) -> bool:
        """Return whether `swerve finish` is at work."""
        return self.finish is not None and self.finish.is_alive

    @property
    def progress(self) -> Progress:
        """Return how far the job is."""
        if self.complete:
            return "complete with failures" if self.failures else "complete"
        if self.is_running:
            return "finishing" if self.is_finishing else "running"
        if self.finish is not None:
            return "failed" if self.finish.state.phase == "ended" and self.failures_file else "stopped"
        if not self.runs or any(run.state.phase != "ended" for run in self.runs):
            return "stopped"
        if self.array:
            return "parts complete" if len(self.runs) == self.array else "stopped"
        return "failed" if self.failures else "stopped"

    def as_json(self) -> dict[str, Any]:
        """Return the state for machines."""
        runs = [_as_json(run) for run in self.runs]
        own = {"kind": self.kind, "logs": self.logs, "records": self.records, "complete": self.complete}
        own |= {"progress": self.progress, "failures": self.failures}
        own |= {"count": self.count, "per_second": round(self.per_second, 3), "seconds_left": self.seconds_left}
        own |= {"failures_file": shown(self.failures_file) if self.failures_file else None}
        own |= {"finish": _as_json(self.finish) if self.finish else None}
        return {**own, "share": round(self.share, 6), "running": self.is_running, "runs": runs}


def _as_json(run: WrittenState) -> dict[str, Any]:
    return {**vars(run.state), "run": run.run, "host": run.host, "pid": run.pid, "alive": run.is_alive}


def job_status(folder: Path) -> JobStatus:
    """Read the state of a job, running or not, on this machine or another.

    Args:
        folder: output of the job.

    Raises:
        SwerveError: it is no job's.
    """
    own = job_folder(folder)
    if own is None:
        raise no_job(folder)
    job = read_json(own / JOB, _JOB)
    runs, array, finish = _latest(list(read_states(own / RUNS, f"*{ENDING}")))
    records = sum(1 for _ in (own / RECORDS).glob("*-*")) or sum(1 for _ in own.glob("*/fit.json"))
    complete = bool(job.get("completion")) and (own / job["completion"]).is_file()
    status = JobStatus(job.get("kind", ""), len(job["logs"]), records, complete, tuple(runs), array, finish=finish)
    return _with_failures(status, folder)


def _with_failures(status: JobStatus, folder: Path) -> JobStatus:
    """Add the failures: those in failures.json if the job has ended, else those that its runs have counted.

    The list of an earlier run stays while the job is run again, and a run of an array writes none.
    """
    last = (status.finish,) if status.finish else status.runs
    ended = (not status.array or status.finish is not None) and all(run.state.phase == "ended" for run in last)
    path = folder / FAILURES
    if (status.complete or ended) and path.is_file():
        return replace(status, failures=len(read_failures(folder)), failures_file=path)
    return replace(status, failures=sum(run.state.failures for run in status.runs))


def _latest(states: Sequence[WrittenState]) -> tuple[list[WrittenState], int, WrittenState | None]:
    """Return the states of the latest run or array, the number of runs of the array, and its `swerve finish`."""
    runs = [one for one in states if one.run != FINISHING]
    if not runs:
        return [], 0, None
    last = max(runs, key=lambda one: one.time)
    # One that is at work counts whatever its machine's clock says.
    counts = (one for one in states if one.run == FINISHING and (one.is_alive or one.time >= last.time))
    finish = next(counts, None)
    if last.run == WHOLE:
        return [last], 0, finish
    count = last.run.partition("/")[2]
    mine = [one for one in runs if one.run.partition("/")[2] == count]
    return sorted(mine, key=lambda one: int(one.run.partition("/")[0])), int(count), finish
