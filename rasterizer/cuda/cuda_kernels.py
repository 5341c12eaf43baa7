"""CUDA kernels: the CPU back end's scan conversion, with one image row per thread block.

A pass over many views at once goes through six kernels. `cull_chunks` and `clip_triangles` make polygons whose outlines
are chains of short chords in pixels; `count_spans`, `allocate_rows` and `write_spans` turn them into spans of pixels,
together by image rows; `shade_rows` keeps a piece of a row in shared memory, lets its spans compete for the pixels by
inverse depth, and writes every pixel of every output once. No result depends on the order in which threads run: of two
surfaces at the same depth the later triangle is seen, as on the CPU.

The arithmetic on corners and edges is that of `numba.scan_kernels`, compiled for the device.
"""

import math

import numpy as np
from numba import cuda

from swerve.rasterizer.numba import scan_kernels
from swerve.rasterizer.numba.scan_kernels import MOST_CORNERS, MOST_CROSSINGS
from swerve.scenes import lens_kernels
from swerve.scenes.lens_kernels import PINHOLE

# Columns of `counters`.
PAIRS, POLYGONS, CHORDS, SPANS, CROSSED_TOO_OFTEN = 0, 1, 2, 3, 4
COUNTERS = 5
# Columns of `outlines`: the polygon's triangle, view, first row, row after the last, number of chords.
TRIANGLE, VIEW, TOP, BOTTOM, LENGTH = 0, 1, 2, 3, 4
WARP, TILE = 32, 1024

_transform = cuda.jit(device=True)(scan_kernels._transform.py_func)
_inverse_depth = cuda.jit(device=True)(scan_kernels._inverse_depth.py_func)
_clip = cuda.jit(device=True)(scan_kernels._clip.py_func)


@cuda.jit(cache=True)
def cull_chunks(mesh, views, pairs, counters):
    """Append the (view, chunk) pairs of chunks inside a view's frustum. One thread per view and chunk."""
    chunk, view = cuda.grid(2)
    if chunk >= mesh.chunk_radii.shape[0] or view >= views.part.shape[0]:
        return
    owner = mesh.chunk_parts[chunk]
    if owner != views.part[view, 0] and owner != views.part[view, 1]:
        return
    x, y, z = _transform(views.camera_from_world[view], mesh.chunk_centers, chunk)
    for k in range(6):
        plane = views.frustum[view, k]
        if plane[0] * x + plane[1] * y + plane[2] * z + plane[3] < -mesh.chunk_radii[chunk]:
            return
    place = cuda.atomic.add(counters, PAIRS, 1)
    pairs[place, 0], pairs[place, 1] = view, chunk


@cuda.jit(cache=True)
def clip_triangles(mesh, views, pairs, planes, outlines, starts, chords, counters):
    """Append clipped polygons. One block per (view, chunk) pair; overflow is counted and not stored."""
    view, chunk = pairs[cuda.blockIdx.x, 0], pairs[cuda.blockIdx.x, 1]
    polygon = cuda.local.array((MOST_CORNERS, 5), np.float64)
    spare = cuda.local.array((MOST_CORNERS, 4), np.float64)
    plane = cuda.local.array((1, 3), np.float64)
    triangle = mesh.chunk_starts[chunk] + cuda.threadIdx.x
    while triangle < mesh.chunk_starts[chunk + 1]:
        corners = _visible_corners(mesh, views, view, triangle, plane, polygon, spare)
        if corners > 0:
            _append_polygon(views, view, triangle, corners, plane, polygon, planes, outlines, starts, chords, counters)
        triangle += cuda.blockDim.x


@cuda.jit(device=True)
def _visible_corners(mesh, views, view, triangle, plane, polygon, spare):
    """Write the clipped triangle as (x / z, y / z, z), and its plane, as scan_kernels; return the number of corners."""
    frustum, pose = views.frustum[view], views.camera_from_world[view]
    everywhere, somewhere = 63, 0
    for corner in range(3):
        x, y, z = _transform(pose, mesh.vertices, mesh.triangles[triangle, corner])
        polygon[corner, 0], polygon[corner, 1], polygon[corner, 2] = x, y, z
        code = 0
        for k in range(6):
            if frustum[k, 0] * x + frustum[k, 1] * y + frustum[k, 2] * z + frustum[k, 3] < 0.0:
                code |= 1 << k
        everywhere &= code
        somewhere |= code
    if everywhere != 0 or not _inverse_depth(polygon, plane, 0):
        return 0
    corners = 3
    for k in range(6):
        if somewhere & (1 << k):
            corners = _clip(polygon, corners, frustum, k, spare)
    for corner in range(corners):
        polygon[corner, 0] /= polygon[corner, 2]
        polygon[corner, 1] /= polygon[corner, 2]
    return corners


