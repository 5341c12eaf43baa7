"""Vans parked beside places where pedestrians cross: whoever crosses there steps out from behind them.

Each stands on a parking strip just before the place, as traffic on its side comes, and is taller than the eyes of
drivers and cameras.
"""

from dataclasses import replace

import numpy as np

from swerve.data.sources.town.bodies import ParkedObjects
from swerve.data.sources.town.jaywalking import FREE_OF_PARKED, UnmarkedCrossing
from swerve.data.sources.town.plan import TownPlan
from swerve.data.sources.town.streets import StreetAxis, bays
from swerve.scenes import ObjectClass
from swerve.scenes.polyline import arc_lengths, heading_at

# Length, width and height of the vans, metres; how much further from the place they may stand.
_LENGTH, _WIDTH, _HEIGHT = (5.3, 6.2), 2.05, (2.55, 2.95)
_FURTHER = 0.5


def draw_screens(
    plan: TownPlan, unmarked: tuple[UnmarkedCrossing, ...], share: float, generator: np.random.Generator
) -> tuple[UnmarkedCrossing, ...]:
    """Return the places with the vans that hide those who cross there.

    Args:
        plan: the town.
        unmarked: places where pedestrians cross between junctions.
        share: of the places, on each side that has a parking strip, at which a van stands.
        generator: where its randomness comes from.
    """
    places = []
    for place in unmarked:
        vans = []
        for backward in (False, True):
            wanted, shift = generator.random() < share, generator.uniform(0.0, _FURTHER)
            size = float(generator.uniform(*_LENGTH)), _WIDTH, float(generator.uniform(*_HEIGHT))
            van = _van(plan.axes[place.street], place.row, backward, shift, size)
            vans += [van] if wanted and van is not None else []
        places.append(replace(place, screens=tuple(vans)))
    return tuple(places)


def _van(
    axis: StreetAxis, row: int, backward: bool, shift: float, size: tuple[float, float, float]
) -> ParkedObjects | None:
    """Return a van on the parking strip of one direction before a row of the axis; None where there is no room."""
    found = bays(axis, backward)
    if found is None:
        return None
    rows, lateral = found
    line, along = axis.at(lateral), arc_lengths(axis.at(lateral))
    away = FREE_OF_PARKED + shift + size[0] / 2
    middle = along[row] + (away if backward else -away)
    first, last = along[rows][[0, -1]]
    if middle - size[0] / 2 < first or middle + size[0] / 2 > last:
        return None
    center = np.array([np.interp(middle, along, line[:, axis_]) for axis_ in (0, 1)])
    heading = float(heading_at(line, np.array([middle]))[0]) + (np.pi if backward else 0.0)
    return ParkedObjects(ObjectClass.VEHICLE, center, heading, size)
