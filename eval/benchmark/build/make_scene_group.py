"""Construction of one scene group from a step of a log."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from swerve.data.jobs.stopwatch import Stopwatch
from swerve.eval.benchmark.assemble import FollowUpStart, GroupRecord, follow_up_scenes
from swerve.eval.benchmark.build.admissibility import history_violation, violation
from swerve.eval.benchmark.build.advance_traffic import advanced_tracks
from swerve.eval.benchmark.build_options import BuildOptions
from swerve.eval.benchmark.frame_steps import BEFORE, ENDPOINT, FIRST
from swerve.eval.benchmark.scene_group import BenchmarkScene
from swerve.eval.benchmark.schedule import scene_at
from swerve.eval.context.scene_context import build_context
from swerve.scenes import Scene, SwerveError, Tracks, keyed_generator
from swerve.scenes.polyline import to_frenet
from swerve.scenes.transforms import wrap_angle
from swerve.scenes.viewpoints import Command, LogGeometry, driving_command, logged
from swerve.scenes.viewpoints.command import LOOK_AHEAD
from swerve.scenes.viewpoints.follow_up import FollowUp, TrajectoryBank, follow_ups

OVER_CAP, UNSCORABLE, FEW = "over_cap", "unscorable", "few_follow_ups"
# Number of the start point at the logged ego's own end pose.
LOGGED_START = 0
# Projections onto the driven path are searched this far before and after the logged ego's position, metres.
_REACH = 60.0


@dataclass(frozen=True)
class BuiltGroup:
    """Result of building one scene group.

    Attributes:
        record: the scene group; None if it is dropped.
        rejected: rejected start points: number in the grid, and reason.
        drop_reason: reason why it is dropped, "unscorable" or "few_follow_ups"; empty if it is kept.
        message: error message of a scene that cannot be scored.
    """

    record: GroupRecord | None
    rejected: tuple[tuple[int, str], ...] = ()
    drop_reason: str = ""
    message: str = ""


def build_scene_group(
    group_step: int, geometry: LogGeometry, bank: TrajectoryBank, options: BuildOptions, watch: Stopwatch
) -> BuiltGroup:
    """Build the scene group at a step of a log.

    Start points are tried in an order that depends on (seed, log, step) alone: the logged ego's own end pose first,
    then those with a human's history, until `most` are found; the rest is rejected as "over_cap". The scorer rejects
    "collision", "off_road", "wrong_way" and "red_light" (see `violation`) in either of the two scenes, and as
    "unscorable" poses too far from the route; histories are rejected as "collision_before" and "off_road_before"
    (`history_violation`); `follow_ups` has reasons of its own.

    Args:
        group_step: step of the log.
        geometry: of the log.
        bank: of all logs.
        options: number of follow-ups, and their offsets.
        watch: measures "traffic", "follow-ups" and "checks".
    """
    log, scene = geometry.log, scene_at(geometry.log, group_step)
    try:
        with watch.measure("traffic"):
            for step in (group_step, group_step - BEFORE):
                build_context(scene_at(log, step), lane_following=False)
            tracks = _present(advanced_tracks(log, group_step, options.traffic, options.seed))
    except SwerveError as error:
        return BuiltGroup(None, drop_reason=UNSCORABLE, message=str(error))
    with watch.measure("follow-ups"):
        found = follow_ups(scene, geometry, bank, options.follow_up)
    with watch.measure("checks"):
        starts, rejected = _chosen(
            scene, geometry, tracks, [one for one in found if isinstance(one, FollowUp)], options
        )
    rejected += [(one.index, one.reason) for one in found if not isinstance(one, FollowUp)]
    if len(starts) < options.min_follow_ups:
        return BuiltGroup(None, tuple(sorted(rejected)), drop_reason=FEW)
    now, before = (logged(scene_at(log, step), geometry).command for step in (group_step, group_step - BEFORE))
    starts.sort(key=lambda start: start.index)
    return BuiltGroup(GroupRecord(log.name, group_step, now, before, tracks, tuple(starts)), tuple(sorted(rejected)))


def _present(tracks: Tracks) -> Tracks:
    """Return the tracks that are valid at some step."""
    return tracks.select_tracks(np.flatnonzero(tracks.valid.any(axis=1)))


def _chosen(
    scene: Scene, geometry: LogGeometry, tracks: Tracks, found: list[FollowUp], options: BuildOptions
) -> tuple[list[FollowUpStart], list[tuple[int, str]]]:
    starts, rejected = list[FollowUpStart](), list[tuple[int, str]]()
    for one in _in_order(scene, found, options.seed):
        now, before = (command_beside(geometry, scene.now, one, step) for step in (-1, -1 - BEFORE))
        start = FollowUpStart(one.index, one.ego, one.history_source, one.parameters, now, before)
        reason = (
            OVER_CAP if len(starts) == options.max_follow_ups else _rejection_reason(scene, geometry, tracks, start)
        )
        if reason:
            rejected.append((one.index, reason))
        else:
            starts.append(start)
    return starts, rejected


def _in_order(scene: Scene, found: list[FollowUp], seed: int) -> Iterator[FollowUp]:
    order = keyed_generator(seed, scene.log.name, scene.token, "follow_up").permutation(len(found))
    return iter(
        sorted((found[row] for row in order), key=lambda one: (one.index != LOGGED_START, one.history_source != "bank"))
    )


def _rejection_reason(scene: Scene, geometry: LogGeometry, tracks: Tracks, start: FollowUpStart) -> str | None:
    """Return the reason to reject a follow-up or its history; None if it is admissible."""
    for benchmark_scene in follow_up_scenes(scene.log, scene.now, tracks, start):
        reason = _violation_of(benchmark_scene)
        if reason:
            return reason
    return history_violation(geometry, scene.now + FIRST, tracks, start.ego)


def _violation_of(benchmark_scene: BenchmarkScene) -> str | None:
    try:
        return violation(benchmark_scene.viewpoint.scene)
    except SwerveError:
        return UNSCORABLE


def command_beside(geometry: LogGeometry, group_step: int, one: FollowUp, step: int) -> Command:
    """Compute the driving command of the logged path ahead of a follow-up's projection onto it."""
    path, log = geometry.path, geometry.log
    middle = float(path.arc_lengths[group_step + ENDPOINT])
    start = max(middle - _REACH, path.start)
    line = path.at(np.arange(start, middle + _REACH, 0.5)).positions
    foot = start + float(to_frenet(line, one.ego.positions[[step], :2])[0][0])
    heading = float(wrap_angle(path.at(np.array([foot])).headings[0]))
    return driving_command(path.ahead(foot, LOOK_AHEAD), heading, log.road_map, log.route)
