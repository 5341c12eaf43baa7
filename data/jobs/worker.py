"""Worker process of a job: receives parts of logs, builds them, and reports to the parent."""

import os
import signal
import threading
import traceback
from dataclasses import dataclass
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from pathlib import Path

from swerve.data.jobs.failures import Failure
from swerve.data.jobs.schedule import Task
from swerve.data.jobs.stopwatch import Stopwatch
from swerve.data.jobs.work import JobSpec, LogHandle
from swerve.data.storage.files import unwritable_message
from swerve.scenes import SwerveError


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


Message = LogOpened | PartProgress | PartFinished | PartFailed


def worker_main(work: JobSpec, folder: Path, connection: Connection) -> None:
    """Process tasks from the connection until None arrives or the connection closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    threading.Thread(target=_die_with_parent, daemon=True).start()
    watch, held, opened = Stopwatch(), "", None
    while (task := _receive(connection)) is not None:
        if opened is None or held != task.log:
            opened = None  # one log in memory at a time
            held, opened = task.log, _opened(work, task.log, watch, connection)
        if opened is not None:
            connection.send(_made(opened, task, folder, watch, connection))


def _die_with_parent() -> None:
    """End this process when the parent ends, so that the next run does not meet its writer."""
    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _receive(connection: Connection) -> Task | None:
    """Receive the next task; None at the end."""
    try:
        task: Task | None = connection.recv()
        return task
    except EOFError:
        return None


def _opened(work: JobSpec, log: str, watch: Stopwatch, connection: Connection) -> LogHandle | None:
    """Open the log; return None and notify the parent if it cannot be opened."""
    try:
        opened = work.open(log, watch)
        chunks = opened.chunks
    except SwerveError as error:
        connection.send(PartFailed(Failure(log, "", "", str(error)), whole_log=True))
        return None
    except Exception as error:  # boundary of the process: the parent shows the traceback and fails the job
        connection.send(PartFailed(_fault(log, "", error), whole_log=True))
        return None
    connection.send(LogOpened(log, chunks))
    return opened


def _made(
    opened: LogHandle, task: Task, folder: Path, watch: Stopwatch, connection: Connection
) -> PartFinished | PartFailed:
    """Build a part and return its result."""
    at = [""]

    def report(token: str, count: int, share: float) -> None:
        at[0] = token
        connection.send(PartProgress(token, count, share))

    try:
        made = opened.make(task.chunk, report)
    except OSError as error:
        return PartFailed(Failure(task.log, at[0], "", unwritable_message(folder, error)), stop=True)
    except SwerveError as error:
        return PartFailed(Failure(task.log, at[0], "", str(error)))
    except Exception as error:  # boundary of the process, as above
        return PartFailed(_fault(task.log, at[0], error))
    return PartFinished(made.count, made.failures, watch.take())


def _fault(log: str, token: str, error: Exception) -> Failure:
    """Return an unexpected exception as a failure with its traceback."""
    return Failure(log, token, "", f"{type(error).__name__}: {error}", traceback.format_exc())
