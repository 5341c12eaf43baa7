"""Process of a planner, and what is shared with it."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing.util import Finalize
from threading import Thread
from typing import IO

from swerve.eval.planner_process.messages import LARGEST_REPLY, SharedArrays, receive, send

# The current folder must not come first on the path: a file there could hide a module of Python's.
_SERVER = "import sys; sys.path.pop(0); from swerve.eval.planner_process.planner_server import main; main(sys.argv[1:])"
# What is kept of what a planner prints, for the error message when its process ends.
_KEPT_LINES, _KEPT_CHARACTERS = 3, 300
# Seconds that a process has to be gone after it was killed.
_GRACE = 10.0


class OwnProcess:
    """A started process, its socket and shared memory.

    Args:
        environment: variables of the process, beside those of this one.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._shared, self._number = SharedArrays.create(), 0
        self._connection, theirs = socket.socketpair()
        lifeline, self._lifeline = os.pipe()
        numbers = (theirs.fileno(), self._shared.file, lifeline)
        with theirs, open(lifeline, "rb"):
            self._child = subprocess.Popen(
                [sys.executable, "-c", _SERVER, *map(str, numbers)],
                env={**os.environ, "PYTHONUNBUFFERED": "1", **environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=numbers,
                start_new_session=True,
            )
        assert self._child.stdout is not None
        self._printed = deque[str](maxlen=_KEPT_LINES)
        self._reader = Thread(target=_keep_lines, args=(self._child.stdout, self._printed), daemon=True)
        self._reader.start()
        # Also when this object is forgotten. If this process is killed, the lifeline closes, which ends the others.
        owned = (self._child, self._connection, self._shared, self._lifeline)
        self._release = Finalize(self, _release, owned, exitpriority=10)

    def request(self, item: object, timeout: float) -> bytes:
        """Send a request and return its reply; answers to other requests are ignored.

        Raises:
            PlannerTimeout: no answer came in time.
            PlannerGone: the process ended.
        """
        self._number += 1
        end = time.monotonic() + timeout
        self._connection.settimeout(timeout)
        send(self._connection, self._number, self._shared.dump(item))
        while True:
            number, reply = receive(self._connection, max(end - time.monotonic(), 0.0), LARGEST_REPLY)
            if number == self._number:
                return reply

    def interrupt(self) -> None:
        """End the process and its group, so that a request that another thread waits for fails."""
        _kill_group(self._child)

    def kill(self, reason: str = "") -> str:
        """End the process and its group; return the reason, with how it ended and what it printed last."""
        ended = self._exit_within(0.2)
        self._release()
        self._reader.join(0.5)
        how = _described(ended) if ended is not None else ""
        printed = " | ".join(self._printed)[-_KEPT_CHARACTERS:]
        return f"{reason}{how}" + (f"; it printed last: {printed}" if printed else "")

    def _exit_within(self, seconds: float) -> int | None:
        try:
            return self._child.wait(seconds)
        except subprocess.TimeoutExpired:
            return None


def _described(code: int) -> str:
    """Describe how a process ended: by a signal, or with a status."""
    if code >= 0:
        return f" with exit status {code}"
    try:
        return f" by {signal.Signals(-code).name}"
    except ValueError:
        return f" by signal {-code}"


def _release(child: "subprocess.Popen[bytes]", connection: socket.socket, shared: SharedArrays, lifeline: int) -> None:
    """Kill a process with its group, and close what was shared with it."""
    _kill_group(child)
    with suppress(subprocess.TimeoutExpired):  # it hangs in the kernel
        child.wait(_GRACE)
    connection.close()
    shared.close()
    os.close(lifeline)


def _kill_group(child: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)


def _keep_lines(stream: IO[bytes], kept: "deque[str]") -> None:
    """Read what a process prints to its end, and keep the last lines, each shortened."""
    for line in iter(lambda: stream.readline(1 << 16), b""):
        if text := line.decode(errors="replace").strip():
            kept.append("".join(sign if sign.isprintable() else " " for sign in text[-_KEPT_CHARACTERS:]))
    stream.close()
