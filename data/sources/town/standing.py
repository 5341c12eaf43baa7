"""Static objects at the kerb: parked vehicles, and occasional work sites."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool, Float

from swerve.data.sources.town.bodies import ParkedObjects, draw_car
from swerve.data.sources.town.curves import left_of, unit
from swerve.data.sources.town.jaywalking import FREE_OF_PARKED, UnmarkedCrossing
from swerve.data.sources.town.plan import TownPlan
from swerve.data.sources.town.streets import StreetAxis, bays
from swerve.data.sources.town.town_options import TownOptions
from swerve.scenes import ObjectClass, keyed_generator
from swerve.scenes.polyline import arc_lengths, from_frenet, heading_at

# Kerb length per parked vehicle, and length of a work site, metres.
_BAY, _SITE = 6.4, 19.0
_SITE_SHARE = 0.6
_SITE_RANGE = 60.0


# A parking strip in one direction: line in driving direction, width.
Strip = tuple[Float[np.ndarray, "n 2"], float]


def sample_static_objects(
    plan: TownPlan,
    unmarked: Sequence[UnmarkedCrossing],
    way: Float[np.ndarray, "n 2"],
    options: TownOptions,
    name: str,
    seed: int,
) -> list[ParkedObjects]:
    """Sample parked vehicles in all parking strips; some towns have a work site near the ego's path.

    Args:
        plan: the town.
        unmarked: places where pedestrians cross between junctions; the lines that they walk on are kept free, and the
            vehicles that hide them stand there.
        way: points of the ego's way.
        options: how many bays are taken.
        name: name of the log.
        seed: seed of the source.
    """
    generator = keyed_generator(seed, name, "standing")
    strips = [strip for axis in plan.axes for strip in _strips(axis)]
    sites = {
        row: _work_site(strip, generator)
        for row, strip in enumerate(strips)
        if arc_lengths(strip[0])[-1] > _SITE + _BAY
        and np.linalg.norm(strip[0][:, None] - way[::20], axis=2).min() < _SITE_RANGE
    }
    free = [row for row, site in sites.items() if not _in_the_way(site, unmarked).any()]
    chosen = int(generator.choice(free)) if free and generator.random() < _SITE_SHARE else -1
    standing: list[ParkedObjects] = []
    for row, strip in enumerate(strips):
        standing += _parked(strip, _SITE + 3.0 if row == chosen else 0.0, options.parked, generator)
        standing += sites[row] if row == chosen else []
    blocked = _in_the_way(standing, unmarked)
    screens = [van for place in unmarked for van in place.screens]
    return [*(thing for thing, gone in zip(standing, blocked, strict=True) if not gone), *screens]


def _in_the_way(standing: Sequence[ParkedObjects], unmarked: Sequence[UnmarkedCrossing]) -> Bool[np.ndarray, "n"]:
    """Test what stands on the lines of unmarked crossings, or where a van hides who crosses there."""
    centers = np.array([thing.center for thing in standing]).reshape(-1, 2)
    halves = np.array([max(thing.size[:2]) / 2 for thing in standing])
    blocked = np.zeros(len(standing), bool)
    for place in unmarked:
        out, across = place.local(centers).T
        for van in place.screens:
            blocked |= np.linalg.norm(centers - van.center, axis=1) < halves + van.size[0] / 2 + 0.2
        blocked |= (np.abs(out) < halves + FREE_OF_PARKED) & (-halves < across) & (across < place.width + halves)
    return blocked


def _strips(axis: StreetAxis) -> list[Strip]:
    """Return the parking strips of a street."""
    strips = []
    for backward in (False, True):
        found = bays(axis, backward)
        if found is not None:
            rows, middle = found
            line = axis.at(middle)[rows]
            side = axis.street.backward if backward else axis.street.forward
            strips.append((line[::-1] if backward else line, side.parking))
    return strips


def _parked(strip: Strip, first: float, share: float, generator: np.random.Generator) -> list[ParkedObjects]:
    """Sample cars along a strip, near its centre line, about parallel to it."""
    line, width = strip
    bays_there = int((arc_lengths(line)[-1] - first) // _BAY)
    cars, along, lateral, tilts = [], [], [], []
    for row in range(bays_there):
        car = draw_car(generator).vehicle
        spare = min(_BAY - car.length - 0.7, 0.8) / 2
        shift, tilt = generator.uniform(-spare, spare), generator.normal(0.0, 0.012)
        aside = generator.uniform(-0.5, 0.5) * (width - car.width - 0.15)
        if generator.random() < share:
            cars.append(car)
            along.append(first + (row + 0.5) * _BAY + shift)
            lateral.append(aside)
            tilts.append(tilt)
    places = np.array(along)
    centers, headings = from_frenet(line, places, np.array(lateral)), heading_at(line, places) + tilts
    return [
        ParkedObjects(ObjectClass.VEHICLE, center, float(heading), (car.length, car.width, car.height))
        for car, center, heading in zip(cars, centers, headings, strict=True)
    ]


def _work_site(strip: Strip, generator: np.random.Generator) -> list[ParkedObjects]:
    """Build a sign, a row of cones, barriers at both ends and a container, all within the strip's first metres."""
    line, width = strip
    edge = width / 2 - 0.3
    rows: list[tuple[ObjectClass, float, float, tuple[float, float, float]]] = [
        (ObjectClass.SIGN, 0.6, 0.0, (0.25, 0.75, 1.5)),
        (ObjectClass.BARRIER, 2.6, 0.0, (0.4, width - 0.4, 1.0)),
        (ObjectClass.BARRIER, _SITE - 0.6, 0.0, (0.4, width - 0.4, 1.0)),
        (ObjectClass.GENERIC, _SITE * 0.55, -0.35, (3.4, 1.4, 1.5)),
    ]
    rows += [(ObjectClass.TRAFFIC_CONE, 4.2 + 2.2 * cone, edge, (0.36, 0.36, 0.75)) for cone in range(6)]
    standing = []
    for kind, along, aside, size in rows:
        place = np.array([along + generator.uniform(-0.1, 0.1)])
        heading = float(heading_at(line, place)[0])
        middle = from_frenet(line, place, np.array([0.0]))[0] + aside * left_of(unit(heading))
        standing.append(ParkedObjects(kind, middle, heading, size))
    return standing
