"""Ray executor: the workers of a job are actors of a Ray cluster, which all see the output folder.

Actors live as long as the job and hold one log each, so that a log is read once by each worker that makes parts of it.
An actor has at most one task: nothing queues up in the cluster. This process holds the schedule and the records of
failures alone; results go from the actors to the folder.
"""

import os
import queue
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from swerve.data.jobs.execution import RAY, Execution, Resources
from swerve.data.jobs.failures import FailedPart
from swerve.data.jobs.pool import ONE_THREAD, JobBook, ProgressListener, Worker
from swerve.data.jobs.schedule import Schedule, Task
from swerve.data.jobs.work import JobSpec
from swerve.data.jobs.worker import Compiling, Message, PartFailed, PartFinished, PrintedText, TaskRunner
from swerve.data.storage.mirror import Attachment, attach, attachments
from swerve.scenes import MissingExtraError, SwerveError
from swerve.scenes.compilation import tell_compilation

# Times that a part is tried where its actor dies: a node may be lost, memory may be short for a moment.
TRIES: Final = 3
_INSTALL: Final = "pip install 'PATH[ray]', where PATH is Swerve's folder"


# Seconds between two looks at the head, and after which one that does not answer is gone: Ray ends this process by
# itself, without a traceback, after 60.
_LOOK_PERIOD: Final = 3.0
_HEAD_PATIENCE: Final = 30.0
# Services of heads that this process has lost: its connection to them cannot be used again.
_LOST: Final = set[str]()


class HeadWatch:
    """Watch over the head of a Ray cluster, by connections to one of its services.

    Attributes:
        is_lost: whether it is gone.

    Args:
        address: HOST:PORT of the service. One that cannot be reached from here at first is not watched, as where a
            proxy stands between.
    """

    def __init__(self, address: str) -> None:
        self._address, (host, _, port) = address, address.rpartition(":")
        self._place = (host, int(port)) if port.isdigit() else None
        self._looked, self.is_lost = time.monotonic(), False
        self._missed: float | None = None
        if not self._answers():
            self._place = None

    def check(self) -> None:
        """Look whether the head is there, from time to time.

        Raises:
            SwerveError: it has not answered since a look of 30 seconds ago. Time without a look says nothing: this
                process may have stalled.
        """
        now = time.monotonic()
        if self._place is None or now - self._looked < _LOOK_PERIOD:
            return
        self._looked = now
        if self._answers():
            self._missed = None
        elif self._missed is None:
            self._missed = now
        elif now - self._missed > _HEAD_PATIENCE:
            raise self.lost()

    def lost(self) -> SwerveError:
        """Note that the head is gone; return the error."""
        self.is_lost = True
        gone = f"the head of the Ray cluster ({self._address}) is gone"
        return SwerveError(f"{gone}. Start the cluster anew, then the same command goes on")

    def _answers(self) -> bool:
        if self._place is None:
            return False
        try:
            socket.create_connection(self._place, timeout=2.0).close()
        except OSError:
            return False
        return True


@dataclass
class _Actor(Worker):
    """Actor of the cluster, and the messages of its task."""

    number: int
    actor: Any
    starting: Any
    messages: Any = None


def run_on_ray(
    work: JobSpec,
    folder: Path,
    schedule: Schedule,
    execution: Execution,
    needs: Resources,
    listener: ProgressListener,
) -> list[FailedPart]:
    """Run all tasks of a schedule on a Ray cluster.

    Args:
        work: work of the job.
        folder: output folder, which all nodes see.
        schedule: tasks.
        execution: number of actors, by default as many as the cluster can hold; and the cluster: "ray" for that of
            `RAY_ADDRESS`, or a new one on this machine, else ray://HOST:PORT.
        needs: CPUs and GPUs of an actor.
        listener: receiver of progress events.

    Returns:
        failed parts without a record, and whole logs.

    Raises:
        MissingExtraError: ray is not installed.
        SwerveError: the cluster cannot be reached, or its head is gone, now or in an earlier job of this process.
        WriteError: the folder cannot be written.
    """
    ray = _ray()
    own = not ray.is_initialized()
    if own:
        _connect(ray, execution.on)
    service = _service(ray, execution.on)
    if not own and service in _LOST:
        raise SwerveError(f"this process is connected to a Ray head that is gone ({service}): start Python anew")
    head = HeadWatch(service)
    try:
        size = execution.workers or capacity(ray.cluster_resources(), needs)
        return _RayPool(ray, work, folder.absolute(), schedule, (size, needs), listener, head).run()
    except ConnectionError as error:  # of ray://HOST, whose client gives up by itself
        if execution.on == RAY or isinstance(error, BrokenPipeError):
            raise
        raise head.lost() from error
    finally:
        if head.is_lost:  # Ray would ask it to end the connection, which therefore stays
            _LOST.add(service)
        elif own:
            ray.shutdown()


