"""Progress display of a job: a bar on a terminal, periodic lines elsewhere."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from swerve.data.jobs.failures import Failure
from swerve.data.jobs.schedule import FinishedParts, Task
from swerve.scenes.printable import printable_lines

_SECONDS_BETWEEN_LINES = 10.0


class JobProgress:
    """Listener that shows the progress of a job.

    Attributes:
        count: number of items that this run produced.
        seconds: by stage, summed over workers.

    Args:
        console: output console.
        logs: number of logs.
        finished: by log, the parts finished by earlier runs, and their total number.
        noun: plural name of the items, such as "samples".
    """

    def __init__(self, console: Console, logs: int, finished: FinishedParts, noun: str) -> None:
        self.count, self.seconds, self._noun = 0, dict[str, float](), noun
        self._console, self._logs, self._failures = console, logs, 0
        self._chunks = {log: chunks for log, (_, chunks) in finished.items()}
        self._done = sum((len(done) / chunks for done, chunks in finished.values()), 0.0)
        self._running, self._compiling = dict[Task, tuple[int, float]](), dict[int, str]()
        self._start = self._last_line = time.monotonic()
        self._bar = Progress(
            TextColumn("{task.percentage:3.0f} %"),
            BarColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TextColumn("left:"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._line = self._bar.add_task("", total=float(logs))

    def __enter__(self) -> "JobProgress":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._refresh()
        self._bar.stop()

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
        self._running.pop(task, None)
        self._done += 1.0 / self._chunks[task.log]
        self.count += count
        for stage, spent in seconds.items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + spent

    def failed(self, task: Task, failure: Failure) -> None:
        """Count a failure, and print the traceback of an unexpected exception."""
        self._running.pop(task, None)
        self._failures += 1
        if failure.traceback:
            self._console.print(
                printable_lines(f"{failure.where}:\n{failure.traceback}"), markup=False, highlight=False, soft_wrap=True
            )

    def compiling(self, worker: int, group: str) -> None:
        """Note the group of kernels that a worker compiles."""
        self._compiling[worker] = group

    def printed(self, text: str) -> None:
        """Print lines of the work, above the bar."""
        self._console.print(text, markup=False, highlight=False, soft_wrap=True, emoji=False)

    def tick(self) -> None:
        """Show the state, if it is due."""
        self._refresh()
        now = time.monotonic()
        if not self._console.is_terminal and now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            self._console.print(f"{100 * self._share():.0f} %  {self._state()}", highlight=False, soft_wrap=True)

    def _refresh(self) -> None:
        """Update the bar."""
        self._bar.update(self._line, completed=self._share() * self._logs, description=self._state())

    def _share(self) -> float:
        """Return the finished share of the whole job, 0 to 1."""
        running = sum(share / self._chunks.get(task.log, 1) for task, (_, share) in self._running.items())
        return (self._done + running) / self._logs

    def _state(self) -> str:
        """Return the number of items, the rate and the failures."""
        groups = ", ".join(dict.fromkeys(filter(None, self._compiling.values())))
        compiling = f"; compiling kernels, once after installation: {groups}" if groups else ""
        if not self._running and not self._done:
            return f"starting{compiling}"
        count = self.count + sum(count for count, _ in self._running.values())
        rate = count / max(self.elapsed, 1e-3)
        failures = f", {self._failures} failed" if self._failures else ""
        return f"{count} {self._noun}, {rate:.1f}/s{failures}{compiling}"
