"""Streets between junctions: centre line, lanes, lane groups, kerbs, markings, pavements and parking bays."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from swerve.data.sources.town.curves import Curve, left_of
from swerve.data.sources.town.hills import lifted
from swerve.data.sources.town.junctions import Junction
from swerve.data.sources.town.layout import Carriageway, Street
from swerve.scenes import Area, GroundHeight, Lane, LaneGroup, LaneMarking, LaneType, RoadEdge, RoadLine

# Metres between points of a street's line, and length of its straight ends beyond the lanes.
_SPACING, _STRAIGHT = 2.0, 1.0
# The line's radius stays above this, metres.
_LEAST_RADIUS = 45.0
# It leaves the straight line between its ends by this much at most, metres.
_GREATEST_BOW = 10.0
# Parking bays: clear of the lanes' ends by so much, metres.
_BAY_MARGIN = 9.0


@dataclass(frozen=True)
class StreetAxis:
    """Centre line of a street between its lanes' ends, with parallel lines.

    Attributes:
        id: id of the street.
        street: cross-section.
        points: points of the line.
        normals: unit vectors to its left.
    """

    id: str
    street: Street
    points: Curve
    normals: Curve

    def at(self, lateral: float) -> Curve:
        """Return the parallel line at a lateral offset to the left."""
        return self.points + lateral * self.normals

    def strip(self, right: float, left: float, rows: slice = slice(None)) -> Curve:
        """Return the outline between two parallel lines, counter-clockwise, not closed."""
        return np.concatenate([self.at(right)[rows], self.at(left)[rows][::-1]])


@dataclass(frozen=True)
class Direction:
    """Lanes of one direction of a street.

    Attributes:
        group: lane group of the lanes for all vehicles.
        lanes: from the inner to the outer one.
        bicycle_group: lane group of the bicycle lane, if there is one.
        bicycle: the bicycle lane, if there is one.
    """

    group: LaneGroup
    lanes: tuple[Lane, ...]
    bicycle_group: LaneGroup | None = None
    bicycle: Lane | None = None


def street_axis(
    index: int, street: Street, ends: tuple[Junction, Junction], reaches: tuple[float, float]
) -> StreetAxis:
    """Build the line of a street, bent away from the junctions.

    Args:
        index: index of the street.
        street: cross-section.
        ends: junctions at its start and end.
        reaches: distance from these junctions to the lanes' ends.
    """
    step = ends[1].position - ends[0].position
    length = float(np.linalg.norm(step))
    free = length - sum(reaches) - 2 * _STRAIGHT
    along = np.linspace(reaches[0], length - reaches[1], max(int(np.ceil((length - sum(reaches)) / _SPACING)), 2) + 1)
    share = np.clip((along - reaches[0] - _STRAIGHT) / free, 0.0, 1.0)
    bump, slope = _bend(street, share)
    size = min(_GREATEST_BOW, free**2 / (2 * np.pi**2 * _LEAST_RADIUS))
    direction = step / length
    points = ends[0].position + along[:, None] * direction + (size * bump)[:, None] * left_of(direction)
    tangents = direction + (size / free * slope)[:, None] * left_of(direction)
    normals = left_of(tangents / np.linalg.norm(tangents, axis=1, keepdims=True))
    return StreetAxis(f"street-{index}", street, points, normals)


def _bend(street: Street, share: Float[np.ndarray, "n"]) -> tuple[Float[np.ndarray, "n"], Float[np.ndarray, "n"]]:
    """Compute the displacement to the left in units of the largest bow, and its derivative; both vanish at the ends.

    A bow sin^2 and an S sin^2 sin(2.), whose second derivative is at most 2.6 times as large and is scaled down.
    """
    angle = np.pi * share
    bow, sway = street.bend, street.s_bend / 2.6
    bump = np.sin(angle) ** 2 * (bow + sway * np.sin(2 * angle))
    slope = np.sin(2 * angle) * (bow + sway * np.sin(2 * angle)) + 2 * np.sin(angle) ** 2 * sway * np.cos(2 * angle)
    return bump, np.pi * slope


def build_direction(axis: StreetAxis, backward: bool, ground: GroundHeight) -> Direction:
    """Build lanes and groups of one direction."""
    street = axis.street
    side = street.backward if backward else street.forward
    name = f"{axis.id}-{'b' if backward else 'f'}"
    edges = street.median / 2 + side.lane_width * np.arange(side.lanes + 1)
    lanes = [_lane(axis, name, number, edges, backward, ground) for number in range(side.lanes)]
    polygon = _polygon(axis, float(edges[0]), float(edges[-1]), backward, ground)
    group = LaneGroup(name, tuple(lane.id for lane in lanes), polygon)
    if not side.bicycle:
        return Direction(group, tuple(lanes))
    bicycle = _bicycle_lane(axis, name, float(edges[-1]), backward, ground)
    return Direction(group, tuple(lanes), LaneGroup(bicycle.group_id, (bicycle.id,), bicycle.polygon), bicycle)


def _lane(
    axis: StreetAxis, group: str, number: int, edges: Float[np.ndarray, "n"], backward: bool, ground: GroundHeight
) -> Lane:
    """Build one lane for all vehicles, without successors."""
    side = axis.street.backward if backward else axis.street.forward
    inner, outer = float(edges[number]), float(edges[number + 1])
    return Lane(
        f"{group}-{number}",
        _driven(axis, (inner + outer) / 2, backward, ground),
        _polygon(axis, inner, outer, backward, ground),
        _driven(axis, inner, backward, ground),
        _driven(axis, outer, backward, ground),
        _middle_paint(axis.street) if number == 0 else LaneMarking.DASHED_WHITE,
        _outer_paint(side) if number == side.lanes - 1 else LaneMarking.DASHED_WHITE,
        group_id=group,
        left_neighbor=f"{group}-{number - 1}" if number else None,
        right_neighbor=f"{group}-{number + 1}" if number < side.lanes - 1 else None,
        speed_limit=axis.street.speed_limit,
    )


def _bicycle_lane(axis: StreetAxis, group: str, inner: float, backward: bool, ground: GroundHeight) -> Lane:
    """Build the bicycle lane beside the outermost lane, in its own group."""
    side = axis.street.backward if backward else axis.street.forward
    outer = inner + side.bicycle
    return Lane(
        f"{group}-bicycle",
        _driven(axis, (inner + outer) / 2, backward, ground),
        _polygon(axis, inner, outer, backward, ground),
        _driven(axis, inner, backward, ground),
        _driven(axis, outer, backward, ground),
        LaneMarking.SOLID_WHITE,
        LaneMarking.SOLID_WHITE if side.parking else LaneMarking.NONE,
        LaneType.BICYCLE,
        group_id=f"{group}-bicycle",
        speed_limit=min(axis.street.speed_limit, 30 / 3.6),
    )


def _driven(axis: StreetAxis, outward: float, backward: bool, ground: GroundHeight) -> Float[np.ndarray, "n 3"]:
    """Return the parallel line at a distance from the centre line, in driving direction."""
    return lifted(ground, axis.at(outward)[::-1] if backward else axis.at(-outward))


def _polygon(
    axis: StreetAxis, inner: float, outer: float, backward: bool, ground: GroundHeight
) -> Float[np.ndarray, "n 3"]:
    """Return the outline between two distances from the centre line, counter-clockwise."""
    return lifted(ground, axis.strip(inner, outer) if backward else axis.strip(-outer, -inner))


def _middle_paint(street: Street) -> LaneMarking:
    """Return the marking between the directions."""
    if street.median:
        return LaneMarking.SOLID_YELLOW
    return (
        LaneMarking.DASHED_YELLOW
        if street.forward.lanes + street.backward.lanes == 2
        else LaneMarking.DOUBLE_SOLID_YELLOW
    )


def _outer_paint(side: Carriageway) -> LaneMarking:
    """Return the marking between the outermost lane and the bicycle lane, the parking strip or the kerb."""
    return LaneMarking.SOLID_WHITE if side.bicycle or side.parking else LaneMarking.NONE


def painted_lines(axis: StreetAxis, ground: GroundHeight) -> list[RoadLine]:
    """Return all marking lines of a street, each once."""
    street = axis.street
    middle = [-street.median / 2, street.median / 2] if street.median else [0.0]
    lines = [(lateral, _middle_paint(street)) for lateral in middle]
    for side, sign in ((street.forward, -1), (street.backward, 1)):
        for number in range(1, side.lanes):
            lines.append((sign * (street.median / 2 + number * side.lane_width), LaneMarking.DASHED_WHITE))
        lane_edge = street.median / 2 + side.lanes * side.lane_width
        if side.bicycle or side.parking:
            lines.append((sign * lane_edge, LaneMarking.SOLID_WHITE))
        if side.bicycle and side.parking:
            lines.append((sign * (lane_edge + side.bicycle), LaneMarking.SOLID_WHITE))
    return [
        RoadLine(f"{axis.id}-line-{row}", lifted(ground, axis.at(lateral)), paint)
        for row, (lateral, paint) in enumerate(lines)
    ]


def road_edges(axis: StreetAxis, ground: GroundHeight) -> list[RoadEdge]:
    """Return the kerbs on both sides, and around the median."""
    street = axis.street
    kerbs = [axis.at(-street.kerb(street.forward)), axis.at(street.kerb(street.backward))[::-1]]
    if street.median:
        island = median_outline(axis)
        kerbs.append(np.concatenate([island, island[:1]]))
    return [RoadEdge(f"{axis.id}-edge-{row}", lifted(ground, kerb)) for row, kerb in enumerate(kerbs)]


def median_outline(axis: StreetAxis) -> Curve:
    """Return the raised median's outline: slightly narrower than its lines, pointed at both ends, counter-clockwise."""
    half = axis.street.median / 2 - 0.25
    inner = slice(1, -1)
    right, left = axis.at(-half)[inner], axis.at(half)[inner][::-1]
    tips = axis.points[[0, -1]] * 0.5 + axis.points[[1, -2]] * 0.5
    return np.concatenate([tips[:1], right, tips[1:], left])


