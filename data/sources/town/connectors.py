"""Junction connectors: lane-to-lane topology and geometry."""

from dataclasses import dataclass
from enum import Enum

import numpy as np
import shapely

from swerve.data.sources.town.curves import Curve, joined_curve, left_of, normals, unit
from swerve.data.sources.town.hills import lifted
from swerve.data.sources.town.junctions import Arm, Junction
from swerve.data.sources.town.roundabouts import Branch, Ring, ring_line
from swerve.data.sources.town.streets import Direction
from swerve.scenes import GroundHeight, Lane, LaneGroup, LaneMarking, LaneType

_TURN = np.deg2rad(45.0)
_WIDEST_LEFT = 22.0


class Movement(Enum):
    """Turn direction of a connector."""

    LEFT = "left"
    STRAIGHT = "straight"
    RIGHT = "right"


@dataclass(frozen=True)
class Connector:
    """Connector with the attributes that traffic needs.

    Attributes:
        lane: geometry of the connector.
        junction: index of the junction.
        arm: index of the incoming arm.
        to_arm: index of the outgoing arm.
        movement: turn direction.
        left_only: whether its incoming lane is for left turns only.
    """

    lane: Lane
    junction: int
    arm: int
    to_arm: int
    movement: Movement
    left_only: bool = False

    @property
    def origin(self) -> str:
        """Id of the preceding lane."""
        return self.lane.predecessors[0]


# Incoming and outgoing traffic of each arm of a junction.
Traffic = list[tuple[Direction, Direction]]


def movement_of(junction: Junction, arm: int, to_arm: int) -> Movement:
    """Return left, straight or right; with two arms, everything is straight."""
    angle = junction.deflection(arm, to_arm)
    if len(junction.arms) == 2 or abs(angle) < _TURN:
        return Movement.STRAIGHT
    return Movement.LEFT if angle > 0 else Movement.RIGHT


def allocate(lanes: int, targets: dict[Movement, int]) -> list[tuple[int, Movement, int]]:
    """Assign an arm's lanes to the lanes of the arms ahead.

    Left turns from the innermost lane to the innermost, right turns from the outermost to the outermost; of three lanes
    the innermost is for left turns only; lanes going straight keep their index from the outside. Where nothing lies
    straight ahead, middle lanes turn too. Every lane has a successor.

    Args:
        lanes: number of lanes of incoming lanes; lane 0 is the innermost.
        targets: number of outgoing lanes by movement.
    """
    pairs = []
    left, straight, right = (
        targets.get(movement, 0) for movement in (Movement.LEFT, Movement.STRAIGHT, Movement.RIGHT)
    )
    if left:
        pairs.append((0, Movement.LEFT, 0))
    if straight:
        pairs += _straight(lanes, straight, 1 if left and lanes >= 3 else 0, bool(left))
    if right:
        pairs.append((lanes - 1, Movement.RIGHT, right - 1))
    for lane in sorted(set(range(lanes)) - {pair[0] for pair in pairs}):
        from_outside = lanes - 1 - lane
        if left > lane or not right:
            pairs.append((lane, Movement.LEFT, min(lane, left - 1)))
        else:
            pairs.append((lane, Movement.RIGHT, max(right - 1 - from_outside, 0)))
    return pairs


def _straight(lanes: int, targets: int, first: int, left_turns: bool) -> list[tuple[int, Movement, int]]:
    """Return the pairs of lanes straight ahead, from lane `first` on."""
    shift = targets - lanes
    pairs = [(lane, Movement.STRAIGHT, lane + shift) for lane in range(first, lanes) if lane + shift >= 0]
    dropped = [lane for lane in range(first, lanes) if lane + shift < 0 and not (left_turns and lane == 0)]
    pairs += [(lane, Movement.STRAIGHT, 0) for lane in dropped]
    if pairs and min(pair[2] for pair in pairs) > 0 and first == 0:
        pairs.append((0, Movement.STRAIGHT, min(pair[2] for pair in pairs) - 1))
    return pairs


