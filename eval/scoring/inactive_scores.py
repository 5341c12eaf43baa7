"""Sub-scores that cannot fail on some logs, because the required data are missing."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import numpy as np

from swerve.scenes import LightState, Log

# Sub-scores that cannot fall below 1, or exemptions that never apply, if a log lacks something.
_NEEDS: Final[tuple[tuple[str, str, Callable[[Log], bool]], ...]] = (
    ("no_at_fault_collisions, time_to_collision_within_bound", "other road users", lambda log: len(log.tracks.ids) > 0),
    (
        "drivable_area_compliance",
        "drivable areas",
        lambda log: _has_map(log, "drivable_areas") or _has_map(log, "generic_drivable_areas"),
    ),
    (
        "driving_direction_compliance, lane_keeping, no_at_fault_collisions (their exemptions in intersections)",
        "intersections",
        lambda log: _has_map(log, "intersections"),
    ),
    ("driving_direction_compliance, ego_progress", "a route", lambda log: len(log.route) > 0),
    ("traffic_light_compliance", "red traffic lights", lambda log: bool(np.any(log.lights.states == LightState.RED))),
)


def inactive_scores(logs: Iterable[Log]) -> list[str]:
    """Return the sub-scores that cannot fail, with the reason and the number of logs; empty if there are none.

    Args:
        logs: the scored logs.
    """
    return describe_missing([missing_inputs(log) for log in logs])


def missing_inputs(log: Log) -> tuple[bool, ...]:
    """Return which of the inputs of sub-scores a log lacks, for `describe_missing`."""
    return tuple(not has(log) for _, _, has in _NEEDS)


def describe_missing(missing: Sequence[tuple[bool, ...]]) -> list[str]:
    """Return a line for each input that logs lack: the sub-scores that need it, and the number of logs."""
    counts = [sum(lacks) for lacks in zip(*missing, strict=True)]
    return [
        f"{name}: no {what.removeprefix('a ')} in {count} of {len(missing)} logs"
        for count, (name, what, _) in zip(counts, _NEEDS, strict=False)
        if count
    ]


def _has_map(log: Log, layer: str) -> bool:
    return log.road_map is not None and len(getattr(log.road_map, layer)) > 0
