"""The simple log with a fork at x = 135 of the ego's lane: straight on (b), or a left turn of radius 12 m (turn)."""

from dataclasses import replace

import numpy as np

from swerve.eval import build_context, lane_agents, simulate
from swerve.eval.scoring.trajectories import references_of
from swerve.scenes import Log, Scene
from swerve.scenes.polyline import arc_lengths, from_frenet, interpolate_at
from tests.support.simple_log import LENGTH, simple_log

NOW, FORK, RADIUS, LANE_Y = 70, 135.0, 12.0, -1.75


def turn_line() -> np.ndarray:
    """The centreline of the left turn, and 40 m to the north."""
    angle = np.linspace(0.0, np.pi / 2, 19)
    arc = np.column_stack([FORK + RADIUS * np.sin(angle), LANE_Y + RADIUS * (1 - np.cos(angle))])
    return np.concatenate([arc, [arc[-1] + [0.0, 40.0]]])


def log_with_fork() -> Log:
    """Everybody goes straight on."""
    log = simple_log()
    road = log.road_map
    whole, group = road.lane_by_id["east_left"], road.lane_groups[0]
    parts = {
        "east_left": np.array([[0.0, LANE_Y], [75.0, LANE_Y], [FORK, LANE_Y]]),
        "b": np.array([[FORK, LANE_Y], [LENGTH, LANE_Y]]),
        "turn": turn_line(),
    }
    lanes = tuple(
        _lane(whole, name, line, ("b", "turn") if name == "east_left" else ()) for name, line in parts.items()
    )
    groups = (replace(group, lane_ids=(*group.lane_ids, "b", "turn")), *road.lane_groups[1:])
    return replace(log, road_map=replace(road, lanes=(*lanes, *road.lanes[1:]), lane_groups=groups))


def _lane(whole, name, line, successors):
    flat = np.column_stack([line, np.zeros(len(line))])
    along = arc_lengths(line)
    sides = [from_frenet(line, along, np.full(len(line), side)) for side in (1.75, -1.75)]
    outline = np.concatenate([sides[0], sides[1][::-1]])
    polygon = np.column_stack([outline, np.zeros(len(outline))])
    return replace(whole, id=name, centerline=flat, polygon=polygon, successors=successors, right_neighbor=None)


def driven_along(log: Log, line: np.ndarray, speed: float = 10.0) -> Log:
    """The log with the first track at 10 m/s along a line, 120 m from its start now."""
    along = 120.0 + speed * 0.1 * (np.arange(len(log.times_us)) - NOW)
    positions, headings, velocities = (
        getattr(log.tracks, name).copy() for name in ("positions", "headings", "velocities")
    )
    positions[0, :, :2] = interpolate_at(line, along)
    ahead = interpolate_at(line, along + 0.5) - interpolate_at(line, along - 0.5)
    headings[0] = np.arctan2(ahead[:, 1], ahead[:, 0])
    velocities[0] = speed * np.column_stack([np.cos(headings[0]), np.sin(headings[0])])
    return replace(log, tracks=replace(log.tracks, positions=positions, headings=headings, velocities=velocities))


def turning_log() -> Log:
    """The first track turns left at the fork."""
    return driven_along(log_with_fork(), np.concatenate([[[0.0, LANE_Y]], turn_line()]))


def hidden_before_the_fork() -> Log:
    """A log that shows its first vehicle up to 5 m before the fork."""
    log = log_with_fork()
    valid = log.tracks.valid.copy()
    valid[0, NOW + 11 :] = False
    return replace(log, tracks=replace(log.tracks, valid=valid))


def lane_following(log: Log):
    """The traffic of 4 s while the ego stands, and the context."""
    context = build_context(Scene(log, NOW, 15, 50))
    plan = np.zeros((8, 3))
    states = simulate(context.ego, references_of(plan[None], context.ego[:3], context.start_us))[0]
    return lane_agents(context, states), context
