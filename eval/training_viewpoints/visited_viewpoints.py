"""Visited viewpoints: states that a planner reached in recorded rollouts, as it observed them."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np
from jaxtyping import Float, Int

from swerve.data.dataset.augment_options import AugmentOptions
from swerve.data.dataset.viewpoint_maker import MadeViewpoints
from swerve.eval.benchmark.assemble import STEP_US, waiting_ego
from swerve.eval.benchmark.build.admissibility import violation
from swerve.eval.benchmark.build.make_scene_group import UNSCORABLE
from swerve.eval.benchmark.frame_steps import FUTURE, HISTORY
from swerve.eval.benchmark.schedule import scene_at
from swerve.eval.closed_loop.closed_loop_scene import ClosedLoopScene, build_closed_loop_scene
from swerve.eval.closed_loop.rollout_file import LogRollouts, RecordedRollout
from swerve.eval.closed_loop.rollout_observations import command_at, history_at
from swerve.eval.closed_loop.rollout_views import lights_at, time_at, tracks_at_step, world_from_ego
from swerve.eval.scoring.simulate import State
from swerve.eval.scoring.trajectories import to_world
from swerve.eval.training_viewpoints.ways_back import no_target, rows_of, with_way_back
from swerve.scenes import Ego, Scene, SwerveError, Tracks, TrafficLights
from swerve.scenes.transforms import pose_from_yaw
from swerve.scenes.viewpoints import LogGeometry, Rejection, Viewpoint, ViewpointKind, logged
from swerve.scenes.viewpoints.frenet_motion import FrenetTrajectory
from swerve.scenes.viewpoints.ground import place_on_ground

ROLLOUT_ENDS: Final = "rollout_ends"
# Steps of the past that count with the way back, see `return_maneuver`.
_PAST: Final = 3
# A start differs from the log's by less than this, or the log has changed; metres and radians.
_SLACK: Final = 1e-6
# A car slower than this, m/s, has no curvature of its own.
_STANDING: Final = 0.1


@dataclass(frozen=True)
class VisitedState:
    """A state of a rollout.

    Attributes:
        index: number of the state among all of the log.
        rollout: number of its rollout among all of the log.
        step: step of the rollout, 0.1 s each.
        time_us: its time.
    """

    index: int
    rollout: int
    step: int
    time_us: int


class VisitedViewpoints:
    """Visited viewpoints of one log.

    States are used every `stride` steps of a rollout, from the first after its start on. Each belongs to the scene
    nearest in time, so that parts of the set stay small.

    Args:
        files: recorded rollouts of the log.
        geometry: of the log.
        scenes: of the set.
        options: of the set.
        stride: steps between the states used of a rollout.
    """

    def __init__(
        self,
        files: tuple[LogRollouts, ...],
        geometry: LogGeometry,
        scenes: tuple[Scene, ...],
        options: AugmentOptions,
        stride: int,
    ) -> None:
        self._pairs = [(one.options, rollout) for one in files for rollout in one.rollouts]
        self._geometry, self._recovery = geometry, options.recovery
        self._scene_of = lru_cache(maxsize=4)(self._closed_loop_scene)
        self._states = visited_states([rollout for _, rollout in self._pairs], stride)
        times = np.array([int(scene.token) for scene in scenes], np.int64)
        self._owners = np.array([int(np.abs(times - one.time_us).argmin()) for one in self._states], int)
        self._rows = {scene.token: row for row, scene in enumerate(scenes)}

    def make(self, scene: Scene) -> MadeViewpoints:
        """Make the viewpoints that belong to a scene.

        Reasons to reject: "rollout_ends" (less than 4 s of the rollout are left: the traffic of the sample is not
        known), and those of a benchmark's follow-ups for the current pose, see `violation`.

        Raises:
            SwerveError: the log has changed since the rollout.
        """
        mine = [self._states[row] for row in np.flatnonzero(self._owners == self._rows[scene.token])]
        used, rejected, missing = list[Viewpoint](), list[Rejection](), list[Rejection]()
        for state in mine:
            found = self._made(state)
            if isinstance(found, Rejection):
                rejected.append(found)
                continue
            used.append(found[0])
            missing += [found[1]] if found[1] else []
        return MadeViewpoints(tuple(used), tuple(rejected), tuple(missing))

    def _made(self, state: VisitedState) -> Rejection | tuple[Viewpoint, Rejection | None]:
        _, rollout = self._pairs[state.rollout]
        if state.step + FUTURE >= len(rollout.states):
            return Rejection(ViewpointKind.VISITED, state.index, ROLLOUT_ENDS)
        start = self._scene_of(state.rollout)
        viewpoint = visited_viewpoint(start, rollout, state.step, state.index)
        viewpoint = replace(viewpoint, parameters={"rollout": float(state.rollout), "step": float(state.step)})
        if reason := _violation(viewpoint):
            return Rejection(ViewpointKind.VISITED, state.index, reason)
        now = start.viewpoint.scene.now + state.step
        pull = float(rollout.states[state.step, State.ACCELERATION])
        return with_way_back(viewpoint, self._geometry, now, past_of(rollout, state.step), pull, self._recovery)

    def _closed_loop_scene(self, number: int) -> ClosedLoopScene:
        """Prepare the scene of a rollout as when it was driven.

        Raises:
            SwerveError: the log has changed since.
        """
        options, rollout = self._pairs[number]
        log = self._geometry.log
        changed = f"log {log.name} has changed since rollout {rollout.token}. Run swerve drive --record again"
        now = int(np.searchsorted(log.times_us, int(rollout.token)))
        if now < HISTORY or now + FUTURE >= len(log.times_us) or str(log.times_us[now]) != rollout.token:
            raise SwerveError(changed)
        if not set(rollout.traffic.ids) <= set(log.tracks.ids):
            raise SwerveError(changed)
        scene = scene_at(log, now)
        start = build_closed_loop_scene(logged(scene, self._geometry), options, geometry=self._geometry)
        if np.abs(start.context.ego - rollout.states[0]).max() > _SLACK or start.steps < len(rollout.states):
            raise SwerveError(changed)
        return start


def visited_states(rollouts: list[RecordedRollout], stride: int) -> list[VisitedState]:
    """Return the states that are used of a log's rollouts, numbered in their order; the start is the log's own."""
    found = list[VisitedState]()
    for number, rollout in enumerate(rollouts):
        for step in range(stride, len(rollout.states), stride):
            found.append(VisitedState(len(found), number, step, int(rollout.token) + step * STEP_US))
    return found


def visited_viewpoint(start: ClosedLoopScene, rollout: RecordedRollout, step: int, index: int) -> Viewpoint:
    """Return a state as the planner observed it, without a target, in its own log of the scene's log's name.

    Pose, agents, lights, time, history and command are those of the closed loop's observation at that step. The agents
    move as in the rollout, 4 s on; before its start, as in the log. Steps of the log count as 0.1 s.

    Args:
        start: scene of the rollout.
        rollout: the rollout, at least 4 s longer than `step`.
        step: of the rollout.
        index: of the viewpoint.
    """
    log = start.viewpoint.scene.log
    steps = np.arange(step - HISTORY, step + FUTURE + 1)
    past = _ego(start, rollout, step, steps[: HISTORY + 1])
    own = replace(
        log,
        times_us=time_at(start, step) + STEP_US * np.arange(-HISTORY, FUTURE + 1),
        ego=waiting_ego(past, FUTURE),
        tracks=_tracks(start, rollout, steps),
        lights=_lights(start, steps),
        photos=(),
        sweeps=(),
    )
    scene, then = Scene(own, HISTORY, HISTORY, FUTURE), start.viewpoint.scene.now + step
    return Viewpoint(
        scene=scene,
        kind=ViewpointKind.VISITED,
        index=index,
        ego=past,
        target=no_target(),
        human=log.ego.world_from_ego[then + 1 : then + FUTURE + 1],
        vehicle=log.vehicle,
        cameras=start.viewpoint.cameras,
        tracks=scene.tracks,
        command=command_at(start, rollout.states[: step + 1]),
        parameters={},
        human_now=log.ego.world_from_ego[then],
    )


def past_of(rollout: RecordedRollout, step: int) -> FrenetTrajectory:
    """Return the last motion of the simulated car."""
    count = min(_PAST, step + 1)
    states = rollout.states[step + 1 - count : step + 1]
    speeds, yaw_rates = states[:, State.VELOCITY], states[:, State.YAW_RATE]
    bends = np.divide(yaw_rates, speeds, out=np.zeros_like(speeds), where=speeds > _STANDING)
    return FrenetTrajectory(states[:, :2], np.unwrap(states[:, State.HEADING]), speeds, bends)


def _violation(viewpoint: Viewpoint) -> str | None:
    try:
        return violation(viewpoint.scene)
    except SwerveError:
        return UNSCORABLE


def _ego(start: ClosedLoopScene, rollout: RecordedRollout, step: int, steps: Int[np.ndarray, "h"]) -> Ego:
    """Return the ego's states up to a step as observed: those before the rollout's start are its history's."""
    history = history_at(rollout.past, rollout.states[: step + 1])
    planar = to_world(history.poses, rollout.states[step, :3])
    poses = _past_poses(start, planar)
    for row in np.flatnonzero(steps >= 0):
        poses[row] = world_from_ego(start, rollout.states, int(steps[row]))
    measured = rollout.past.measured
    return Ego(poses, history.velocity.copy(), history.acceleration.copy(), history.yaw_rate.copy(), measured)


