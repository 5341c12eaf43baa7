"""Lanes that lead through an intersection, derived from signals, forks, merges and crossings.

A lane whose ends are at most 60 m apart is a connector if one of these holds:

- a traffic signal rules it;
- it is a branch of a fork or of a merge, and its direction is somewhere more than 30 degrees from that at its start, or
  its centreline crosses another lane's at more than 15 degrees;
- its centreline crosses that of a branch which is a connector;
- it is a branch of the same fork or merge as a connector, and no more than 30 m long;
- it is at most 15 m long and all lanes that it joins, on both sides, are connectors.

Where lanes part or join without a turn or a crossing (a road that widens, a slip road), there is no intersection. A
lane straight over a roundabout turns, though it ends in the direction in which it began; and a lane to the left round
its island is long, though its ends are near each other.
"""

from collections.abc import Collection, Mapping, Sequence

import numpy as np
import shapely

from swerve.scenes import Lane
from swerve.scenes.transforms import wrap_angle

_FARTHEST, _LONGEST_SIBLING, _LONGEST_GAP = 60.0, 30.0, 15.0
_TURN, _CROSSING = np.deg2rad(30.0), np.deg2rad(15.0)
# Metres from the ends of a lane within which lines that touch do not cross: there lanes join.
_JOINT = 0.5


def connectors_of(lanes: Sequence[Lane], signalled: Collection[str] = ()) -> frozenset[str]:
    """The ids of the lanes that lead through an intersection.

    Args:
        lanes: of a map; whether they say that they are connectors does not matter.
        signalled: ids of the lanes that a traffic signal rules.
    """
    short = {lane.id: lane for lane in lanes if _apart(lane) <= _FARTHEST}
    branches = _branches(lanes)
    crossed = _crossings(lanes)
    found = {lane for lane in short if lane in signalled}
    found |= {lane for lane in short if branches[lane] and (turn_of(short[lane]) > _TURN or crossed[lane])}
    found |= {lane for lane in short if crossed[lane] & found}
    found |= {lane for lane in short if branches[lane] & found and short[lane].lengths[-1] <= _LONGEST_SIBLING}
    return frozenset(found | _between(short, found))


def turn_of(lane: Lane) -> float:
    """The greatest angle between the lane's direction at its start and further on, radians."""
    return float(np.abs(np.unwrap(lane.headings) - lane.headings[0]).max())


def _apart(lane: Lane) -> float:
    """Return the distance between a lane's ends, metres."""
    return float(np.linalg.norm(lane.centerline[-1, :2] - lane.centerline[0, :2]))


def _branches(lanes: Sequence[Lane]) -> dict[str, set[str]]:
    """The other branches of the forks that a lane begins at and of the merges that it ends at."""
    beside: dict[str, set[str]] = {lane.id: set() for lane in lanes}
    for lane in lanes:
        for ends in (lane.successors, lane.predecessors):
            known = {end for end in ends if end in beside}
            for end in known:
                beside[end] |= known - {end}
    return beside


def _crossings(lanes: Sequence[Lane]) -> dict[str, set[str]]:
    """The lanes that each lane crosses, away from the ends of both."""
    lines = np.array([shapely.LineString(lane.centerline[:, :2]) for lane in lanes], dtype=object)
    crossed: dict[str, set[str]] = {lane.id: set() for lane in lanes}
    first, second = shapely.STRtree(lines).query(lines, "crosses")
    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        points = shapely.get_coordinates(shapely.intersection(lines[a], lines[b]))
        if any(_is_crossing(lines[a], lines[b], shapely.Point(point)) for point in points):
            crossed[lanes[a].id].add(lanes[b].id)
    return crossed


def _is_crossing(one: shapely.LineString, other: shapely.LineString, point: shapely.Point) -> bool:
    """Return whether two lines cross at a point, at an angle and not where they join."""
    along = [line.project(point) for line in (one, other)]
    if any(not _JOINT < at < line.length - _JOINT for at, line in zip(along, (one, other), strict=True)):
        return False
    angle = abs(float(wrap_angle(_direction(one, along[0]) - _direction(other, along[1]))))
    return bool(min(angle, np.pi - angle) > _CROSSING)


def _direction(line: shapely.LineString, along: float) -> float:
    ends = shapely.get_coordinates([line.interpolate(along - _JOINT), line.interpolate(along + _JOINT)])
    return float(np.arctan2(*(ends[1] - ends[0])[::-1]))


def _between(short: Mapping[str, Lane], found: Collection[str]) -> set[str]:
    """The short lanes that join nothing but connectors."""
    return {
        lane.id
        for lane in short.values()
        if lane.lengths[-1] <= _LONGEST_GAP
        and lane.predecessors
        and lane.successors
        and all(other in found for other in (*lane.predecessors, *lane.successors))
    }
