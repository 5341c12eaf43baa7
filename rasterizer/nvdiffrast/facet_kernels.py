"""Subdivision of world triangles into facets so small that their images are straight even through a lens.

Culling and clipping are those of `numba.scan_kernels`. The clipped triangle is split along its longest edge until no
edge is longer than a chord may be. An edge is only split at its midpoint, and the decision depends on the edge alone,
so neighbours share every point and no gap opens between them.
"""

import math

import numba

from swerve.rasterizer.numba.scan_kernels import X, Y, Z, _pixel, _sphere_outside, _visible_corners
from swerve.scenes.kernel_options import INTERNAL

# Two or three splits halve a triangle's longest edge; no image is wide enough to need 64.
DEEPEST = 64


@numba.njit(cache=True, nogil=True)
def subdivide(mesh, camera_from_world, frustum, optics, out, scratch):
    """Write the facets of all visible triangles; overflow is counted and not stored.

    Args:
        mesh: `Mesh` of the module mesh.
        camera_from_world: rows of the rotation and translation (3, 4).
        frustum: unit planes (6, 4) that face inwards: near, far, left, right, top, bottom.
        optics: `Optics`.
        out: `_Room` of the module facets, filled here.
        scratch: `_Scratch` of the module facets.

    Returns:
        the number of polygons (visible triangles) and of facets.
    """
    polygon, polygons, count = scratch.polygon, 0, 0
    longest = math.inf if optics.segments_per_unit == 0.0 else 1.0 / optics.segments_per_unit
    for chunk in range(mesh.chunk_radii.shape[0]):
        if _sphere_outside(mesh.chunk_centers, mesh.chunk_radii, chunk, camera_from_world, frustum):
            continue
        for triangle in range(mesh.chunk_starts[chunk], mesh.chunk_starts[chunk + 1]):
            corners = _visible_corners(
                mesh.vertices,
                mesh.triangles,
                triangle,
                camera_from_world,
                frustum,
                out.planes,
                polygons,
                polygon,
                scratch.spare,
            )
            for i in range(1, corners - 1):
                _push_fan(polygon, i, scratch.stack)
                count = _cut_one(longest, optics, polygons, count, out, scratch.stack)
            if corners > 0:
                out.sources[polygons] = triangle
                polygons += 1
    return polygons, count


@numba.njit(cache=True, nogil=True, **INTERNAL)
def _push_fan(polygon, i, stack):
    """Push the polygon's corners 0, i and i + 1 as the stack's first entry, as (x / z, y / z, 1 / z)."""
    for place, corner in ((0, 0), (1, i), (2, i + 1)):
        stack[0, place, 0], stack[0, place, 1] = polygon[corner, X], polygon[corner, Y]
        stack[0, place, 2] = 1.0 / polygon[corner, Z]


@numba.njit(cache=True, nogil=True, **INTERNAL)
def _cut_one(longest, optics, polygon, count, out, stack):
    """Split the triangle at the stack's bottom and store its facets; return their total number.

    1 / z is linear over (x / z, y / z), so the mean of two corners is a point of the triangle.
    """
    top = 1
    while top > 0:
        top -= 1
        here = stack[top]
        edge, length = _longest_edge(here)
        if length <= longest or top + 2 > DEEPEST:
            if count < out.polygons.shape[0]:
                _store(here, optics, out.clip[count])
                out.polygons[count] = polygon
            count += 1
            continue
        begin, end = edge, (edge + 1) % 3
        stack[top + 1] = here
        for axis in range(3):
            middle = 0.5 * (here[begin, axis] + here[end, axis])
            stack[top + 1, begin, axis] = middle
            here[end, axis] = middle
        top += 2
    return count


@numba.njit(cache=True, nogil=True, **INTERNAL)
def _longest_edge(corners):
    """Return the longest edge in the ideal image, by its first corner, and its length."""
    edge, longest = 0, -1.0
    for i in range(3):
        j = (i + 1) % 3
        x, y = corners[j, 0] - corners[i, 0], corners[j, 1] - corners[i, 1]
        length = math.sqrt(x * x + y * y)
        if length > longest:
            edge, longest = i, length
    return edge, longest


@numba.njit(cache=True, nogil=True, **INTERNAL)
def _store(corners, optics, clip):
    """Store distorted corners: x / w and y / w run from -1 to 1 over the image, y down; z and w are depth."""
    for i in range(3):
        u, v = _pixel(corners[i, 0], corners[i, 1], optics)
        z = 1.0 / corners[i, 2]
        clip[i, 0], clip[i, 1] = (2.0 * u / optics.width - 1.0) * z, (2.0 * v / optics.height - 1.0) * z
        clip[i, 2], clip[i, 3] = z, z
