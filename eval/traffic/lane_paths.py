"""Paths along the lane graph: the lanes that a vehicle drives through in the log, and random ones beyond it.

- The lanes are those matched to the vehicle's track from now to the end of the scene (see `match_lanes`). A lane change
  takes 15 m before and after its match, as far as the lanes reach.
- Between matched lanes that are not connected, up to 3 lanes are inserted. If there are none, or if the track leaves
  the lanes for more than 3 m and does not return, the rest of the path is the track itself.
- If the scene ends on a lane, each fork is decided uniformly among its successors by (seed, track, lane), so a vehicle
  makes the same choice in every scene. Lanes are not driven through twice, and bicycle lanes only by vehicles already
  on one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from jaxtyping import Float

from swerve.scenes import Lane, LaneType, RoadMap
from swerve.scenes.lane_graph import MATCH_REACH, match_lanes
from swerve.scenes.polyline import arc_lengths, headings, interpolate_at, remove_duplicate_points, to_frenet
from swerve.scenes.randomness import keyed_generator
from swerve.scenes.transforms import wrap_angle

# Metres of travel below which a track does not determine a vehicle's lane.
_TELLING = 2.0
_OFF_LANES = 3.0
_MOST_BETWEEN = 3
CHANGE = 15.0
_SPACING = 1.0
# Shorter pieces of line are left out, metres.
_SHORTEST = 1e-3
# Positions of a track farther apart than this are points of its line; closer ones are noise.
_TRACK_SPACING = 0.5


@dataclass(frozen=True)
class Leg:
    """A part of a path on one lane, or on the vehicle's own track.

    Attributes:
        line: the lane's centreline, or the track.
        lane: the lane; None on a track.
        enter: arc length from which the line is followed; 0 except after a lane change.
        leave: arc length up to which it is followed; None for its end. Beyond, the path changes to the next leg.
    """

    line: Float[np.ndarray, "n 2"]
    lane: Lane | None = None
    enter: float = 0.0
    leave: float | None = None

    @classmethod
    def on(cls, lane: Lane, enter: float = 0.0) -> "Leg":
        """Create a leg on a lane up to its end."""
        return cls(lane.centerline[:, :2], lane, enter)

    @property
    def length(self) -> float:
        """Return the length of the leg, metres."""
        return float((arc_lengths(self.line)[-1] if self.leave is None else self.leave) - self.enter)


@dataclass(frozen=True)
class LanePath:
    """The line along some legs.

    Attributes:
        points: (x, y, unwrapped heading).
        lengths: arc lengths at those.
        entries: the lanes entered at their start, and the arc lengths of these entries.
        on_lanes: arc length at which the path leaves the lanes; inf if it does not.
    """

    points: Float[np.ndarray, "v 3"]
    lengths: Float[np.ndarray, "v"]
    entries: tuple[tuple[Lane, float], ...]
    on_lanes: float


def logged_legs(
    road_map: RoadMap, positions: Float[np.ndarray, "t 2"], directions: Float[np.ndarray, "t"]
) -> list[Leg]:
    """Return the legs on the lanes that a track drives through, from its first to its last position.

    Args:
        road_map: with the lanes.
        positions: of the vehicle's centre, from now on.
        directions: its headings there.

    Returns:
        legs in driving order; none if the track is at rest, or begins on no lane.
    """
    if np.hypot(*np.ptp(positions, axis=0)) < _TELLING:
        return []
    lanes = _lanes_near(road_map, positions)
    points, matched = match_lanes(lanes, positions, directions)
    if not len(points) or points[0]:
        return []
    legs, last = [Leg.on(lanes[matched[0]])], 0
    begin = _along(legs[0].line, positions[0])
    for (_, before), (point, lane) in pairwise(zip(points.tolist(), matched.tolist(), strict=True)):
        following = _joined_to(road_map, legs, lanes[lane], positions[point], begin) if lane != before else []
        if following is None:
            break
        legs, last = [*legs, *following], point
    return _with_rest(legs, positions, last, begin)


def _lanes_near(road_map: RoadMap, positions: Float[np.ndarray, "t 2"]) -> list[Lane]:
    """Return the lanes that may be matched to some of the positions."""
    low, high = positions.min(axis=0) - MATCH_REACH, positions.max(axis=0) + MATCH_REACH
    bounds = road_map.lane_bounds
    near = (bounds[:, :2] <= high).all(axis=1) & (bounds[:, 2:] >= low).all(axis=1)
    return [road_map.lanes[row] for row in np.flatnonzero(near)]


def _along(line: Float[np.ndarray, "n 2"], position: Float[np.ndarray, "2"]) -> float:
    return float(to_frenet(line, position[None])[0][0])


def _joined_to(
    road_map: RoadMap, legs: list[Leg], lane: Lane, position: Float[np.ndarray, "2"], begin: float
) -> list[Leg] | None:
    """Return the legs from the last leg to a lane; None if they cannot be connected.

    At a lane change the last leg ends earlier, but not before the vehicle's current position: `begin` on the first.
    """
    last = legs[-1]
    if last.lane is None:
        return None
    if lane.id in (last.lane.left_neighbor, last.lane.right_neighbor):
        least = begin if len(legs) == 1 else last.enter
        legs[-1] = replace(last, leave=max(_along(last.line, position) - CHANGE, least))
        there = _along(lane.centerline[:, :2], position) + CHANGE
        return [Leg.on(lane, min(there, float(lane.lengths[-1])))]
    between = _between(road_map, last.lane, lane)
    return None if between is None else [Leg.on(one) for one in between]


def _with_rest(legs: list[Leg], positions: Float[np.ndarray, "t 2"], last: int, begin: float) -> list[Leg]:
    """Append the rest of the track beyond position `last` to the legs if it leaves the lanes."""
    line = _track_line(positions)
    enter = _along(line, positions[last])
    if arc_lengths(line)[-1] - enter <= _OFF_LANES:
        return legs
    least = begin if len(legs) == 1 else legs[-1].enter
    along = _along(legs[-1].line, positions[last])
    leave = max(along - CHANGE, least)
    # Shortly before leaving the lane, some metres are still needed from the lane's centreline to the track.
    enter += max(CHANGE / 2 - (along - leave), 0.0)
    return [*legs[:-1], replace(legs[-1], leave=leave), Leg(line, None, min(enter, float(arc_lengths(line)[-1])))]


def _track_line(positions: Float[np.ndarray, "t 2"]) -> Float[np.ndarray, "n 2"]:
    """Return the line through positions that are some way apart."""
    kept = [0]
    for step in range(1, len(positions)):
        if np.hypot(*(positions[step] - positions[kept[-1]])) > _TRACK_SPACING:
            kept.append(step)
    return positions[kept]


def _between(road_map: RoadMap, first: Lane, goal: Lane) -> list[Lane] | None:
    """Return the shortest path of successors from one lane to another, without the first; None if it is too long."""
    ways: list[list[Lane]] = [[first]]
    for _ in range(_MOST_BETWEEN + 1):
        ways = [[*way, other] for way in ways for other in _successors(road_map, way[-1])]
        found = next((way for way in ways if way[-1].id == goal.id), None)
        if found is not None:
            return found[1:]
    return None


def _successors(road_map: RoadMap, lane: Lane) -> list[Lane]:
    return [road_map.lane_by_id[other] for other in lane.successors if other in road_map.lane_by_id]


def extend_legs(road_map: RoadMap, legs: Sequence[Leg], reach: float, seed: int, track: str) -> list[Leg]:
    """Extend the legs by lanes chosen by (seed, track, lane), until `reach` metres are covered."""
    whole, covered = list(legs), sum(leg.length for leg in legs)
    driven = {leg.lane.id for leg in legs if leg.lane is not None}
    last = whole[-1].lane
    while last is not None and covered < reach:
        onward = [lane for lane in _successors(road_map, last) if lane.id not in driven]
        onward = [lane for lane in onward if lane.kind is not LaneType.BICYCLE or last.kind is LaneType.BICYCLE]
        if not onward:
            break
        chosen = int(keyed_generator(seed, "fork", track, last.id).integers(len(onward))) if len(onward) > 1 else 0
        last = onward[chosen]
        whole.append(Leg.on(last))
        driven.add(last.id)
        covered += whole[-1].length
    return whole


def path_along(legs: Sequence[Leg]) -> LanePath:
    """Return the line along legs, with the lane changes between them."""
    pieces, entries, on_lanes, covered = list[np.ndarray](), [], np.inf, 0.0
    for piece, lane, follows_track in _pieces(legs):
        start = covered + (float(np.hypot(*(piece[0] - pieces[-1][-1]))) if pieces else 0.0)
        if lane is not None:
            entries.append((lane, start))
        if follows_track:
            on_lanes = min(on_lanes, start)
        pieces.append(piece)
        covered = start + float(arc_lengths(piece)[-1])
    line = remove_duplicate_points(np.concatenate(pieces))
    return LanePath(np.column_stack([line, np.unwrap(headings(line))]), arc_lengths(line), tuple(entries), on_lanes)


def _pieces(legs: Sequence[Leg]) -> Iterator[tuple[Float[np.ndarray, "n 2"], Lane | None, bool]]:
    """Yield the lines of the legs and of the lane changes between them.

    Each with the lane entered at its start, if any, and with whether it is the track or the change to it.
    """
    only = legs[0] if all(leg.length <= _SHORTEST for leg in legs) else None  # lanes may have no length
    for leg, following in zip(legs, [*legs[1:], None], strict=True):
        if leg.length > _SHORTEST or leg is only:
            yield _part(leg), leg.lane if leg.enter == 0.0 else None, leg.lane is None
        if leg.leave is not None and following is not None:
            yield _change(leg.line, leg.leave, following.line, following.enter), None, following.lane is None


def _part(leg: Leg) -> Float[np.ndarray, "n 2"]:
    """Return the part of the leg's line that is followed."""
    lengths, last = arc_lengths(leg.line), leg.enter + leg.length
    inner = lengths[(lengths > leg.enter) & (lengths < last)]
    return interpolate_at(leg.line, np.concatenate([[leg.enter], inner, [last]]))


