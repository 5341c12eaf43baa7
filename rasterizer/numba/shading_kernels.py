"""Shading of spans: a depth test per image row, then one colouring pass.

The row's inverse depths and polygon numbers stay in the L1 cache. Inverse depth is linear over the ideal image, so the
test is exact for each pixel; of two surfaces at the same depth the later one is visible.
"""

import numba
import numpy as np

from swerve.rasterizer.numba.scan_kernels import BEGIN, END, NEXT, POLYGON
from swerve.scenes.kernel_options import INTERNAL
from swerve.scenes.lens_kernels import PINHOLE


@numba.njit(cache=True, nogil=True, error_model="numpy")
def shade(mesh, drawing, optics, rays_x, rays_y, look, images, nearness, owners, runs):
    """Write every pixel of the images.

    Args:
        mesh: `Mesh` of the module mesh.
        drawing: `_Drawing`, filled by `scan`.
        optics: `Optics`.
        rays_x: x / z of each pixel's ray, float32 (h, w); for a pinhole any array.
        rays_y: y / z of each pixel's ray, float32 (h, w).
        look: `_Look`.
        images: `_Images`; images without rows are not requested.
        nearness: scratch, float32 (w): largest 1 / z so far.
        owners: scratch, int32 (w): the polygon with the largest 1 / z so far.
        runs: scratch, int32 (w + 1, 2).
    """
    for row in range(optics.height):
        begin, end = _covered(drawing, row, optics.width)
        nearness[begin:end] = look.farthest
        owners[begin:end] = -1
        if optics.model == PINHOLE:
            _fill_straight(drawing, row, optics, nearness, owners)
        else:
            _fill_bent(drawing, row, rays_x[row], rays_y[row], nearness, owners)
        if images.depth.shape[0] > 0:
            _write_depth(images.depth[row], begin, end, look.farthest, nearness)
        count = _find_runs(owners, begin, end, drawing.sources, runs)
        if images.semantic.shape[0] > 0:
            _write_numbers(images.semantic[row], runs, count, mesh.semantics)
        if images.instance.shape[0] > 0:
            _write_numbers(images.instance[row], runs, count, mesh.instances)
        if images.rgb.shape[0] > 0:
            _write_colors(images.rgb[row], runs, count, mesh, look, nearness)


@numba.njit(cache=True, nogil=True)
def average(fine, samples, out):
    """Average samples x samples pixels of `fine` into every pixel of `out`, rounded."""
    half = samples * samples // 2
    for row in range(out.shape[0]):
        for column in range(out.shape[1]):
            r, g, b = np.int32(half), np.int32(half), np.int32(half)
            for i in range(row * samples, (row + 1) * samples):
                for j in range(column * samples, (column + 1) * samples):
                    r += fine[i, j, 0]
                    g += fine[i, j, 1]
                    b += fine[i, j, 2]
            out[row, column, 0] = r // (samples * samples)
            out[row, column, 1] = g // (samples * samples)
            out[row, column, 2] = b // (samples * samples)


@numba.njit(cache=True, nogil=True, **INTERNAL)
def _covered(drawing, row, width):
    """Return the first column of the row's spans and the one after the last; (0, 0) without spans."""
    if drawing.heads[row] < 0:
        return 0, 0
    begin, end = width, 0
    span = drawing.heads[row]
    while span >= 0:
        begin = min(begin, drawing.spans[span, BEGIN])
        end = max(end, drawing.spans[span, END])
        span = drawing.spans[span, NEXT]
    return begin, end


@numba.njit(cache=True, nogil=True, **INTERNAL)
def _fill_straight(drawing, row, optics, nearness, owners):
    """Depth-test the spans of a row of a pinhole camera, whose rays are evenly spaced."""
    span = drawing.heads[row]
    y = (row + 0.5 - optics.cy) / optics.fy
    while span >= 0:
        begin, end = drawing.spans[span, BEGIN], drawing.spans[span, END]
        polygon = drawing.spans[span, POLYGON]
        plane = drawing.planes[polygon]
        x = (begin + 0.5 - optics.cx) / optics.fx
        start = np.float32(plane[0] * x + plane[1] * y + plane[2])
        step = np.float32(plane[0] / optics.fx)
        near, own = nearness[begin:end], owners[begin:end]
        for i in range(near.shape[0]):
            w = start + step * np.float32(i)
            seen = w > near[i]
            near[i] = w if seen else near[i]
            own[i] = polygon if seen else own[i]
        span = drawing.spans[span, NEXT]