def _past_poses(start: ClosedLoopScene, planar: Float[np.ndarray, "h 3"]) -> Float[np.ndarray, "h 4 4"]:
    """Return poses on the map's ground; without a map, at the height of the start."""
    road_map, vehicle = start.viewpoint.scene.log.road_map, start.viewpoint.vehicle
    if road_map is not None:
        return place_on_ground(road_map.ground, planar[:, :2], planar[:, 2], vehicle)
    height = np.full(len(planar), start.viewpoint.world_from_ego[2, 3])
    return pose_from_yaw(np.column_stack([planar[:, :2], height]), planar[:, 2])


def _tracks(start: ClosedLoopScene, rollout: RecordedRollout, steps: Int[np.ndarray, "w"]) -> Tracks:
    """Return the rollout's agents at its steps, and the log's before it."""
    log, first = start.viewpoint.scene.log, start.viewpoint.scene.now
    driven = [tracks_at_step(start, rollout.traffic, int(step)) for step in steps[steps >= 0]]
    rows = rows_of(log, driven[0])
    before = log.tracks.select_tracks(rows).at(first + steps[steps < 0])
    parts = [before, *driven]
    return Tracks(
        driven[0].ids,
        driven[0].classes,
        *(
            np.concatenate([getattr(part, name) for part in parts], axis=1)
            for name in ("positions", "headings", "sizes", "velocities", "valid")
        ),
    )


def _lights(start: ClosedLoopScene, steps: Int[np.ndarray, "w"]) -> TrafficLights:
    """Return the lights as in the rollout, and the log's before it."""
    log, first = start.viewpoint.scene.log, start.viewpoint.scene.now
    states = [log.lights.states[:, first + steps[steps < 0]]]
    states += [lights_at(start, int(step)).states for step in steps[steps >= 0]]
    return replace(log.lights, states=np.concatenate(states, axis=1))