@cuda.jit(device=True)
def _append_polygon(views, view, triangle, corners, plane, polygon, planes, outlines, starts, chords, counters):
    """Measure the polygon's outline in pixels, and store it if it crosses the centre of any row."""
    low, high, length = math.inf, -math.inf, 0
    for i in range(corners):
        polygon[i, 3], polygon[i, 4] = _pixel(views, view, polygon[i, 0], polygon[i, 1])
        length += _pieces(views, view, polygon, i, (i + 1) % corners)
        low, high = min(low, polygon[i, 4]), max(high, polygon[i, 4])
    if views.model[view] != PINHOLE:
        low, high = _bent_reach(views, view, corners, polygon, low, high)
    top, bottom = max(math.ceil(low - 0.5), 0), min(math.ceil(high - 0.5), views.height[view])
    if top >= bottom:
        return
    place = cuda.atomic.add(counters, POLYGONS, 1)
    start = cuda.atomic.add(counters, CHORDS, length)
    if place >= outlines.shape[0] or start + length > chords.shape[0]:
        return
    outlines[place, TRIANGLE], outlines[place, VIEW] = triangle, view
    outlines[place, TOP], outlines[place, BOTTOM] = top, bottom
    outlines[place, LENGTH], starts[place] = length, start
    for axis in range(3):
        planes[place, axis] = plane[0, axis]
    for i in range(corners):
        start = _write_edge(views, view, polygon, i, (i + 1) % corners, start, chords)


@cuda.jit(device=True)
def _bent_reach(views, view, corners, polygon, low, high):
    """Extend a row range by the rows that curved edges reach beyond their corners."""
    for i in range(corners):
        j = (i + 1) % corners
        pieces = _pieces(views, view, polygon, i, j)
        for k in range(1, pieces):
            _, v = _on_edge(views, view, polygon, i, j, k, pieces)
            low, high = min(low, v), max(high, v)
    return low, high


@cuda.jit(device=True)
def _write_edge(views, view, polygon, i, j, place, chords):
    """Store the corner and the points after it up to the next corner."""
    chords[place, 0], chords[place, 1] = polygon[i, 3], polygon[i, 4]
    pieces = _pieces(views, view, polygon, i, j)
    for k in range(1, pieces):
        chords[place + k, 0], chords[place + k, 1] = _on_edge(views, view, polygon, i, j, k, pieces)
    return place + pieces


@cuda.jit(device=True)
def _pieces(views, view, polygon, i, j):
    """Return the number of chords that an edge is cut into; the same from either end."""
    step_x, step_y = polygon[j, 0] - polygon[i, 0], polygon[j, 1] - polygon[i, 1]
    return 1 + int(views.segments_per_unit[view] * math.sqrt(step_x * step_x + step_y * step_y))


@cuda.jit(device=True)
def _on_edge(views, view, polygon, i, j, k, pieces):
    """Return the edge's k-th point after i in pixels, from the lower end so that neighbours share every point."""
    if polygon[i, 0] > polygon[j, 0] or (polygon[i, 0] == polygon[j, 0] and polygon[i, 1] > polygon[j, 1]):
        i, j, k = j, i, pieces - k
    x, y = polygon[i, 0], polygon[i, 1]
    return _pixel(views, view, x + (polygon[j, 0] - x) * k / pieces, y + (polygon[j, 1] - y) * k / pieces)


@cuda.jit(device=True)
def _pixel(views, view, x, y):
    if views.model[view] != PINHOLE:
        c = views.coefficients[view]
        terms = (c[0], c[1], c[2], c[3], c[4], c[5], c[6], c[7])
        x, y = lens_kernels.distort(views.model[view], terms, views.limit[view], x, y)
    return views.fx[view] * x + views.cx[view], views.fy[view] * y + views.cy[view]


