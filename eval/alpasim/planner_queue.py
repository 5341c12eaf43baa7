"""Planner behind a queue: sessions ask at once, one thread plans, in batches where the planner takes them."""

import logging
import queue
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError

from swerve.eval.benchmark.evaluate.call_planner import PlannerOutput, call_planner
from swerve.scenes.planning import Observation, Planner

LOGGER = logging.getLogger(__name__)

_LARGEST_BATCH = 16

Done = Callable[[PlannerOutput], None]


class Plan:
    """A plan that was asked for.

    Args:
        observation: input of the planner.
        done: is called with the output, in the queue's thread, unless the plan was cancelled.
    """

    def __init__(self, observation: Observation, done: Done) -> None:
        # Once planning begins it is let go of: images are large, and `done` refers to the session, which has this plan.
        self._asked: tuple[Observation, Done] | None = (observation, done)
        self._begun, self._lock = False, threading.Lock()
        self.future = Future[PlannerOutput]()

    def output(self, seconds: float) -> PlannerOutput | None:
        """Return the output; None if there is none within so many seconds."""
        try:
            return self.future.result(max(seconds, 0.0))
        except (FutureTimeoutError, CancelledError):
            return None

    def renew(self, observation: Observation, done: Done) -> bool:
        """Ask for another plan instead, at the same place in the queue; return whether planning has not begun."""
        with self._lock:
            if self._begun or self.future.cancelled():
                return False
            self._asked = (observation, done)
            return True

    def begin(self) -> tuple[Observation, Done] | None:
        """Return what is asked for now that planning begins; None if it was cancelled."""
        with self._lock:
            self._begun, asked, self._asked = True, self._asked, None
            return asked if self.future.set_running_or_notify_cancel() else None

    def cancel(self) -> None:
        """Do not plan, unless planning has begun."""
        self.future.cancel()


class PlannerQueue:
    """A planner and the thread that calls it.

    Args:
        planner: plans in that thread only.
        threads: of torch's operators in that thread, if the planner has loaded torch.
    """

    def __init__(self, planner: Planner, threads: int = 1) -> None:
        self.planner, self._threads = planner, threads
        facts = getattr(planner, "facts", None)
        self._batches = callable(getattr(planner, "plan_batch", None)) or bool(getattr(facts, "batches", False))
        self._waiting: queue.SimpleQueue[Plan | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="planner", daemon=True)
        self._thread.start()

    def ask(self, observation: Observation, done: Done) -> Plan:
        """Ask for a plan."""
        plan = Plan(observation, done)
        self._waiting.put(plan)
        return plan

    def close(self, seconds: float = 5.0) -> None:
        """End the thread after the plan that it makes, if that ends in time; plans that wait are cancelled."""
        self._waiting.put(None)
        self._thread.join(seconds)

    def _work(self) -> None:
        if (torch := sys.modules.get("torch")) is not None:
            torch.set_num_threads(self._threads)
        while not self._plan_next():
            pass  # nothing of a batch is kept while the thread waits for the next: its images are large
        while not self._waiting.empty():
            if (rest := self._waiting.get()) is not None:
                rest.cancel()

    def _plan_next(self) -> bool:
        """Make the next plans; return whether they are the last."""
        batch, ended = self._next_batch()
        begun = [(plan, asked) for plan in batch if (asked := plan.begin()) is not None]
        if begun:
            self._plan(begun)
        return ended

    def _next_batch(self) -> tuple[list[Plan], bool]:
        """Return the plans to make next, at least one, and whether they are the last."""
        batch, most = list[Plan](), _LARGEST_BATCH if self._batches else 1
        while not batch or (len(batch) < most and not self._waiting.empty()):
            plan = self._waiting.get()
            if plan is None:
                return batch, True
            batch.append(plan)
        return batch, False

    def _plan(self, begun: Sequence[tuple[Plan, tuple[Observation, Done]]]) -> None:
        try:
            outputs = call_planner(self.planner, [observation for _, (observation, _) in begun])
        except Exception as error:  # of the process of a planner, say: told to both sides
            LOGGER.exception("plans of %d sessions", len(begun))
            outputs = [PlannerOutput(None, f"{type(error).__name__}: {error}", 0.0)] * len(begun)
        for (plan, (_, done)), output in zip(begun, outputs, strict=True):
            done(output)
            plan.future.set_result(output)
