"""Agents and signal heads as closed cuboids."""

import numpy as np
from jaxtyping import Float, Int32, UInt8

from swerve.scenes.primitives.primitives import Face, Primitives, Semantic
from swerve.scenes.tracks import LightState, ObjectClass, Tracks, TrafficLights
from swerve.scenes.transforms import rotation_about_z

# Agents are numbered by their row in the tracks, from 1; ids of signal heads and map features start far above.
FIRST_SIGNAL_INSTANCE = 100_001
# Depth, width and height of a head in metres: a three-lamp head of 0.3 m lamps with its backplate.
SIGNAL_SIZE = (0.35, 0.5, 1.0)

OBJECT_SEMANTICS = {
    ObjectClass.GENERIC: Semantic.GENERIC,
    ObjectClass.VEHICLE: Semantic.VEHICLE,
    ObjectClass.PEDESTRIAN: Semantic.PEDESTRIAN,
    ObjectClass.BICYCLE: Semantic.BICYCLE,
    ObjectClass.TRAFFIC_CONE: Semantic.TRAFFIC_CONE,
    ObjectClass.BARRIER: Semantic.BARRIER,
    ObjectClass.SIGN: Semantic.SIGN,
}
SIGNAL_SEMANTICS = {
    LightState.UNKNOWN: Semantic.SIGNAL_UNKNOWN,
    LightState.RED: Semantic.SIGNAL_RED,
    LightState.YELLOW: Semantic.SIGNAL_YELLOW,
    LightState.GREEN: Semantic.SIGNAL_GREEN,
}

# Corners of the unit cube, x forward, y left, z up; then two triangles a side, counter-clockwise seen from outside.
_CORNERS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
_SIDES = {
    Face.FRONT: (4, 6, 7, 5),
    Face.BACK: (0, 1, 3, 2),
    Face.LEFT: (2, 3, 7, 6),
    Face.RIGHT: (0, 4, 5, 1),
    Face.TOP: (1, 5, 7, 3),
    Face.BOTTOM: (0, 2, 6, 4),
}
_TRIANGLES = np.array([[(a, b, c), (a, c, d)] for a, b, c, d in _SIDES.values()], np.int32).reshape(12, 3)
_FACES = np.repeat(np.array(list(_SIDES), np.uint8), 2)


def agent_cuboids(tracks: Tracks, step: int) -> Primitives:
    """Build cuboids of all agents that are valid at a step; instance = row in the tracks + 1."""
    rows = np.flatnonzero(tracks.valid[:, step])
    lookup = np.array([OBJECT_SEMANTICS[kind] for kind in ObjectClass], np.uint8)
    return cuboids(
        tracks.positions[rows, step],
        tracks.headings[rows, step],
        tracks.sizes[rows, step],
        lookup[tracks.classes[rows]],
        (rows + 1).astype(np.int32),
    )


def signal_cuboids(lights: TrafficLights, step: int) -> Primitives:
    """Build cuboids of the signal heads in their states at a step; the front faces the controlled traffic."""
    count = len(lights)
    lookup = np.array([SIGNAL_SEMANTICS[state] for state in LightState], np.uint8)
    return cuboids(
        lights.positions,
        lights.headings,
        np.tile(SIGNAL_SIZE, (count, 1)),
        lookup[lights.states[:, step]],
        np.arange(FIRST_SIGNAL_INSTANCE, FIRST_SIGNAL_INSTANCE + count, dtype=np.int32),
    )


def cuboids(
    centers: Float[np.ndarray, "n 3"],
    headings: Float[np.ndarray, "n"],
    sizes: Float[np.ndarray, "n 3"],
    semantics: UInt8[np.ndarray, "n"],
    instances: Int32[np.ndarray, "n"],
) -> Primitives:
    """Build upright boxes of (length, width, height), one chunk each."""
    count = len(centers)
    corners = (_CORNERS * sizes[:, None]) @ np.swapaxes(rotation_about_z(headings), 1, 2) + centers[:, None]
    first = (8 * np.arange(count, dtype=np.int32))[:, None, None]
    return Primitives(
        vertices=corners.reshape(-1, 3),
        triangles=(_TRIANGLES + first).reshape(-1, 3),
        semantics=np.repeat(semantics, 12),
        faces=np.tile(_FACES, count),
        instances=np.repeat(instances, 12),
        chunk_starts=np.arange(0, 12 * count + 1, 12, dtype=np.int32),
        chunk_centers=centers.astype(np.float64),
        chunk_radii=np.linalg.norm(sizes, axis=1) / 2,
    )