def _service(ray: Any, address: str) -> str:  # noqa: ANN401
    """Return HOST:PORT of a service of the cluster's head: the one that was given, or else the control service."""
    return address.removeprefix("ray://") if address != RAY else ray.get_runtime_context().gcs_address


def capacity(there: Mapping[str, float], needs: Resources) -> int:
    """Return how many actors a cluster holds at a time, at least one."""
    holds = there.get("CPU", 1) // needs.cpus
    return max(int(min(holds, there.get("GPU", 0) // needs.gpus) if needs.gpus else holds), 1)


def _ray() -> Any:  # noqa: ANN401 a module
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("ray", _INSTALL) from error
    return ray


def _connect(ray: Any, address: str) -> None:  # noqa: ANN401
    """Connect to a cluster.

    Raises:
        SwerveError: it cannot be reached.
    """
    try:
        ray.init(
            address=None if address == "ray" else address,
            log_to_driver=False,
            include_dashboard=None if address != "ray" else False,
            logging_level="ERROR",
        )
    except (ConnectionError, ValueError, RuntimeError, TimeoutError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise SwerveError(f"--on {address}: the Ray cluster cannot be reached ({reason})") from error


class _RayPool:
    """State of `run_on_ray`."""

    def __init__(
        self,
        ray: Any,  # noqa: ANN401
        work: JobSpec,
        folder: Path,
        schedule: Schedule,
        size: tuple[int, Resources],
        listener: ProgressListener,
        head: "HeadWatch",
    ) -> None:
        self._ray, self._schedule, self._listener, self._head = ray, schedule, listener, head
        self._size, needs = size
        self._work, self._folder = ray.put(work), str(folder)
        self._actors, self._book, self._numbers = list[_Actor](), JobBook(schedule, listener), 0
        self._again, self._tries, self._lost_starts = list[Task](), Counter[Task](), 0
        environment = {"env_vars": dict.fromkeys(ONE_THREAD, "1")}
        self._class = ray.remote(num_cpus=needs.cpus, num_gpus=needs.gpus, max_restarts=0, runtime_env=environment)(
            RayWorker
        )

    def run(self) -> list[FailedPart]:
        """Run until no task is left; end every actor on any exit."""
        try:
            self._feed()
            while self._has_next() or any(actor.task for actor in self._actors):
                # An actor that waits for a CPU has no task: others take what there is.
                waited = {
                    actor.starting or actor.messages: actor for actor in self._actors if actor.starting or actor.task
                }
                ready, _ = self._ray.wait(list(waited), num_returns=1, timeout=0.5)
                for one in ready:
                    self._hear(waited[one])
                self._listener.tick()
                self._head.check()
                self._feed()
        finally:
            if not self._head.is_lost:
                for actor in self._actors:
                    self._ray.kill(actor.actor)
        return self._book.failures

    def _next(self, held: str | None) -> Task | None:
        """Return a task whose actor died, or else the next of the schedule."""
        return self._again.pop() if self._again else self._schedule.next(held)

    def _has_next(self) -> bool:
        return bool(self._again) or self._schedule.has_next

    def _feed(self) -> None:
        """Give every idle actor a task, if there is one; start actors while there are too few."""
        for actor in self._actors:
            if not actor.starting and actor.task is None and (task := self._next(actor.held)) is not None:
                self._give(actor, task)
        while len(self._actors) < self._size and self._has_next():
            self._numbers += 1
            handle = self._class.remote(self._work, self._folder, os.getcwd(), attachments())
            self._actors.append(_Actor(self._numbers, handle, handle.ready.remote()))

    def _give(self, actor: _Actor, task: Task) -> None:
        """Start a task; its messages arrive one by one."""
        actor.task, actor.held, actor.token = task, task.log, ""
        self._tries[task] += 1
        actor.messages = actor.actor.run.options(num_returns="streaming").remote(task)

    def _hear(self, actor: _Actor) -> None:
        """Receive one message; an error of Ray means that the actor or its node is gone."""
        try:
            message: Message | None = self._ray.get(actor.starting or next(actor.messages))
        except self._ray.exceptions.RayError as error:
            self._bury(actor, error)
            return
        if actor.starting:
            actor.starting, self._lost_starts = None, 0
        if message is not None:
            self._book.handle(actor, actor.number, message)

    def _bury(self, actor: _Actor, error: Exception) -> None:
        """Record that an actor is gone: its part is tried again by another one, or fails."""
        self._actors.remove(actor)
        self._listener.compiling(actor.number, "")
        task = actor.task
        self._check_idle()
        if task is None:
            self._lost_starts += 1
            if self._lost_starts >= TRIES * self._size:
                raise SwerveError(f"Ray's actors do not start: {(str(error).splitlines() or [''])[0][:300]}")
            return
        if self._tries[task] < TRIES:
            self._again.append(task)
            return
        reason = (str(error).splitlines() or [""])[0][:200]
        self._book.died(actor, f"worker or its node was lost {TRIES} times ({type(error).__name__}: {reason})")

    def _check_idle(self) -> None:
        """Ask actors without a task whether they live: a node takes all of its actors with it.

        A part that is given to a dead one would use up its tries there.
        """
        for actor in self._actors:
            if actor.task is None and not actor.starting:
                actor.starting = actor.actor.ready.remote()


class RayWorker:
    """Actor that runs tasks, one at a time.

    Args:
        work: work of the job.
        folder: output folder.
        current: current folder of the process that started the job, to which relative paths of its options refer.
        attached: scratch folders whose files are published from here, see `swerve.data.storage.mirror`.
    """

    def __init__(self, work: JobSpec, folder: str, current: str, attached: Sequence[Attachment] = ()) -> None:
        with suppress(OSError):  # a node that lacks it serves jobs whose paths are absolute
            os.chdir(current)
        attach(attached)
        self._messages = QueuedMessages()
        self._runner = TaskRunner(work, Path(folder), self._messages)
        tell_compilation(lambda group: self._messages.send(Compiling(group)))

    def ready(self) -> None:
        """Return when the actor has started."""

    def run(self, task: Task) -> Iterator[Message]:
        """Run a task, and yield its messages as they come."""
        yield from self._messages.of(lambda: self._runner.run(task))


class QueuedMessages:
    """Sender whose messages are taken from a queue by another thread."""

    def __init__(self) -> None:
        self._queue = queue.SimpleQueue[Message | BaseException]()

    def send(self, message: Message) -> None:
        """Send a message."""
        self._queue.put(message)

    def try_send(self, message: Message) -> bool:
        """Send a message; return that it was sent."""
        self._queue.put(message)
        return True

    def of(self, run: Callable[[], None]) -> Iterator[Message]:
        """Yield the messages of a task, which runs in another thread, to the last one."""
        thread = threading.Thread(target=self._guarded, args=(run,), daemon=True)
        thread.start()
        while True:
            message = self._queue.get()
            if isinstance(message, BaseException):
                raise message
            yield message
            if isinstance(message, (PartFinished, PartFailed)):
                return

    def _guarded(self, run: Callable[[], None]) -> None:
        try:
            with redirect_stdout(PrintedText(self)), redirect_stderr(PrintedText(self)):
                run()
        except BaseException as error:  # the other thread raises it, which Ray reports
            self._queue.put(error)