@cuda.jit(cache=True)
def count_spans(views, outlines, starts, chords, row_counts, counters):
    """Count every polygon's spans per row. One warp per polygon, one thread per row."""
    polygon = (cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x) // WARP
    if polygon >= outlines.shape[0]:
        return
    columns = cuda.local.array(MOST_CROSSINGS, np.int32)
    view = outlines[polygon, VIEW]
    row = outlines[polygon, TOP] + cuda.threadIdx.x % WARP
    while row < outlines[polygon, BOTTOM]:
        found = _crossings(outlines, starts, chords, polygon, row, views.width[view], columns)
        if found > MOST_CROSSINGS:
            cuda.atomic.max(counters, CROSSED_TOO_OFTEN, 1)
            found = 0
        spans = 0
        for pair in range(0, found - 1, 2):
            if columns[pair] < columns[pair + 1]:
                spans += 1
        if spans > 0:
            cuda.atomic.add(row_counts, views.first_row[view] + row, spans)
        row += WARP


@cuda.jit(device=True)
def _crossings(outlines, starts, chords, polygon, row, width, columns):
    """Write the sorted columns at which the outline crosses the centre of a row; return their number."""
    length, first, found = outlines[polygon, LENGTH], starts[polygon], 0
    u0, v0 = chords[first + length - 1, 0], chords[first + length - 1, 1]
    for k in range(length):
        u1, v1 = chords[first + k, 0], chords[first + k, 1]
        crossing, column = _cross_chord(u0, v0, u1, v1, row, width)
        if crossing:
            if found < MOST_CROSSINGS:
                _insert(columns, found, column)
            found += 1
        u0, v0 = u1, v1
    return found


@cuda.jit(device=True)
def _cross_chord(u0, v0, u1, v1, row, width):
    """Test whether a chord crosses the centre of a row; also return the first column not left of it."""
    if v0 > v1:
        u0, v0, u1, v1 = u1, v1, u0, v0
    if row < math.ceil(v0 - 0.5) or row >= math.ceil(v1 - 0.5):
        return False, 0
    slope = (u1 - u0) / (v1 - v0)
    column = math.ceil(u0 + (row + 0.5 - v0) * slope - 0.5)
    return True, min(max(column, 0), width)


@cuda.jit(device=True)
def _insert(columns, count, column):
    """Insert into the sorted columns."""
    k = count
    while k > 0 and columns[k - 1] > column:
        columns[k] = columns[k - 1]
        k -= 1
    columns[k] = column


@cuda.jit(cache=True)
def allocate_rows(row_counts, row_starts, counters):
    """Allocate a range of spans for every row, and reset its count to 0. One thread per row."""
    row = cuda.grid(1)
    if row < row_counts.shape[0]:
        row_starts[row] = cuda.atomic.add(counters, SPANS, row_counts[row])
        row_counts[row] = 0


@cuda.jit(cache=True)
def write_spans(views, outlines, starts, chords, row_starts, row_counts, spans):
    """Store the spans (first column, column after the last, polygon) of every row. Threads as in `count_spans`."""
    polygon = (cuda.blockIdx.x * cuda.blockDim.x + cuda.threadIdx.x) // WARP
    if polygon >= outlines.shape[0]:
        return
    columns = cuda.local.array(MOST_CROSSINGS, np.int32)
    view = outlines[polygon, VIEW]
    row = outlines[polygon, TOP] + cuda.threadIdx.x % WARP
    while row < outlines[polygon, BOTTOM]:
        found = _crossings(outlines, starts, chords, polygon, row, views.width[view], columns)
        for pair in range(0, found - 1, 2):
            if columns[pair] < columns[pair + 1]:
                line = views.first_row[view] + row
                place = row_starts[line] + cuda.atomic.add(row_counts, line, 1)
                spans[place, 0], spans[place, 1], spans[place, 2] = columns[pair], columns[pair + 1], polygon
        row += WARP


