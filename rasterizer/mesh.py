"""Validated mesh arrays shared by all back ends."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int32, UInt8

from swerve.scenes import SwerveError
from swerve.scenes.primitives import Face, Primitives, Semantic

PIXELS: dict[str, tuple[type, tuple[int, ...]]] = {
    "rgb": (np.uint8, (3,)),
    "depth": (np.float32, ()),
    "semantic": (np.uint8, ()),
    "instance": (np.int32, ()),
}


class Mesh(NamedTuple):
    """Primitives as arrays for the kernels."""

    vertices: Float[np.ndarray, "v 3"]
    triangles: Int32[np.ndarray, "f 3"]
    semantics: UInt8[np.ndarray, "f"]
    faces: UInt8[np.ndarray, "f"]
    instances: Int32[np.ndarray, "f"]
    chunk_starts: Int32[np.ndarray, "c1"]
    chunk_centers: Float[np.ndarray, "c 3"]
    chunk_radii: Float[np.ndarray, "c"]


def validate_mesh(primitives: Primitives) -> Mesh:
    """Validate primitives, since the kernels do no bounds checks."""
    mesh = Mesh(*(np.require(getattr(primitives, name), requirements=["C", "W"]) for name in Mesh._fields))
    count, starts = len(mesh.triangles), mesh.chunk_starts
    problem = ""
    if not (np.isfinite(mesh.vertices).all() and np.isfinite(mesh.chunk_centers).all()):
        problem = "a vertex or the centre of a chunk is not finite"
    elif count and (mesh.triangles.min() < 0 or mesh.triangles.max() >= len(mesh.vertices)):
        problem = f"a triangle names a vertex outside 0..{len(mesh.vertices) - 1}"
    elif {len(mesh.semantics), len(mesh.faces), len(mesh.instances)} != {count}:
        problem = "semantics, faces and instances must be as many as triangles"
    elif count and (mesh.semantics.max() >= len(Semantic) or mesh.faces.max() >= len(Face)):
        problem = "a semantic or a face is unknown"
    elif starts[0] != 0 or starts[-1] != count or (np.diff(starts) < 0).any():
        problem = f"chunk_starts must rise from 0 to the number of triangles, {count}"
    elif not len(mesh.chunk_centers) == len(mesh.chunk_radii) == len(starts) - 1:
        problem = "chunk_centers and chunk_radii must be one per chunk"
    if problem:
        raise SwerveError(f"primitives cannot be rendered: {problem}")
    return mesh
