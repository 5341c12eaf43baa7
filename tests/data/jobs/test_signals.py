"""Signals that come while processes are started."""

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from swerve.data.jobs.signals import signals_blocked


def test_signals_come_after_the_block():
    done, stop, before = [], threading.Event(), signal.getsignal(signal.SIGINT)
    idle = threading.Thread(target=stop.wait)
    idle.start()
    try:
        with pytest.raises(KeyboardInterrupt):  # noqa: PT012 the point is where it is raised
            with signals_blocked(signal.SIGINT):
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.2)
                done.append("block")
            done.append("after")
    finally:
        stop.set()
        idle.join()
    assert done == ["block"]
    assert signal.getsignal(signal.SIGINT) is before
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


def test_started_processes_inherit_the_block():
    code = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ()))"
    with signals_blocked(signal.SIGINT):
        inside = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    outside = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (inside.stdout.strip(), outside.stdout.strip()) == ("True", "False")
