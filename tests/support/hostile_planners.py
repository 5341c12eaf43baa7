"""Planners that misbehave, each in its way; all see no images."""

import ctypes
import os
import signal
import subprocess
import sys
import time

import numpy as np

from swerve.scenes import SwerveError
from swerve.scenes.planning import Trajectory

FORWARD = np.stack([np.arange(1, 9) * 2.0, np.zeros(8), np.zeros(8)], axis=1)


class Honest:
    """Drives 4 m/s straight on."""

    cameras = ()

    def plan(self, observation):
        self.misbehave(observation)
        return Trajectory(FORWARD, 0.5)

    def misbehave(self, observation):
        """Do nothing."""


class Hangs(Honest):
    def misbehave(self, observation):
        time.sleep(1000)


class HangsInLoop(Honest):
    def misbehave(self, observation):
        while True:
            pass


class HangsInBatch(Honest):
    """Plans single scenes as it should."""

    def plan_batch(self, observations):
        if len(observations) > 1:
            time.sleep(1000)
        return [Trajectory(FORWARD, 0.5) for _ in observations]


class HangsAtStart(Honest):
    def __init__(self):
        time.sleep(1000)


class ExitsAtStart(Honest):
    def __init__(self):
        sys.exit(0)


class DiesAtStart(Honest):
    def __init__(self):
        os._exit(0)


class Exits(Honest):
    def misbehave(self, observation):
        sys.exit(0)


class Dies(Honest):
    def misbehave(self, observation):
        os._exit(0)


class DiesInSome(Honest):
    """Dies in about half of the scenes."""

    def misbehave(self, observation):
        if int(observation.token, 16) % 2:
            os._exit(3)


class Killed(Honest):
    def misbehave(self, observation):
        os.kill(os.getpid(), signal.SIGKILL)


class Segfaults(Honest):
    def misbehave(self, observation):
        ctypes.string_at(0)


class Aborts(Honest):
    def misbehave(self, observation):
        os.abort()


class Interrupts(Honest):
    def misbehave(self, observation):
        raise KeyboardInterrupt


class Forks(Honest):
    """Plans as it should, and returns from a copy of the process too."""

    def misbehave(self, observation):
        os.fork()


class LeavesChild(Honest):
    """Plans as it should, and leaves a process that keeps what it inherited open."""

    def misbehave(self, observation):
        subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], close_fds=False)


class GiantError(Honest):
    def misbehave(self, observation):
        raise ValueError("x" * 50_000_000)


class Prints(Honest):
    """Plans as it should, and prints 20 MB."""

    def misbehave(self, observation):
        for _ in range(20):
            print("y" * 1_000_000)
        os.write(2, b"\x1b[31m[/b]\xff\n" * 1000)


class ClosesEverything(Honest):
    def misbehave(self, observation):
        os.closerange(0, 256)


class WritesEverywhere(Honest):
    """Writes into every open descriptor."""

    def misbehave(self, observation):
        for number in range(3, 64):
            try:
                os.write(number, b"\xff" * 64)
            except OSError:
                continue


class Hoards(Honest):
    def misbehave(self, observation):
        hoard = [np.empty(10_000_000) for _ in range(1000)]
        assert hoard


class BadCameras(Honest):
    cameras = 7


class RaisesForCameras(Honest):
    @property
    def cameras(self):
        raise RuntimeError("no cameras today")


class Changes(Honest):
    """Plans as it should, and overwrites all it was given."""

    def misbehave(self, observation):
        for array in (observation.history.poses, observation.history.velocity):
            try:
                array[:] = np.nan
            except ValueError:
                continue


class Slow(Honest):
    def misbehave(self, observation):
        time.sleep(1.0)


class DiesAndChooses(Dies):
    """Chooses its cameras, and checks what it is given."""

    def cameras(self, rig):
        return [camera.name for camera in rig]

    def check_sensors(self):
        """Accept everything."""


class RefusesSome(Honest):
    """Refuses every second call, in its own words."""

    calls = 0

    def check_sensors(self):
        self.calls += 1
        if self.calls % 2 == 0:
            raise SwerveError("not this scene")


class BreaksInCheck(Honest):
    def check_sensors(self):
        raise KeyError("sensors")


class InterruptsInCameras(Honest):
    def cameras(self, rig):
        raise KeyboardInterrupt


class ChoosesNumbers(Honest):
    def cameras(self, rig):
        return 7


class ExitsInCheck(Honest):
    def check_sensors(self):
        sys.exit(0)
