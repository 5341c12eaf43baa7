"""Traffic of a scene group's second stage: the motion of all agents over 8 s, around the logged ego."""

from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int

from swerve.eval.benchmark.frame_steps import FIRST, HISTORY, LAST
from swerve.eval.context.scene_context import Context, build_context
from swerve.eval.traffic.policies import rollout_agents
from swerve.eval.traffic.policy import Policy
from swerve.eval.traffic.traffic import Traffic, frames_of, without_contacts
from swerve.scenes import Log, ObjectClass, Scene, Tracks


def advanced_tracks(log: Log, now: int, policy: Policy, seed: int = 0) -> Tracks:
    """Compute the tracks of the other agents from 2 s to 8 s after `now`, shared by all follow-ups of a scene group.

    From `now` on, the vehicles controlled by the policy take its motion and all other agents replay the log, while the
    ego drives as logged: up to the follow-ups' start 4 s on, and for the 4 s after it, in which the planner's motion is
    not known yet. In a follow-up scene, log replay plays these tracks; reactive policies begin at its first step and
    react to the follow-up's own ego.

    Under "log-replay" tracks that touch the logged ego at `now` are left out, as in scoring. Steps of the log count as
    0.1 s, whatever their timestamps, as in all scoring.

    Args:
        log: at 10 Hz, with 1.5 s before `now` and 8 s after it.
        now: step of the log.
        policy: traffic policy of the agents.
        seed: of the lanes that lane-following vehicles choose, see `build_context`.

    Raises:
        SwerveError: the scene at `now` cannot be scored, see `build_context`.
    """
    scene = Scene(log, now, HISTORY, LAST)
    context = build_context(scene, steps=LAST + 1, traffic_seed=seed)
    if policy == "log-replay":
        tracks = _without_contacts(log.tracks, context)
    else:
        motion = rollout_agents(policy, context).until(LAST, logged_states(log, now))
        tracks = _moved(scene, motion, _rows_moved(policy, context), policy)
    return tracks.at(slice(now + FIRST, now + LAST + 1))


def logged_states(log: Log, now: int) -> Float[np.ndarray, "t 11"]:
    """Return the logged ego's states over 8 s from `now`, columns as in simulate.State; steering is 0."""
    ego = log.ego.at(slice(now, now + LAST + 1))
    states = np.zeros((len(ego), 11))
    states[:, :2], states[:, 2] = ego.positions[:, :2], ego.headings
    states[:, 3:5], states[:, 5:7], states[:, 9] = ego.velocity, ego.acceleration, ego.yaw_rate
    return states


def _without_contacts(tracks: Tracks, context: Context) -> Tracks:
    out = set(context.traffic.ids) - set(without_contacts(context.traffic, context.ego_box).ids)
    touching = np.array([track in out for track in tracks.ids], dtype=bool)
    return replace(tracks, valid=tracks.valid & ~touching[:, None])


def _rows_moved(policy: Policy, context: Context) -> Int[np.ndarray, "k"]:
    """Return the rows of the traffic that take the policy's motion."""
    if policy == "lane-following":
        return context.lane_following_paths.rows
    return np.flatnonzero(context.traffic.classes == ObjectClass.VEHICLE)


def _moved(scene: Scene, motion: Traffic, moved: Int[np.ndarray, "k"], policy: Policy) -> Tracks:
    """Return the log's tracks with the motion of the rows `moved` in the 8 s after now."""
    tracks, times = scene.log.tracks, scene.now + np.arange(1, LAST + 1)
    motion = motion.of(moved)
    row_of = {track: row for row, track in enumerate(tracks.ids)}
    rows = np.array([row_of[track] for track in motion.ids], dtype=int)
    # As in `logged_traffic`: a track's size is that of the first of the 0.5 s frames in which it is valid.
    frames = frames_of(scene, LAST // 5 + 1)
    first = frames[tracks.valid[np.ix_(rows, frames)].argmax(axis=1)]
    start = tracks.positions[rows, first]
    heights = start[:, 2] + _rise(scene.log, start[:, :2], motion.poses[1:, :, :2])
    valid = tracks.valid.copy()
    if policy != "lane-following":
        # These policies do not add vehicles that appear later.
        valid[tracks.classes == ObjectClass.VEHICLE, scene.now + 1 :] = False
    valid[np.ix_(rows, times)] = motion.present[1:].T
    changed = {
        "positions": np.concatenate([motion.poses[1:, :, :2], heights[..., None]], axis=-1),
        "headings": motion.poses[1:, :, 2],
        "sizes": np.broadcast_to(tracks.sizes[rows, first], (len(times), len(rows), 3)),
        "velocities": motion.velocities[1:],
    }
    arrays = {name: getattr(tracks, name).copy() for name in changed}
    for name, values in changed.items():
        arrays[name][np.ix_(rows, times)] = np.swapaxes(values, 0, 1)
    return replace(tracks, valid=valid, **arrays)


def _rise(log: Log, start: Float[np.ndarray, "k 2"], places: Float[np.ndarray, "t k 2"]) -> Float[np.ndarray, "t k"]:
    """Compute the height of the ground at `places` above that at `start`; 0 where the map has no heights."""
    if log.road_map is None or not log.road_map.has_height:
        return np.zeros(places.shape[:2])
    ground = log.road_map.ground
    rise: Float[np.ndarray, "t k"] = ground.at(places) - ground.at(start)
    return rise
