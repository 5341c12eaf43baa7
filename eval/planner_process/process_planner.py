"""Planner that forwards its calls to a process of its own."""

import logging
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import UInt8

from swerve.eval.benchmark.evaluate.call_planner import OutputPlanner, PlannerOutput
from swerve.eval.planner_process.held_images import HeldImage, HeldKeys, HeldObservation, LoadImage
from swerve.eval.planner_process.messages import PlannerGone, PlannerTimeout, decode_json, decode_outputs
from swerve.eval.planner_process.own_process import OwnProcess
from swerve.eval.planner_process.planner_limits import PlannerLimits
from swerve.eval.planner_process.priority_lock import PriorityLock
from swerve.scenes import Camera, SwerveError
from swerve.scenes.errors import PlannerError
from swerve.scenes.planning import CameraChoice, Observation, Planner, Trajectory

LOGGER = logging.getLogger(__name__)

# Loads a planner, and returns it with texts about it; called in the planner's process.
LoadPlanner = Callable[[str], tuple[Planner, Mapping[str, str]]]


# Declarations of a planner that are true or false.
_FLAGS = (
    *("chooses_cameras", "privileged", "future_only", "recording", "route"),
    *("has_check_sensors", "has_plan_batch", "has_prepare_image"),
)


@dataclass(frozen=True)
class PlannerInfo:
    """Declarations of a planner.

    Attributes:
        name: of its class.
        cameras: names of its cameras; None for all.
        chooses_cameras: whether it chooses among the cameras of a rig; `cameras` is None then.
        privileged: see `Planner`.
        future_only: see `Planner`.
        recording: see `Planner`.
        route: see `Planner`.
        has_check_sensors: whether it has `check_sensors`.
        has_plan_batch: whether it has `plan_batch`.
        has_prepare_image: whether it has `prepare_image`, see `ProcessPlanner.hold_image`.
        image_limits: its `max_image_age` and `missing_images`, where it declares them.
        metadata: texts about it from its loader.
        failure: reason why its process could not load it; empty if it could.
    """

    name: str
    cameras: tuple[str, ...] | None = ()
    chooses_cameras: bool = False
    privileged: bool = False
    future_only: bool = False
    recording: bool = False
    route: bool = False
    has_check_sensors: bool = False
    has_plan_batch: bool = False
    has_prepare_image: bool = False
    image_limits: Mapping[str, object] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)
    failure: str = ""


