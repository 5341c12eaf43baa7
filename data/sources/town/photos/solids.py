"""Textured triangles, the geometry of synthetic photos."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from enum import IntEnum

import numpy as np
from jaxtyping import Float, Float32, Int32, UInt8

from swerve.data.sources.town.photos import material_kernels
from swerve.scenes.primitives import Face, Primitives, Semantic
from swerve.scenes.transforms import rotation_about_z

Rgb = tuple[float, float, float]
Triangles = Float[np.ndarray, "f 3 3"]
# Corners of a quad as two triangles.
_HALVES = np.array([[0, 1, 2], [0, 2, 3]])


class Material(IntEnum):
    """Material of a surface; the meaning of the frame's parameters depends on it (`material_kernels.albedo`)."""

    ASPHALT = material_kernels.ASPHALT
    PAVEMENT = material_kernels.PAVEMENT
    ZEBRA = material_kernels.ZEBRA
    PAINT = material_kernels.PAINT
    KERB = material_kernels.KERB
    GRASS = material_kernels.GRASS
    FACADE = material_kernels.FACADE
    TILES = material_kernels.TILES
    ROUGH = material_kernels.ROUGH
    LEAVES = material_kernels.LEAVES
    COATED = material_kernels.COATED
    MATT = material_kernels.MATT
    LAMP = material_kernels.LAMP
    STRIPES = material_kernels.STRIPES


@dataclass(frozen=True)
class Solid:
    """Triangle soup, counter-clockwise seen from outside.

    Attributes:
        corners: vertices of each triangle, metres.
        normals: unit vectors at the corners; they differ where the surface is curved.
        materials: `Material` of each triangle.
        reflectances: reflectance in linear red, green and blue, 0 to 1.
        material_frames: an origin (x, y, z), a level direction (x, y), and three material parameters.
        instances: instance id of each triangle as in the raster; 0 for what the raster lacks.
    """

    corners: Triangles
    normals: Float[np.ndarray, "f 3 3"]
    materials: UInt8[np.ndarray, "f"]
    reflectances: Float32[np.ndarray, "f 3"]
    material_frames: Float[np.ndarray, "f 8"]
    instances: Int32[np.ndarray, "f"]

    def __len__(self) -> int:
        return len(self.corners)

    @classmethod
    def of(
        cls,
        corners: Triangles,
        material: Material | UInt8[np.ndarray, "f"],
        tint: Rgb | Float[np.ndarray, "f 3"],
        normals: Float[np.ndarray, "f 3 3"] | None = None,
        frame: Sequence[float] | Float[np.ndarray, "f 8"] = (0.0,) * 8,
    ) -> "Solid":
        """Build triangles with one material, or one each; flat-shaded where no normals are given."""
        count = len(corners)
        if normals is None:
            normals = np.repeat(plane_normals(corners)[:, None], 3, axis=1)
        return cls(
            corners,
            normals,
            np.broadcast_to(np.asarray(material, np.uint8), count),
            np.broadcast_to(np.asarray(tint, np.float32), (count, 3)),
            np.broadcast_to(np.asarray(frame, np.float64), (count, 8)),
            np.zeros(count, np.int32),
        )

    def moved(self, heading: float, position: Float[np.ndarray, "3"]) -> "Solid":
        """Rotate about the vertical, then translate; frames move with the triangles."""
        turn = rotation_about_z(np.array(heading))[:3, :3].T
        frames = self.material_frames.copy()
        frames[:, :3] = frames[:, :3] @ turn + position
        frames[:, 3:5] = frames[:, 3:5] @ turn[:2, :2]
        return replace(
            self, corners=self.corners @ turn + position, normals=self.normals @ turn, material_frames=frames
        )

    def copies(
        self,
        headings: Float[np.ndarray, "n"],
        positions: Float[np.ndarray, "n 3"],
        sizes: Float[np.ndarray, "n 3"],
    ) -> "Solid":
        """Return copies: scaled along the axes, then rotated, then translated. Frames must not matter."""
        turns = np.swapaxes(rotation_about_z(headings)[:, :3, :3], 1, 2)[:, None]
        corners = (self.corners * sizes[:, None, None]) @ turns + positions[:, None, None]
        normals = (self.normals / sizes[:, None, None]) @ turns
        normals /= np.maximum(np.linalg.norm(normals, axis=3, keepdims=True), 1e-12)
        rows = np.tile(np.arange(len(self)), len(headings))
        rest = {
            name: getattr(self, name)[rows] for name in ("materials", "reflectances", "material_frames", "instances")
        }
        return Solid(corners.reshape(-1, 3, 3), normals.reshape(-1, 3, 3), **rest)

    def with_instance(self, instance: int) -> "Solid":
        """Return the same triangles as one instance."""
        return replace(self, instances=np.full(len(self), instance, np.int32))

    def two_sided(self) -> "Solid":
        """Append the back faces, shaded as the front faces."""
        back = replace(self, corners=self.corners[:, ::-1], normals=self.normals[:, ::-1])
        return joined([self, back])

    def primitives(self, chunk_starts: Int32[np.ndarray, "c1"] | None = None) -> Primitives:
        """Convert to primitives: every triangle is an instance, numbered from 1 in the solid's order.

        Args:
            chunk_starts: first triangle of each chunk, with the total at the end; square cells if None.
        """
        count = len(self)
        corners, indices = self.corners.reshape(-1, 3), np.arange(3 * count, dtype=np.int32).reshape(-1, 3)
        kinds, faces = np.full(count, Semantic.GENERIC, np.uint8), np.full(count, Face.NONE, np.uint8)
        numbers = np.arange(1, count + 1, dtype=np.int32)
        if chunk_starts is None:
            return Primitives.from_triangles(corners, indices, kinds, faces, numbers)
        low = np.minimum.reduceat(self.corners.min(axis=1), chunk_starts[:-1])
        high = np.maximum.reduceat(self.corners.max(axis=1), chunk_starts[:-1])
        radii = np.linalg.norm(high - low, axis=1) / 2
        return Primitives(corners, indices, kinds, faces, numbers, chunk_starts, (low + high) / 2, radii)


def joined(solids: Sequence[Solid]) -> Solid:
    """Concatenate solids."""
    if not solids:
        return Solid.of(np.zeros((0, 3, 3)), Material.MATT, (0.0, 0.0, 0.0))
    return Solid(*(np.concatenate([getattr(solid, field.name) for solid in solids]) for field in fields(Solid)))


def plane_normals(corners: Triangles) -> Float[np.ndarray, "f 3"]:
    """Compute unit normals of the triangles; zero for degenerate ones."""
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    unit: Float[np.ndarray, "f 3"] = normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    return unit


def split_quads(quads: Float[np.ndarray, "q 4 3"]) -> Triangles:
    """Split each quad into two triangles."""
    return quads[:, _HALVES].reshape(-1, 3, 3)
