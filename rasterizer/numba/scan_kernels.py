"""Scan conversion of world triangles into spans of pixels: culling, clipping, and lens distortion.

A pixel belongs to a triangle when its centre lies inside the triangle's image. Neighbours that share an edge (the same
two vertices) traverse it in the same direction and round the same numbers, so no pixel between them is left out or
drawn twice. A span is a row of four int32: (next span of this image row or -1, first column, column after the last,
polygon).
"""

import math

import numba
import numpy as np

from swerve.scenes.kernel_options import INTERNAL
from swerve.scenes.lens_kernels import PINHOLE, distort

NEXT, BEGIN, END, POLYGON = 0, 1, 2, 3
# Columns of a polygon's corners: in the camera frame (x and y later divided by z), and pixels.
X, Y, Z, U, V = 0, 1, 2, 3, 4
# A frustum has six planes, so a clipped triangle has at most nine corners. A row cuts the image of a straight edge at
# most seven times (the lens polynomials' degree) and in practice once or twice.
MOST_CORNERS, MOST_CROSSINGS = 9, 64


@numba.njit(cache=True, nogil=True)
def scan(mesh, camera_from_world, frustum, optics, drawing, scratch):
    """Append the visible triangles' polygons and spans to the drawing.

    When the spans exceed `drawing.spans` they are counted but no longer stored.

    Args:
        mesh: `Mesh` of the module mesh.
        camera_from_world: rows of the rotation and translation (3, 4).
        frustum: unit planes (6, 4) that face inwards: near, far, left, right, top, bottom.
        optics: `Optics`.
        drawing: `_Drawing`, filled here.
        scratch: `_Scratch`.

    Returns:
        the number of polygons and of spans.
    """
    drawing.heads[:] = -1
    polygon = scratch.polygon
    polygons, spans = 0, 0
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
                drawing.planes,
                polygons,
                polygon,
                scratch.spare,
            )
            if corners == 0:
                continue
            top, bottom = _cross_polygon(polygon, corners, optics, scratch.crossings, scratch.counts)
            if top < bottom:
                drawing.sources[polygons] = triangle
                spans = _append_spans(top, bottom, polygons, spans, drawing, scratch)
                polygons += 1
    return polygons, spans


@numba.njit(cache=True, nogil=True)
def _sphere_outside(centers, radii, chunk, camera_from_world, frustum):
    x, y, z = _transform(camera_from_world, centers, chunk)
    deepest = radii[chunk]
    for k in range(6):
        deepest = min(deepest, frustum[k, 0] * x + frustum[k, 1] * y + frustum[k, 2] * z + frustum[k, 3])
    return deepest < -radii[chunk]


@numba.njit(cache=True, nogil=True)
def _transform(m, points, i):
    x, y, z = points[i, 0], points[i, 1], points[i, 2]
    return (
        m[0, 0] * x + m[0, 1] * y + m[0, 2] * z + m[0, 3],
        m[1, 0] * x + m[1, 1] * y + m[1, 2] * z + m[1, 3],
        m[2, 0] * x + m[2, 1] * y + m[2, 2] * z + m[2, 3],
    )


@numba.njit(cache=True, nogil=True)
def _visible_corners(vertices, triangles, triangle, camera_from_world, frustum, planes, row, polygon, spare):
    """Write the clipped triangle to `polygon` as (x / z, y / z, z), and the plane of its 1 / z to `planes`.

    Returns:
        the number of corners; 0 if the triangle is not visible.
    """
    for corner in range(3):
        x, y, z = _transform(camera_from_world, vertices, triangles[triangle, corner])
        polygon[corner, X], polygon[corner, Y], polygon[corner, Z] = x, y, z
    if not _inverse_depth(polygon, planes, row):
        return 0
    everywhere, somewhere = 63, 0
    for corner in range(3):
        x, y, z = polygon[corner, X], polygon[corner, Y], polygon[corner, Z]
        code = 0
        for k in range(6):
            if frustum[k, 0] * x + frustum[k, 1] * y + frustum[k, 2] * z + frustum[k, 3] < 0.0:
                code |= 1 << k
        everywhere &= code
        somewhere |= code
    if everywhere != 0:
        return 0
    corners = 3
    for k in range(6):
        if somewhere & (1 << k):
            corners = _clip(polygon, corners, frustum, k, spare)
    for corner in range(corners):
        polygon[corner, X] /= polygon[corner, Z]
        polygon[corner, Y] /= polygon[corner, Z]
    return corners


