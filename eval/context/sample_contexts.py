"""Scoring contexts of training samples: of any viewpoint, from the seat that its images are drawn from."""

from dataclasses import replace

import numpy as np

from swerve.eval.context.scene_context import Context, build_context
from swerve.eval.traffic.lane_paths import straight_on
from swerve.scenes import Ego, Log, RoadMap, Scene
from swerve.scenes.lane_graph import route_along
from swerve.scenes.polyline import frenet
from swerve.scenes.transforms import upright
from swerve.scenes.viewpoints import Viewpoint, ViewpointKind

# A cross-agent's route goes on so far beyond where it was last seen, metres: more than anybody drives in 4 s in town.
_BEYOND = 100.0
_STATES = ("world_from_ego", "velocity", "acceleration", "yaw_rate")


def context_of(viewpoint: Viewpoint) -> Context:
    """The context in which proposals made from a viewpoint are scored.

    Of a logged viewpoint it is `build_context(scene)`, of a follow-up the same without a human. Of recovery and
    cross-agent viewpoints it is the context of a log in which the viewpoint's ego is the recording vehicle:

    - Ego and history are those that the viewpoint's planner is told.
    - Its `human` is the viewpoint's target: what cannot be done well from there (keep the lane on the way back to it,
      fit the scored car between the neighbours of a smaller one) is forgiven, as a human's failures are.
    - A cross-agent is not in its own traffic; the vehicle that recorded it is.
    - A cross-agent's route is what it drives through in the whole log, and from there straight on for 100 m.

    The scored car is always NAVSIM's, whatever the size of the agent.

    Raises:
        SwerveError: the scene cannot be scored, see `build_context`; most often a cross-agent that drives on no lane.
    """
    if viewpoint.kind in (ViewpointKind.LOGGED, ViewpointKind.FOLLOW_UP):
        return build_context(viewpoint.scene, follow_up=viewpoint.kind is ViewpointKind.FOLLOW_UP)
    token = f"{viewpoint.scene.token}-{viewpoint.kind.value}-{viewpoint.index}"
    return build_context(driven_scene(viewpoint), token)


def driven_scene(viewpoint: Viewpoint) -> Scene:
    """The scene in a log of its own, as long as its window, that the viewpoint's ego recorded while driving its target.

    Cameras and photographs are left out.
    """
    scene, log = viewpoint.scene, viewpoint.scene.log
    told = viewpoint.told_ego
    poses = np.concatenate([told.world_from_ego, viewpoint.target])
    later = Ego.from_poses(poses, scene.times_us).at(slice(len(told), None))
    states = ((getattr(part, name) for part in (told, later)) for name in _STATES)
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
    """The lane groups that an agent drives through, in order, and those straight on for 100 m from where it ends.

    Args:
        log: with the agent.
        row: of its track.

    Returns:
        ids; none without a map, or where it drives on no lane.
    """
    if log.road_map is None:
        return ()
    valid = log.tracks.valid[row]
    positions, headings = log.tracks.positions[row, valid], log.tracks.headings[row, valid]
    route = route_along(log.road_map, Ego.from_poses(upright(positions, headings), log.times_us[valid]))
    return _prolonged(log.road_map, route, positions[-1, :2]) if route else ()


def _prolonged(road_map: RoadMap, route: tuple[str, ...], end: np.ndarray) -> tuple[str, ...]:
    """The route, and what follows straight on from its last group's lane that is nearest to the end."""
    lanes = [road_map.lane_by_id[lane] for lane in road_map.group_by_id[route[-1]].lane_ids]
    places = [frenet(lane.centerline, end[None]) for lane in lanes]
    nearest = int(np.argmin([abs(float(sideways[0])) for _, sideways in places]))
    onward = straight_on(road_map, lanes[nearest], float(places[nearest][0][0]) + _BEYOND)
    return (*route, *dict.fromkeys(lane.group_id for lane in onward if lane.group_id not in route))
