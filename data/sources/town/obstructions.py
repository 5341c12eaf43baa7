"""Obstructions on lanes: double-parked vehicles, and cones round work on the road. Traffic passes on the left.

Whoever passes gives way: to oncoming traffic on streets of one lane each way, to the lane beside it on others.
"""

from dataclasses import dataclass

import numpy as np

from swerve.data.sources.town.bodies import ParkedObjects, draw_car, draw_lorry
from swerve.data.sources.town.curves import left_of, unit
from swerve.data.sources.town.streets import Direction
from swerve.scenes import Lane, ObjectClass, Vehicle
from swerve.scenes.polyline import from_frenet, heading_at

# Metres along the path over which vehicles move out and back in.
MOVING_OUT = 18.0
# Whoever gives way stops so far before what they pass, and so far before what others pass towards them, metres.
STOP_BEFORE, STOP_ONCOMING = 15.0, 22.0
# Metres kept from what stands there.
CLEARANCE = 0.5
_FROM_EDGE = 0.15
_TO_JUNCTION = 28.0
_CONES_SHARE = 0.4
_CONES_LENGTH, _CONES_INTO = (9.0, 16.0), (0.9, 1.4)


@dataclass(frozen=True)
class Obstruction:
    """Something that takes the right part of a lane.

    Attributes:
        lane: id of the lane.
        other: id of the lane that is used in passing.
        oncoming: whether that lane leads in the other direction.
        begin: arc length on the lane, metres.
        end: likewise.
        inner: how far left of the lane's middle it reaches, metres.
        objects: what it consists of.
    """

    lane: str
    other: str
    oncoming: bool
    begin: float
    end: float
    inner: float
    objects: tuple[ParkedObjects, ...]

    def passed_at(self, width: float) -> float:
        """Return the lateral position of the middle of a passing vehicle, metres to the left of the lane's middle."""
        return max(self.inner + CLEARANCE + width / 2, 0.0)


def draw_obstructions(
    directions: tuple[tuple[Direction, Direction], ...], share: float, generator: np.random.Generator
) -> dict[str, Obstruction]:
    """Sample the obstructions on the outermost lanes, by lane id; at most once a street.

    Args:
        directions: forward and backward lanes of each street.
        share: of the streets that have something on them, where they are long enough and it can be passed.
        generator: where its randomness comes from.
    """
    found = {}
    for pair in directions:
        wanted, backward = generator.random() < share, int(generator.random() < 0.5)
        lane, other = pair[backward].lanes[-1], _other_lane(pair, backward)
        if wanted and other is not None and pair[backward].bicycle is None:
            here = _draw(lane, other, generator)
            if here is not None:
                found[lane.id] = here
    return found


def _other_lane(pair: tuple[Direction, Direction], backward: int) -> Lane | None:
    """The lane left of the outermost one: of the same direction, or the oncoming one; None across a median."""
    own, opposite = pair[backward].lanes, pair[1 - backward].lanes
    if len(own) > 1:
        return own[-2]
    return (
        opposite[0] if np.linalg.norm(own[0].left_boundary[0, :2] - opposite[0].left_boundary[-1, :2]) < 0.1 else None
    )


def _draw(lane: Lane, other: Lane, generator: np.random.Generator) -> Obstruction | None:
    """A double-parked vehicle or cones; None where the lane is too short."""
    if generator.random() < _CONES_SHARE:
        length, into = generator.uniform(*_CONES_LENGTH), generator.uniform(*_CONES_INTO)
        things = _cones(length, into)
    else:
        body = draw_lorry(generator) if generator.random() < 0.4 else draw_car(generator)
        length, into = body.vehicle.length, body.vehicle.width + _FROM_EDGE
        things = [(ObjectClass.VEHICLE, length / 2, into - body.vehicle.width / 2, _box(body.vehicle))]
    free = float(lane.lengths[-1]) - 2 * _TO_JUNCTION - length
    if free < 0.0:
        return None
    begin = float(_TO_JUNCTION + generator.uniform(0.0, free))
    half = float(np.linalg.norm(lane.left_boundary[0, :2] - lane.right_boundary[0, :2])) / 2
    objects = tuple(
        _placed(lane, begin + along, into_lane - half, kind, size) for kind, along, into_lane, size in things
    )
    return Obstruction(
        lane.id, other.id, other.group_id != lane.group_id, begin, float(begin + length), float(into - half), objects
    )


def _box(vehicle: Vehicle) -> tuple[float, float, float]:
    """Length, width and height."""
    return vehicle.length, vehicle.width, vehicle.height


# Class, metres from the obstruction's begin, metres from the lane's right boundary, size.
Thing = tuple[ObjectClass, float, float, tuple[float, float, float]]


def _cones(length: float, into: float) -> list[Thing]:
    """A row of cones that closes in from the kerb, a barrier behind its first ones, a sign at the kerb."""
    count = int(length / 2.2) + 1
    along = np.linspace(0.18, length - 0.18, count)
    aside = np.minimum(0.25 + 0.22 * along, into - 0.18)
    cones: list[Thing] = [
        (ObjectClass.TRAFFIC_CONE, float(a), float(b), (0.36, 0.36, 0.75)) for a, b in zip(along, aside, strict=True)
    ]
    sign: Thing = (ObjectClass.SIGN, 1.3, 0.1, (0.25, 0.16, 1.5))
    barrier: Thing = (ObjectClass.BARRIER, length - 1.4, (into - 0.5) / 2 + 0.05, (0.4, into - 0.6, 1.0))
    return [*cones, sign, barrier]


def _placed(
    lane: Lane, along: float, aside: float, kind: ObjectClass, size: tuple[float, float, float]
) -> ParkedObjects:
    """An object at a place of a lane, parallel to it."""
    line, place = lane.centerline[:, :2], np.array([along])
    heading = float(heading_at(line, place)[0])
    middle = from_frenet(line, place, np.array([0.0]))[0] + aside * left_of(unit(heading))
    return ParkedObjects(kind, middle, heading, size)