class ProcessPlanner(OutputPlanner):
    """Planner in a process of its own, see the package. Calls of several threads are made one after the other.

    Args:
        load: loads the planner in its process; must be picklable.
        spec: argument of `load`.
        limits: of the process.
        threads: of each operator of a network in it; as many as its libraries choose if None.

    Raises:
        SwerveError: the loader refuses the spec.
    """

    def __init__(self, load: LoadPlanner, spec: str, limits: PlannerLimits, threads: int | None = None) -> None:
        self.spec, self.limits = spec, limits
        self._environment = {} if threads is None else {"OMP_NUM_THREADS": str(threads)}
        self._load, self._starts, self._closed = load, 0, False
        self._process: OwnProcess | None = None
        # Plans have deadlines: they come before images that wait to be prepared.
        self._lock, self._held = PriorityLock(), HeldKeys()
        try:
            self.info = self._started()
        except _Ended as error:
            # Its scenes fail; those of other planners do not.
            self._starts, reason = limits.planner_restarts + 1, str(error)
            self.info = PlannerInfo(spec, failure=reason)

    @property
    def class_name(self) -> str:
        """Name of the planner's class."""
        return self.info.name

    @property
    def privileged(self) -> bool:
        """Declares the privileged input, see `Planner`."""
        return self.info.privileged

    @property
    def future_only(self) -> bool:
        """Declares that the logged future is enough, see `Planner`."""
        return self.info.future_only

    @property
    def recording(self) -> bool:
        """Declares recordings, see `Planner`."""
        return self.info.recording

    @property
    def route(self) -> bool:
        """Declares the route, see `Planner`."""
        return self.info.route

    def __getattr__(self, name: str) -> object:
        """Return what it declares on late and missing images, if it does."""
        images = self.__dict__["info"].image_limits if "info" in self.__dict__ else {}
        if name in images:
            return images[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @property
    def cameras(self) -> CameraChoice:
        """Cameras that it declares."""
        return self._chosen if self.info.chooses_cameras else self.info.cameras

    def check_sensors(self) -> None:
        """Check that observations have the sensors that the planner needs.

        Raises:
            SwerveError: they have not.
            PlannerError: the planner raised anything else, or its process ended.
        """
        if self.info.has_check_sensors:
            with self._lock.acquired():
                self._asked("check", None)

    def hold_image(self, image: UInt8[np.ndarray, "_ _ 3"], camera: Camera, load: LoadImage) -> HeldImage:
        """Let the planner prepare an image by its `prepare_image`, and keep the result in its process.

        Args:
            image: as it came.
            camera: of the image.
            load: returns the image again.

        Raises:
            SwerveError: the planner failed.
        """
        held = self._held.new(load, camera)
        with self._lock.acquired():
            self._prepare(held, image)
        return held

    def drop_freed(self) -> None:
        """Let the process drop the held images that nobody refers to any more, unless it is busy.

        Each request does so as well; this is for processes that none follows. One that ends is logged.
        """
        if not self._lock.free:
            return
        with self._lock.acquired():
            try:
                if self._process is not None and self._held.any_freed:
                    self._request("drop", None, self.limits.plan_timeout)
            except _Ended as error:
                LOGGER.warning("planner %s: its process %s", self.spec, error)

    def plan(self, observation: Observation) -> Trajectory:
        """Plan a trajectory.

        Raises:
            SwerveError: the planner failed.
        """
        (output,) = self.plan_outputs([observation])
        if output.plan is None:
            raise SwerveError(output.error)
        return output.plan

    def plan_outputs(self, observations: Sequence[Observation]) -> list[PlannerOutput]:
        """Return the planner's output for each observation, as `call_planner` does.

        If the process ends, or takes longer than `plan_timeout` for each observation of a batch, the observations are
        planned one by one, so that only those fail that break it.
        """
        with self._lock.acquired(urgent=True):
            return self._outputs(observations)

    def _outputs(self, observations: Sequence[Observation]) -> list[PlannerOutput]:
        if len(observations) > 1 and not self.info.has_plan_batch:
            return [output for one in observations for output in self._outputs([one])]
        start = time.perf_counter()
        try:
            sent = [self._sent(one) for one in observations]
            reply = self._request("plan", sent, self.limits.plan_timeout * len(observations))
            outputs = decode_outputs(reply, len(observations))
            self._starts = 1  # count consecutive failures only
            return outputs
        except PlannerGone as error:
            reason = self._end(str(error) or "ended")
        except (_Ended, SwerveError) as error:
            reason = str(error)
        if len(observations) == 1:
            return [PlannerOutput(None, f"planner {self.spec}: {reason}", time.perf_counter() - start)]
        return [output for one in observations for output in self._outputs([one])]

    def _sent(self, observation: Observation) -> tuple[Observation, tuple[int, ...]]:
        """Return an observation with the keys of its images that the process holds.

        Raises:
            SwerveError: the process was restarted since, and images could not be prepared again.
        """
        if not isinstance(observation, HeldObservation):
            return observation, ()
        for held in observation.held:
            if held not in self._held:
                self._prepare(held, held.load())
        return observation.without_images(), tuple(held.key for held in observation.held)

    def _prepare(self, held: HeldImage, image: UInt8[np.ndarray, "_ _ 3"]) -> None:
        """Let the process prepare an image, and keep it.

        Raises:
            SwerveError: the planner failed, or its process ended.
        """
        self._asked("prepare", (held.key, image, held.camera), self.limits.plan_timeout)
        self._held.add(held)

    def close(self) -> None:
        """End the process and those that it started, for good: a request under way fails, and each later one."""
        self._closed = True
        if (process := self._process) is not None:
            process.interrupt()
        with self._lock.acquired(urgent=True):
            if self._process is not None:
                self._end("")

    def _chosen(self, cameras: Sequence[Camera]) -> tuple[str, ...]:
        """Return the names of the cameras that the planner chooses.

        Raises:
            SwerveError: it refuses.
            PlannerError: it raised anything else, or its process ended.
        """
        with self._lock.acquired():
            return tuple(str(name) for name in self._asked("cameras", tuple(cameras))["names"])

    def _asked(self, what: str, item: object, timeout: float | None = None) -> dict[str, Any]:
        """Return the answer to a question; it has the time of a start unless told otherwise.

        Raises:
            SwerveError: the planner refuses.
            PlannerError: it raised anything else, or its process ended.
        """
        try:
            head, _ = decode_json(self._request(what, item, timeout or self.limits.startup_timeout))
        except ValueError as error:
            raise PlannerError(f"planner {self.spec}: {self._end('sent something that is not an answer')}") from error
        except _Ended as error:
            raise PlannerError(f"planner {self.spec}: {error}") from error
        if "refused" in head:
            raise SwerveError(str(head["refused"]))
        if "failed" in head or (what == "cameras" and not isinstance(head.get("names"), list)):
            raise PlannerError(f"planner {self.spec}: {what}: {head.get('failed', 'sent something else than names')}")
        return head

    def _request(self, what: str, item: object, timeout: float) -> bytes:
        """Send a request to the process, after starting it if there is none, and return the reply.

        Raises:
            _Ended: it ended, or did not answer in time.
        """
        if self._closed:
            raise _Ended("was closed")
        if self._process is None:
            if self._starts > self.limits.planner_restarts:
                raise _Ended(self.info.failure or f"was started {self._starts} times, and is not started again")
            self._started()
        assert self._process is not None
        try:
            return self._process.request((what, item, self._held.take_freed()), timeout)
        except PlannerTimeout:
            raise _Ended(self._end(f"took longer than {timeout:g} s, and was ended")) from None
        except PlannerGone as error:
            raise _Ended(self._end(str(error) or "ended")) from None

    def _started(self) -> PlannerInfo:
        """Start the process, and return what it says of the planner.

        Raises:
            SwerveError: the loader refuses the spec.
            _Ended: it ended, or the planner could not be loaded in time.
        """
        self._starts += 1
        try:
            self._process = OwnProcess(self._environment)
        except OSError as error:
            raise _Ended(f"could not be started ({error})") from error
        limits = self.limits
        try:
            content = (self._load, self.spec, limits.planner_memory, sys.path)
            head, _ = decode_json(self._process.request(content, limits.startup_timeout))
        except PlannerTimeout:
            raise _Ended(self._end(f"was not loaded within {limits.startup_timeout:g} s, and was ended")) from None
        except (PlannerGone, ValueError) as error:
            raise _Ended(self._end(f"{str(error) or 'ended'} while it was loaded,")) from None
        if "refused" in head:
            self._end("")
            raise SwerveError(str(head["refused"]))
        if "failed" in head:
            self._end("")
            raise _Ended(f"could not be loaded: {head['failed']}")
        return _info_of(head)

    def _end(self, reason: str) -> str:
        """End the process; return the reason, with the way it ended and what it printed last."""
        assert self._process is not None
        process, self._process = self._process, None
        self._held.clear()
        return process.kill(reason)


class _Ended(Exception):
    """The planner's process ended; the message says how."""


def _info_of(head: Mapping[str, Any]) -> PlannerInfo:
    """Return what a process said of its planner."""
    cameras = head["cameras"]
    return PlannerInfo(
        name=str(head["name"]),
        cameras=None if cameras is None else tuple(cameras),
        image_limits=dict(head["image_limits"]),
        metadata={str(name): str(text) for name, text in head["metadata"].items()},
        failure="",
        **{name: bool(head[name]) for name in _FLAGS},
    )
