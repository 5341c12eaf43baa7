"""Geometric shapes for building bodies, in metres, x forward, y left, z up."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jaxtyping import Float, UInt8

from swerve.data.sources.town.photos.solids import Material, Rgb, Solid, joined, plane_normals, split_quads

Vector = Float[np.ndarray, "3"]
# Integers may be mixed with floats.
Place = Sequence[float | int] | Vector
_SIDES = np.array([[4, 6, 7, 5], [0, 1, 3, 2], [2, 3, 7, 6], [0, 4, 5, 1], [1, 5, 7, 3], [0, 2, 6, 4]])
_UNIT = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])
# Crease angle: faces of a loft that differ by less are shaded smoothly.
_CREASE = np.cos(np.deg2rad(42.0))


def box(
    center: Place,
    size: Place,
    material: Material,
    tint: Rgb,
    taper: float = 1.0,
    frame: Sequence[float] = (0.0,) * 8,
) -> Solid:
    """Build an upright box; its top is `taper` times as wide and long as its bottom."""
    corners = _UNIT * np.asarray(size)
    corners[_UNIT[:, 2] > 0, :2] *= taper
    return Solid.of(split_quads((corners + np.asarray(center))[_SIDES]), material, tint, frame=frame)


def tube(start: Place, end: Place, radii: tuple[float, float], material: Material, tint: Rgb, sides: int = 8) -> Solid:
    """Build a cylinder or cone with flat ends."""
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    along = (end - start) / np.linalg.norm(end - start)
    first = np.cross(along, [0.0, 0.0, 1.0] if abs(along[2]) < 0.9 else [1.0, 0.0, 0.0])
    first /= np.linalg.norm(first)
    angles = 2 * np.pi * np.arange(sides + 1) / sides
    out = np.cos(angles)[:, None] * first + np.sin(angles)[:, None] * np.cross(along, first)
    near, far = start + radii[0] * out, end + radii[1] * out
    wall = split_quads(np.stack([near[:-1], near[1:], far[1:], far[:-1]], axis=1))
    bent = split_quads(np.stack([out[:-1], out[1:], out[1:], out[:-1]], axis=1))
    caps = [np.stack([np.broadcast_to(start, near[1:].shape), near[1:], near[:-1]], axis=1)]
    caps.append(np.stack([np.broadcast_to(end, far[1:].shape), far[:-1], far[1:]], axis=1))
    ends = np.concatenate(caps)
    normals = np.concatenate([bent, np.repeat(plane_normals(ends)[:, None], 3, axis=1)])
    return Solid.of(np.concatenate([wall, ends]), material, tint, normals)


def ball(center: Place, radii: Place, material: Material, tint: Rgb, fineness: int = 1) -> Solid:
    """Build an ellipsoid of 20 times 4^fineness triangles."""
    unit, size = icosphere(fineness), np.asarray(radii, np.float64)
    normals = unit / size
    return Solid.of(
        unit * size + np.asarray(center), material, tint, normals / np.linalg.norm(normals, axis=2, keepdims=True)
    )


@lru_cache(maxsize=4)
def icosphere(fineness: int) -> Float[np.ndarray, "f 3 3"]:
    """Return the unit sphere as triangles: an icosahedron subdivided `fineness` times."""
    ring = 2 * np.pi * np.arange(5) / 5
    height, radius = 1 / np.sqrt(5), 2 / np.sqrt(5)
    upper = np.stack([radius * np.cos(ring), radius * np.sin(ring), np.full(5, height)], axis=1)
    lower = np.stack(
        [radius * np.cos(ring + np.pi / 5), radius * np.sin(ring + np.pi / 5), np.full(5, -height)], axis=1
    )
    top, bottom = np.array([0.0, 0.0, 1.0]), np.array([0.0, 0.0, -1.0])
    faces = []
    for k in range(5):
        j = (k + 1) % 5
        faces += [(top, upper[k], upper[j]), (upper[k], lower[k], upper[j])]
        faces += [(lower[k], lower[j], upper[j]), (bottom, lower[j], lower[k])]
    triangles = np.array(faces)
    for _ in range(fineness):
        a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
        ab, bc, ca = (a + b) / 2, (b + c) / 2, (c + a) / 2
        pieces = [(a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca)]
        triangles = np.concatenate([np.stack(piece, axis=1) for piece in pieces])
        triangles /= np.linalg.norm(triangles, axis=2, keepdims=True)
    return triangles


@dataclass(frozen=True)
class LoftMaterials:
    """Materials of a loft: per face between two stations (s) and two points (r) of the section.

    Attributes:
        materials: `Material` per face.
        tints: reflectances.
        gloss: first material parameter.
    """

    materials: UInt8[np.ndarray, "s r"]
    tints: Float[np.ndarray, "s r 3"]
    gloss: Float[np.ndarray, "s r"]


def loft(stations: Float[np.ndarray, "s1 r1 3"], skin: LoftMaterials) -> Solid:
    """Build a mirror-symmetric body lofted over cross-sections, with flat ends.

    Args:
        stations: points of the left half of each section, from rear to front; each from bottom to top middle.
        skin: materials of the faces; the ends take those of the adjacent faces.
    """
    near, far = stations[:-1], stations[1:]
    left = np.stack([near[:, :-1], near[:, 1:], far[:, 1:], far[:, :-1]], axis=2)
    bent = _lofted_normals(left)
    flip = np.array([1.0, -1.0, 1.0])
    sides = [_covered(left, skin, bent), _covered((left * flip)[:, :, ::-1], skin, (bent * flip)[:, :, ::-1])]
    return joined([*sides, _end(stations[0], skin, 0), _end(stations[-1], skin, -1)])


def _covered(quads: Float[np.ndarray, "s r 4 3"], skin: LoftMaterials, normals: Float[np.ndarray, "s r 4 3"]) -> Solid:
    """Build the faces of one side."""
    frames = np.zeros((skin.gloss.size, 8))
    frames[:, 5] = skin.gloss.ravel()
    return Solid.of(
        split_quads(quads.reshape(-1, 4, 3)),
        np.repeat(skin.materials.ravel(), 2),
        np.repeat(skin.tints.reshape(-1, 3), 2, axis=0),
        split_quads(normals.reshape(-1, 4, 3)),
        np.repeat(frames, 2, axis=0),
    )


def _end(section: Float[np.ndarray, "r1 3"], skin: LoftMaterials, station: int) -> Solid:
    """Build the flat rear (station 0) or front (station -1)."""
    right = section * [1.0, -1.0, 1.0]
    quads = np.stack([section[:-1], section[1:], right[1:], right[:-1]], axis=1)
    quads = quads[:, ::-1] if station == 0 else quads
    normals = np.zeros_like(quads)
    normals[..., 0] = -1.0 if station == 0 else 1.0
    rows = [array[station][None] for array in (skin.materials, skin.tints, skin.gloss)]
    return _covered(quads[None], LoftMaterials(*rows), normals[None])


def _lofted_normals(quads: Float[np.ndarray, "s r 4 3"]) -> Float[np.ndarray, "s r 4 3"]:
    """Compute vertex normals: means over neighbours along the body, where these bend little."""
    flat = np.cross(quads[:, :, 2] - quads[:, :, 0], quads[:, :, 3] - quads[:, :, 1])
    flat /= np.maximum(np.linalg.norm(flat, axis=2, keepdims=True), 1e-12)
    behind, ahead = np.roll(flat, 1, axis=0), np.roll(flat, -1, axis=0)
    behind[0], ahead[-1] = flat[0], flat[-1]
    rear, front = (
        np.where((flat * other).sum(axis=2, keepdims=True) > _CREASE, flat + other, flat) for other in (behind, ahead)
    )
    normals = np.stack([rear, rear, front, front], axis=2)
    unit: Float[np.ndarray, "s r 4 3"] = normals / np.maximum(np.linalg.norm(normals, axis=3, keepdims=True), 1e-12)
    return unit
