"""The frames of a case, put together from the log and what a benchmark stores of the case."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from swerve.eval.benchmark.frame_steps import BEFORE, FIRST, FUTURE, HISTORY, LAST, NOW
from swerve.eval.benchmark.scene_group import BenchmarkScene
from swerve.eval.benchmark.schedule import scene_at
from swerve.eval.scoring.aggregate import GroupTokens
from swerve.scenes import Ego, Log, Tracks
from swerve.scenes.viewpoints import Command, Viewpoint, ViewpointKind

_STEP_US = 100_000


@dataclass(frozen=True)
class FollowUpStart:
    """A follow-up as a benchmark stores it.

    Attributes:
        index: number of the start point in the case's grid.
        ego: states every 0.1 s from 2 s before the start to the start itself, 4 s after the case's moment.
        origin: where its history comes from, "bank" or "synthesis".
        parameters: numbers that made it.
        now: command at the start.
        before: command 0.5 s before it.
    """

    index: int
    ego: Ego
    origin: str
    parameters: dict[str, float]
    now: Command
    before: Command


@dataclass(frozen=True)
class GroupRecord:
    """A case as a benchmark stores it, beside its log.

    Attributes:
        log: name of the log.
        moment: step of the log.
        now: command at the moment.
        before: command 0.5 s before it.
        tracks: everybody else, at the steps from 2 s to 8 s after the moment, see `advanced_tracks`.
        starts: the follow-ups.
    """

    log: str
    moment: int
    now: Command
    before: Command
    tracks: Tracks
    starts: tuple[FollowUpStart, ...]


def scenes_of_group(log: Log, record: GroupRecord) -> tuple[GroupTokens, Mapping[str, BenchmarkScene]]:
    """The frames by token, stage one first, and how they belong together."""
    stem = f"{log.name}-{log.times_us[record.moment]}"
    first = (
        logged_scene(log, record.moment, f"{stem}-now", record.now),
        logged_scene(log, record.moment - BEFORE, f"{stem}-before", record.before),
    )
    pairs = [follow_up_scenes(log, record.moment, record.tracks, start) for start in record.starts]
    frames = {frame.token: frame for pair in (first, *pairs) for frame in pair}
    follow_ups = tuple((now.token, before.token) for now, before in pairs)
    return GroupTokens(first[0].token, first[1].token, follow_ups), frames


def logged_scene(log: Log, step: int, token: str, command: Command) -> BenchmarkScene:
    """The log at one of its steps, with 1.5 s of history and 4 s of future."""
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
    log: Log, moment: int, tracks: Tracks, start: FollowUpStart
) -> tuple[BenchmarkScene, BenchmarkScene]:
    """The frames at a follow-up's start and 0.5 s before it, in the follow-up's own log."""
    own = follow_up_log(log, moment, tracks, start)
    now = _follow_up_frame(own, log, moment, NOW, "now", start)
    return now, _follow_up_frame(own, log, moment, NOW - BEFORE, "before", start)


def follow_up_log(log: Log, moment: int, tracks: Tracks, start: FollowUpStart) -> Log:
    """A log of its own, from 2 s to 8 s after the case's moment, at exactly ten steps a second.

    Traffic and lights are those of the log's steps, taken for such. The ego is the follow-up's up to its start. Nobody
    knows what it does after that: there it stands still where it started, and no planner or score may look at it.
    Its motion is told by its own poses up to each moment: the drives of the bank come from smoothed logs.

    Args:
        log: of the case.
        moment: step of the case.
        tracks: of `advanced_tracks`.
        start: the follow-up.
    """
    steps, times_us = LAST - FIRST + 1, log.times_us[moment] + _STEP_US * np.arange(FIRST, LAST + 1)
    told = start.ego.by_own_poses(times_us[: len(start.ego)])
    waiting = start.ego.at(np.full(steps - len(start.ego), len(start.ego) - 1))
    still = np.zeros_like(waiting.velocity)
    waiting = replace(waiting, velocity=still, acceleration=still, yaw_rate=np.zeros(len(waiting)))
    return replace(
        log,
        name=f"{log.name}-{log.times_us[moment]}-{start.index:03d}",
        times_us=times_us,
        ego=joined_ego(told, waiting),
        tracks=tracks,
        lights=log.lights.at(slice(moment + FIRST, moment + LAST + 1)),
        photos=(),
        sweeps=(),
    )


def joined_ego(first: Ego, then: Ego) -> Ego:
    """States one after the other."""
    return Ego(*(np.concatenate(pair) for pair in zip(_parts(first), _parts(then), strict=True)))


def _parts(ego: Ego) -> Sequence[np.ndarray]:
    return ego.world_from_ego, ego.velocity, ego.acceleration, ego.yaw_rate


def _follow_up_frame(own: Log, log: Log, moment: int, step: int, chain: str, start: FollowUpStart) -> BenchmarkScene:
    scene = scene_at(own, step)
    then = moment + FIRST + step
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
        command=start.now if chain == "now" else start.before,
        parameters=start.parameters,
    )
    return BenchmarkScene(f"{own.name}-{chain}", viewpoint, follow_up=True)