@cuda.jit(cache=True)
def shade_rows(mesh, views, row_views, planes, outlines, row_starts, row_counts, spans, rays, look, images):
    """Shade the images. One block per row and piece of `TILE` columns."""
    line, left = cuda.blockIdx.x, cuda.blockIdx.y * TILE
    view = row_views[line]
    row, width = line - views.first_row[view], views.width[view] - left
    if width <= 0:
        return
    width = min(width, TILE)
    seen = cuda.shared.array(TILE, np.uint64)
    nothing = np.uint64(look.farthest.view(np.uint32)) << np.uint64(32)
    column = cuda.threadIdx.x
    while column < width:
        seen[column] = nothing
        column += cuda.blockDim.x
    cuda.syncthreads()
    number = cuda.threadIdx.x // WARP
    while number < row_counts[line]:
        span = spans[row_starts[line] + number]
        _compete(views, view, row, left, width, span, planes[span[2]], outlines[span[2], TRIANGLE], rays, look, seen)
        number += cuda.blockDim.x // WARP
    cuda.syncthreads()
    column = cuda.threadIdx.x
    while column < width:
        pixel = views.first_pixel[view] + row * views.width[view] + left + column
        _write_pixel(mesh, look, images, pixel, seen[column])
        column += cuda.blockDim.x


@cuda.jit(device=True)
def _compete(views, view, row, left, width, span, plane, triangle, rays, look, seen):
    """Depth-test a span's pixels: the nearest wins, the later triangle among equals.

    The key is the inverse depth's bit pattern (positive floats are ordered as their patterns are), then the triangle.
    """
    begin, end = span[0], min(span[1], left + width)
    column = begin + (cuda.threadIdx.x % WARP)
    while column < left:
        column += WARP
    if views.model[view] == PINHOLE:
        x = (begin + 0.5 - views.cx[view]) / views.fx[view]
        y = (row + 0.5 - views.cy[view]) / views.fy[view]
        start = np.float32(plane[0] * x + plane[1] * y + plane[2])
        step = np.float32(plane[0] / views.fx[view])
        while column < end:
            _claim(seen, column - left, start + step * np.float32(column - begin), look.farthest, triangle)
            column += WARP
    else:
        a, b, c = np.float32(plane[0]), np.float32(plane[1]), np.float32(plane[2])
        first = views.first_ray[view] + row * views.width[view]
        while column < end:
            nearness = a * rays.x[first + column] + b * rays.y[first + column] + c
            _claim(seen, column - left, nearness, look.farthest, triangle)
            column += WARP


@cuda.jit(device=True)
def _claim(seen, place, nearness, farthest, triangle):
    """Update a pixel's depth key; pixels beyond the depth limit or outside the lens model (NaN) are left unchanged."""
    if nearness > farthest:
        key = (np.uint64(nearness.view(np.uint32)) << np.uint64(32)) | np.uint64(triangle + 1)
        if seen[place] < key:  # Keys only grow, so a stale value costs one more atomic operation at most.
            cuda.atomic.max(seen, place, key)


@cuda.jit(device=True)
def _write_pixel(mesh, look, images, pixel, key):
    """Write a pixel; colours fade linearly in depth to the background at the depth limit."""
    triangle = np.int64(key & np.uint64(0xFFFFFFFF)) - 1
    nearness = np.uint32(key >> np.uint64(32)).view(np.float32)
    if images.depth.shape[0] > 0:
        images.depth[pixel] = np.float32(1.0) / nearness if nearness > look.farthest else np.float32(np.inf)
    if images.semantic.shape[0] > 0:
        images.semantic[pixel] = mesh.semantics[triangle] if triangle >= 0 else 0
    if images.instance.shape[0] > 0:
        images.instance[pixel] = mesh.instances[triangle] if triangle >= 0 else 0
    if images.rgb.shape[0] > 0:
        alpha = np.float32(1.0) - look.farthest / nearness if triangle >= 0 else np.float32(0.0)
        for channel in range(3):
            ground = np.float32(look.background[channel])
            color = ground
            if triangle >= 0:
                color = np.float32(look.palette[mesh.semantics[triangle], mesh.faces[triangle], channel])
            images.rgb[pixel, channel] = np.int32(ground + (color - ground) * alpha + np.float32(0.5))


@cuda.jit(cache=True)
def average(fine, views, fine_views, row_views, samples, rgb):
    """Average samples x samples fine pixels per pixel, rounded. One block per row."""
    line = cuda.blockIdx.x
    view = row_views[line]
    row, width = line - views.first_row[view], views.width[view]
    column = cuda.threadIdx.x
    while column < width:
        for channel in range(3):
            total = samples * samples // 2
            for i in range(samples):
                first = fine_views.first_pixel[view] + (row * samples + i) * width * samples + column * samples
                for j in range(samples):
                    total += np.int32(fine[first + j, channel])
            rgb[views.first_pixel[view] + row * width + column, channel] = total // (samples * samples)
        column += cuda.blockDim.x
