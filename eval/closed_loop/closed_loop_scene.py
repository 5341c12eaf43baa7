"""Scenes prepared for closed-loop rollouts: everything that does not depend on the planner, computed once."""

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int

from swerve.eval.closed_loop.closed_loop_options import ClosedLoopOptions
from swerve.eval.context.map_polygons import Layer, Surfaces
from swerve.eval.context.scene_context import Context, build_context
from swerve.eval.scoring.thresholds import MAP_RADIUS, STEP, STEPS, STEPS_PER_FRAME
from swerve.eval.traffic.traffic import frames_of
from swerve.scenes import Lane, RoadMap, Scene, SwerveError
from swerve.scenes.polyline import remove_duplicate_points
from swerve.scenes.transforms import wrap_angle, yaw_of
from swerve.scenes.viewpoints import LogGeometry, Viewpoint, ViewpointKind, build_log_geometry

# Steps of a log longer than this many median ones are gaps, as in scenes.log.
_GAP: Final = 1.5
# The map covers what is reached at this speed, m/s, beyond NAVSIM's 100 m.
_FASTEST: Final = 25.0
# The human's path begins this far behind the start, with points this far apart, metres.
_BEHIND, _SPACING = 5.0, 0.5


@dataclass(frozen=True)
class ClosedLoopScene:
    """A scene prepared for closed-loop rollouts of any planner.

    Attributes:
        viewpoint: the ego's initial viewpoint.
        options: of the rollouts.
        context: scoring context with the traffic of all steps.
        frames: the log's steps that are 0, 0.5, ... s from the start.
        human_poses: world poses of the logged ego at every step, as far as they are known.
        human_path: the logged ego's path from a little behind the start on, in points half a metre apart.
        speed_limits: speed limit of each of the context's surfaces, m/s; NaN if there is none.
    """

    viewpoint: Viewpoint
    options: ClosedLoopOptions
    context: Context
    frames: Int[np.ndarray, "f"]
    human_poses: Float[np.ndarray, "e 3"]
    human_path: Float[np.ndarray, "w 2"]
    speed_limits: Float[np.ndarray, "p"]

    @property
    def steps(self) -> int:
        """Return the number of steps of a whole rollout, including the start."""
        return len(self.context.traffic.present)

    def human_poses_at(self, steps: Int[np.ndarray, "q"]) -> Float[np.ndarray, "q 3"]:
        """Return the human's world poses at steps; beyond the log, straight on at its last speed."""
        last = len(self.human_poses) - 1
        poses: Float[np.ndarray, "q 3"] = self.human_poses[np.minimum(steps, last)]
        before = max(last - STEPS_PER_FRAME, 0)
        velocity = (self.human_poses[last, :2] - self.human_poses[before, :2]) / max(last - before, 1)
        poses[:, :2] += np.maximum(steps - last, 0)[:, None] * velocity
        return poses


def build_closed_loop_scene(
    viewpoint: Viewpoint,
    options: ClosedLoopOptions,
    token: str | None = None,
    geometry: LogGeometry | None = None,
) -> ClosedLoopScene:
    """Prepare a scene for rollouts.

    A rollout lasts a whole number of half seconds, because the traffic is that of the scores, which interpolate the log
    between frames of 0.5 s.

    Args:
        viewpoint: logged, or a follow-up in a log of its own.
        options: of the rollouts.
        token: name of the scene; its own if None.
        geometry: `build_log_geometry` of the viewpoint's log, if available.

    Raises:
        SwerveError: the scene cannot be scored (see `build_context`), or its log ends before 4 s.
    """
    scene, follow_up = viewpoint.scene, viewpoint.kind is ViewpointKind.FOLLOW_UP
    if viewpoint.kind not in (ViewpointKind.LOGGED, ViewpointKind.FOLLOW_UP):
        raise SwerveError(f"scene {scene.token}: rollouts start from logged viewpoints and follow-ups alone")
    count = _half_seconds(scene, options.seconds)
    steps = STEPS_PER_FRAME * count + 1
    radius = MAP_RADIUS + _FASTEST * STEP * (steps - STEPS)
    context = build_context(scene, token, follow_up, steps, radius, options.traffic_seed)
    road_map, human_poses = scene.log.road_map, _human_poses(viewpoint)
    return ClosedLoopScene(
        viewpoint=viewpoint,
        options=options,
        context=context,
        frames=frames_of(scene, count + 1),
        human_poses=human_poses,
        human_path=_human_path(viewpoint, geometry, human_poses),
        speed_limits=_limits(road_map, context.scoring_map.surfaces) if road_map else np.zeros(0),
    )


