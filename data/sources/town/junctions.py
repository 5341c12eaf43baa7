"""Junction geometry: extent of each arm's lanes, kerb corners, crossings, and priority."""

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from swerve.data.sources.town.curves import Curve, Point, joined_curve, left_of, meeting, unit
from swerve.data.sources.town.layout import Carriageway, TownLayout
from swerve.data.sources.town.roundabouts import KERB_ARC, RADIUS, WIDTH, Branch, Ring, fits, ring_line
from swerve.scenes.transforms import wrap_angle

# A kerb line that turns by less than this at a corner counts as straight.
_STRAIGHT = np.deg2rad(30.0)
_THROUGH = np.deg2rad(45.0)
# Metres: from the end of the kerb's arc to the crossing, from the crossing to the stop line.
_BEFORE_CROSSING, _AFTER_CROSSING, _NO_CROSSING = 0.8, 1.4, 1.5
_LEAST_MOUTH = 5.0
# Share of the junctions with room for a roundabout, and one lane each way on all arms, that are one.
_ROUNDABOUTS = 0.6


@dataclass(frozen=True)
class Arm:
    """Street at a junction, seen outward: incoming traffic is on the left and outgoing on the right.

    Attributes:
        street: index in the layout.
        outgoing: whether the street's line starts here.
        angle: outward direction, radians.
        inbound: cross-section of incoming traffic.
        outbound: cross-section of outgoing traffic.
        median: width of the median.
        kerb_in: distance of the kerb on the left.
        kerb_out: distance of the kerb on the right.
        walkway: width of the pavements.
        kerb_straight_distance: distance from the node to where both kerbs become straight.
        lane_end_distance: distance from the node to the lanes' ends, where vehicles stop.
        crossing: nearest and farthest distance of the pedestrian crossing from the node, if there is one.
    """

    street: int
    outgoing: bool
    angle: float
    inbound: Carriageway
    outbound: Carriageway
    median: float
    kerb_in: float
    kerb_out: float
    walkway: float
    kerb_straight_distance: float = 0.0
    lane_end_distance: float = 0.0
    crossing: tuple[float, float] | None = None


@dataclass(frozen=True)
class Junction:
    """Node of the layout with its arms, counter-clockwise.

    Attributes:
        position: position of the node.
        arms: streets of the node, counter-clockwise.
        corners: radius of the kerb between each arm and the next one.
        signalised: whether it has signals.
        priority_arms: indices of the arms with priority (all where none has to yield; none at roundabouts).
        ring: ring of a roundabout; None at other junctions.
    """

    position: Point
    arms: tuple[Arm, ...]
    corners: tuple[float, ...]
    signalised: bool
    priority_arms: tuple[int, ...]
    ring: Ring | None = None

    @property
    def is_boundary(self) -> bool:
        """True if the node lies at the map's boundary."""
        return len(self.arms) == 1

    def point(self, arm: Arm, distance: float, lateral: float) -> Point:
        """Return a point of an arm by its distance outward and to the left of the street's line."""
        out = unit(arm.angle)
        return self.position + distance * out + lateral * left_of(out)

    def kerb(self, number: int, beyond: tuple[float, float] = (0.0, 0.0)) -> Curve:
        """Return the kerb from an arm's inbound side round the corner to the next arm's outbound side.

        Args:
            number: index of the first arm.
            beyond: metres from the kerb, away from the road, at both ends.
        """
        first, then = self.arms[number], self.arms[(number + 1) % len(self.arms)]
        if self.ring is not None:
            branches = _kerb_branches(first, then, beyond)
            return ring_line(self.position, *branches, (self.ring.radius + beyond[0], self.ring.radius + beyond[1]))
        opening, tangent, leads = _opening(first, then), np.inf, (0.0, 0.0)
        if opening < np.pi - _STRAIGHT:
            tangent = max(self.corners[number] - sum(beyond) / 2, 1.0) / np.tan(opening / 2)
        elif opening < np.pi + _STRAIGHT:
            leads = self.straight_lengths(number, (number + 1) % len(self.arms))
        return joined_curve(
            self.point(first, first.lane_end_distance, first.kerb_in + beyond[0]),
            first.angle + np.pi,
            self.point(then, then.lane_end_distance, -then.kerb_out - beyond[1]),
            then.angle,
            tangent,
            leads,
        )

    def straight_lengths(self, first: int, then: int) -> tuple[float, float]:
        """Return the lengths over which straight traffic keeps to both arms' directions: up to their crossings."""
        if len(self.arms) == 2 or self.ring is not None:
            return 0.0, 0.0
        return self.arms[first].lane_end_distance - self.arms[first].kerb_straight_distance, self.arms[
            then
        ].lane_end_distance - self.arms[then].kerb_straight_distance

    def deflection(self, incoming: int, leaving: int) -> float:
        """Return the angle by which traffic from one arm to another turns, radians, left positive."""
        return float(wrap_angle(self.arms[leaving].angle - self.arms[incoming].angle - np.pi))


