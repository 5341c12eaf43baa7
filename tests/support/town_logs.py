"""Generated towns, built once for all tests."""

from functools import cache

import numpy as np

from swerve.data.sources.town import generate_town
from swerve.scenes import Log, ObjectClass, Scene, box_footprints
from swerve.scenes.viewpoints import Command, LogGeometry, RecoveryOptions, Viewpoint, logged
from swerve.scenes.viewpoints.recovery import recovery_at

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


def accepted_recovery(geometry: LogGeometry, offsets: tuple[float, ...], options: RecoveryOptions) -> Viewpoint:
    """Return the recovery of these offsets in the first scene of a log, from 2 s on, that has room for it.

    Raises:
        AssertionError: no scene has.
    """
    moments = range(20, len(geometry.log.times_us) - 50, 10)
    tries = (recovery_at(Scene(geometry.log, now, 20, 50), 0, np.array(offsets), options, geometry) for now in moments)
    found = next((one for one in tries if isinstance(one, Viewpoint)), None)
    assert found is not None, f"{geometry.log.name}: no recovery of {offsets} is feasible"
    return found


def moments_by_command(geometry: LogGeometry) -> dict[Command, int]:
    """Return for each driving command of a log the first step, from 6 s on, at which it is given."""
    found: dict[Command, int] = {}
    for now in range(60, len(geometry.log.times_us) - 50, 5):
        found.setdefault(logged(Scene(geometry.log, now, 20, 50), geometry).command, now)
    return found
