"""Visible triangles of one view in nvdiffrast's format."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int32

from swerve.rasterizer.mesh import Mesh
from swerve.rasterizer.numba.scan_kernels import MOST_CORNERS
from swerve.rasterizer.nvdiffrast import facet_kernels
from swerve.rasterizer.optics import frustum, lens_table
from swerve.scenes import Camera
from swerve.scenes.transforms import inverse

_FIRST_FACETS = 1 << 17


@dataclass(frozen=True, eq=False)
class Facets:
    """Visible geometry of one view, split into triangles that stay straight through its lens.

    Attributes:
        clip: corners in clip space. x / w and y / w run from -1 to 1 over the image, the first row at y / w = -1, so
            that nvdiffrast's first row (its bottom) is the image's top. w is depth, and z / w = 1 - 2 n / w with n the
            depth of the nearest corner: the depth test's 24 bits cover the occupied range.
        polygons: row in `planes` and `sources` of the triangle that each facet belongs to.
        planes: 1 / z of each such triangle is linear over the ideal image: coefficients of (x / z, y / z, 1).
        sources: row of each such triangle in the mesh.
    """

    clip: Float32[np.ndarray, "n 3 4"]
    polygons: Int32[np.ndarray, "n"]
    planes: Float[np.ndarray, "p 3"]
    sources: Int32[np.ndarray, "p"]


class _Room(NamedTuple):
    clip: Float32[np.ndarray, "n 3 4"]
    polygons: Int32[np.ndarray, "n"]
    planes: Float[np.ndarray, "f 3"]
    sources: Int32[np.ndarray, "f"]


class _Scratch(NamedTuple):
    polygon: Float[np.ndarray, "9 5"]
    spare: Float[np.ndarray, "9 4"]
    stack: Float[np.ndarray, "65 3 3"]


def facets_of(mesh: Mesh, camera: Camera, world_from_ego: Float[np.ndarray, "4 4"], depth_limit: float) -> Facets:
    """Compute the facets that a camera sees from a pose, clipped as on the CPU.

    Facet edges deviate from the distorted curve by less than 1/16 pixel and interiors by less than 1/12.
    """
    table, count = lens_table(camera), len(mesh.triangles)
    camera_from_world = np.ascontiguousarray(inverse(world_from_ego @ camera.ego_from_camera)[:3])
    planes = frustum(table.bounds, depth_limit)
    scratch = _Scratch(np.empty((MOST_CORNERS, 5)), np.empty((MOST_CORNERS, 4)), np.empty((_STACK, 3, 3)))
    room = _room(_FIRST_FACETS, np.empty((count, 3)), np.empty(count, np.int32))
    polygons, facets = facet_kernels.subdivide(mesh, camera_from_world, planes, table.optics, room, scratch)
    if facets > len(room.polygons):
        room = _room(facets, room.planes, room.sources)
        facet_kernels.subdivide(mesh, camera_from_world, planes, table.optics, room, scratch)
    clip = room.clip[:facets]
    if facets:
        clip[..., 2] -= 2 * clip[..., 3].min()
    return Facets(clip, room.polygons[:facets], room.planes[:polygons], room.sources[:polygons])


_STACK = facet_kernels.DEEPEST + 1


def _room(facets: int, planes: Float[np.ndarray, "f 3"], sources: Int32[np.ndarray, "f"]) -> _Room:
    return _Room(np.empty((facets, 3, 4), np.float32), np.empty(facets, np.int32), planes, sources)