@numba.njit(cache=True, nogil=True)
def _inverse_depth(p, planes, row):
    """Compute 1 / z of the triangle's plane as a linear function of (x / z, y / z); False for back faces.

    Points of the plane satisfy n . (x, y, z) = d; divided by d z: 1 / z = n . (x / z, y / z, 1) / d.
    """
    ax, ay, az = p[1, 0] - p[0, 0], p[1, 1] - p[0, 1], p[1, 2] - p[0, 2]
    bx, by, bz = p[2, 0] - p[0, 0], p[2, 1] - p[0, 1], p[2, 2] - p[0, 2]
    nx, ny, nz = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    d = nx * p[0, 0] + ny * p[0, 1] + nz * p[0, 2]
    if d >= -1e-12:
        return False
    planes[row, 0], planes[row, 1], planes[row, 2] = nx / d, ny / d, nz / d
    return True


@numba.njit(cache=True, nogil=True)
def _clip(polygon, corners, frustum, k, spare):
    """Clip against one plane (Sutherland and Hodgman 1974); cuts are always computed from the inner corner."""
    a, b, c, d = frustum[k, 0], frustum[k, 1], frustum[k, 2], frustum[k, 3]
    for i in range(corners):
        x, y, z = polygon[i, 0], polygon[i, 1], polygon[i, 2]
        spare[i, 0], spare[i, 1], spare[i, 2] = x, y, z
        spare[i, 3] = a * x + b * y + c * z + d
    kept = 0
    for i in range(corners):
        j = i + 1 if i + 1 < corners else 0
        here, there = spare[i, 3], spare[j, 3]
        if here >= 0.0:
            for axis in range(3):
                polygon[kept, axis] = spare[i, axis]
            kept += 1
        if (here >= 0.0) != (there >= 0.0):
            inner, outer = (i, j) if here >= 0.0 else (j, i)
            share = spare[inner, 3] / (spare[inner, 3] - spare[outer, 3])
            for axis in range(3):
                polygon[kept, axis] = spare[inner, axis] + share * (spare[outer, axis] - spare[inner, axis])
            kept += 1
    return kept


@numba.njit(cache=True, nogil=True, **INTERNAL)
def _cross_polygon(polygon, corners, optics, crossings, counts):
    """Find the crossings of the polygon's edges with the rows; return the first row and the one after the last."""
    for i in range(corners):
        polygon[i, U], polygon[i, V] = _pixel(polygon[i, X], polygon[i, Y], optics)
    if _between_pixels(polygon, corners, optics):
        return optics.height, 0
    top, bottom = optics.height, 0
    for i in range(corners):
        j = i + 1 if i + 1 < corners else 0
        if polygon[i, X] > polygon[j, X] or (polygon[i, X] == polygon[j, X] and polygon[i, Y] > polygon[j, Y]):
            first, last = _cross_edge(polygon, j, i, optics, crossings, counts)
        else:
            first, last = _cross_edge(polygon, i, j, optics, crossings, counts)
        top, bottom = min(top, first), max(bottom, last)
    return top, bottom


