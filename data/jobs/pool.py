"""Process pool of a job: starts, feeds and monitors workers, and replaces those that die."""

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Protocol, runtime_checkable

from swerve.data.jobs.failures import FailedPart, Failure
from swerve.data.jobs.main_guard import UNGUARDED, UNGUARDED_MESSAGE
from swerve.data.jobs.schedule import Schedule, Task
from swerve.data.jobs.signals import signals_blocked
from swerve.data.jobs.work import JobSpec
from swerve.data.jobs.worker import (
    Compiling,
    LogOpened,
    Message,
    PartFailed,
    PartFinished,
    PartProgress,
    Printed,
    worker_main,
)
from swerve.data.storage.mirror import attachments
from swerve.scenes.errors import SwerveError, WriteError

# Libraries that would start their own threads: one process per core is enough.
ONE_THREAD = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@runtime_checkable
class ProgressListener(Protocol):
    """Interface for progress events of a job."""

    def opened(self, log: str, chunks: int) -> None:
        """Handle a loaded log with its number of parts."""

    def advanced(self, task: Task, count: int, share: float) -> None:
        """Handle progress: number of items and finished share of a part."""

    def finished(self, task: Task, count: int, seconds: dict[str, float]) -> None:
        """Handle a finished part."""

    def abandoned(self, task: Task, whole_log: bool) -> None:
        """Handle a part that is not made, or all that remain of its log."""

    def failed(self, task: Task, failure: Failure) -> None:
        """Handle the failure of an item, a part, or a log."""

    def compiling(self, worker: int, group: str) -> None:
        """Handle a worker that compiles kernels of a group; none any more if it is empty."""

    def printed(self, text: str) -> None:
        """Handle lines that the work printed."""

    def tick(self) -> None:
        """Handle a periodic tick."""


@dataclass(kw_only=True)
class Worker:
    """State of a worker.

    Attributes:
        task: the current one.
        held: log that it holds.
        token: scene that it makes.
    """

    task: Task | None = None
    held: str | None = None
    token: str = ""


@dataclass
class _Process(Worker):
    """Worker process of this machine."""

    process: SpawnProcess
    connection: Connection


def run_tasks(
    work: JobSpec, folder: Path, schedule: Schedule, workers: int, listener: ProgressListener
) -> list[FailedPart]:
    """Run all tasks of a schedule.

    Args:
        work: work of the job.
        folder: output folder.
        schedule: tasks.
        workers: number of processes; none is started without work.
        listener: receiver of progress events.

    Returns:
        failed parts without a record, and whole logs.

    Raises:
        WriteError: the folder cannot be written.
    """
    return _Pool(work, folder, schedule, workers, listener).run()


class _Pool:
    """State of `run_tasks`."""

    def __init__(self, work: JobSpec, folder: Path, schedule: Schedule, size: int, listener: ProgressListener) -> None:
        self._work, self._folder = work, folder
        self._schedule, self._size, self._listener = schedule, size, listener
        self._workers, self._book = list[_Process](), JobBook(schedule, listener)

    def run(self) -> list[FailedPart]:
        """Run until no task is left; terminate every process on any exit."""
        try:
            self._feed()
            while busy := {worker.connection: worker for worker in self._workers if worker.task}:
                for connection in wait(list(busy), timeout=0.5):
                    self._hear(busy[connection])  # type: ignore[index]  # it returns what it is given
                self._listener.tick()
                self._feed()
        finally:
            for worker in self._workers:
                worker.process.kill()
                worker.process.join()
                worker.connection.close()
        return self._book.failures

    def _feed(self) -> None:
        """Give every idle worker a task, if there is one; start workers while there are too few."""
        for worker in self._workers:
            if worker.task is None and (task := self._schedule.next(worker.held)) is not None:
                self._give(worker, task)
        while len(self._workers) < self._size and (task := self._schedule.next(None)) is not None:
            self._workers.append(_start(self._work, self._folder))
            self._give(self._workers[-1], task)

    def _give(self, worker: _Process, task: Task) -> None:
        """Send a task; a dead worker is detected on the next receive."""
        worker.task, worker.held, worker.token = task, task.log, ""
        with suppress(BrokenPipeError):
            worker.connection.send(task)

    def _hear(self, worker: _Process) -> None:
        """Receive one message; a connection that is closed, maybe within a message, means that the worker ended."""
        try:
            message: Message = worker.connection.recv()
        except (EOFError, OSError):
            self._bury(worker)
            return
        self._book.handle(worker, worker.process.pid or 0, message)

    def _bury(self, worker: _Process) -> None:
        """Record the death of a worker: its part fails, and a new worker replaces it with the next task.

        Raises:
            SwerveError: it died of a script that begins the job whenever it is imported.
        """
        worker.process.join()
        self._workers.remove(worker)
        if worker.process.exitcode == UNGUARDED:
            raise SwerveError(UNGUARDED_MESSAGE) from None
        self._listener.compiling(worker.process.pid or 0, "")
        self._book.died(worker, _cause_of_death(worker.process.exitcode or 0))


