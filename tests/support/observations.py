"""Observations, hand-made or from a log."""

import numpy as np

from swerve.eval import Context, build_context
from swerve.eval.benchmark.evaluate.observations import observation_of
from swerve.eval.benchmark.scene_group import BenchmarkScene
from swerve.scenes import Log, Scene, Vehicle
from swerve.scenes.planning import History, Observation
from swerve.scenes.viewpoints import Command, logged
from tests.support.geometries import geometry_of


class Privileged:
    """Planner with privileged input."""

    cameras, privileged = (), True

    def plan(self, observation):
        raise NotImplementedError


def moving(velocity=(10.0, 0.0), acceleration=0.0, yaw_rate=0.0, token="token", privileged_input=None) -> Observation:
    """Return the observation of a car at constant velocity straight ahead, without road information."""
    seconds = np.arange(-15, 1) / 10
    count = len(seconds)
    poses = np.stack([velocity[0] * seconds, velocity[1] * seconds, np.zeros(count)], axis=1)
    accelerations = np.tile([acceleration, 0.0], (count, 1))
    history = History(seconds, poses, np.tile(velocity, (count, 1)), accelerations, np.full(count, yaw_rate))
    return Observation(token, 0, Vehicle.pacifica(), history, Command.STRAIGHT, privileged=privileged_input)


def seen(log: Log, now: int) -> tuple[Observation, Context]:
    """Return the observation at a step of a log, and its context."""
    scene = Scene(log, now, 15, 50)
    context = build_context(scene)
    frame = BenchmarkScene(scene.token, logged(scene, geometry_of(log)), False)
    return observation_of(frame, context, Privileged(), None), context
