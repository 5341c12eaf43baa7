"""Ctrl-C and SIGTERM end commands in one line, also while their workers import; results alone are on stdout."""

import os
import signal
import subprocess
import sys
import time

import pytest

PROGRAM = [sys.executable, "-c", "from swerve.cli import main; main()"]


def started(tmp_path, *arguments):
    """A command in a process group of its own, as a shell starts it."""
    return subprocess.Popen(
        [*PROGRAM, *arguments], cwd=tmp_path, text=True, stdout=-1, stderr=-1, start_new_session=True
    )


def wait_for(path):
    for _ in range(1200):
        if path.exists():
            return
        time.sleep(0.05)
    raise AssertionError(f"{path} did not appear")


@pytest.mark.parametrize("seconds", [0.0, 0.5, 1.5])
def test_ctrl_c_ends_in_one_line(tmp_path, seconds):
    """All processes of the group get the signal, workers too, at the start of their imports or in the midst."""
    process = started(tmp_path, "build", "town:6", "out", "--scene-interval", "4", "--workers", "2")
    wait_for(tmp_path / "out" / "job.json")
    time.sleep(seconds)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    lines = [line for line in errors.splitlines() if " %  " not in line]
    assert lines == ["Stopped. Give the same command again to resume."]
    assert process.returncode == 130


def test_sigterm_ends_in_one_line(tmp_path):
    process = started(tmp_path, "build", "town:6", "out", "--scene-interval", "4", "--workers", "2")
    wait_for(tmp_path / "out" / "job.json")
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert [line for line in errors.splitlines() if " %  " not in line] == ["Stopped by SIGTERM."]
    assert process.returncode == 143


def test_ctrl_c_before_a_job_ends_in_one_line(tmp_path):
    process = started(tmp_path, "drive", "town:1", "out", "--planners", "human")
    time.sleep(1.0)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].startswith("Stopped")
    assert process.returncode == 130


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_in_the_midst_of_an_import_ends_in_one_line(tmp_path, number, code):
    """Modules that catch what they import would go on without it, or raise another error."""
    (tmp_path / "signalled.py").write_text(f"import os, signal\nos.kill(os.getpid(), {int(number)})\n")
    program = "\n".join(
        [
            "from swerve import cli",
            "def catching(arguments):",
            "    try:",
            "        import signalled",
            "    except BaseException as error:",
            "        raise ImportError('initialization failed') from error",
            "cli.run = catching",
            "cli.main()",
        ]
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert ended.stderr.splitlines() == ["Stopped by SIGTERM." if code == 143 else "Stopped."]
    assert ended.returncode == code
