"""Run `swerve status`."""

import json
import time
from collections import Counter
from datetime import timedelta
from typing import Final

from rich.console import Console, RenderableType
from rich.table import Table

from swerve.cells import cell
from swerve.consoles import print_table, progress_console, results_console
from swerve.data.jobs.failures import FAILURES, read_failures
from swerve.data.jobs.job_status import JobStatus, Progress, job_status
from swerve.data.jobs.run_state import WrittenState
from swerve.data.storage.mirror import shown
from swerve.job_report import counted, show_failures
from swerve.options.status import Status
from swerve.status_watch import watch

_RUNS_SHOWN: Final = 30
_ORDER: Final = ("dead", "stopped", "starting", "running", "completing", "ended")


def run(args: Status) -> int:
    """Print the state of a job, and return the exit code."""
    console = results_console()
    status = watch(args.folder, progress_console()) if args.watch else job_status(args.folder)
    if args.json:
        print(json.dumps(status.as_json(), sort_keys=True))
    else:
        _show(console, status)
    return 0 if status.progress in ("complete", "running", "finishing") else 1


def _show(console: Console, status: JobStatus) -> None:
    logs = f"{status.records} parts of {status.logs} logs have records"
    text = f"{status.kind}: {_how(status)}, {100 * status.share:.1f} %; {logs}"
    console.print(text, highlight=False, soft_wrap=True)
    if status.array:
        console.print(_of_array(status), highlight=False, soft_wrap=True, markup=False, emoji=False)
    if status.is_running and not status.is_finishing:
        left = "" if status.seconds_left is None else f", {_duration(status.seconds_left)} left"
        text = f"{status.count} {status.runs[0].state.noun} so far, {status.per_second:.1f} a second{left}"
        console.print(text, highlight=False, soft_wrap=True)
    _show_failures(console, status)
    table = Table("run", "state", "share", "items", "a second", "left", "failures", "seen", "machine", box=None)
    # Those that need a look come first.
    ordered = sorted(status.runs, key=lambda one: _ORDER.index(_phase(one)))
    for run_ in ordered[:_RUNS_SHOWN]:
        table.add_row(*_row(run_))
    if status.runs:
        print_table(console, table)
    if len(ordered) > _RUNS_SHOWN:
        phases = Counter(_phase(one) for one in ordered[_RUNS_SHOWN:])
        text = f"and {', '.join(f'{count} {phase}' for phase, count in phases.items())}: all with --json"
        console.print(text, highlight=False, soft_wrap=True)


def _of_array(status: JobStatus) -> str:
    """Return how many runs of an array have begun or ended, and whether it is being completed."""
    begun = f"{len(status.runs)} of {status.array} runs have begun"
    ended = f"all {status.array} runs have ended"
    if status.complete:
        return ended
    if status.finish is None:
        return f"{ended}: complete the job with swerve finish OUT" if status.progress == "parts complete" else begun
    where = f"{status.finish.host}, process {status.finish.pid}"
    if status.is_finishing:
        return f"{ended}: swerve finish is at work ({where})"
    return f"swerve finish ({where}) has not completed the job: start it again, and it says what is missing"


def _phase(run_: WrittenState) -> str:
    """Return the phase of a run; one that goes on no more is dead."""
    phase = run_.state.phase
    return "dead" if phase in ("starting", "running", "completing") and not run_.is_alive else phase


def _duration(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))


def _how(status: JobStatus) -> str:
    """Return how far the job is."""
    failed = counted(status.failures, "failure")
    texts: dict[Progress, str] = {
        "complete with failures": f"complete with {failed}",
        "finishing": "parts complete, being completed",
        "parts complete": "parts complete, not yet completed",
        "failed": f"ended incomplete with {failed}",
        "stopped": "stopped before its end",
    }
    return texts.get(status.progress, status.progress)


def _show_failures(console: Console, status: JobStatus) -> None:
    """Print the first reasons of failures, and where all are."""
    if status.failures_file is not None:
        show_failures(console, read_failures(status.failures_file.parent))
        where = f"all of them, with tracebacks: {shown(status.failures_file)}"
    else:
        where = f"{counted(status.failures, 'failure')} counted by the runs; {FAILURES} lists them at the end"
    if status.failures:
        again = "" if status.is_running else ". The same command tries them again"
        console.print(f"{where}{again}", highlight=False, soft_wrap=True, markup=False, emoji=False)


def _row(run_: WrittenState) -> tuple[RenderableType, ...]:
    state, phase = run_.state, _phase(run_)
    left = "" if state.seconds_left is None or phase != "running" else _duration(state.seconds_left)
    seen = f"{max(time.time() - run_.time, 0.0):.0f} s ago"
    items = f"{state.count} {state.noun}"
    numbers = (f"{100 * state.share:.1f} %", items, f"{state.per_second:.1f}", left, str(state.failures))
    return (run_.run, phase, *numbers, seen, cell(f"{run_.host}, process {run_.pid}"))
