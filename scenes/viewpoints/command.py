"""Driving command by NAVSIM's rule."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from swerve.scenes.polyline import arc_lengths, heading_at, interpolate_at, to_frenet
from swerve.scenes.road_map import Lane, LaneType, RoadMap
from swerve.scenes.transforms import wrap_angle
from swerve.scenes.viewpoints.viewpoint import Command

LOOK_AHEAD = 20.0
_SIDEWAYS = 2.0
# Tolerance in metres and radians within which a lane matches the end of a path.
_LANE_REACH, _LANE_TURN = 2.5, np.deg2rad(45.0)


def driving_command(
    ahead: Float[np.ndarray, "n 2"], heading: float, road_map: RoadMap | None, route: Sequence[str] = ()
) -> Command:
    """Compute the driving command from the path ahead.

    NAVSIM's rule: LEFT or RIGHT where the route, 20 m ahead, lies 2 m or more to the side of the direction that it has
    here. The reference is the route's direction and not the vehicle's heading, so that the command does not reveal a
    perturbed heading. A shorter path is extended along the lane it ends on and its successors; at a fork, along the
    route where that decides. Without a lane, a path of a metre or more is extended straight.

    Args:
        ahead: the path ahead from the vehicle's nearest point on it, metres.
        heading: direction of the path at its first point, radians.
        road_map: None where there is none.
        route: ids of the lane groups that the vehicle drives through.

    Returns:
        UNKNOWN where a fork leaves the path ahead ambiguous, or where the vehicle is stationary and no lane matches.
    """
    target = point_ahead(ahead, heading, road_map, route)
    if target is None:
        return Command.UNKNOWN
    offset = target - ahead[0]
    sideways = np.cos(heading) * offset[1] - np.sin(heading) * offset[0]
    if abs(sideways) < _SIDEWAYS:
        return Command.STRAIGHT
    return Command.LEFT if sideways > 0 else Command.RIGHT


def point_ahead(
    ahead: Float[np.ndarray, "n 2"],
    heading: float,
    road_map: RoadMap | None,
    route: Sequence[str],
    distance: float = LOOK_AHEAD,
) -> Float[np.ndarray, "2"] | None:
    """Return the point of the path at a distance ahead, or None where it is ambiguous; see `driving_command`."""
    length = float(arc_lengths(ahead)[-1])
    missing = distance - length
    if missing <= 1e-6:
        reached: Float[np.ndarray, "2"] = interpolate_at(ahead, np.array([distance]))[0]
        return reached
    end_heading = float(heading_at(ahead, np.array([length]))[0]) if length > 0.5 else heading
    lane = _matching_lane(road_map, ahead[-1], end_heading, route) if road_map else None
    if lane is not None and road_map is not None:
        return _along_lanes(road_map, lane, ahead[-1], missing, route)
    if length < 1.0:
        return None
    beyond: Float[np.ndarray, "2"] = ahead[-1] + missing * np.array([np.cos(end_heading), np.sin(end_heading)])
    return beyond


def _matching_lane(
    road_map: RoadMap, point: Float[np.ndarray, "2"], heading: float, route: Sequence[str]
) -> Lane | None:
    """Return the lane in the point's direction whose centreline is nearest; lanes of the route take precedence."""
    best, least = None, np.inf
    low, high = road_map.centerline_bounds[:, :2], road_map.centerline_bounds[:, 2:]
    near = ((point >= low - _LANE_REACH) & (point <= high + _LANE_REACH)).all(axis=1)
    for lane in (road_map.lanes[row] for row in np.flatnonzero(near)):
        if lane.kind == LaneType.BICYCLE:
            continue
        along, sideways = to_frenet(lane.centerline, point[None])
        turn = abs(wrap_angle(heading_at(lane.centerline, along)[0] - heading))
        cost = abs(sideways[0]) + 2.0 * float(turn) + (0.0 if lane.group_id in route else 10.0)
        if abs(sideways[0]) <= _LANE_REACH and turn <= _LANE_TURN and cost < least:
            best, least = lane, cost
    return best


def _along_lanes(
    road_map: RoadMap, lane: Lane, point: Float[np.ndarray, "2"], distance: float, route: Sequence[str]
) -> Float[np.ndarray, "2"] | None:
    """Return the point `distance` further along the lanes, at `point`'s lateral offset; None at an ambiguous fork."""
    along, _ = to_frenet(lane.centerline, point[None])
    shift = point - interpolate_at(lane.centerline[:, :2], along)[0]
    reach = float(along[0]) + distance
    while reach > (length := float(lane.lengths[-1])):
        following = [road_map.lane_by_id[name] for name in lane.successors if name in road_map.lane_by_id]
        following = [lane for lane in following if lane.group_id in route] or following
        if len(following) > 1:
            return None
        if not following:
            angle = float(heading_at(lane.centerline, np.array([length]))[0])
            beyond: Float[np.ndarray, "2"] = (
                lane.centerline[-1, :2] + (reach - length) * np.array([np.cos(angle), np.sin(angle)]) + shift
            )
            return beyond
        reach -= length
        lane = following[0]
    reached: Float[np.ndarray, "2"] = interpolate_at(lane.centerline[:, :2], np.array([reach]))[0] + shift
    return reached
