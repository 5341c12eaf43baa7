"""Triangles with a look: what a photograph of a town is made of."""

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
    """How a surface is coloured; the frame's numbers mean something else for each (`material_kernels.albedo`)."""

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
    """Loose triangles, counter-clockwise seen from outside.

    Attributes:
        corners: metres.
        normals: unit vectors at the corners; they differ where the surface is curved.
        materials: `Material` of each triangle.
        tints: reflectance in linear red, green and blue, 0 to 1.
        frames: an origin (x, y, z), a level direction (x, y), and three numbers of the material.
        instances: number of what each triangle belongs to, as in the raster; 0 for what the raster does not have.
    """

    corners: Triangles
    normals: Float[np.ndarray, "f 3 3"]
    materials: UInt8[np.ndarray, "f"]
    tints: Float32[np.ndarray, "f 3"]
    frames: Float[np.ndarray, "f 8"]
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
        """Triangles of one look, or of a look each; plane ones where no normals are given."""
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
        """Turned about the vertical, then shifted; frames move with the triangles."""
        turn = rotation_about_z(np.array(heading))[:3, :3].T
        frames = self.frames.copy()
        frames[:, :3] = frames[:, :3] @ turn + position
        frames[:, 3:5] = frames[:, 3:5] @ turn[:2, :2]
        return replace(self, corners=self.corners @ turn + position, normals=self.normals @ turn, frames=frames)

    def copies(
        self,
        headings: Float[np.ndarray, "n"],
        positions: Float[np.ndarray, "n 3"],
        sizes: Float[np.ndarray, "n 3"],
    ) -> "Solid":
        """The same many times over: scaled along its axes, then turned, then shifted. Frames must not matter."""
        turns = np.swapaxes(rotation_about_z(headings)[:, :3, :3], 1, 2)[:, None]
        corners = (self.corners * sizes[:, None, None]) @ turns + positions[:, None, None]
        normals = (self.normals / sizes[:, None, None]) @ turns
        normals /= np.maximum(np.linalg.norm(normals, axis=3, keepdims=True), 1e-12)
        rows = np.tile(np.arange(len(self)), len(headings))
        rest = {name: getattr(self, name)[rows] for name in ("materials", "tints", "frames", "instances")}
        return Solid(corners.reshape(-1, 3, 3), normals.reshape(-1, 3, 3), **rest)

    def numbered(self, instance: int) -> "Solid":
        """The same triangles as one instance."""
        return replace(self, instances=np.full(len(self), instance, np.int32))

    def two_sided(self) -> "Solid":
        """With the same triangles seen from behind, lit as from the front."""
        back = replace(self, corners=self.corners[:, ::-1], normals=self.normals[:, ::-1])
        return joined([self, back])

    def primitives(self, chunk_starts: Int32[np.ndarray, "c1"] | None = None) -> Primitives:
        """What the rasterizer draws: every triangle is an instance, numbered from 1 in the solid's order.

        Args:
            chunk_starts: first triangle of each chunk, and their number; square cells if None.
        """
        count = len(self)
        corners, indices = self.corners.reshape(-1, 3), np.arange(3 * count, dtype=np.int32).reshape(-1, 3)
        kinds, faces = np.full(count, Semantic.GENERIC, np.uint8), np.full(count, Face.NONE, np.uint8)
        numbers = np.arange(1, count + 1, dtype=np.int32)
        if chunk_starts is None:
            return Primitives.in_chunks(corners, indices, kinds, faces, numbers)
        low = np.minimum.reduceat(self.corners.min(axis=1), chunk_starts[:-1])
        high = np.maximum.reduceat(self.corners.max(axis=1), chunk_starts[:-1])
        radii = np.linalg.norm(high - low, axis=1) / 2
        return Primitives(corners, indices, kinds, faces, numbers, chunk_starts, (low + high) / 2, radii)


def joined(solids: Sequence[Solid]) -> Solid:
    """All triangles, in order."""
    if not solids:
        return Solid.of(np.zeros((0, 3, 3)), Material.MATT, (0.0, 0.0, 0.0))
    return Solid(*(np.concatenate([getattr(solid, field.name) for solid in solids]) for field in fields(Solid)))


def plane_normals(corners: Triangles) -> Float[np.ndarray, "f 3"]:
    """Unit normals of the triangles; zero for those without area."""
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    return normals / np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)


def split_quads(quads: Float[np.ndarray, "q 4 3"]) -> Triangles:
    """Two triangles of each quad."""
    return quads[:, _HALVES].reshape(-1, 3, 3)
