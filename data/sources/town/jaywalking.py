"""Places between junctions where pedestrians cross the road, without a marked crossing."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from swerve.data.sources.town.bodies import ParkedObjects
from swerve.data.sources.town.curves import left_of
from swerve.data.sources.town.obstructions import Obstruction
from swerve.data.sources.town.plan import TownPlan

# Shortest street, metres, and the part of it in which the place lies.
_SHORTEST, _PART = 50.0, (0.35, 0.65)
# Vehicles keep this far from the line that pedestrians walk on, metres; nothing is parked so near to it: pedestrians
# walk up to 1.1 m beside it, and are 0.5 m at most from their middle to a corner.
HALF_WIDTH, FREE_OF_PARKED = 0.6, 1.6


@dataclass(frozen=True)
class UnmarkedCrossing:
    """A place of a street where pedestrians cross; in tables of crossings they follow the marked ones.

    Attributes:
        street: number of the street.
        row: point of the street's axis.
        kerbs: the ends of the line over the road, of the forward and of the backward direction.
        screens: parked vehicles beside it that hide those who cross.
    """

    street: int
    row: int
    kerbs: Float[np.ndarray, "2 2"]
    screens: tuple[ParkedObjects, ...] = ()

    def local(self, points: Float[np.ndarray, "n 2"]) -> Float[np.ndarray, "n 2"]:
        """(along the street, across it from the forward kerb) of points, metres."""
        step = self.kerbs[1] - self.kerbs[0]
        across = step / np.linalg.norm(step)
        away = points - self.kerbs[0]
        return np.stack([away @ -left_of(across), away @ across], axis=1)

    @property
    def width(self) -> float:
        """From kerb to kerb, metres."""
        return float(np.linalg.norm(self.kerbs[1] - self.kerbs[0]))


def draw_unmarked(
    plan: TownPlan, obstructions: Mapping[str, Obstruction], generator: np.random.Generator
) -> tuple[UnmarkedCrossing, ...]:
    """One place on each street that is long enough, has no median and nothing standing on its lanes."""
    blocked = {name for here in obstructions.values() for name in (here.lane, here.other)}
    places = []
    for number, (axis, pair) in enumerate(zip(plan.axes, plan.directions, strict=True)):
        row = int(generator.uniform(*_PART) * (len(axis.points) - 1))
        long = np.linalg.norm(axis.points[-1] - axis.points[0]) > _SHORTEST
        free = not any(lane.id in blocked for way in pair for lane in way.lanes)
        if long and free and not axis.street.median:
            right, left = axis.street.kerb(axis.street.forward), axis.street.kerb(axis.street.backward)
            kerbs = np.stack([axis.at(-right)[row], axis.at(left)[row]])
            places.append(UnmarkedCrossing(number, row, kerbs))
    return tuple(places)
