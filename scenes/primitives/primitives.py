"""Annotated triangles: the input of the rasterizers."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from jaxtyping import Float, Int32, UInt8

NO_INSTANCE = 0


class Semantic(IntEnum):
    """Semantic class of a triangle or a pixel."""

    NOTHING = 0
    ROAD = 1
    INTERSECTION = 2
    CAR_PARK = 3
    WALKWAY = 4
    CROSSING = 5
    SPEED_BUMP = 6
    LINE_WHITE = 7
    LINE_YELLOW = 8
    LINE_BLUE = 9
    ROAD_EDGE = 10
    STOP_LINE = 11
    SIGNAL_UNKNOWN = 12
    SIGNAL_RED = 13
    SIGNAL_YELLOW = 14
    SIGNAL_GREEN = 15
    GENERIC = 16
    VEHICLE = 17
    PEDESTRIAN = 18
    BICYCLE = 19
    TRAFFIC_CONE = 20
    BARRIER = 21
    SIGN = 22


class Face(IntEnum):
    """Side of a box that a triangle belongs to, the cue to the object's orientation."""

    NONE = 0
    FRONT = 1
    BACK = 2
    LEFT = 3
    RIGHT = 4
    TOP = 5
    BOTTOM = 6


@dataclass(frozen=True)
class Primitives:
    """Triangles in chunks that are culled together.

    Triangles are one-sided: counter-clockwise seen from outside (or from above). Triangles of one chunk are
    consecutive: chunk i has the triangles `chunk_starts[i]` to `chunk_starts[i + 1]`.

    Attributes:
        vertices: world frame, metres.
        triangles: rows of three vertices.
        semantics: `Semantic` of each triangle.
        faces: `Face` of each triangle.
        instances: instance id of each triangle; 0 is no instance.
        chunk_starts: first triangle of each chunk, and the number of triangles at the end.
        chunk_centers: centre of a sphere around each chunk.
        chunk_radii: radius of that sphere, metres.
    """

    vertices: Float[np.ndarray, "v 3"]
    triangles: Int32[np.ndarray, "f 3"]
    semantics: UInt8[np.ndarray, "f"]
    faces: UInt8[np.ndarray, "f"]
    instances: Int32[np.ndarray, "f"]
    chunk_starts: Int32[np.ndarray, "c1"]
    chunk_centers: Float[np.ndarray, "c 3"]
    chunk_radii: Float[np.ndarray, "c"]

    def __len__(self) -> int:
        return len(self.triangles)

    @classmethod
    def from_triangles(
        cls,
        vertices: Float[np.ndarray, "v 3"],
        triangles: Int32[np.ndarray, "f 3"],
        semantics: UInt8[np.ndarray, "f"],
        faces: UInt8[np.ndarray, "f"],
        instances: Int32[np.ndarray, "f"],
        cell: float = 20.0,
    ) -> "Primitives":
        """Sort the triangles into chunks: square cells of `cell` metres by their centroids.

        A stable sort: within a cell, triangles keep their order.
        """
        corners = vertices[triangles]
        keys = np.floor(corners.mean(axis=1)[:, :2] / cell).astype(np.int64)
        order = np.lexsort((keys[:, 1], keys[:, 0]))
        changes = np.flatnonzero(np.any(np.diff(keys[order], axis=0) != 0, axis=1)) + 1
        starts = np.concatenate([[0], changes, [len(order)]]) if len(order) else np.zeros(1)
        centers, radii = _spheres(corners[order], starts.astype(int))
        return cls(
            vertices,
            triangles[order],
            semantics[order],
            faces[order],
            instances[order],
            starts.astype(np.int32),
            centers,
            radii,
        )

    def concatenate(self, other: "Primitives") -> "Primitives":
        """Return the concatenation of these primitives and the others."""
        return Primitives(
            np.concatenate([self.vertices, other.vertices]),
            np.concatenate([self.triangles, other.triangles + np.int32(len(self.vertices))]),
            np.concatenate([self.semantics, other.semantics]),
            np.concatenate([self.faces, other.faces]),
            np.concatenate([self.instances, other.instances]),
            np.concatenate([self.chunk_starts[:-1], other.chunk_starts + np.int32(len(self))]),
            np.concatenate([self.chunk_centers, other.chunk_centers]),
            np.concatenate([self.chunk_radii, other.chunk_radii]),
        )


def _spheres(
    corners: Float[np.ndarray, "f 3 3"], starts: np.ndarray
) -> tuple[Float[np.ndarray, "c 3"], Float[np.ndarray, "c"]]:
    """Compute a bounding sphere of each chunk, centred on the chunk's bounding box."""
    if not len(corners):
        return np.zeros((0, 3)), np.zeros(0)
    low = np.minimum.reduceat(corners.min(axis=1), starts[:-1])
    high = np.maximum.reduceat(corners.max(axis=1), starts[:-1])
    center = (low + high) / 2
    own = np.repeat(center, np.diff(starts), axis=0)
    reach = np.linalg.norm(corners - own[:, None], axis=2).max(axis=1)
    return center, np.maximum.reduceat(reach, starts[:-1])
