"""Rigidly transformed copies of a log."""

from dataclasses import fields, is_dataclass, replace

import numpy as np

from swerve.scenes import GroundHeight, Log
from swerve.scenes.transforms import rigid_transform, rotation_about_z, wrap_angle


def moved_log(log: Log, turn: float, shift: tuple[float, float]) -> Log:
    """Return the log rotated by `turn` about the origin, then translated."""
    motion = rigid_transform(rotation_about_z(turn), np.array([*shift, 0.0]))
    rotation = motion[:2, :2]

    def line(points):
        out = points.copy()
        out[..., :2] = points[..., :2] @ rotation.T + shift
        return out

    def item(thing):
        changes = {}
        for field in fields(thing):
            value = getattr(thing, field.name)
            if isinstance(value, np.ndarray):
                changes[field.name] = line(value)
            elif isinstance(value, tuple) and value and isinstance(value[0], np.ndarray):
                changes[field.name] = tuple(line(part) for part in value)
        return replace(thing, **changes)

    road = {}
    for field in fields(log.road_map):
        value = getattr(log.road_map, field.name)
        if isinstance(value, tuple) and value and is_dataclass(value[0]):
            road[field.name] = tuple(item(part) for part in value)
    road["ground"] = GroundHeight(np.zeros((2, 2), np.float32), np.zeros(2), 1000.0)
    tracks = replace(
        log.tracks,
        positions=line(log.tracks.positions),
        headings=wrap_angle(log.tracks.headings + turn),
        velocities=log.tracks.velocities @ rotation.T,
    )
    return replace(
        log,
        ego=replace(log.ego, world_from_ego=motion @ log.ego.world_from_ego),
        tracks=tracks,
        lights=replace(log.lights, positions=line(log.lights.positions), headings=log.lights.headings + turn),
        road_map=replace(log.road_map, **road),
    )