class JobBook:
    """Handler of the messages of workers, wherever they are.

    Attributes:
        failures: failed parts without a record, and whole logs.

    Args:
        schedule: the tasks.
        listener: receiver of progress events.
    """

    def __init__(self, schedule: Schedule, listener: ProgressListener) -> None:
        self._schedule, self._listener = schedule, listener
        self.failures = list[FailedPart]()

    def handle(self, worker: Worker, number: int, message: Message) -> None:
        """Dispatch a message of a worker, which has a number, to the listener.

        Raises:
            WriteError: the folder cannot be written.
        """
        task = worker.task
        assert task is not None, "only busy workers are polled"
        if isinstance(message, Compiling):
            self._listener.compiling(number, message.group)
        elif isinstance(message, Printed):
            self._listener.printed(message.text)
        elif isinstance(message, LogOpened):
            self._schedule.opened(message.log, message.chunks)
            self._listener.opened(message.log, max(len(self._schedule.owned(message.log, message.chunks)), 1))
        elif isinstance(message, PartProgress):
            worker.token = message.token
            self._listener.advanced(task, message.count, message.share)
        elif isinstance(message, PartFinished):
            worker.task = None
            self._listener.finished(task, message.count, message.seconds)
            for failure in message.failures:
                self._listener.failed(task, failure)
        else:
            worker.task = None
            self._fail(task, message)

    def died(self, worker: Worker, cause: str) -> None:
        """Record that a worker died: its part fails."""
        task = worker.task
        assert task is not None, "only busy workers are polled"
        self._fail(task, PartFailed(Failure(task.log, worker.token, "", cause)))

    def _fail(self, task: Task, message: PartFailed) -> None:
        """Record the failure of a part or a log."""
        if message.stop:
            raise WriteError(message.failure.reason)
        if message.whole_log:
            self._schedule.abandon(task.log)
        self._listener.abandoned(task, message.whole_log)
        self.failures.append(FailedPart(task.log, None if message.whole_log else task.chunk, message.failure))
        self._listener.failed(task, message.failure)


def _cause_of_death(code: int) -> str:
    """Describe an exit code in words."""
    if code == -signal.SIGKILL:
        return "worker was killed (SIGKILL): probably out of memory. Use fewer --workers"
    name = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return f"worker exited ({name})"


def _start(work: JobSpec, folder: Path) -> _Process:
    """Start a new process, which shares only the connection with this one."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=worker_main, args=(work, folder, theirs, attachments()), daemon=True)
    # SIGTERM waits: a process that has received half of what it needs would print a traceback.
    with _single_threaded(), signals_blocked(signal.SIGINT, signal.SIGTERM):
        process.start()
    theirs.close()
    return _Process(process, ours)


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Limit libraries to one thread in processes started inside the block."""
    before = {name: os.environ.get(name) for name in ONE_THREAD}
    os.environ.update(dict.fromkeys(ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