def build_connectors(
    number: int, junction: Junction, traffic: Traffic, ground: GroundHeight
) -> tuple[list[Connector], list[LaneGroup]]:
    """Build all connectors of a junction, and their groups.

    Args:
        number: index of the junction.
        junction: junction with two arms or more.
        traffic: incoming and outgoing directions by arm.
        ground: height of the ground.
    """
    connectors = []
    for arm, (inbound, _) in enumerate(traffic):
        ahead = {movement_of(junction, arm, other): other for other in range(len(traffic)) if other != arm}
        sizes = {movement: len(traffic[other][1].lanes) for movement, other in ahead.items()}
        pairs = allocate(len(inbound.lanes), sizes)
        for lane, movement, target in pairs:
            left_only = {pair[1] for pair in pairs if pair[0] == lane} == {Movement.LEFT}
            ends = inbound.lanes[lane], traffic[ahead[movement]][1].lanes[target]
            built = _connector(junction, arm, ahead[movement], ends, ground)
            connectors.append(Connector(built, number, arm, ahead[movement], movement, left_only))
        connectors += _for_bicycles(number, junction, traffic, arm, ahead, ground)
    return connectors, _groups(connectors, ground)


def _for_bicycles(
    number: int, junction: Junction, traffic: Traffic, arm: int, ahead: dict[Movement, int], ground: GroundHeight
) -> list[Connector]:
    """Build the connectors of an arm's bicycle lane: straight and right; left only where there is nothing else.

    Where no bicycle lane continues, they lead into the outermost lane.
    """
    origin = traffic[arm][0].bicycle
    if origin is None:
        return []
    forth = (Movement.STRAIGHT, Movement.RIGHT)
    ways: list[Movement] = [movement for movement in ahead if movement in forth] or [*ahead]
    continued = [movement for movement in ways if traffic[ahead[movement]][1].bicycle is not None] or ways[:1]
    connectors = []
    for movement in continued:
        outbound = traffic[ahead[movement]][1]
        ends = origin, outbound.bicycle or outbound.lanes[-1]
        built = _connector(junction, arm, ahead[movement], ends, ground)
        connectors.append(Connector(built, number, arm, ahead[movement], movement))
    return connectors


def _connector(junction: Junction, arm: int, to_arm: int, ends: tuple[Lane, Lane], ground: GroundHeight) -> Lane:
    """Build the lane that joins two lanes' ends, with interpolated width."""
    origin, target = ends
    heading, end_heading = junction.arms[arm].angle + np.pi, junction.arms[to_arm].angle
    if junction.ring is not None:
        center = _round(junction, junction.ring, (junction.arms[arm], junction.arms[to_arm]), ends)
    else:
        start, end = origin.centerline[-1, :2], target.centerline[0, :2]
        straight = movement_of(junction, arm, to_arm) is Movement.STRAIGHT
        leads = junction.straight_lengths(arm, to_arm) if straight else (0.0, 0.0)
        center = joined_curve(start, heading, end, end_heading, _tangent(junction, arm, to_arm, ends), leads)
    across = normals(center, heading, end_heading)
    widths = [
        np.linalg.norm(lane.left_boundary[row, :2] - lane.right_boundary[row, :2])
        for lane, row in ((origin, -1), (target, 0))
    ]
    half = np.linspace(widths[0], widths[1], len(center))[:, None] / 2
    left, right = center + half * across, center - half * across
    limits = origin.speed_limit or 0.0, target.speed_limit or 0.0
    return Lane(
        f"{origin.id}>{target.id}",
        _joined(center, (origin.centerline[-1], target.centerline[0]), ground),
        lifted(ground, np.concatenate([right, left[::-1]])),
        _joined(left, (origin.left_boundary[-1], target.left_boundary[0]), ground),
        _joined(right, (origin.right_boundary[-1], target.right_boundary[0]), ground),
        left_marking=_paint_through(junction, origin.left_marking, target.left_marking),
        right_marking=_paint_through(junction, origin.right_marking, target.right_marking),
        kind=origin.kind,
        is_connector=True,
        group_id=f"{origin.group_id}>{target.group_id}",
        predecessors=(origin.id,),
        successors=(target.id,),
        speed_limit=min(limits),
    )


