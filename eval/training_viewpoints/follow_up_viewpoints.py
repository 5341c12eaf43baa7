"""Follow-up viewpoints of training sets: as a benchmark's, at random start points, with a way back."""

from dataclasses import replace

import numpy as np

from swerve.data.dataset.augment_options import AugmentOptions
from swerve.data.dataset.viewpoint_maker import MadeViewpoints
from swerve.eval.benchmark.assemble import FollowUpStart, follow_up_log
from swerve.eval.benchmark.build.admissibility import history_violation, violation
from swerve.eval.benchmark.build.advance_traffic import advanced_tracks
from swerve.eval.benchmark.build.make_scene_group import UNSCORABLE, command_beside
from swerve.eval.benchmark.frame_steps import BEFORE, ENDPOINT, FIRST, FUTURE, HISTORY, LAST, NOW
from swerve.eval.benchmark.schedule import check_rate, scene_at
from swerve.eval.traffic.policy import Policy
from swerve.eval.training_viewpoints.ways_back import no_target, with_way_back
from swerve.scenes import Scene, SwerveError, Tracks
from swerve.scenes.viewpoints import LogGeometry, Rejection, Viewpoint, ViewpointKind
from swerve.scenes.viewpoints.follow_up import FollowUp, FollowUpOptions
from swerve.scenes.viewpoints.follow_up.start_draws import LOG_END, SCENE_REASONS, SCENE_UNSCORABLE, drawn_starts
from swerve.scenes.viewpoints.frenet_motion import FrenetTrajectory

# Steps of the past that count with the way back, see `return_maneuver`.
_PAST = 3


def follow_up_viewpoints(
    scene: Scene, geometry: LogGeometry, options: AugmentOptions, policy: Policy
) -> MadeViewpoints:
    """Build the follow-up viewpoints of a scene: 4 s later, in the traffic that has moved on.

    Everything but the choice of the start points is that of a benchmark's follow-ups: the traffic (`advanced_tracks`),
    the log of the scene (`follow_up_log`), the driving command, and what is admissible (`violation`,
    `history_violation`). Start points and histories are those of `drawn_starts`. The scene lasts 4 s.

    Reasons to reject, besides those of `drawn_starts` and of the benchmark: "log_end" (the log ends before 8 s, or
    begins less than 1.5 s before the scene), "scene_unscorable", and "unscorable" (the scene at the start point).

    Raises:
        SwerveError: the log does not have ten steps a second.
    """
    log, count = scene.log, options.follow_up.samples_per_scene
    check_rate(log, "follow-up viewpoints are built")
    if scene.now < HISTORY or scene.now + LAST >= len(log.times_us):
        return _all_rejected(count, LOG_END)
    try:
        tracks = advanced_tracks(log, scene.now, policy, options.seed)
    except SwerveError:
        return _all_rejected(count, SCENE_UNSCORABLE)
    tracks = tracks.select_tracks(np.flatnonzero(tracks.valid.any(axis=1)))
    made = [_viewpoint(scene, geometry, tracks, index, options) for index in range(count)]
    accepted = [one for one in made if not isinstance(one, Rejection)]
    return MadeViewpoints(
        tuple(viewpoint for viewpoint, _ in accepted),
        tuple(one for one in made if isinstance(one, Rejection)),
        tuple(reason for _, reason in accepted if reason),
    )


def _all_rejected(count: int, reason: str) -> MadeViewpoints:
    return MadeViewpoints(rejected=tuple(Rejection(ViewpointKind.FOLLOW_UP, index, reason) for index in range(count)))


def _viewpoint(
    scene: Scene, geometry: LogGeometry, tracks: Tracks, index: int, options: AugmentOptions
) -> Rejection | tuple[Viewpoint, Rejection | None]:
    """Return the viewpoint of the first attempt that is admissible, or why the first attempt is not."""
    first = ""
    at = scene_at(scene.log, scene.now)
    for one in drawn_starts(at, geometry, index, options.follow_up, FollowUpOptions(), options.seed):
        if isinstance(one, FollowUp):
            viewpoint = follow_up_viewpoint(scene, geometry, tracks, one, index)
            reason = _reason(viewpoint, geometry, scene.now, tracks, one)
            if reason is None:
                return with_way_back(
                    viewpoint, geometry, scene.now + ENDPOINT, past_of(one), _pull(one), options.recovery
                )
        else:
            reason = one.reason
        first = first or reason
        if first in SCENE_REASONS:
            break
    return Rejection(ViewpointKind.FOLLOW_UP, index, first)


def follow_up_viewpoint(scene: Scene, geometry: LogGeometry, tracks: Tracks, one: FollowUp, index: int) -> Viewpoint:
    """Return the viewpoint of a start point, without a target, in its own log of the scene's log's name.

    Args:
        scene: from which the follow-up starts, 4 s before it.
        geometry: of the log.
        tracks: of `advanced_tracks`.
        one: the start point.
        index: of the viewpoint.
    """
    log = scene.log
    now, before = (command_beside(geometry, scene.now, one, step) for step in (-1, -1 - BEFORE))
    start = FollowUpStart(one.index, one.ego, one.history_source, one.parameters, now, before)
    own = replace(follow_up_log(log, scene.now, tracks, start), name=log.name)
    there = Scene(own, NOW, NOW, FUTURE)
    then = scene.now + ENDPOINT
    return Viewpoint(
        scene=there,
        kind=ViewpointKind.FOLLOW_UP,
        index=index,
        ego=there.ego.at(slice(0, NOW + 1)),
        target=no_target(),
        human=log.ego.world_from_ego[then + 1 : then + FUTURE + 1],
        vehicle=own.vehicle,
        cameras=own.cameras,
        tracks=there.tracks,
        command=now,
        parameters={_name(name): value for name, value in one.parameters.items()},
        human_now=log.ego.world_from_ego[then],
    )


def _name(parameter: str) -> str:
    """Return the name of a start point's parameter; relaxed bounds keep theirs, by which they are counted."""
    return parameter if parameter.startswith("relaxed_") else f"start_{parameter}"


def past_of(one: FollowUp) -> FrenetTrajectory:
    """Return the last motion of a start point's history."""
    ego = one.ego.at(slice(len(one.ego) - _PAST, None))
    speeds = ego.velocity[:, 0]
    bends = np.divide(ego.yaw_rate, speeds, out=np.zeros_like(speeds), where=speeds > 1e-3)
    return FrenetTrajectory(ego.positions[:, :2], np.unwrap(ego.headings), speeds, bends)


def _pull(one: FollowUp) -> float:
    return float(one.ego.acceleration[-1, 0])


def _reason(viewpoint: Viewpoint, geometry: LogGeometry, group_step: int, tracks: Tracks, one: FollowUp) -> str | None:
    """Return why a start point is not admissible, as in a benchmark; None if it is."""
    try:
        reason = violation(viewpoint.scene)
    except SwerveError:
        return UNSCORABLE
    return reason or history_violation(geometry, group_step + FIRST, tracks, one.ego)
