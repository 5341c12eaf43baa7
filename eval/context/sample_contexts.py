"""Scoring contexts of training samples, of any viewpoint."""

from dataclasses import replace

import numpy as np

from swerve.eval.context.scene_context import Context, build_context
from swerve.eval.traffic.lane_paths import straight_on
from swerve.scenes import Ego, Log, RoadMap, Scene
from swerve.scenes.lane_graph import match_route
from swerve.scenes.polyline import to_frenet
from swerve.scenes.transforms import pose_from_yaw
from swerve.scenes.viewpoints import Viewpoint, ViewpointKind

# A cross-agent's route is extended this far beyond its last observation, metres: more than 4 s of urban driving.
_BEYOND = 100.0
_STATES = ("world_from_ego", "velocity", "acceleration", "yaw_rate")


def context_of(viewpoint: Viewpoint) -> Context:
    """Build the scoring context of proposals from a viewpoint.

    For a logged viewpoint it is `build_context(scene)`, for a follow-up or a visited state the same without a human.
    For recovery and cross-agent viewpoints it is the context of a log recorded by the viewpoint's ego:

    - Ego and history are those in the planner's observation.
    - Its `human` is the viewpoint's target: metrics that even the target fails (lane keeping on the way back to the
      lane, collisions of the scored vehicle between the neighbours of a smaller one) pass the human filter.
    - A cross-agent is not in its own traffic; the recording vehicle is.
    - A cross-agent's route is the lane groups it drives through in the whole log, extended straight on for 100 m.

    The scored vehicle is always NAVSIM's, whatever the size of the agent. Paths of lane-following traffic are left
    out: training scores in the traffic of the log.

    Raises:
        SwerveError: the scene cannot be scored, see `build_context`; most often a cross-agent off all lanes.
    """
    if viewpoint.kind not in (ViewpointKind.RECOVERY, ViewpointKind.CROSS_AGENT):
        follow_up = viewpoint.kind is not ViewpointKind.LOGGED
        return build_context(viewpoint.scene, follow_up=follow_up, lane_following=False)
    token = f"{viewpoint.scene.token}-{viewpoint.kind.value}-{viewpoint.index}"
    return build_context(driven_scene(viewpoint), token, lane_following=False)


def driven_scene(viewpoint: Viewpoint) -> Scene:
    """Build the scene in a log of the window's length, recorded by the viewpoint's ego driving its target.

    Cameras and photos are left out.
    """
    scene, log = viewpoint.scene, viewpoint.scene.log
    observed = viewpoint.causal_ego
    poses = np.concatenate([observed.world_from_ego, viewpoint.target])
    later = Ego.from_poses(poses, scene.times_us).at(slice(len(observed), None))
    states = ((getattr(part, name) for part in (observed, later)) for name in _STATES)
    is_agent = viewpoint.kind is ViewpointKind.CROSS_AGENT
    own = replace(
        log,
        times_us=scene.times_us,
        ego=Ego(*(np.concatenate(list(pair)) for pair in states)),
        vehicle=viewpoint.vehicle,
        tracks=viewpoint.tracks,
        lights=scene.lights,
        cameras=(),
        route=agent_route(log, viewpoint.index) if is_agent else log.route,
        photos=(),
        sweeps=(),
    )
    return Scene(own, scene.history, scene.history, scene.future)


def agent_route(log: Log, row: int) -> tuple[str, ...]:
    """Return the lane groups that an agent drives through, in order, and those straight on for 100 m from its end.

    Args:
        log: with the agent.
        row: of its track.

    Returns:
        ids; none without a map, or if it drives on no lane.
    """
    if log.road_map is None:
        return ()
    valid = log.tracks.valid[row]
    positions, headings = log.tracks.positions[row, valid], log.tracks.headings[row, valid]
    route = match_route(log.road_map, Ego.from_poses(pose_from_yaw(positions, headings), log.times_us[valid]))
    return _extended_route(log.road_map, route, positions[-1, :2]) if route else ()


def _extended_route(road_map: RoadMap, route: tuple[str, ...], end: np.ndarray) -> tuple[str, ...]:
    """Extend the route straight on from the lane of its last group that is nearest to the end."""
    lanes = [road_map.lane_by_id[lane] for lane in road_map.group_by_id[route[-1]].lane_ids]
    places = [to_frenet(lane.centerline, end[None]) for lane in lanes]
    nearest = int(np.argmin([abs(float(sideways[0])) for _, sideways in places]))
    onward = straight_on(road_map, lanes[nearest], float(places[nearest][0][0]) + _BEYOND)
    return (*route, *dict.fromkeys(lane.group_id for lane in onward if lane.group_id not in route))