def build_junctions(
    layout: TownLayout, generator: np.random.Generator, rings: np.random.Generator
) -> tuple[Junction, ...]:
    """Build one junction for each node of the layout, including those at the map's boundary.

    Args:
        layout: nodes and streets.
        generator: decides everything but the roundabouts.
        rings: decides which junctions are roundabouts, and their size.
    """
    junctions = (_build(layout, node, generator) for node in range(len(layout.nodes)))
    return tuple(_roundabout(junction, rings) for junction in junctions)


def _roundabout(junction: Junction, generator: np.random.Generator) -> Junction:
    """Return a junction as a roundabout where it is small enough, and chosen; its crossings keep their widths."""
    wanted = generator.random() < _ROUNDABOUTS
    ring = Ring(float(generator.uniform(*RADIUS)), float(generator.uniform(*WIDTH)))
    arms = junction.arms
    one_lane = all(arm.inbound.lanes == arm.outbound.lanes == 1 and not arm.median for arm in arms)
    if not wanted or len(arms) < 3 or not one_lane or not all(_has_room(arms, row, ring) for row in range(len(arms))):
        return junction
    placed = tuple(_placed_at_ring(arms, row, ring) for row in range(len(arms)))
    return replace(junction, arms=placed, signalised=False, priority_arms=(), ring=ring)


def _has_room(arms: tuple[Arm, ...], number: int, ring: Ring) -> bool:
    """Test whether kerbs and lanes between an arm and the next have room at the ring."""
    first, then = arms[number], arms[(number + 1) % len(arms)]
    ways = [(_kerb_branches(first, then, (0.0, 0.0)), ring.radius)]
    for bicycle in (False, True):
        radius, arc = ring.lane(bicycle)
        sides = (_lane_offset(side, bicycle) for side in (first.inbound, then.outbound))
        angles = first.angle, then.angle
        branches = [Branch(angle, side, 0.0, arc) for angle, side in zip(angles, sides, strict=True)]
        ways.append(((branches[0], branches[1]), radius))
    return all(fits(*branches, radius) for branches, radius in ways)


def _lane_offset(side: Carriageway, bicycle: bool) -> float:
    """Return the distance of the middle of the only lane, or of the bicycle lane, from the street's line."""
    return side.lane_width + side.bicycle / 2 if bicycle and side.bicycle else side.lane_width / 2


def _kerb_branches(first: Arm, then: Arm, beyond: tuple[float, float]) -> tuple[Branch, Branch]:
    """Return the kerbs of two arms at a ring, so far from the road."""
    return (
        Branch(first.angle, first.kerb_in + beyond[0], first.lane_end_distance, KERB_ARC - beyond[0]),
        Branch(then.angle, then.kerb_out + beyond[1], then.lane_end_distance, KERB_ARC - beyond[1]),
    )


def _placed_at_ring(arms: tuple[Arm, ...], number: int, ring: Ring) -> Arm:
    """Return an arm with its mouth at a ring."""
    arm = arms[number]
    branches = [Branch(arm.angle, kerb, 0.0, KERB_ARC).touch(ring.radius)[0] for kerb in (arm.kerb_in, arm.kerb_out)]
    for bicycle in (False, True):
        radius, arc = ring.lane(bicycle)
        sides = (_lane_offset(side, bicycle) for side in (arm.inbound, arm.outbound))
        branches += [Branch(arm.angle, side, 0.0, arc).touch(radius)[0] for side in sides]
    mouth, before = max(branches), arm.kerb_straight_distance
    crossing = None if arm.crossing is None else (arm.crossing[0] - before + mouth, arm.crossing[1] - before + mouth)
    end = arm.lane_end_distance - before + mouth
    return replace(arm, kerb_straight_distance=mouth, lane_end_distance=end, crossing=crossing)


