"""Assembly of the scenes of a scene group from the log and the stored record."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from swerve.eval.benchmark.frame_steps import BEFORE, FIRST, FUTURE, HISTORY, LAST, NOW
from swerve.eval.benchmark.scene_group import BenchmarkScene
from swerve.eval.benchmark.schedule import scene_at
from swerve.eval.scoring.aggregate import GroupTokens
from swerve.scenes import Ego, Log, Tracks
from swerve.scenes.viewpoints import Command, Viewpoint, ViewpointKind

STEP_US = 100_000


@dataclass(frozen=True)
class FollowUpStart:
    """A follow-up start as a benchmark stores it.

    Attributes:
        index: number of the start point in the scene group's grid.
        ego: states every 0.1 s from 2 s before the start to the start itself, which is 4 s after the scene group's
            step.
        origin: source of its history, "bank" or "synthesis".
        parameters: parameters of the perturbation.
        command: driving command at the start.
        previous_command: driving command 0.5 s before it.
    """

    index: int
    ego: Ego
    origin: str
    parameters: dict[str, float]
    command: Command
    previous_command: Command


@dataclass(frozen=True)
class GroupRecord:
    """A scene group as a benchmark stores it, beside its log.

    Attributes:
        log: name of the log.
        group_step: step of the log.
        command: driving command at that step.
        previous_command: driving command 0.5 s before it.
        tracks: the other agents, from 2 s to 8 s after that step, see `advanced_tracks`.
        starts: the follow-up starts.
    """

    log: str
    group_step: int
    command: Command
    previous_command: Command
    tracks: Tracks
    starts: tuple[FollowUpStart, ...]


def build_scenes(
    log: Log, record: GroupRecord, traffic_seed: int = 0
) -> tuple[GroupTokens, Mapping[str, BenchmarkScene]]:
    """Build a scene group's scenes by token, stage one first, and the tokens of its pairs."""
    stem = f"{log.name}-{log.times_us[record.group_step]}"
    first = (
        logged_scene(log, record.group_step, f"{stem}-now", record.command),
        logged_scene(log, record.group_step - BEFORE, f"{stem}-before", record.previous_command),
    )
    pairs = [follow_up_scenes(log, record.group_step, record.tracks, start) for start in record.starts]
    scenes = {one.token: replace(one, traffic_seed=traffic_seed) for pair in (first, *pairs) for one in pair}
    follow_ups = tuple((now.token, before.token) for now, before in pairs)
    return GroupTokens(first[0].token, first[1].token, follow_ups), scenes


def logged_scene(log: Log, step: int, token: str, command: Command) -> BenchmarkScene:
    """Build the scene at a step of the log, with 1.5 s of history and 4 s of future."""
    scene = scene_at(log, step)
    human = log.ego.world_from_ego[step + 1 : step + FUTURE + 1]
    viewpoint = Viewpoint(
        scene=scene,
        kind=ViewpointKind.LOGGED,
        index=0,
        ego=scene.ego.at(slice(0, HISTORY + 1)),
        target=human,
        human=human,
        vehicle=log.vehicle,
        cameras=log.cameras,
        tracks=scene.tracks,
        command=command,
        parameters={},
    )
    return BenchmarkScene(token, viewpoint, follow_up=False)


def follow_up_scenes(
    log: Log, group_step: int, tracks: Tracks, start: FollowUpStart
) -> tuple[BenchmarkScene, BenchmarkScene]:
    """Build the scenes at a follow-up's start and 0.5 s before it, in the follow-up's own log."""
    own = follow_up_log(log, group_step, tracks, start)
    now = _follow_up_scene(own, log, group_step, NOW, "now", start)
    return now, _follow_up_scene(own, log, group_step, NOW - BEFORE, "before", start)


def follow_up_log(log: Log, group_step: int, tracks: Tracks, start: FollowUpStart) -> Log:
    """Build a follow-up's own log, from 2 s to 8 s after the scene group's step, at exactly 10 Hz.

    Traffic and lights are those of the log's steps, taken as 0.1 s apart. The ego is the follow-up's up to its start.
    Its later motion is unknown: it is stored as standing at the start, and neither planners nor scores may read it.
    Velocity and acceleration are derived from the poses up to each step, because trajectories of the bank come from
    smoothed logs.

    Args:
        log: of the scene group.
        group_step: step of the scene group.
        tracks: of `advanced_tracks`.
        start: the follow-up start.
    """
    steps, times_us = LAST - FIRST + 1, log.times_us[group_step] + STEP_US * np.arange(FIRST, LAST + 1)
    told = start.ego.by_own_poses(times_us[: len(start.ego)])
    return replace(
        log,
        name=f"{log.name}-{log.times_us[group_step]}-{start.index:03d}",
        times_us=times_us,
        ego=waiting_ego(told, steps - len(told)),
        tracks=tracks,
        lights=log.lights.at(slice(group_step + FIRST, group_step + LAST + 1)),
        photos=(),
        sweeps=(),
    )


def waiting_ego(ego: Ego, steps: int) -> Ego:
    """Append steps at which the ego stands where it ends: its later motion is unknown."""
    waiting = ego.at(np.full(steps, len(ego) - 1))
    still = np.zeros_like(waiting.velocity)
    return concatenated_ego(ego, replace(waiting, velocity=still, acceleration=still, yaw_rate=np.zeros(steps)))


def concatenated_ego(first: Ego, then: Ego) -> Ego:
    """Concatenate the states of two egos."""
    return Ego(*(np.concatenate(pair) for pair in zip(_parts(first), _parts(then), strict=True)))


def _parts(ego: Ego) -> Sequence[np.ndarray]:
    return ego.world_from_ego, ego.velocity, ego.acceleration, ego.yaw_rate


def _follow_up_scene(
    own: Log, log: Log, group_step: int, step: int, chain: str, start: FollowUpStart
) -> BenchmarkScene:
    scene = scene_at(own, step)
    then = group_step + FIRST + step
    human = log.ego.world_from_ego[then + 1 : then + FUTURE + 1]
    viewpoint = Viewpoint(
        scene=scene,
        kind=ViewpointKind.FOLLOW_UP,
        index=start.index,
        ego=scene.ego.at(slice(0, HISTORY + 1)),
        target=human,
        human=human,
        vehicle=own.vehicle,
        cameras=own.cameras,
        tracks=scene.tracks,
        command=start.command if chain == "now" else start.previous_command,
        parameters=start.parameters,
    )
    return BenchmarkScene(f"{own.name}-{chain}", viewpoint, follow_up=True)
