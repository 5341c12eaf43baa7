"""Worker processes of a loader end with the loop over it, however it ends, and print nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("torch")
ROOT = Path(__file__).parents[3]


def started(folder, way):
    command = [sys.executable, "-m", "tests.support.stream_loop", str(folder), way]
    return subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def wait_for_the_end_of(pids):
    deadline = time.monotonic() + 20
    while any(alive(pid) for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not [pid for pid in pids if alive(pid)]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["break", "collected", "left"])
def test_a_loop_ends_without_a_word(small_set, way):
    child = started(small_set, way)
    out, err = child.communicate(timeout=300)
    assert (child.returncode, err) == (0, "")
    workers = [int(pid) for pid in out.splitlines()[0].split()]
    assert len(workers) == 2
    # What is left to the interpreter's end is not there any more after it; all else ends with the loop.
    assert way == "left" or out.splitlines()[1] == "left:"
    wait_for_the_end_of(workers)


@pytest.mark.slow
def test_an_exception_in_the_loop_ends_the_workers(small_set):
    child = started(small_set, "exception")
    out, err = child.communicate(timeout=300)
    assert child.returncode == 1
    assert err.count("Traceback") == 1
    assert err.endswith("LookupError: the user's\n")
    wait_for_the_end_of([int(pid) for pid in out.split()])


@pytest.mark.slow
def test_ctrl_c_is_the_program_s_alone(small_set):
    """The terminal sends it to the workers as well, which must not report it."""
    child = started(small_set, "interrupt")
    workers = [int(pid) for pid in child.stdout.readline().split()]
    os.killpg(child.pid, signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGINT
    assert err.count("Traceback") == 1
    assert err.endswith("KeyboardInterrupt\n")
    wait_for_the_end_of(workers)


@pytest.mark.slow
def test_ctrl_c_while_workers_start(small_set):
    child = started(small_set, "interrupt")
    deadline = time.monotonic() + 120
    while not _children(child.pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    workers = _children(child.pid)
    os.killpg(child.pid, signal.SIGINT)
    _, err = child.communicate(timeout=60)
    assert err.count("Traceback") == 1
    assert err.endswith("KeyboardInterrupt\n")
    wait_for_the_end_of(workers)


def _children(pid):
    """Return the worker processes that were started, without the process that tracks shared memory."""
    found = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        command = Path(f"/proc/{child}/cmdline").read_text()
        found += [int(child)] if "spawn_main" in command else []
    return found
