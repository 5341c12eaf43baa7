"""Other objects: cones, barriers, signs, containers; and signals with their poles."""

from dataclasses import replace

import numpy as np
import shapely
from jaxtyping import Float

from swerve.data.sources.town.photos.shapes import box, tube
from swerve.data.sources.town.photos.solids import Material, Rgb, Solid, joined
from swerve.scenes import LightState, ObjectClass, RoadMap, TrafficLights
from swerve.scenes.primitives.cuboids import SIGNAL_SIZE
from swerve.scenes.road_map import union_of

_ORANGE: Rgb = (0.80, 0.16, 0.02)
_RED: Rgb = (0.55, 0.02, 0.02)
_HOUSING: Rgb = (0.02, 0.024, 0.02)
_GALVANISED: Rgb = (0.25, 0.26, 0.27)
# Lamps from top to bottom: state, colour when lit, colour when dark.
_LAMPS: tuple[tuple[LightState, Rgb, Rgb], ...] = (
    (LightState.RED, (2.4, 0.10, 0.06), (0.07, 0.006, 0.005)),
    (LightState.YELLOW, (2.3, 1.15, 0.06), (0.07, 0.04, 0.005)),
    (LightState.GREEN, (0.10, 1.9, 0.85), (0.006, 0.05, 0.03)),
)
_POLE_RADIUS = 0.09


def thing(kind: ObjectClass, size: Float[np.ndarray, "3"], generator: np.random.Generator) -> Solid:
    """Build a cone, barrier, sign or other object, in the frame of its box's bottom."""
    length, width, height = size
    if kind == ObjectClass.TRAFFIC_CONE:
        half = 0.5 * min(length, width)
        foot = box((0, 0, 0.02), (length, width, 0.04), Material.MATT, (0.03, 0.03, 0.03))
        cone = tube((0, 0, 0.04), (0, 0, height), (0.8 * half, 0.16 * half), Material.STRIPES, _ORANGE, 10)
        return joined([foot, _striped(cone, (0.5 * height, 0.0, 0.55))])
    if kind == ObjectClass.BARRIER:
        feet = [box((0, side * 0.4 * width, 0.06), (length, 0.12, 0.12), Material.MATT, _HOUSING) for side in (-1, 1)]
        posts = [
            box((0, side * 0.4 * width, height / 2), (0.06, 0.06, height), Material.MATT, _GALVANISED)
            for side in (-1, 1)
        ]
        boards = [
            _striped(box((0, 0, share * height), (0.05, width, 0.24 * height), Material.STRIPES, _RED), (0.5, 1.0, 0.5))
            for share in (0.45, 0.85)
        ]
        return joined([*feet, *posts, *boards])
    if kind == ObjectClass.SIGN:
        post = tube((0, 0, 0), (0, 0, height), (0.03, 0.03), Material.MATT, _GALVANISED, 6)
        board = box((-0.04, 0, 0.7 * height), (0.04, width, 0.58 * height), Material.MATT, (0.72, 0.42, 0.02))
        mark = box((-0.065, 0, 0.7 * height), (0.01, 0.6 * width, 0.1 * height), Material.MATT, _HOUSING)
        return joined([post, board, mark])
    tint = np.array([(0.06, 0.17, 0.10), (0.30, 0.12, 0.03), (0.06, 0.12, 0.28)][int(generator.integers(3))])
    return _striped(
        box((0, 0, height / 2), (length, width, height), Material.STRIPES, tuple(tint.tolist())), (0.22, 0.0, 0.9)
    )


def _striped(solid: Solid, numbers: tuple[float, float, float]) -> Solid:
    """Set period, slope and share of the stripes."""
    frames = solid.material_frames.copy()
    frames[:, 3] = 1.0
    frames[:, 5:] = numbers
    return replace(solid, material_frames=frames)


def signal_head(state: LightState) -> Solid:
    """Build a head of three lamps with hoods, centred, facing x; unknown states are dark."""
    depth, width, height = SIGNAL_SIZE
    parts = [
        box((-0.1, 0, 0), (0.15, 0.62 * width, 0.98 * height), Material.MATT, _HOUSING),
        box((-0.15, 0, 0), (0.02, width, height), Material.MATT, _HOUSING),
    ]
    for row, (own, lit, dark) in enumerate(_LAMPS):
        z, on = (1 - row) * 0.31 * height, own == state
        look = (Material.LAMP, lit) if on else (Material.COATED, dark)
        parts.append(tube((-0.04, 0, z), (0.0, 0, z), (0.125, 0.125), *look, 12))
        hood = box((0.05, 0, z + 0.135), (0.25, 0.27, 0.02), Material.MATT, _HOUSING)
        parts.append(hood)
    solid = joined(parts)
    if np.abs(solid.corners[..., 0]).max() > depth / 2 + 1e-9:
        raise AssertionError("the signal head exceeds its box")
    return solid


def signal_poles(lights: TrafficLights, road_map: RoadMap) -> Solid:
    """Build a roadside pole for each head, with an arm to the head's back; heads at one place share it."""
    road = union_of(road_map.drivable_areas or road_map.lanes)
    parts, standing = [], dict[tuple[float, float], float]()
    for position in lights.positions:
        foot = _foot(road, position[:2])
        ground = float(road_map.ground.at(foot[None])[0])
        top = np.array([*foot, position[2] + 0.1])
        key = (round(float(foot[0]), 1), round(float(foot[1]), 1))
        if standing.get(key, -np.inf) < top[2]:
            parts.append(
                tube((*foot, ground - 0.3), top, (_POLE_RADIUS, 0.7 * _POLE_RADIUS), Material.MATT, _GALVANISED)
            )
            standing[key] = float(top[2])
        reach = position + np.array([0.0, 0.0, 0.1])
        if np.linalg.norm(reach - top) > 0.4:
            parts.append(tube(top, reach, (0.06, 0.045), Material.MATT, _GALVANISED, 6))
    return joined(parts)


def _foot(road: shapely.Geometry, head: Float[np.ndarray, "2"]) -> Float[np.ndarray, "2"]:
    """Return the nearest position to a head half a metre off the road's edge."""
    point = shapely.Point(head)
    if not road.intersects(point):
        return head
    edge = np.array(shapely.get_coordinates(shapely.shortest_line(point, road.boundary))[-1])
    out = edge - head
    foot: Float[np.ndarray, "2"] = edge + 0.5 * out / max(float(np.linalg.norm(out)), 1e-6)
    return foot
