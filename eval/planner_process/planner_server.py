"""Process of a planner: loads it, and answers requests until the other end closes.

Run by `ProcessPlanner`, with descriptors of a socket, of the shared memory, and of a pipe that closes when the process
at the other end is gone.
"""

import os
import resource
import signal
import socket
import sys
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from swerve.eval.benchmark.evaluate.call_planner import PlannerOutput, call_planner, format_error
from swerve.eval.planner_process.messages import (
    LONGEST_ERROR,
    PlannerGone,
    SharedArrays,
    encode_json,
    encode_outputs,
    receive,
    send,
)
from swerve.scenes.camera import Camera
from swerve.scenes.errors import SwerveError
from swerve.scenes.planning import Image, Observation, Planner, preparation_of
from swerve.scenes.printable import printable

# Declarations on late and missing images, see docs/alpasim.md.
_OF_IMAGES = ("max_image_age", "missing_images")
# Descriptors are below this.
_MOST_FILES = 1 << 20


def main(arguments: list[str]) -> None:
    """Serve requests; ends when the other process does."""
    connection = socket.socket(fileno=int(arguments[0]))
    shared = SharedArrays(int(arguments[1]))
    _end_at_hangup(int(arguments[2]))
    _die_first()
    number, content = receive(connection)
    load, spec, memory, paths = shared.load(content)
    sys.path[:] = paths
    _limit_memory(memory)
    pid = os.getpid()
    planner, reply = _loaded(load, spec)
    held = _HeldImages()
    _leave_if_forked(pid)
    send(connection, number, encode_json(reply))
    while planner is not None:
        try:
            number, content = receive(connection)
        except PlannerGone:
            return
        what, item, dropped = shared.load(content)
        held.drop(dropped)
        answer = _answer(planner, held, what, item)
        _leave_if_forked(pid)
        send(connection, number, answer)


def _loaded(load: Any, spec: str) -> tuple[Planner | None, dict[str, Any]]:  # noqa: ANN401
    """Load the planner; return it with what the other process needs to know of it."""
    try:
        planner, metadata = load(spec)
        cameras = getattr(planner, "cameras", None)
        return planner, {
            "name": type(planner).__name__,
            "cameras": None if cameras is None or callable(cameras) else [str(name) for name in cameras],
            "chooses_cameras": callable(cameras),
            "privileged": bool(getattr(planner, "privileged", False)),
            "future_only": bool(getattr(planner, "future_only", False)),
            "recording": bool(getattr(planner, "recording", False)),
            "route": bool(getattr(planner, "route", False)),
            "image_limits": {name: _plain(getattr(planner, name)) for name in _OF_IMAGES if hasattr(planner, name)},
            "has_prepare_image": preparation_of(planner) is not None,
            "has_plan_batch": callable(getattr(planner, "plan_batch", None)),
            "has_check_sensors": callable(getattr(planner, "check_sensors", None)),
            "metadata": dict(metadata),
        }
    except SwerveError as error:
        return None, {"refused": str(error)}
    except BaseException as error:  # What a planner's module and class raise, SystemExit and KeyboardInterrupt too.
        return None, {"failed": printable(f"{type(error).__name__}: {error}")[:LONGEST_ERROR]}


def _plain(value: object) -> float | str:
    return float(value) if isinstance(value, (int, float)) else str(value)


class _HeldImages:
    """Prepared images with their cameras, by key."""

    def __init__(self) -> None:
        self._images: dict[int, tuple[Image, Camera]] = {}

    def prepare(self, planner: Planner, key: int, image: Image, camera: Camera) -> None:
        """Keep what a planner's `prepare_image` returns, read-only."""
        prepare = preparation_of(planner)
        assert prepare is not None
        made, seen_by = prepare(image, camera)
        made.setflags(write=False)
        self._images[key] = made, seen_by

    def drop(self, keys: Iterable[int]) -> None:
        """Forget images."""
        for key in keys:
            del self._images[key]

    def filled(self, observation: Observation, keys: Sequence[int]) -> Observation:
        """Return an observation with the images of some keys, if it has any."""
        if not keys:
            return observation
        found = [self._images[key] for key in keys]
        cameras = tuple(camera for _, camera in found)
        return replace(observation, cameras=cameras, images={camera.name: image for image, camera in found})


def _answer(planner: Planner, held: _HeldImages, what: str, item: Any) -> bytes:  # noqa: ANN401
    """Answer a request: "plan" with observations, "prepare" an image, "cameras" with a rig, "check", or "drop"."""
    if what == "plan":
        return encode_outputs(_plan(planner, [held.filled(*one) for one in item]))
    try:
        if what == "cameras":
            return encode_json({"names": [str(name) for name in planner.cameras(item)]})  # type: ignore[attr-defined]
        if what == "prepare":
            held.prepare(planner, *item)
        elif what == "check":
            planner.check_sensors()  # type: ignore[attr-defined]
        return encode_json({})
    except SwerveError as error:
        return encode_json({"refused": str(error)})
    except BaseException as error:
        return encode_json({"failed": printable(f"{type(error).__name__}: {error}")[:LONGEST_ERROR]})


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


def _end_at_hangup(lifeline: int) -> None:
    """Fork a process that waits for the end of a pipe, and then ends this one with all that it started.

    A thread could not do it while the planner's code holds the interpreter's lock.
    """
    if os.fork() == 0:
        os.closerange(0, lifeline)
        os.closerange(lifeline + 1, _MOST_FILES)
        os.read(lifeline, 1)
        os.killpg(0, signal.SIGKILL)
    os.close(lifeline)


def _die_first() -> None:
    """Let the kernel choose this process first when memory runs out."""
    if sys.platform == "linux":
        with suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
            file.write("900")


def _limit_memory(gigabytes: float) -> None:
    """Limit what this process may allocate."""
    if gigabytes:
        limit = int(gigabytes * 1e9)
        resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))
