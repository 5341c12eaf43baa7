"""Rollouts on disk, to be looked at later: what was driven, by whom, among whom, and how it was scored."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float

from swerve.data.sources.checks import check_log
from swerve.data.storage.archive import load_archive, save_archive
from swerve.eval.closed_loop.closed_loop_scene import ClosedLoopScene
from swerve.eval.closed_loop.rollout import Rollout
from swerve.eval.closed_loop.rollout_views import lights_at, time_at, tracks_at_step, world_from_ego
from swerve.eval.scoring.simulate import State
from swerve.eval.scoring.thresholds import STEP
from swerve.scenes import Ego, Log, Tracks, TrafficLights

WORST: Final = "worst"
_KIND: Final = "rollout"
# Raise whenever fields or their meaning change: older files are then refused.
VERSION: Final = 1


@dataclass(frozen=True)
class RecordedPlan:
    """A plan that was executed.

    Attributes:
        seconds: from the start.
        poses: planned x, y, heading in the ego frame at that time.
        interval: seconds between them.
    """

    seconds: float
    poses: Float[np.ndarray, "k 3"]
    interval: float


@dataclass(frozen=True)
class RecordedReason:
    """Cause of a sub-score below 1.

    Attributes:
        metric: name of the sub-score.
        value: of the sub-score.
        seconds: from the start; None if it concerns the whole rollout.
        text: for people.
    """

    metric: str
    value: float
    seconds: float | None
    text: str


@dataclass(frozen=True)
class RolloutRecord:
    """A rollout.

    Attributes:
        planner: label of the planner.
        token: name of the scene.
        log: the rollout as a log: the driven ego, the simulated agents, lights, map and cameras, every 0.1 s.
        human: x, y, heading of the human at these steps.
        plans: executed plans.
        metrics: sub-scores by name; NaN where one does not apply.
        score: of the rollout.
        reasons: causes of sub-scores below 1.
        error: message; empty if the planner did not fail.
    """

    planner: str
    token: str
    log: Log
    human: Float[np.ndarray, "t 3"]
    plans: tuple[RecordedPlan, ...]
    metrics: dict[str, float]
    score: float
    reasons: tuple[RecordedReason, ...]
    error: str


def displayed_record(label: str, scene: ClosedLoopScene, rollout: Rollout) -> RolloutRecord:
    """Return a rollout as it is stored.

    Args:
        label: of the planner.
        scene: that was driven.
        rollout: on this scene.
    """
    return RolloutRecord(
        planner=label,
        token=rollout.token,
        log=rollout_log(scene, rollout),
        human=scene.human_poses_at(np.arange(len(rollout.states)))[:, :3],
        plans=tuple(
            RecordedPlan(one.seconds, one.trajectory.poses.astype(float), float(one.trajectory.interval))
            for one in rollout.plans
        ),
        metrics={name: float(value) for name, value in rollout.metrics.items()},
        score=float(rollout.score),
        reasons=tuple(RecordedReason(one.metric, float(one.value), one.seconds, one.text) for one in rollout.reasons),
        error=rollout.error,
    )


def rollout_log(scene: ClosedLoopScene, rollout: Rollout) -> Log:
    """Return a rollout as a log of the driven ego among the simulated agents."""
    steps = range(len(rollout.states))
    poses = np.stack([world_from_ego(scene, rollout.states, step) for step in steps])
    start = time_at(scene, 0)
    times = start + np.round(np.arange(len(poses)) * STEP * 1e6).astype(np.int64)
    states = rollout.states
    velocity = states[:, [State.VELOCITY, State.LATERAL_VELOCITY]]
    acceleration = states[:, [State.ACCELERATION, State.LATERAL_ACCELERATION]]
    ego = Ego(poses, velocity, acceleration, states[:, State.YAW_RATE])
    log = scene.viewpoint.scene.log
    return replace(
        log,
        name=rollout.log,
        times_us=times,
        ego=ego,
        vehicle=scene.viewpoint.vehicle,
        tracks=_joined([tracks_at_step(scene, rollout.traffic, step) for step in steps]),
        lights=_joined_lights([lights_at(scene, step) for step in steps]),
        cameras=scene.viewpoint.cameras,
        photos=(),
        sweeps=(),
        track_order=(),
    )


def _joined(parts: list[Tracks]) -> Tracks:
    """Return tracks of single steps, of the same agents, as tracks over time."""
    names = ("positions", "headings", "sizes", "velocities", "valid")
    return replace(parts[0], **{name: np.concatenate([getattr(one, name) for one in parts], axis=1) for name in names})


def _joined_lights(parts: list[TrafficLights]) -> TrafficLights:
    return replace(parts[0], states=np.concatenate([one.states for one in parts], axis=1))


def save_rollout(path: Path, record: RolloutRecord) -> None:
    """Write a rollout.

    Raises:
        SwerveError: the file cannot be written.
    """
    save_archive(path, record, _KIND, VERSION)


def load_rollout(path: Path) -> RolloutRecord:
    """Read a rollout.

    Raises:
        SwerveError: the file is none, damaged, or of another version.
    """
    record = load_archive(path, RolloutRecord, _KIND, VERSION)
    check_log(record.log, path)
    return record
