"""Planners for tests: one that works, and those that fail in each way that a stranger's planner can."""

import os
import signal
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path

import numpy as np

from swerve.eval.benchmark.evaluate.observations import hash_token
from swerve.scenes.planning import Trajectory


def straight(speed, seconds=4.0, interval=0.5):
    """Straight on at a speed."""
    times = interval * np.arange(1, round(seconds / interval) + 1)
    return Trajectory(np.column_stack([speed * times, 0 * times, 0 * times]), interval)


class Cruise:
    """Keeps its speed, or another; knows nothing and wants no images."""

    cameras = ()

    def __init__(self, speed=None):
        self.speed = speed

    def plan(self, observation):
        return straight(np.hypot(*observation.history.velocity[-1]) if self.speed is None else self.speed)


class FailsAt(Cruise):
    """Does something else in one scene."""

    def __init__(self, token, otherwise):
        super().__init__()
        self.token, self.otherwise = token, otherwise

    def plan(self, observation):
        return (
            self.otherwise() if observation.token in (self.token, hash_token(self.token)) else super().plan(observation)
        )


class BatchFailsAt(FailsAt):
    """The same in batches."""

    def __init__(self, token, otherwise):
        super().__init__(token, otherwise)
        self.batches = []

    def plan_batch(self, observations):
        self.batches.append(len(observations))
        return [self.plan(observation) for observation in observations]


class Spoils(Cruise):
    """Writes nothings over all that it can write to."""

    cameras, privileged = None, True

    def __init__(self):
        super().__init__()
        self.count = 0

    def plan(self, observation):
        plan = super().plan(observation)
        self.spoil(observation)
        return plan

    def spoil(self, item):
        if isinstance(item, np.ndarray) and item.flags.writeable:
            item[...] = 0
            self.count += 1
        elif is_dataclass(item):
            self.spoil([getattr(item, field.name) for field in fields(item)])
        elif isinstance(item, Mapping):
            self.spoil(list(item.values()))
        elif isinstance(item, (list, tuple)):
            for part in item:
                self.spoil(part)


class SpoilsBatches(Spoils):
    """The same in batches."""

    def plan_batch(self, observations):
        return [self.plan(observation) for observation in observations]


class Killed(Cruise):
    """Ends its process as the system does when memory runs out, while a file is there, in one scene."""

    def __init__(self, file: str, token: str):
        super().__init__()
        self.file, self.token = file, hash_token(token)

    def plan(self, observation):
        if observation.token == self.token and Path(self.file).exists():
            os.kill(os.getpid(), signal.SIGKILL)
        return super().plan(observation)


class FailsOften(Cruise):
    """Raises in every third scene or so."""

    def plan(self, observation):
        if int(observation.token, 16) % 3 == 0:
            raise RuntimeError("no idea where to go")
        return super().plan(observation)