def _change(
    before: Float[np.ndarray, "b 2"], leave: float, after: Float[np.ndarray, "a 2"], enter: float
) -> Float[np.ndarray, "n 2"]:
    """Blend smoothly from one line to another beside it."""
    ends = interpolate_at(before, np.array([leave])), interpolate_at(after, np.array([enter]))
    length = float(np.linalg.norm(ends[1] - ends[0]))
    share = np.linspace(0.0, 1.0, max(int(np.ceil(length / _SPACING)), 2) + 1)
    old = interpolate_at(before, leave + share * length)
    new = interpolate_at(after, enter - (1.0 - share) * length)
    blend = (share**2 * (3.0 - 2.0 * share))[:, None]
    blended: Float[np.ndarray, "n 2"] = (1.0 - blend) * old + blend * new
    return blended


def straight_on(road_map: RoadMap, lane: Lane, reach: float) -> list[Lane]:
    """Return the lane and its straightest successors, until `reach` metres are covered."""
    lanes, covered = [lane], lane.lengths[-1]
    while covered < reach:
        onward = [other for other in _successors(road_map, lanes[-1]) if other not in lanes]
        if not onward:
            break
        end = lanes[-1].headings[-1]
        lanes.append(min(onward, key=lambda other: abs(float(wrap_angle(other.headings[-1] - end)))))
        covered += lanes[-1].lengths[-1]
    return lanes
