"""Planners for closed-loop tests, simple enough for hand computation."""

import numpy as np

from swerve.scenes.planning import Trajectory

SECONDS = 0.5 * np.arange(1, 9)


class Keeps:
    """Planner straight at `speed` (default: the current one), and `aside` metres to the left after 4 s."""

    cameras = ()

    def __init__(self, speed=None, aside=0.0):
        self.speed, self.aside, self.told = speed, aside, []

    def plan(self, observation):
        self.told.append(observation)
        speed = observation.history.velocity[-1, 0] if self.speed is None else self.speed
        turn = np.arctan2(self.aside, 4.0 * max(speed, 1.0))
        return Trajectory(np.stack([speed * SECONDS, self.aside * SECONDS / 4.0, np.full(8, turn)], axis=1))


class Follows:
    """Planner that returns the logged human's trajectory."""

    cameras = ()
    privileged = True

    def __init__(self):
        self.told = []

    def plan(self, observation):
        self.told.append(observation)
        return Trajectory(observation.privileged.human)


class Breaks:
    """Planner that keeps the speed for some plans, then calls another function."""

    cameras = ()

    def __init__(self, plans, then):
        self.left, self.then = plans, then

    def plan(self, observation):
        self.left -= 1
        return Keeps().plan(observation) if self.left >= 0 else self.then(observation)


class Looks:
    """Planner that records its images, and keeps the speed."""

    def __init__(self, cameras=None):
        self.told = []
        if cameras is not None:
            self.cameras = cameras

    def plan(self, observation):
        self.told.append(observation)
        return Keeps().plan(observation)
