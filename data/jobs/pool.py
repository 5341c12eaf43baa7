"""The worker processes of a job: started, fed, watched, replaced when they die."""

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

from swerve.data.jobs.failures import Failure
from swerve.data.jobs.schedule import Schedule, Task
from swerve.data.jobs.work import Work
from swerve.data.jobs.worker import Advanced, Broken, Finished, Message, Opened, worker_main
from swerve.scenes import SwerveError

# Libraries that would start threads of their own: one process per core is enough.
_ONE_THREAD = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


@runtime_checkable
class Listener(Protocol):
    """Whoever wants to know how a job goes."""

    def opened(self, log: str, chunks: int) -> None:
        """A log has so many parts."""

    def advanced(self, task: Task, count: int, share: float) -> None:
        """So many things of a part are made, and this share of it."""

    def finished(self, task: Task, count: int, seconds: dict[str, float]) -> None:
        """A part is done."""

    def failed(self, task: Task, failure: Failure) -> None:
        """A thing, a part, or a log failed."""

    def tick(self) -> None:
        """Time passes."""


@dataclass
class _Worker:
    """A process and what it works on."""

    process: SpawnProcess
    connection: Connection
    task: Task | None = None
    held: str | None = None
    token: str = ""


def run_tasks(work: Work, folder: Path, schedule: Schedule, workers: int, listener: Listener) -> list[Failure]:
    """Works through a schedule.

    Args:
        work: what the workers do.
        folder: where they write.
        schedule: what there is to do.
        workers: number of processes; none is started without work.
        listener: is told what happens.

    Returns:
        failures of parts that have no record: of whole logs, or of the program.

    Raises:
        SwerveError: the folder cannot be written.
    """
    return _Pool(work, folder, schedule, workers, listener).run()


class _Pool:
    """The state of `run_tasks`."""

    def __init__(self, work: Work, folder: Path, schedule: Schedule, size: int, listener: Listener) -> None:
        self._work, self._folder = work, folder
        self._schedule, self._size, self._listener = schedule, size, listener
        self._workers, self._failures = list[_Worker](), list[Failure]()

    def run(self) -> list[Failure]:
        """Until nothing is left; ends every process, however it ends itself."""
        try:
            self._feed()
            while busy := {worker.connection: worker for worker in self._workers if worker.task}:
                for connection in wait(list(busy), timeout=0.5):
                    self._hear(busy[connection])  # type: ignore[index]
                self._listener.tick()
                self._feed()
        finally:
            for worker in self._workers:
                worker.process.kill()
                worker.process.join()
                worker.connection.close()
        return self._failures

    def _feed(self) -> None:
        """Gives every idle worker a task, if there is one; starts workers as long as there are too few."""
        for worker in self._workers:
            if worker.task is None and (task := self._schedule.next(worker.held)) is not None:
                self._give(worker, task)
        while len(self._workers) < self._size and (task := self._schedule.next(None)) is not None:
            self._workers.append(_start(self._work, self._folder))
            self._give(self._workers[-1], task)

    def _give(self, worker: _Worker, task: Task) -> None:
        """Sends a task; a worker that is dead already is noticed when it is listened to."""
        worker.task, worker.held, worker.token = task, task.log, ""
        with suppress(BrokenPipeError):
            worker.connection.send(task)

    def _hear(self, worker: _Worker) -> None:
        """Takes one message; the end of the connection is the end of the worker."""
        try:
            self._handle(worker, worker.connection.recv())
        except (EOFError, ConnectionResetError):
            self._bury(worker)

    def _handle(self, worker: _Worker, message: Message) -> None:
        """Passes the news on."""
        task = worker.task
        assert task is not None, "only busy workers are listened to"
        if isinstance(message, Opened):
            self._schedule.opened(message.log, message.chunks)
            self._listener.opened(message.log, message.chunks)
        elif isinstance(message, Advanced):
            worker.token = message.token
            self._listener.advanced(task, message.count, message.share)
        elif isinstance(message, Finished):
            worker.task = None
            self._listener.finished(task, message.count, message.seconds)
            for failure in message.failures:
                self._listener.failed(task, failure)
        else:
            worker.task = None
            self._fail(task, message)

    def _fail(self, task: Task, message: Broken) -> None:
        """A part or a log cannot be made."""
        if message.stop:
            raise SwerveError(message.failure.reason)
        if message.whole_log:
            self._schedule.abandon(task.log)
        self._failures.append(message.failure)
        self._listener.failed(task, message.failure)

    def _bury(self, worker: _Worker) -> None:
        """A worker died: its part fails, and a new worker takes its place with the next task."""
        worker.process.join()
        self._workers.remove(worker)
        task = worker.task
        assert task is not None, "only busy workers are listened to"
        failure = Failure(task.log, worker.token, "", _cause_of_death(worker.process.exitcode or 0))
        self._fail(task, Broken(failure))


def _cause_of_death(code: int) -> str:
    """In words."""
    if code == -signal.SIGKILL:
        return "worker was killed (SIGKILL): most likely out of memory. Use fewer --workers"
    name = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return f"worker ended by itself ({name})"


def _start(work: Work, folder: Path) -> _Worker:
    """A new process; it shares nothing with this one but the connection."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=worker_main, args=(work, folder, theirs), daemon=True)
    with _single_threaded():
        process.start()
    theirs.close()
    return _Worker(process, ours)


@contextmanager
def _single_threaded() -> Iterator[None]:
    """Processes started inside inherit an environment that keeps libraries to one thread."""
    before = {name: os.environ.get(name) for name in _ONE_THREAD}
    os.environ.update(dict.fromkeys(_ONE_THREAD, "1"))
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