@numba.njit(cache=True, nogil=True, **INTERNAL)
def _fill_bent(drawing, row, rays_x, rays_y, nearness, owners):
    """Depth-test the spans of a row with tabulated rays; comparisons are false outside the lens model (NaN)."""
    span = drawing.heads[row]
    while span >= 0:
        begin, end = drawing.spans[span, BEGIN], drawing.spans[span, END]
        polygon = drawing.spans[span, POLYGON]
        plane = drawing.planes[polygon]
        a, b, c = np.float32(plane[0]), np.float32(plane[1]), np.float32(plane[2])
        near, own, x, y = nearness[begin:end], owners[begin:end], rays_x[begin:end], rays_y[begin:end]
        for i in range(near.shape[0]):
            w = a * x[i] + b * y[i] + c
            seen = w > near[i]
            near[i] = w if seen else near[i]
            own[i] = polygon if seen else own[i]
        span = drawing.spans[span, NEXT]


@numba.njit(cache=True, nogil=True, error_model="numpy", **INTERNAL)
def _write_depth(depth, begin, end, farthest, nearness):
    depth[:begin] = np.inf
    depth[end:] = np.inf
    out, near = depth[begin:end], nearness[begin:end]
    for i in range(out.shape[0]):
        out[i] = np.float32(1.0) / near[i] if near[i] > farthest else np.float32(np.inf)


@numba.njit(cache=True, nogil=True, **INTERNAL)
def _find_runs(owners, begin, end, sources, runs):
    """Find the runs of pixels of one polygon, with its triangle (-1: none); return their number."""
    count = 0
    while begin < end:
        owner = owners[begin]
        runs[count, 0] = begin
        runs[count, 1] = sources[owner] if owner >= 0 else -1
        count += 1
        begin = _run_end(owners, owner, begin + 1, end)
    runs[count, 0] = end
    return count


@numba.njit(cache=True, nogil=True, **INTERNAL)
def _run_end(owners, owner, i, end):
    """Return the first pixel after `i` with another owner; tested sixteen at a time, then one by one."""
    while i + 16 <= end:
        block = owners[i : i + 16]
        different = np.int32(0)
        for k in range(16):
            different |= block[k] ^ owner
        if different != 0:
            break
        i += 16
    while i < end and owners[i] == owner:
        i += 1
    return i


@numba.njit(cache=True, nogil=True, **INTERNAL)
def _write_numbers(row, runs, count, numbers):
    """Write the number of each run's triangle, 0 elsewhere."""
    row[: runs[0, 0]] = 0
    row[runs[count, 0] :] = 0
    for k in range(count):
        triangle = runs[k, 1]
        row[runs[k, 0] : runs[k + 1, 0]] = numbers[triangle] if triangle >= 0 else 0


@numba.njit(cache=True, nogil=True, error_model="numpy", **INTERNAL)
def _write_colors(row, runs, count, mesh, look, nearness):
    """Write colours: from the triangle's colour at the camera to the background at the depth limit, linear in depth."""
    for i in range(row.shape[0]):  # a slice assignment does not compile to a memory copy
        row[i] = look.background[i]
    background_r, background_g, background_b = look.background[0], look.background[1], look.background[2]
    for k in range(count):
        triangle = runs[k, 1]
        if triangle >= 0:
            r, g, b = look.palette[mesh.semantics[triangle], mesh.faces[triangle]]
            if r != background_r or g != background_g or b != background_b:
                begin, end = runs[k, 0], runs[k + 1, 0]
                _fade(row[3 * begin : 3 * end], nearness[begin:end], look, r, g, b)


@numba.njit(cache=True, nogil=True, error_model="numpy", **INTERNAL)
def _fade(out, near, look, r, g, b):
    half = np.float32(0.5)
    r0, g0, b0 = np.float32(look.background[0]), np.float32(look.background[1]), np.float32(look.background[2])
    r1, g1, b1 = np.float32(r) - r0, np.float32(g) - g0, np.float32(b) - b0
    for i in range(near.shape[0]):
        alpha = np.float32(1.0) - look.farthest / near[i]
        # Converted through int32, for which there are vector instructions.
        out[3 * i] = np.uint8(np.int32(r0 + r1 * alpha + half))
        out[3 * i + 1] = np.uint8(np.int32(g0 + g1 * alpha + half))
        out[3 * i + 2] = np.uint8(np.int32(b0 + b1 * alpha + half))
