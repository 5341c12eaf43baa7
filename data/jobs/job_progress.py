"""How a job goes, for people: a bar on a terminal, a line now and then elsewhere."""

import time

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from swerve.data.jobs.failures import Failure
from swerve.data.jobs.schedule import FinishedParts, Task

_SECONDS_BETWEEN_LINES = 10.0


class JobProgress:
    """Listens to a job and shows where it stands.

    Attributes:
        count: of what this run made.
        seconds: spent by all workers together, by stage.

    Args:
        console: where to write.
        logs: how many there are.
        finished: by log, the parts that earlier runs made, of how many.
        noun: what is made, such as "samples".
    """

    def __init__(self, console: Console, logs: int, finished: FinishedParts, noun: str) -> None:
        self.count, self.seconds, self._noun = 0, dict[str, float](), noun
        self._console, self._logs, self._failures = console, logs, 0
        self._chunks = {log: chunks for log, (_, chunks) in finished.items()}
        self._done = sum((len(done) / chunks for done, chunks in finished.values()), 0.0)
        self._running = dict[Task, tuple[int, float]]()
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
        """Seconds since the start."""
        return time.monotonic() - self._start

    def opened(self, log: str, chunks: int) -> None:
        """A log has so many parts."""
        self._chunks[log] = chunks

    def advanced(self, task: Task, count: int, share: float) -> None:
        """So many things of a part are made, and this share of it."""
        self._running[task] = (count, share)

    def finished(self, task: Task, count: int, seconds: dict[str, float]) -> None:
        """A part is done."""
        self._running.pop(task, None)
        self._done += 1.0 / self._chunks[task.log]
        self.count += count
        for stage, spent in seconds.items():
            self.seconds[stage] = self.seconds.get(stage, 0.0) + spent

    def failed(self, task: Task, failure: Failure) -> None:
        """Counts it, and shows at once the traceback of a fault of the program."""
        self._running.pop(task, None)
        self._failures += 1
        if failure.traceback:
            self._console.print(f"{failure.where}:\n{failure.traceback}", markup=False, highlight=False, soft_wrap=True)

    def tick(self) -> None:
        """Shows the state, if it is time."""
        self._refresh()
        now = time.monotonic()
        if not self._console.is_terminal and now - self._last_line >= _SECONDS_BETWEEN_LINES:
            self._last_line = now
            self._console.print(f"{100 * self._share():.0f} %  {self._state()}", highlight=False, soft_wrap=True)

    def _refresh(self) -> None:
        """Brings the bar up to date."""
        self._bar.update(self._line, completed=self._share() * self._logs, description=self._state())

    def _share(self) -> float:
        """Of the whole job, 0 to 1."""
        running = sum(share / self._chunks.get(task.log, 1) for task, (_, share) in self._running.items())
        return (self._done + running) / self._logs

    def _state(self) -> str:
        """How many are made, rate, failures."""
        if not self._running and not self._done:
            return "starting; the first run on a machine compiles for some 20 s"
        count = self.count + sum(count for count, _ in self._running.values())
        rate = count / max(self.elapsed, 1e-3)
        failures = f", {self._failures} failed" if self._failures else ""
        return f"{count} {self._noun}, {rate:.1f}/s{failures}"
