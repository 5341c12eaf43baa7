"""Lines of progress where there is no terminal."""

import io
import time

from rich.console import Console

from swerve.data.jobs.job_progress import JobProgress
from swerve.data.jobs.schedule import Schedule, Task
from swerve.data.jobs.sparse_lines import SparseLines


def test_lines_are_sparse_and_none_is_repeated(monkeypatch):
    """A job of 20 parts of 30 s, with a pause of half an hour after the tenth."""
    now, shown = [1000.0], io.StringIO()
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    schedule = Schedule(["a"], {"a": (set(), 20)})
    progress = JobProgress(Console(file=shown, width=200), schedule, "samples")
    for part in range(20):
        for _ in range(150 if part != 10 else 9000):
            now[0] += 0.2
            progress.tick()
        progress.finished(Task("a", part), 10, {})
    now[0] += 20.0
    progress.tick()
    lines = [line.split(",")[0] for line in shown.getvalue().splitlines()]
    assert len(lines) == len(set(lines)) <= 21
    assert lines[0] == "0 %  starting"
    assert lines[-1] == "100 %  200 samples"


def test_a_line_a_minute_if_the_share_stays_in_its_tenth():
    lines = SparseLines()
    due = [second for second in range(0, 300, 5) if lines.is_due(float(second), 0.01, second // 30)]
    assert due == [10, 70, 130, 190, 250]
    assert lines.is_due(260.0, 0.1, "next tenth")
    assert not lines.is_due(265.0, 0.2, "too soon")
    assert lines.is_due(270.0, 0.2, "next")
    assert not lines.is_due(3000.0, 0.2, "next")
