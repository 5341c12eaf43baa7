"""Generated towns, built once for all tests."""

from functools import cache

import numpy as np

from swerve.data.sources.town import generate_town
from swerve.scenes import Log, ObjectClass, box_footprints

NUMBERS = (0, 3, 7, 16, 23)


@cache
def town(number: int) -> Log:
    """Return the log of this number, seed 0."""
    return generate_town(f"town-{number:06d}")


def towns() -> list[Log]:
    """Return all of them."""
    return [town(number) for number in NUMBERS]


def ego_centers(log: Log) -> np.ndarray:
    """Return the centres of the ego's box in the plane (t, 2)."""
    heading = log.ego.headings
    forward = np.stack([np.cos(heading), np.sin(heading)], axis=1)
    return log.ego.positions[:, :2] + log.vehicle.rear_axle_to_center * forward


def ego_footprints(log: Log) -> np.ndarray:
    """Return the ego's footprints (t, 4, 2)."""
    sizes = np.broadcast_to(log.vehicle.size[:2], (len(log.ego), 2))
    return box_footprints(ego_centers(log), log.ego.headings, sizes)


def wheeled(log: Log) -> np.ndarray:
    """Return rows of moving vehicles and cyclists, without parked ones."""
    kinds = np.isin(log.tracks.classes, [ObjectClass.VEHICLE, ObjectClass.BICYCLE])
    return np.flatnonzero(kinds & np.array([name.startswith("road-user") for name in log.tracks.ids]))