def _round(junction: Junction, ring: Ring, arms: tuple[Arm, Arm], ends: tuple[Lane, Lane]) -> Curve:
    """Return the line from an arm's lane round the ring of a roundabout into another arm's lane."""
    radius, arc = ring.lane(ends[0].kind is LaneType.BICYCLE)
    branches = []
    for arm, point in zip(arms, (ends[0].centerline[-1, :2], ends[1].centerline[0, :2]), strict=True):
        away = point - junction.position
        lateral, distance = abs(float(away @ left_of(unit(arm.angle)))), float(away @ unit(arm.angle))
        branches.append(Branch(arm.angle, lateral, distance, arc))
    return ring_line(junction.position, branches[0], branches[1], (radius, radius))


def _paint_through(junction: Junction, before: LaneMarking, after: LaneMarking) -> LaneMarking:
    """Return the marking that continues through: the same on both sides of a junction of two arms."""
    return before if before is after and len(junction.arms) == 2 else LaneMarking.NONE


def _joined(points: Curve, ends: tuple[np.ndarray, np.ndarray], ground: GroundHeight) -> np.ndarray:
    """Return the line with ground height, its end points exactly those of the joined lanes."""
    line = lifted(ground, points)
    line[0], line[-1] = ends
    return line


def _tangent(junction: Junction, arm: int, to_arm: int, ends: tuple[Lane, Lane]) -> float:
    """Return the arc's largest tangent length: right turns follow the kerb, left turns are limited in radius."""
    bend = abs(junction.deflection(arm, to_arm))
    if movement_of(junction, arm, to_arm) is Movement.LEFT:
        return float(_WIDEST_LEFT * np.tan(bend / 2))
    if junction.deflection(arm, to_arm) > -_TURN:
        return np.inf
    offsets = _to_kerb(junction.arms[arm], ends[0], True), _to_kerb(junction.arms[to_arm], ends[1], False)
    return float((junction.corners[arm] + min(offsets)) * np.tan(bend / 2))


def _to_kerb(arm: Arm, lane: Lane, inbound: bool) -> float:
    """Return the distance from a lane's centreline to the kerb on its right."""
    side = arm.inbound if inbound else arm.outbound
    if lane.kind is LaneType.BICYCLE:
        return side.parking + side.bicycle / 2
    outer_lanes = side.lanes - int(lane.id.rsplit("-", 1)[1]) - 0.5
    return side.parking + side.bicycle + outer_lanes * side.lane_width


def _groups(connectors: list[Connector], ground: GroundHeight) -> list[LaneGroup]:
    """Group connectors between the same two lane groups."""
    members: dict[str, list[Lane]] = {}
    for connector in connectors:
        members.setdefault(connector.lane.group_id, []).append(connector.lane)
    return [_group(name, lanes, ground) for name, lanes in members.items()]


def _group(name: str, lanes: list[Lane], ground: GroundHeight) -> LaneGroup:
    """Build a connector group; its outline is the union of its lanes', or their convex hull if disconnected."""
    whole = shapely.union_all([shapely.Polygon(lane.polygon[:, :2]).buffer(0.05, join_style="mitre") for lane in lanes])
    if not isinstance(whole, shapely.Polygon):
        whole = whole.convex_hull
    outline, *holes = (
        lifted(ground, np.array(ring.coords)[:-1]) for ring in (whole.exterior, *whole.interiors) if len(ring.coords)
    )
    before, after = name.split(">")
    return LaneGroup(name, tuple(lane.id for lane in lanes), outline, True, (before,), (after,), tuple(holes))
