"""Trajectories of a planner in all scenes of a NAVSIM split, for a submission."""

import traceback
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Final

import numpy as np

from swerve.data.sources.navsim.frames import NavsimScene, SensorFolders
from swerve.data.sources.navsim.hidden_scenes import HiddenScenes
from swerve.data.sources.navsim.scene_windows import SceneIndex
from swerve.eval.benchmark.evaluate.call_planner import PlannerOutput, call_observed
from swerve.eval.benchmark.navsim_scenes import NavsimRecording
from swerve.eval.submission.submission import SubmittedTrajectory
from swerve.planners.navsim.agent_outputs import compute_trajectories
from swerve.planners.navsim.agent_types import AgentTrajectory
from swerve.planners.navsim.navsim_modules import DATACLASSES, navsim_modules
from swerve.planners.navsim.navsim_planner import NavsimPlanner, missing_modules_as_errors
from swerve.planners.navsim.scene_inputs import agent_input_of_scene, observation_of_scene
from swerve.scenes import SwerveError
from swerve.scenes.errors import PlannerError
from swerve.scenes.planning import Observation, Planner

# Scenes whose images are in memory at once, and the planner's largest batch.
_BATCH: Final = 16
_READERS: Final = 4
ProgressCallback = Callable[[int, int], None]

# The trajectory of a scene, or the reason why there is none.
Answer = SubmittedTrajectory | str
SceneSet = SceneIndex | HiddenScenes


@dataclass(frozen=True)
class PredictionFailure:
    """A scene in which the planner failed, and the reason."""

    token: str
    reason: str


def predict(
    planner: Planner, scenes: SceneSet, tokens: Sequence[str], report: ProgressCallback
) -> tuple[dict[str, SubmittedTrajectory], list[PredictionFailure]]:
    """Return the planner's trajectories, and the scenes in which it failed.

    A NAVSIM agent gets exactly what NAVSIM gives it, any other planner an observation. If a batch fails, its scenes are
    tried one by one.

    Args:
        planner: the planner.
        scenes: where the scenes are.
        tokens: which scenes.
        report: called with the number of scenes done and all.

    Raises:
        SwerveError: the planner needs what submissions do not allow.
        LogError: a scene cannot be read.
    """
    check_allowed(planner)
    ask = partial(_ask_agent, planner) if isinstance(planner, NavsimPlanner) else partial(_ask_planner, planner)
    found, failures = dict[str, SubmittedTrajectory](), list[PredictionFailure]()
    for first in range(0, len(tokens), _BATCH):
        part = [scenes.load(token) for token in tokens[first : first + _BATCH]]
        for scene, answer in zip(part, _answers(ask, part, scenes.sensors), strict=True):
            if isinstance(answer, SubmittedTrajectory):
                found[scene.token] = answer
            else:
                failures.append(PredictionFailure(scene.token, answer))
        report(min(first + _BATCH, len(tokens)), len(tokens))
    return found, failures


def check_allowed(planner: Planner) -> None:
    """Check that a planner needs nothing that submissions do not allow.

    Raises:
        SwerveError: it needs the scene with its future.
    """
    if getattr(planner, "privileged", False):
        raise SwerveError("the planner requires the scene, which submissions do not allow: nobody has the future there")


def _answers(
    ask: Callable[[Sequence[NavsimScene], SensorFolders], list[Answer]],
    scenes: Sequence[NavsimScene],
    sensors: SensorFolders,
) -> list[Answer]:
    """Return the answers of a batch, or of each scene alone if the batch fails."""
    try:
        return ask(scenes, sensors)
    except (Exception, SystemExit) as error:  # Agents may raise anything; KeyboardInterrupt propagates.
        if len(scenes) > 1:
            return [answer for scene in scenes for answer in _answers(ask, [scene], sensors)]
        told = str(error) if isinstance(error, SwerveError) else "".join(traceback.format_exception(error))
        return [told.strip()]


def _ask_agent(planner: NavsimPlanner, scenes: Sequence[NavsimScene], sensors: SensorFolders) -> list[Answer]:
    with navsim_modules(), missing_modules_as_errors(planner.name):
        classes = import_module(DATACLASSES)
        with ThreadPoolExecutor(_READERS) as readers:
            inputs = list(
                readers.map(
                    lambda scene: agent_input_of_scene(scene, sensors.of(scene), planner.sensors, classes), scenes
                )
            )
        return [_submitted(trajectory) for trajectory in compute_trajectories(planner.agent, inputs)]


def _observed(scene: NavsimScene, sensors: SensorFolders, planner: Planner) -> Observation | PlannerOutput:
    try:
        return _observation(scene, sensors.of(scene), planner)
    except PlannerError as error:
        return PlannerOutput(None, str(error), 0.0)


def _observation(scene: NavsimScene, folder: Path, planner: Planner) -> Observation:
    """Return what a planner is given: the scene as recorded, if it declares that, as NAVSIM's agents do."""
    if not getattr(planner, "recording", False):
        return observation_of_scene(scene, folder, planner)
    plain = observation_of_scene(scene, folder, planner, images=False)
    return replace(plain, recording=NavsimRecording(scene, folder))


def _submitted(trajectory: AgentTrajectory) -> SubmittedTrajectory:
    sampling = trajectory.trajectory_sampling
    return SubmittedTrajectory(
        np.asarray(trajectory.poses), float(sampling.time_horizon), float(sampling.interval_length)
    )


def _ask_planner(planner: Planner, scenes: Sequence[NavsimScene], sensors: SensorFolders) -> list[Answer]:
    answers = list[Answer]()
    for output in call_observed(planner, [_observed(scene, sensors, planner) for scene in scenes]):
        plan = output.plan
        if plan is None:
            answers.append(output.error)
        else:
            horizon = round(len(plan.poses) * plan.interval, 9)
            answers.append(SubmittedTrajectory(plan.poses.astype(np.float32), horizon, plan.interval))
    return answers
