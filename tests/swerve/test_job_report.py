"""What a job says at its end."""

from io import StringIO
from pathlib import Path

from rich.console import Console

from swerve.data.jobs import Failure
from swerve.job_report import show_failures, show_planner_failures, timing_line


def timing(count, **stages):
    return {"samples": count, "seconds": 1.0, "samples_per_second": count, "worker_seconds": stages}


def test_nothing_is_called_finished_after_failures():
    assert timing_line(timing(0), "samples") == "Everything was finished before."
    assert timing_line(timing(0), "samples", failures=1) == "No samples were made."
    assert timing_line(timing(0, loading=1.0), "samples") == "No samples were made."


def test_compiling_is_a_stage_of_its_own():
    assert "compiling 75 %" in timing_line(timing(4, drawing=1.0, compiling=3.0), "samples")


def test_failures_of_one_reason_are_one_line():
    console = Console(file=StringIO())
    failures = [Failure(f"log-{number}", "", "", "has no map") for number in range(5)]
    show_failures(console, [*failures, Failure("log-9", "t", "i", "is empty")])
    assert console.file.getvalue().splitlines() == [
        "6 failures:",
        "  log-0, log-1, log-2 and 2 more: has no map",
        "  log-9 t i: is empty",
    ]


def test_failures_of_one_planner_for_one_reason_are_one_line():
    """Reasons that differ in the scene alone are equal; an equal reason of another planner is another line."""
    console = Console(file=StringIO())
    failures = [Failure("log", f"log-{number}", "nan", f"scene log-{number}: not finite") for number in range(3)]
    failures += [Failure("log", f"s{number}", "other", "no idea") for number in range(2)]
    show_planner_failures(console, [*failures, Failure("log", "s7", "nan", "no idea")], Path("out"))
    assert console.file.getvalue().splitlines() == [
        "failed: nan in log-0 and 2 more: scene log-0: not finite",
        "failed: other in log s0 and 1 more: no idea",
        "failed: nan in log s7: no idea",
        "6 failures, each scored 0: out/failures.json",
    ]
    show_planner_failures(silent := Console(file=StringIO()), [], Path("out"))
    assert not silent.file.getvalue()
