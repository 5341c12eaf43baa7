"""Worker process of a job: receives parts of logs, builds them, and reports to the parent."""

import io
import signal
import threading
import traceback
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Protocol, runtime_checkable

from swerve.data.jobs.failures import Failure
from swerve.data.jobs.schedule import Task
from swerve.data.jobs.signals import end_with_parent
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.data.jobs.work import JobSpec, LogHandle
from swerve.data.storage.files import unwritable_message
from swerve.data.storage.mirror import Attachment, attach
from swerve.scenes import SwerveError
from swerve.scenes.compilation import tell_compilation
from swerve.scenes.errors import WriteError


@dataclass(frozen=True)
class LogOpened:
    """Message: the log is loaded, with its number of parts."""

    log: str
    chunks: int


@dataclass(frozen=True)
class PartProgress:
    """Message: a scene begins, with the number of items and the finished share of the part."""

    token: str
    count: int
    share: float


@dataclass(frozen=True)
class PartFinished:
    """Message: the part is finished, with its items, failures and timing."""

    count: int
    failures: tuple[Failure, ...]
    seconds: dict[str, float]


@dataclass(frozen=True)
class PartFailed:
    """Message: the part failed; if `whole_log`, all parts of the log; if `stop`, the whole job."""

    failure: Failure
    whole_log: bool = False
    stop: bool = False


@dataclass(frozen=True)
class Compiling:
    """Message: kernels of this group are being compiled; none any more if it is empty."""

    group: str


@dataclass(frozen=True)
class Printed:
    """Message: the work printed this, such as a planner with `print`."""

    text: str


Message = LogOpened | PartProgress | PartFinished | PartFailed | Compiling | Printed


class Channel:
    """Connection to the parent that several threads may send through."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._lock = connection, threading.Lock()

    def send(self, message: Message) -> None:
        """Send a message."""
        with self._lock:
            self._connection.send(message)

    def try_send(self, message: Message) -> bool:
        """Send a message, unless another one is being sent; return whether it was sent."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            self._connection.send(message)
        finally:
            self._lock.release()
        return True

    def receive(self) -> Task | None:
        """Receive the next task; None at the end."""
        try:
            task: Task | None = self._connection.recv()
            return task
        except EOFError:
            return None


@runtime_checkable
class Sender(Protocol):
    """Sender of a worker's messages to the process that runs the job."""

    def send(self, message: Message) -> None:
        """Send a message."""

    def try_send(self, message: Message) -> bool:
        """Send a message, unless another one is being sent; return whether it was sent."""


class PrintedText(io.TextIOBase):
    """Text stream that sends what is written to the parent, line by line: it would tear the parent's progress bar."""

    def __init__(self, channel: Sender) -> None:
        # Text may be printed while a message is sent, in the same thread, by what the collector of garbage calls: it is
        # kept for the next message.
        self._channel, self._rest, self._lock = channel, "", threading.RLock()
        self._lines = list[str]()

    def writable(self) -> bool:
        """Return that text can be written."""
        return True

    def write(self, text: str) -> int:
        """Send the lines that are complete."""
        with self._lock:
            *lines, self._rest = f"{self._rest}{text}".split("\n")
            self._lines += lines
            if self._lines and self._channel.try_send(Printed("\n".join(self._lines))):
                self._lines.clear()
        return len(text)


def worker_main(work: JobSpec, folder: Path, connection: Connection, attached: Sequence[Attachment] = ()) -> None:
    """Process tasks from the connection until None arrives or the connection closes.

    Args:
        work: work of the job.
        folder: output folder.
        connection: to the parent.
        attached: scratch folders whose files are published from here, see `swerve.data.storage.mirror`.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # blocked while this process was started
    end_with_parent()  # so that the next run does not meet a writer of this one
    channel = Channel(connection)
    attach(attached)
    runner = TaskRunner(work, folder, channel)
    tell_compilation(lambda group: channel.send(Compiling(group)))
    with redirect_stdout(PrintedText(channel)), redirect_stderr(PrintedText(channel)):
        while (task := channel.receive()) is not None:
            runner.run(task)


class TaskRunner:
    """Runs tasks in a worker, which holds one log at a time.

    Args:
        work: work of the job.
        folder: output folder.
        channel: receives the messages; the last of a task is `PartFinished` or `PartFailed`.
    """

    def __init__(self, work: JobSpec, folder: Path, channel: Sender) -> None:
        self._work, self._folder, self._channel = work, folder, channel
        self._watch, self._log = Stopwatch(), ""
        self._opened: LogHandle | None = None

    def run(self, task: Task) -> None:
        """Run a task, after reading its log if another one is held."""
        if self._opened is None or self._log != task.log:
            self._opened = None  # one log in memory at a time
            self._log, self._opened = task.log, _opened(self._work, task.log, self._watch, self._channel)
        if self._opened is not None and task.chunk >= self._opened.chunks:  # a run of an array with none of its parts
            self._channel.send(PartFinished(0, (), self._watch.take()))
        elif self._opened is not None:
            self._channel.send(_made(self._opened, task, self._folder, self._watch, self._channel))


def _opened(work: JobSpec, log: str, watch: Stopwatch, channel: Sender) -> LogHandle | None:
    """Open the log; return None and notify the parent if it cannot be opened."""
    try:
        opened = work.open(log, watch)
        chunks = opened.chunks
    except WriteError as error:
        channel.send(PartFailed(Failure(log, "", "", str(error)), stop=True))
        return None
    except SwerveError as error:
        channel.send(PartFailed(Failure(log, "", "", str(error)), whole_log=True))
        return None
    except Exception as error:  # boundary of the process: the parent shows the traceback and fails the job
        channel.send(PartFailed(_fault(log, "", error), whole_log=True))
        return None
    channel.send(LogOpened(log, chunks))
    return opened


def _made(opened: LogHandle, task: Task, folder: Path, watch: Stopwatch, channel: Sender) -> PartFinished | PartFailed:
    """Build a part and return its result."""
    at = [""]

    def report(token: str, count: int, share: float) -> None:
        at[0] = token
        channel.send(PartProgress(token, count, share))

    try:
        made = opened.make(task.chunk, report)
    except OSError as error:
        return PartFailed(Failure(task.log, at[0], "", unwritable_message(folder, error)), stop=True)
    except WriteError as error:
        return PartFailed(Failure(task.log, at[0], "", str(error)), stop=True)
    except SwerveError as error:
        return PartFailed(Failure(task.log, at[0], "", str(error)))
    except Exception as error:  # boundary of the process, as above
        return PartFailed(_fault(task.log, at[0], error))
    return PartFinished(made.count, made.failures, watch.take())


def _fault(log: str, token: str, error: Exception) -> Failure:
    """Return an unexpected exception as a failure with its traceback."""
    return Failure(log, token, "", f"{type(error).__name__}: {error}", traceback.format_exc())