def _half_seconds(scene: Scene, seconds: float) -> int:
    """Return the number of half seconds to drive: until the log ends or has a gap, and at most as given."""
    rest = scene.log.times_us[scene.now :]
    gaps = np.flatnonzero(np.diff(rest) > _GAP * scene.log.step * 1e6)
    last = scene.now + (int(gaps[0]) if len(gaps) else len(rest) - 1)
    frames = frames_of(scene, int(seconds / (STEP * STEPS_PER_FRAME) + 1e-6) + 1)
    # Windows that are too short are reported by `build_context`.
    return max(int((frames <= last).sum()), (STEPS - 1) // STEPS_PER_FRAME + 1) - 1


def _human_poses(viewpoint: Viewpoint) -> Float[np.ndarray, "e 3"]:
    """Return the human's poses every 0.1 s from now on: those of the log or, in a follow-up, of its viewpoint.

    The log's steps count as equally long, as for the traffic.
    """
    scene, poses = viewpoint.scene, viewpoint.human
    if viewpoint.kind is ViewpointKind.LOGGED:
        poses = scene.log.ego.world_from_ego[scene.now :]
    planar = np.column_stack([poses[:, :2, 3], np.unwrap(yaw_of(poses))])
    if viewpoint.kind is not ViewpointKind.LOGGED:
        # The human's pose at the start itself is not given: it is extrapolated backwards by one step.
        planar = np.concatenate([2 * planar[:1] - planar[1:2], planar]) if len(planar) > 1 else planar
    per_step = (frames_of(scene, 2)[1] - scene.now) / STEPS_PER_FRAME
    count = int((len(planar) - 1) / per_step + 1e-6) + 1
    places = np.arange(count) * per_step
    known = np.arange(len(planar))
    columns = [np.interp(places, known, column) for column in planar.T]
    return np.column_stack([*columns[:2], wrap_angle(columns[2])])


def _human_path(
    viewpoint: Viewpoint, geometry: LogGeometry | None, human_poses: Float[np.ndarray, "e 3"]
) -> Float[np.ndarray, "w 2"]:
    """Return the smoothed path of a log; in a follow-up, the human's path in its viewpoint."""
    if viewpoint.kind is not ViewpointKind.LOGGED:
        return remove_duplicate_points(human_poses[:, :2], _SPACING)
    path, now = (geometry or build_log_geometry(viewpoint.scene.log)).path, viewpoint.scene.now
    start, end = float(path.arc_lengths[now]) - _BEHIND, float(path.arc_lengths[-1])
    return path.at(np.append(np.arange(start, end, _SPACING), end)).positions[:, :2]


def _limits(road_map: RoadMap, surfaces: Surfaces) -> Float[np.ndarray, "p"]:
    """Return the limit of each lane; a connector without one has the highest of the lanes it connects, as in nuPlan."""
    lanes = road_map.lane_by_id
    limits = np.full(len(surfaces.ids), np.nan)
    for row, (name, layer) in enumerate(zip(surfaces.ids, surfaces.layers, strict=True)):
        if layer in (Layer.LANE, Layer.LANE_CONNECTOR):
            limits[row] = speed_limit_of(lanes[name], lanes)
    return limits


def speed_limit_of(lane: Lane, lanes: dict[str, Lane]) -> float:
    """Return a lane's limit, m/s; of a connector without one the highest of the lanes it joins; NaN if unknown."""
    if lane.speed_limit is not None:
        return lane.speed_limit
    ends = [lanes[other].speed_limit for other in (*lane.predecessors, *lane.successors) if other in lanes]
    known = [limit for limit in ends if limit is not None]
    return max(known) if lane.is_connector and known and len(known) == len(ends) else np.nan
