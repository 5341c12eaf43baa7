"""A log in coordinates of its own: far from zero, digits that scores depend on get lost."""

from dataclasses import fields, is_dataclass, replace
from typing import Any, Final

import numpy as np
from jaxtyping import Float

from swerve.scenes import Log, RoadMap

# Logs that lie within this distance of zero, metres, keep their coordinates.
_NEAR: Final = 10_000.0


def origin_of(point: Float[np.ndarray, "3"]) -> Float[np.ndarray, "3"]:
    """The whole metres of a point, which every scene of a log shares; zero near zero, where all digits are there."""
    return np.round(point) if np.abs(point).max() > _NEAR else np.zeros(3)


def seen_from(log: Log, origin: Float[np.ndarray, "3"]) -> Log:
    """The log with coordinates minus the origin, which it keeps as `Log.origin`."""
    if not origin.any():
        return log
    poses = log.ego.world_from_ego.copy()
    poses[:, :3, 3] -= origin
    x, y, z = (float(value) for value in origin)
    return replace(
        log,
        ego=replace(log.ego, world_from_ego=poses),
        tracks=replace(log.tracks, positions=log.tracks.positions - origin),
        lights=replace(log.lights, positions=log.lights.positions - origin),
        road_map=_map_from(log.road_map, origin) if log.road_map else None,
        origin=(x, y, z),
    )


def _map_from(road_map: RoadMap, origin: Float[np.ndarray, "3"]) -> RoadMap:
    ground = road_map.ground
    changes: dict[str, Any] = {"ground": replace(ground, origin=ground.origin - origin[:2])}
    for field in fields(road_map):
        pieces = getattr(road_map, field.name)
        if isinstance(pieces, tuple) and pieces and is_dataclass(pieces[0]):
            changes[field.name] = tuple(_piece_from(piece, origin) for piece in pieces)
    return replace(road_map, **changes)


def _piece_from(piece: Any, origin: Float[np.ndarray, "3"]) -> Any:  # noqa: ANN401 a lane, a group, an area or a line
    changes: dict[str, Any] = {}
    for field in fields(piece):
        value = getattr(piece, field.name)
        if isinstance(value, np.ndarray):
            changes[field.name] = value - origin
        elif field.name == "holes":
            changes[field.name] = tuple(ring - origin for ring in value)
    return replace(piece, **changes)