@numba.njit(cache=True, nogil=True, **INTERNAL)
def _between_pixels(polygon, corners, optics):
    """Test whether a polygon of straight edges is so small that it covers no pixel's centre, as most far ones do.

    Columns get a margin, because `_cross_chord` rounds what it interpolates between the corners.
    """
    longest = 0.0
    low_u, high_u, low_v, high_v = math.inf, -math.inf, math.inf, -math.inf
    for i in range(corners):
        j = i + 1 if i + 1 < corners else 0
        step_x, step_y = polygon[j, X] - polygon[i, X], polygon[j, Y] - polygon[i, Y]
        longest = max(longest, step_x * step_x + step_y * step_y)
        low_u, high_u = min(low_u, polygon[i, U]), max(high_u, polygon[i, U])
        low_v, high_v = min(low_v, polygon[i, V]), max(high_v, polygon[i, V])
    if optics.segments_per_unit * math.sqrt(longest) >= 1.0:
        return False
    if math.ceil(low_v - 0.5) >= math.ceil(high_v - 0.5):
        return True
    return math.ceil(low_u - 0.5 - 1e-9) >= math.ceil(high_u - 0.5 + 1e-9)


@numba.njit(cache=True, nogil=True, **INTERNAL)
def _cross_edge(polygon, i, j, optics, crossings, counts):
    """Find the crossings of an edge: a chain of chords within the tolerance in `optics` of the curve."""
    x, y, u, v = polygon[i, X], polygon[i, Y], polygon[i, U], polygon[i, V]
    step_x, step_y = polygon[j, X] - x, polygon[j, Y] - y
    pieces = 1 + int(optics.segments_per_unit * math.sqrt(step_x * step_x + step_y * step_y))
    top, bottom = optics.height, 0
    for k in range(1, pieces):
        next_u, next_v = _pixel(x + step_x * k / pieces, y + step_y * k / pieces, optics)
        first, last = _cross_chord(u, v, next_u, next_v, optics.height, optics.width, crossings, counts)
        top, bottom = min(top, first), max(bottom, last)
        u, v = next_u, next_v
    first, last = _cross_chord(u, v, polygon[j, U], polygon[j, V], optics.height, optics.width, crossings, counts)
    return min(top, first), max(bottom, last)


@numba.njit(cache=True, nogil=True)
def _pixel(x, y, optics):
    if optics.model != PINHOLE:
        x, y = distort(optics.model, optics.coefficients, optics.limit, x, y)
    return optics.fx * x + optics.cx, optics.fy * y + optics.cy


@numba.njit(cache=True, nogil=True, **INTERNAL)
def _cross_chord(u0, v0, u1, v1, height, width, crossings, counts):
    """Store, for every row whose centre the chord crosses, the first column whose centre is not left of it."""
    if v0 > v1:
        u0, v0, u1, v1 = u1, v1, u0, v0
    first, last = max(math.ceil(v0 - 0.5), 0), min(math.ceil(v1 - 0.5), height)
    if first >= last:
        return height, 0
    slope = (u1 - u0) / (v1 - v0)
    for row in range(first, last):
        column = math.ceil(u0 + (row + 0.5 - v0) * slope - 0.5)
        count = counts[row]
        if count == MOST_CROSSINGS:
            raise ValueError("an edge crosses one image row too often: lens model not one-to-one over the image")
        crossings[count, row] = min(max(column, 0), width)
        counts[row] = count + 1
    return first, last


@numba.njit(cache=True, nogil=True, **INTERNAL)
def _append_spans(top, bottom, polygon, spans, drawing, scratch):
    """Pair the crossings of each row into spans and clear the crossings."""
    room = drawing.spans.shape[0]
    for row in range(top, bottom):
        count = scratch.counts[row]
        scratch.counts[row] = 0
        if count > 2:
            scratch.crossings[:count, row] = np.sort(scratch.crossings[:count, row])
        for pair in range(0, count, 2):
            begin, end = scratch.crossings[pair, row], scratch.crossings[pair + 1, row]
            if begin > end:
                begin, end = end, begin
            if begin < end:
                if spans < room:
                    drawing.spans[spans, NEXT] = drawing.heads[row]
                    drawing.spans[spans, BEGIN] = begin
                    drawing.spans[spans, END] = end
                    drawing.spans[spans, POLYGON] = polygon
                    drawing.heads[row] = spans
                spans += 1
    return spans