def _build(layout: TownLayout, node: int, generator: np.random.Generator) -> Junction:
    """Build the junction at a node."""
    arms = sorted((_arm(layout, node, *link) for link in layout.arms(node)), key=lambda arm: arm.angle)
    lanes = max(max(arm.inbound.lanes, arm.outbound.lanes) for arm in arms)
    real = len(arms) > 2
    signalised = real and bool(generator.random() < (0.85 if lanes > 1 else 0.25))
    radii = tuple(generator.uniform(12.0, 16.0) if len(arms) == 2 else generator.uniform(6.0, 9.0) for _ in arms)
    position = layout.nodes[node]
    if len(arms) == 1:
        return Junction(position, tuple(arms), radii, False, (0,))
    arms = [_placed(arms, radii, number, generator, 0.85 if signalised else 0.55) for number in range(len(arms))]
    return Junction(position, tuple(arms), radii, signalised, _major(arms))


def _arm(layout: TownLayout, node: int, index: int, outgoing: bool) -> Arm:
    """Build the arm without attributes that depend on its neighbours."""
    street = layout.streets[index]
    step = layout.nodes[street.end if outgoing else street.start] - layout.nodes[node]
    outbound, inbound = (street.forward, street.backward) if outgoing else (street.backward, street.forward)
    kerbs = street.kerb(inbound), street.kerb(outbound)
    angle = float(np.arctan2(step[1], step[0]))
    return Arm(index, outgoing, angle, inbound, outbound, street.median, *kerbs, street.walkway)


def _opening(first: Arm, then: Arm) -> float:
    """Return the angle from an arm counter-clockwise to the next, 0 to 2 pi."""
    return float((then.angle - first.angle) % (2 * np.pi))


def _placed(
    arms: list[Arm], radii: tuple[float, ...], number: int, generator: np.random.Generator, share: float
) -> Arm:
    """Return the arm with its mouth (where both kerbs become straight), crossing and stop line."""
    arm = arms[number]
    before, after = (number - 1) % len(arms), (number + 1) % len(arms)
    mouth = max(
        _LEAST_MOUTH,
        _kerb_end(arm, arms[after], radii[number])[0],
        _kerb_end(arms[before], arm, radii[before])[1],
    )
    width, wanted = generator.uniform(3.0, 4.0), generator.random() < share
    if len(arms) == 2 or not wanted:
        return replace(arm, kerb_straight_distance=float(mouth), lane_end_distance=float(mouth + _NO_CROSSING))
    near, far = mouth + _BEFORE_CROSSING, mouth + _BEFORE_CROSSING + width
    return replace(
        arm,
        kerb_straight_distance=float(mouth),
        lane_end_distance=float(far + _AFTER_CROSSING),
        crossing=(float(near), float(far)),
    )


def _kerb_end(first: Arm, then: Arm, radius: float) -> tuple[float, float]:
    """Return the distances along both arms at which the corner's arc ends."""
    opening = _opening(first, then)
    if opening > np.pi - _STRAIGHT:
        return 0.0, 0.0
    start = first.kerb_in * left_of(unit(first.angle))
    end = -then.kerb_out * left_of(unit(then.angle))
    back, ahead = meeting(start, first.angle + np.pi, end, then.angle)
    tangent = radius / np.tan(opening / 2)
    return tangent - back, tangent - ahead


def _major(arms: list[Arm]) -> tuple[int, ...]:
    """Return the widest pair of opposite arms; all arms where only two meet."""
    if len(arms) == 2:
        return (0, 1)
    pairs = [(a, b) for a in range(len(arms)) for b in range(a) if _faces(arms[a], arms[b])]
    return max(pairs, key=lambda pair: sum(arms[number].inbound.width for number in pair))


def _faces(first: Arm, other: Arm) -> bool:
    """Test whether two arms are about opposite."""
    return bool(abs(wrap_angle(first.angle - other.angle - np.pi)) < _THROUGH)


def outline(junction: Junction) -> Float[np.ndarray, "n 2"]:
    """Return the junction area: arms' ends and kerbs between them, counter-clockwise, not closed."""
    return np.concatenate([junction.kerb(number) for number in range(len(junction.arms))])