def street_area(axis: StreetAxis, ground: GroundHeight) -> Area:
    """Return the surface from kerb to kerb, without the median."""
    street = axis.street
    outline = axis.strip(-street.kerb(street.forward), street.kerb(street.backward))
    holes = (lifted(ground, median_outline(axis)),) if street.median else ()
    return Area(f"{axis.id}-road", lifted(ground, outline), holes)


def walkways(axis: StreetAxis, ground: GroundHeight) -> list[Area]:
    """Return the pavements on both sides."""
    street = axis.street
    right, left = street.kerb(street.forward), street.kerb(street.backward)
    strips = axis.strip(-right - street.walkway, -right), axis.strip(left, left + street.walkway)
    return [Area(f"{axis.id}-walkway-{row}", lifted(ground, strip)) for row, strip in enumerate(strips)]


def bays(axis: StreetAxis, backward: bool) -> tuple[slice, float] | None:
    """Return the parking range in one direction: points of the axis, and the strip's lateral offset; None for none."""
    side = axis.street.backward if backward else axis.street.forward
    margin = int(np.ceil(_BAY_MARGIN / _SPACING))
    if not side.parking or len(axis.points) - 2 * margin < 5:
        return None
    middle = axis.street.kerb(side) - side.parking / 2
    return slice(margin, -margin), middle if backward else -middle


def parking_areas(axis: StreetAxis, ground: GroundHeight) -> list[Area]:
    """Return the parking strips of both directions."""
    areas = []
    for backward in (False, True):
        found = bays(axis, backward)
        if found is not None:
            rows, middle = found
            side = axis.street.backward if backward else axis.street.forward
            strip = axis.strip(middle - side.parking / 2, middle + side.parking / 2, rows)
            areas.append(Area(f"{axis.id}-parking-{int(backward)}", lifted(ground, strip)))
    return areas
