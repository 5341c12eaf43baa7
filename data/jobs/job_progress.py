"""Progress display of a job: a bar on a terminal, periodic lines elsewhere."""

import json
import time
from dataclasses import asdict, replace

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from swerve.data.jobs.execution import ProgressKind
from swerve.data.jobs.failures import Failure
from swerve.data.jobs.run_state import WHOLE, Phase, RunState, StateFile
from swerve.data.jobs.schedule import Schedule, Task
from swerve.data.jobs.sparse_lines import SparseLines
from swerve.scenes.notices import is_new
from swerve.scenes.printable import printable_lines

_SECONDS_BETWEEN_STATES = 2.0


class JobProgress:
    """Listener that shows the progress of a job.

    Attributes:
        count: number of items that this run produced.
        seconds: by stage, summed over workers.

    Args:
        console: output console.
        schedule: what is to be made.
        noun: plural name of the items, such as "samples".
        state: where the state of the run is written; nowhere if None.
        kind: form of the progress on the console.
    """

    def __init__(
        self,
        console: Console,
        schedule: Schedule,
        noun: str,
        state: StateFile | None = None,
        kind: ProgressKind = "bar",
    ) -> None:
        self.count, self.seconds, self._noun = 0, dict[str, float](), noun
        self._console, self._logs, self._failures = console, max(schedule.logs, 1), 0
        self._chunks = {log: max(chunks, 1) for log, (chunks, _) in schedule.shares.items()}
        self._shares = {log: done / max(chunks, 1) for log, (chunks, done) in schedule.shares.items()}
        self._done = sum(self._shares.values(), 0.0)
        self._state_file, self._kind, self._first_share = state, kind, 0.0
        self._running, self._compiling = dict[Task, tuple[int, float]](), dict[int, str]()
        self._lines = SparseLines()
        self._start = self._last_state = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.percentage:3.0f} %"),
            BarColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal or kind == "json",
        )
        self._line = self._bar.add_task("", total=float(self._logs))
        self._first_share = self._share()

    def __enter__(self) -> "JobProgress":
        self._bar.start()
        self._tell("running")
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._refresh()
        self._bar.stop()
        self._tell("ended" if kind is None else "stopped")

    def _tell(self, phase: Phase) -> None:
        """Write the state of the run, and print it where lines of JSON are asked for."""
        state = self._run_state(phase)
        if self._state_file is not None:
            # Tables or the run's result follow, or other parts; `open_job` writes how all of it ends.
            self._state_file.write(replace(state, phase="completing") if phase == "ended" else state)
        if self._kind == "json":
            run = self._state_file.run if self._state_file is not None else WHOLE
            line = json.dumps({**asdict(state), "run": run}, sort_keys=True)
            self._console.print(line, markup=False, highlight=False, soft_wrap=True, emoji=False)

    def _run_state(self, phase: Phase) -> RunState:
        share, elapsed = self._share(), self.elapsed
        made = share - self._first_share
        count = self.count + sum(count for count, _ in self._running.values())
        return RunState(
            phase=phase,
            noun=self._noun,
            count=count,
            share=round(share, 6),
            failures=self._failures,
            seconds=round(elapsed, 3),
            per_second=round(count / max(elapsed, 1e-3), 3),
            seconds_left=round(elapsed * (1.0 - share) / made, 1) if made > 0 and phase == "running" else None,
        )

    @property
    def elapsed(self) -> float:
        """Return the seconds since the start."""
        return time.monotonic() - self._start

    def opened(self, log: str, chunks: int) -> None:
        """Register the number of parts of a log."""
        self._chunks[log] = chunks

    def advanced(self, task: Task, count: int, share: float) -> None:
        """Update the number of items and the finished share of a part."""
        self._running[task] = (count, share)

    def finished(self, task: Task, count: int, seconds: dict[str, float]) -> None:
        """Register a finished part."""
        self._tried(task, 1.0 / self._chunks[task.log])
        self.count += count
        for stage, spent in seconds.items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + spent

    def abandoned(self, task: Task, whole_log: bool) -> None:
        """Register a part that is not made, or all that remain of its log: the run has no more to do for them."""
        self._tried(task, 1.0 if whole_log else 1.0 / self._chunks.get(task.log, 1))

    def _tried(self, task: Task, share: float) -> None:
        """Count a share of a log as done."""
        self._running.pop(task, None)
        was = self._shares.get(task.log, 0.0)
        self._shares[task.log] = min(was + share, 1.0)
        self._done += self._shares[task.log] - was

    def failed(self, task: Task, failure: Failure) -> None:
        """Count a failure, and print the traceback of an unexpected exception."""
        self._failures += 1
        if failure.traceback:
            self._console.print(
                printable_lines(f"{failure.where}:\n{failure.traceback}"), markup=False, highlight=False, soft_wrap=True
            )

    def compiling(self, worker: int, group: str) -> None:
        """Note the group of kernels that a worker compiles."""
        self._compiling[worker] = group

    def printed(self, text: str) -> None:
        """Print lines of the work, above the bar; notices once."""
        lines = [line for line in text.split("\n") if is_new(line)]
        if not lines:
            return
        self._console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True, emoji=False)

    def tick(self) -> None:
        """Show the state, if it is due."""
        self._refresh()
        now = time.monotonic()
        if now - self._last_state >= _SECONDS_BETWEEN_STATES:
            self._last_state = now
            self._tell("running")
        if self._kind != "bar" or self._console.is_terminal:
            return
        if self._lines.is_due(self.elapsed, self._share(), self._made()):
            self._console.print(f"{100 * self._share():.0f} %  {self._state()}", highlight=False, soft_wrap=True)

    def _refresh(self) -> None:
        """Update the bar."""
        self._bar.update(self._line, completed=self._share() * self._logs, description=self._state())

    def _share(self) -> float:
        """Return the finished share of the whole job, 0 to 1."""
        running = sum(share / self._chunks.get(task.log, 1) for task, (_, share) in self._running.items())
        return (self._done + running) / self._logs

    def _made(self) -> tuple[int, int, int, str]:
        """Return percents, the number of items, the number of failures, and the groups of kernels being compiled."""
        count = self.count + sum(count for count, _ in self._running.values())
        groups = ", ".join(dict.fromkeys(filter(None, self._compiling.values())))
        return round(100 * self._share()), count, self._failures, groups

    def _state(self) -> str:
        """Return the number of items, the rate and the failures."""
        _, count, failed, groups = self._made()
        compiling = f"; compiling kernels, once after installation: {groups}" if groups else ""
        if not self._running and not self._done:
            return f"starting{compiling}"
        rate = count / max(self.elapsed, 1e-3)
        failures = f", {failed} failed" if failed else ""
        noun = self._noun.removesuffix("s") if count == 1 else self._noun
        return f"{count} {noun}, {rate:.1f}/s{failures}{compiling}"
