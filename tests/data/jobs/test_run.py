"""Every part is made once; what fails is told, and the rest goes on."""

import io
import multiprocessing
import os
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from swerve.data.jobs import job_config, open_job, part_stem, read_failures, run_work, write_failures
from swerve.data.jobs.job_progress import JobProgress
from swerve.data.jobs.pool import _Pool, _Process
from swerve.data.jobs.schedule import Schedule
from swerve.scenes import SwerveError
from tests.support.counting_work import LAYOUT, CountingWork, finished_of, squares_of

CHUNKS = {"a": 3, "b.0": 1, "c": 2}


def wanted(chunks):
    return {part_stem(log, chunk): chunk**2 for log, count in chunks.items() for chunk in range(count)}


def run(folder, wrong=None, workers=1, finished=None, console=None):
    """A run over `CHUNKS` in a folder of its own."""
    work = CountingWork(folder, CHUNKS, wrong or {})
    with open_job(folder, job_config({}, [("simple", log) for log in CHUNKS], ()), LAYOUT):
        return run_work(work, folder, list(CHUNKS), finished or {}, "squares", workers, console)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_part_is_made(tmp_path, workers):
    outcome = run(tmp_path, workers=workers)
    assert squares_of(tmp_path) == wanted(CHUNKS)
    assert outcome.item_count == 3 * len(wanted(CHUNKS))
    assert not outcome.failures
    assert set(outcome.worker_seconds) == {"opening", "squaring"}
    assert 0 < sum(outcome.worker_seconds.values()) <= workers * outcome.seconds
    assert outcome.timing["squares"] == outcome.item_count
    assert outcome.timing["squares_per_second"] == pytest.approx(outcome.item_count / outcome.seconds)


@pytest.mark.parametrize("terminal", [True, False])
def test_what_the_work_prints_is_shown_above_the_bar(tmp_path, capfd, terminal):
    """On the console of the progress, in whole lines, and not on stdout."""
    console = Console(file=io.StringIO(), force_terminal=terminal, width=100)
    outcome = run(tmp_path, {("a", 0): "prints", ("c", 1): "prints"}, console=console)
    assert not outcome.failures
    shown = [line.split("\x1b[2K")[-1].strip() for line in console.file.getvalue().splitlines()]
    assert shown.count("a planner says") == shown.count("hello") == 2
    assert capfd.readouterr() == ("", "")


def test_what_is_finished_is_not_made_again(tmp_path):
    run(tmp_path)
    for name in ("a-00001", "c-00000"):
        (tmp_path / "squares" / f"{name}.json").unlink()
    (tmp_path / "squares" / "b_0-00000.json").write_text("77")
    finished = finished_of(tmp_path, {"a": 3, "b_0": 1, "c": 2})
    outcome = run(tmp_path, finished={"b.0": finished.pop("b_0"), **finished})
    assert outcome.item_count == 3 * 2
    assert squares_of(tmp_path) == {**wanted(CHUNKS), "b_0-00000": 77}


def test_failures_are_told_and_the_rest_goes_on(tmp_path):
    """A dead worker, a part, a log, a fault of the program; what a part tells itself is in its record."""
    wrong = {("a", 0): "killed", ("a", 1): "refused", ("b.0", None): "refused", ("c", 0): "bug", ("c", 1): "failures"}
    outcome = run(tmp_path, wrong)
    assert squares_of(tmp_path) == {"a-00002": 4, "c-00001": 1}
    told = {(failure.log, failure.token): failure for failure in outcome.failures}
    assert set(told) == {("a", "token-0"), ("a", "token-1"), ("b.0", ""), ("c", "token-0")}
    assert "out of memory" in told["a", "token-0"].reason
    assert told["a", "token-1"].reason == "this cannot be squared"
    assert told["b.0", ""].reason == "this cannot be squared"
    assert told["c", "token-0"].reason == "ZeroDivisionError: a fault of the program"
    assert "counting_work.py" in told["c", "token-0"].traceback


@pytest.mark.parametrize(("chunk", "kind"), [(1, "disk"), (1, "unwritable"), (None, "unwritable")])
def test_a_full_disk_ends_the_job(tmp_path, chunk, kind):
    with pytest.raises(SwerveError, match=r"cannot be written .*No space left.* (?i:run the same command again)"):
        run(tmp_path, {("a", chunk): kind})
    assert squares_of(tmp_path) == ({"a-00000": 0} if chunk else {})


def test_workers_are_one_or_more(tmp_path):
    with pytest.raises(SwerveError, match="workers: 0 must be 1 or more"):
        run(tmp_path, workers=0)


def test_progress_names_what_is_made(tmp_path):
    console = Console(file=io.StringIO(), force_terminal=True, width=120)
    run(tmp_path, {("c", 1): "failures"}, console=console)
    shown = console.file.getvalue()
    assert "100 %" in shown
    assert "16 squares, " in shown
    assert "2 failed" in shown


def test_failures_are_written_in_order(tmp_path):
    outcome = run(tmp_path, {("c", 0): "refused", ("b.0", 0): "refused", ("a", None): "bug"})
    write_failures(tmp_path, outcome.failures)
    assert read_failures(tmp_path) == sorted(outcome.failures, key=lambda failure: failure.log)


def test_a_worker_killed_while_it_sends_is_a_worker_that_died(tmp_path):
    """Of a long message, such as one with many failures, a part has arrived."""
    ours, theirs = multiprocessing.Pipe()
    os.write(theirs.fileno(), struct.pack("!i", 1000) + b"half of a message")
    theirs.close()
    process = multiprocessing.get_context("spawn").Process(target=os.kill, args=(os.getpid(), 0))
    process.start()
    process.kill()
    schedule, work = Schedule(["a"], {}), CountingWork(tmp_path, {"a": 1})
    pool = _Pool(work, tmp_path, schedule, 1, JobProgress(Console(quiet=True), schedule, ""))
    pool._workers.append(worker := _Process(process=process, connection=ours, task=schedule.next(None)))
    pool._hear(worker)
    assert not pool._workers
    assert [one.failure.reason.split(":")[0] for one in pool._book.failures] == ["worker was killed (SIGKILL)"]
    ours.close()


def test_a_script_that_begins_the_job_when_it_is_imported_is_told(tmp_path):
    """Worker processes import it: the job ends with one line, and without their tracebacks."""
    script = tmp_path / "script.py"
    script.write_text(
        "from pathlib import Path\nfrom tests.data.jobs.test_run import run\n"
        f"run(Path({str(tmp_path / 'out')!r}), workers=2)\n"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    ended = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False, env=env)
    assert ended.returncode == 1
    assert 'put what it does below if __name__ == "__main__":' in ended.stderr.splitlines()[-1]
    assert ended.stderr.count("Traceback") == 1
