"""Messages between an evaluating process and a planner's: length, number and content over a socket.

Requests carry a pickle of what the evaluating process trusts, itself; its large arrays lie in shared memory. Replies
are JSON, and the poses of trajectories as float64: nothing of a reply is ever unpickled.
"""

import json
import mmap
import os
import pickle
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from swerve.eval.benchmark.evaluate.call_planner import PlannerOutput
from swerve.scenes.errors import SwerveError
from swerve.scenes.planning import Trajectory

# Number of the request, and bytes that follow.
_HEAD = struct.Struct("<QQ")
# Largest reply, bytes, and longest error message and trajectory in it.
LARGEST_REPLY = 64 << 20
LONGEST_ERROR = 20_000
LONGEST_LINE = 500
MOST_POSES = 10_000
_ALIGNMENT = 64


class PlannerTimeout(Exception):
    """No answer came in time."""


class PlannerGone(Exception):
    """The other process closed its end, or sent what is not a message."""


def send(connection: socket.socket, number: int, content: bytes) -> None:
    """Send a message.

    Raises:
        PlannerGone: the other process is gone.
    """
    try:
        connection.sendall(_HEAD.pack(number, len(content)) + content)
    except TimeoutError as error:
        raise PlannerTimeout from error
    except OSError as error:
        raise PlannerGone from error


def receive(connection: socket.socket, timeout: float | None = None, largest: int | None = None) -> tuple[int, bytes]:
    """Receive a message: its number and content.

    Args:
        connection: the socket.
        timeout: seconds to wait for the whole message; without end if None.
        largest: most bytes of its content; any if None.

    Raises:
        PlannerTimeout: it did not come in time.
        PlannerGone: the other process is gone, or the message is too large.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    number, size = _HEAD.unpack(_receive_bytes(connection, _HEAD.size, deadline))
    if largest is not None and size > largest:
        raise PlannerGone(f"sent {size} bytes instead of an answer")
    return number, _receive_bytes(connection, size, deadline)


def _receive_bytes(connection: socket.socket, count: int, deadline: float | None) -> bytes:
    found = bytearray()
    while len(found) < count:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise PlannerTimeout
        connection.settimeout(left)
        try:
            part = connection.recv(min(count - len(found), 1 << 20))
        except TimeoutError as error:
            raise PlannerTimeout from error
        except OSError as error:
            raise PlannerGone from error
        if not part:
            raise PlannerGone
        found += part
    return bytes(found)


@dataclass(eq=False)
class SharedArrays:
    """A file in memory that both processes map; it grows as needed, and is overwritten by every request.

    Attributes:
        file: its descriptor.
    """

    file: int
    _size: int = 0
    _map: mmap.mmap | None = None

    @classmethod
    def create(cls) -> "SharedArrays":
        """Create an empty file."""
        return cls(os.memfd_create("swerve-planner"))

    def dump(self, item: Any) -> bytes:  # noqa: ANN401
        """Return a pickle of an item, whose arrays are written to the file."""
        buffers = list[pickle.PickleBuffer]()
        body = pickle.dumps(item, protocol=5, buffer_callback=buffers.append)
        views = [buffer.raw() for buffer in buffers]
        starts = np.cumsum([0, *(-(-view.nbytes // _ALIGNMENT) * _ALIGNMENT for view in views)]).tolist()
        mapped = self._mapped(starts[-1])
        for start, view in zip(starts, views, strict=False):
            mapped[start : start + view.nbytes] = view
        return pickle.dumps((body, [(start, view.nbytes) for start, view in zip(starts, views, strict=False)]))

    def load(self, content: bytes) -> Any:  # noqa: ANN401
        """Return the item of a pickle by `dump`, with copies of its arrays, which are read-only."""
        body, places = pickle.loads(content)
        mapped = self._mapped(max((start + size for start, size in places), default=0))
        return pickle.loads(body, buffers=[mapped[start : start + size] for start, size in places])

    def close(self) -> None:
        """Unmap and close the file."""
        if self._map is not None:
            self._map.close()
        os.close(self.file)

    def _mapped(self, size: int) -> mmap.mmap:
        """Return the mapping, after growing the file to a size."""
        if self._map is None or size > self._size:
            if self._map is not None:
                self._map.close()
            self._size = max(size, 2 * self._size, mmap.PAGESIZE)
            if os.fstat(self.file).st_size < self._size:
                os.ftruncate(self.file, self._size)
            self._map = mmap.mmap(self.file, self._size)
        return self._map


def encode_outputs(outputs: Sequence[PlannerOutput]) -> bytes:
    """Encode the outputs of a planner as a reply."""
    heads, arrays = list[dict[str, Any]](), list[bytes]()
    for output in outputs:
        plan, error = output.plan, output.error
        if plan is not None and len(plan.poses) > MOST_POSES:
            error = f"the trajectory has {len(plan.poses)} poses, {MOST_POSES} are the most"
            plan = None
        head = {"error": _shortened(error), "seconds": output.seconds}
        if plan is not None:
            arrays.append(np.ascontiguousarray(plan.poses, np.float64).tobytes())
            head |= {"poses": len(plan.poses), "interval": plan.interval}
        heads.append(head)
    return encode_json({"outputs": heads}) + b"".join(arrays)


def decode_outputs(reply: bytes, count: int) -> list[PlannerOutput]:
    """Decode a reply of `encode_outputs`.

    Raises:
        PlannerGone: it is none, or of another number of observations.
    """
    try:
        head, rest = decode_json(reply)
        found, start = list[PlannerOutput](), 0
        for one in head["outputs"]:
            plan = None
            if "poses" in one:
                end = start + 24 * int(one["poses"])
                poses = np.frombuffer(rest[start:end], np.float64).reshape(int(one["poses"]), 3).copy()
                plan, start = Trajectory(poses, float(one["interval"])), end
            found.append(PlannerOutput(plan, str(one["error"]), float(one["seconds"])))
    except (ValueError, KeyError, TypeError, IndexError, OverflowError, SwerveError) as error:
        raise PlannerGone("sent something that is not an answer") from error
    if len(found) != count:
        raise PlannerGone(f"answered for {len(found)} observations instead of {count}")
    return found


def encode_json(content: dict[str, Any]) -> bytes:
    """Encode JSON with its length before it."""
    text = json.dumps(content).encode()
    return struct.pack("<Q", len(text)) + text


def decode_json(reply: bytes) -> tuple[dict[str, Any], bytes]:
    """Decode the result of `encode_json`; also return what follows.

    Raises:
        ValueError: it is none.
    """
    if len(reply) < 8:
        raise ValueError("shorter than its head")
    end = 8 + struct.unpack("<Q", reply[:8])[0]
    try:
        head = json.loads(reply[8:end])
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    if not isinstance(head, dict):
        raise ValueError("not an object")
    return head, reply[end:]


def _shortened(text: str) -> str:
    """Shorten the lines of an error message, then its middle; its last line is what tables show."""
    lines = text[: 100 * LONGEST_ERROR].encode(errors="replace").decode().splitlines()
    text = "\n".join(line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}..." for line in lines)
    half = LONGEST_ERROR // 2
    return text if len(text) <= LONGEST_ERROR else f"{text[:half]}\n[...]\n{text[-half:]}"
