"""Process of a planner: loads it, and answers requests until the other end closes.

Run by `ProcessPlanner` as `python -m swerve.eval.planner_process.planner_server SOCKET MEMORY PARENT`, with descriptors
of the socket and of the shared memory.
"""

import ctypes
import os
import resource
import signal
import socket
import sys
from typing import Any

from swerve.eval.benchmark.evaluate.call_planner import PlannerOutput, call_planner, format_error
from swerve.eval.planner_process.messages import (
    PlannerGone,
    SharedArrays,
    encode_json,
    encode_outputs,
    receive,
    send,
)
from swerve.scenes.errors import SwerveError
from swerve.scenes.planning import Planner

_SET_PARENT_DEATH_SIGNAL = 1


def main(arguments: list[str]) -> None:
    """Serve requests; ends when the other process does."""
    connection = socket.socket(fileno=int(arguments[0]))
    shared, parent = SharedArrays(int(arguments[1])), int(arguments[2])
    _end_with(parent)
    number, content = receive(connection)
    load, spec, memory, paths = shared.load(content)
    sys.path[:] = paths
    _limit_memory(memory)
    pid = os.getpid()
    planner, reply = _loaded(load, spec)
    _leave_if_forked(pid)
    send(connection, number, encode_json(reply))
    while planner is not None:
        try:
            number, content = receive(connection)
        except PlannerGone:
            return
        answer = _answer(planner, *shared.load(content))
        _leave_if_forked(pid)
        send(connection, number, answer)


def _loaded(load: Any, spec: str) -> tuple[Planner | None, dict[str, Any]]:  # noqa: ANN401
    """Load the planner; return it with what the other process needs to know of it."""
    try:
        planner, facts = load(spec)
        cameras = getattr(planner, "cameras", None)
        return planner, {
            **facts,
            "name": type(planner).__name__,
            "cameras": "ask" if callable(cameras) else None if cameras is None else [str(name) for name in cameras],
            "privileged": bool(getattr(planner, "privileged", False)),
            "future_only": bool(getattr(planner, "future_only", False)),
            "recording": bool(getattr(planner, "recording", False)),
            "checks": callable(getattr(planner, "check_sensors", None)),
        }
    except SwerveError as error:
        return None, {"refused": str(error)}
    except BaseException as error:  # What a planner's module and class raise, SystemExit and KeyboardInterrupt too.
        return None, {"failed": f"{type(error).__name__}: {error}"}


def _answer(planner: Planner, what: str, item: Any) -> bytes:  # noqa: ANN401
    """Answer a request: "plan" with observations, "cameras" with a rig, or "check"."""
    if what == "plan":
        return encode_outputs(_plan(planner, item))
    try:
        if what == "cameras":
            return encode_json({"names": [str(name) for name in planner.cameras(item)]})  # type: ignore[attr-defined]
        planner.check_sensors()  # type: ignore[attr-defined]
        return encode_json({})
    except SwerveError as error:
        return encode_json({"refused": str(error)})
    except BaseException as error:
        return encode_json({"refused": f"{what}: {type(error).__name__}: {error}"})


def _plan(planner: Planner, observations: list[Any]) -> list[PlannerOutput]:
    try:
        return call_planner(planner, observations)
    except BaseException as error:  # KeyboardInterrupt and the like, which `call_planner` lets pass.
        if len(observations) > 1:
            return [output for one in observations for output in _plan(planner, [one])]
        return [PlannerOutput(None, format_error(error), 0.0)]


def _leave_if_forked(pid: int) -> None:
    """End a copy of this process that a planner forked off and let return."""
    if os.getpid() != pid:
        os._exit(0)


def _end_with(parent: int) -> None:
    """Let the kernel end this process when its parent ends, and choose it first when memory runs out."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL)
        try:
            with open("/proc/self/oom_score_adj", "w") as file:
                file.write("900")
        except OSError:
            print("swerve: /proc/self/oom_score_adj cannot be written", file=sys.stderr)
    if os.getppid() != parent:
        os._exit(0)


def _limit_memory(gigabytes: float) -> None:
    """Limit what this process may allocate."""
    if gigabytes:
        limit = int(gigabytes * 1e9)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


if __name__ == "__main__":
    main(sys.argv[1:])
