"""Progress display of a fit: a bar on a terminal, periodic lines elsewhere."""

import time
from collections.abc import Mapping

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from swerve.data.splats.optimization.fit_scene import Progress as FitProgress

_BETWEEN_LINES = 20.0


class FitProgressBar:
    """Progress bar of a fit with its current quality.

    Args:
        console: output console.
        log: name of the log.
        steps: total number of steps.
        done: number of steps done by earlier runs.
    """

    def __init__(self, console: Console, log: str, steps: int, done: int) -> None:
        self._console, self._log, self._last = console, log, time.monotonic()
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
        self._line = self._bar.add_task(log, total=steps, completed=done)

    def __enter__(self) -> "FitProgressBar":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, progress: FitProgress, measured: Mapping[str, int | float] | None) -> None:
        """Update the bar after a step; `measured` is the last evaluation."""
        state = f"{self._log}: {progress.count} Gaussians, loss {progress.loss:.3f}"
        if measured and "psnr" in measured:
            state += f", held out {measured['psnr']:.1f} dB at step {measured['step']:.0f}"
        self._bar.update(self._line, completed=progress.step, description=state)
        now = time.monotonic()
        if not self._console.is_terminal and now - self._last > _BETWEEN_LINES:
            self._last = now
            share = 100 * progress.step / progress.steps
            self._console.print(f"{share:.0f} %  {state}", markup=False, highlight=False, soft_wrap=True)
