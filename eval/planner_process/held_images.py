"""Images that a planner's process prepares when they arrive, and keeps for the plans that need them."""

import itertools
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import UInt8

from swerve.scenes.camera import Camera
from swerve.scenes.planning import Observation

LoadImage = Callable[[], UInt8[np.ndarray, "_ _ 3"]]


@dataclass(frozen=True, eq=False)
class HeldImage:
    """Reference to a prepared image in a planner's process, which keeps it until this object is freed.

    Attributes:
        key: its number there.
        load: returns the image as it came, to prepare it again where the process was restarted.
        camera: of the image as it came.
    """

    key: int
    load: LoadImage
    camera: Camera


@dataclass(frozen=True)
class HeldObservation(Observation):
    """Observation whose images a planner's process holds; it has neither images nor cameras itself.

    Attributes:
        held: its images.
    """

    held: tuple[HeldImage, ...] = ()

    @classmethod
    def of(cls, observation: Observation, held: Sequence[HeldImage]) -> "HeldObservation":
        """Return an observation without images with those that a process holds."""
        values = {one.name: getattr(observation, one.name) for one in fields(Observation)}
        return cls(**{**values, "prepared": True}, held=tuple(held))

    def without_images(self) -> Observation:
        """Return the observation as it is sent to the process, beside the keys of its images."""
        return Observation(**{one.name: getattr(self, one.name) for one in fields(Observation)})


class HeldKeys:
    """Keys of the images that a planner's process holds, and of those among them that nobody refers to any more."""

    def __init__(self) -> None:
        self._next = itertools.count()
        self._there, self._freed = set[int](), deque[int]()

    def __contains__(self, held: HeldImage) -> bool:
        """Return whether the process holds an image."""
        return held.key in self._there

    def new(self, load: LoadImage, camera: Camera) -> HeldImage:
        """Return a reference to an image that the process does not hold yet."""
        held = HeldImage(next(self._next), load, camera)
        weakref.finalize(held, self._freed.append, held.key).atexit = False
        return held

    def add(self, held: HeldImage) -> None:
        """Note that the process holds an image."""
        self._there.add(held.key)

    def clear(self) -> None:
        """Note that the process ended, and with it what it held."""
        self._there.clear()

    @property
    def any_freed(self) -> bool:
        """Return whether there may be keys that the process is to drop."""
        return bool(self._freed)

    def take_freed(self) -> list[int]:
        """Return the keys that the process is to drop, once."""
        # Not all that is in the deque: images are freed in any thread, meanwhile.
        freed = {self._freed.popleft() for _ in range(len(self._freed))}
        dropped = sorted(freed & self._there)
        self._there.difference_update(dropped)
        return dropped
