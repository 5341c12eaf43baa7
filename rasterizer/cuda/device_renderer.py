"""Rendering of many views in one pass on the device."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import config, cuda

from swerve.rasterizer.cuda import cuda_kernels as kernels
from swerve.rasterizer.cuda.device import (
    DeviceArray,
    DeviceMesh,
    GrowableArray,
    MeshArrays,
    RayTables,
    RenderRequest,
    device_views,
)
from swerve.rasterizer.cuda.device import DeviceViews as DeviceCameras
from swerve.rasterizer.mesh import PIXELS
from swerve.rasterizer.style import Style
from swerve.scenes import SwerveError

# Initial capacity of polygons and chords per view; grows on overflow.
_POLYGONS, _CHORDS = 1 << 12, 1 << 15
# Threads per block; the simulator runs each as a Python thread, so there is only one warp.
_THREADS = 32 if config.ENABLE_CUDASIM else 128  # type: ignore[attr-defined]  # set at import


class _Look(NamedTuple):
    palette: DeviceArray
    background: DeviceArray
    farthest: np.float32


class _Images(NamedTuple):
    """Pixels of all views in one array; arrays without rows are not requested."""

    rgb: DeviceArray
    depth: DeviceArray
    semantic: DeviceArray
    instance: DeviceArray


@dataclass(frozen=True)
class DeviceImages:
    """Rendered images on the device.

    Attributes:
        pixels: pixels of all views by output, one view after the other.
        shapes: height and width of each view.
        offsets: first pixel of each view.
    """

    pixels: dict[str, DeviceArray]
    shapes: tuple[tuple[int, int], ...]
    offsets: tuple[int, ...]

    def image(self, output: str, view: int) -> DeviceArray:
        """Return one image, (h, w) or (h, w, 3), without a copy."""
        (height, width), first = self.shapes[view], self.offsets[view]
        rows = self.pixels[output][first : first + height * width]
        return rows.reshape((height, width, *PIXELS[output][1]))

    def to_host(self, outputs: Sequence[str] | None = None) -> list[dict[str, np.ndarray]]:
        """Copy images to the host: by view, then output. Only the given outputs, or all of them."""
        wanted = self.pixels if outputs is None else outputs
        host = {name: self.pixels[name].copy_to_host() for name in wanted}
        return [
            {
                name: array[first : first + height * width].reshape((height, width, *PIXELS[name][1]))
                for name, array in host.items()
            }
            for (height, width), first in zip(self.shapes, self.offsets, strict=True)
        ]


class DeviceRenderer:
    """Renderer of mesh views that reuses its device memory between calls. Not thread-safe.

    Args:
        threads: threads per block, a multiple of 32.
    """

    def __init__(self, threads: int = _THREADS) -> None:
        self._threads = threads
        self._rays = RayTables()
        self._pairs, self._starts = GrowableArray(np.int32, (2,)), GrowableArray(np.int64)
        self._planes, self._outlines = GrowableArray(np.float64, (3,)), GrowableArray(np.int32, (5,))
        self._chords, self._spans = GrowableArray(np.float64, (2,)), GrowableArray(np.int32, (3,))

    def draw(
        self, mesh: DeviceMesh, requests: Sequence[RenderRequest], style: Style, outputs: Sequence[str]
    ) -> DeviceImages:
        """Render the views; the images stay on the device.

        Args:
            mesh: scene geometry.
            requests: views to render; images may differ in size.
            style: colours and depth limit.
            outputs: any of rgb, depth, semantic, instance.

        Raises:
            SwerveError: an edge crosses a row of an image too often: the lens is not one-to-one over the image.
        """
        if not requests:
            return DeviceImages({name: _pixels(name, 0) for name in outputs}, (), ())
        smooth = style.supersampling > 1 and "rgb" in outputs
        exact = [name for name in outputs if not (smooth and name == "rgb")]
        flat = self._pass(mesh, requests, style, exact) if exact else {}
        if smooth:
            flat["rgb"] = self._smooth(mesh, requests, style)
        shapes = tuple((request.camera.height, request.camera.width) for request in requests)
        firsts = np.concatenate([[0], np.cumsum([height * width for height, width in shapes])])
        return DeviceImages({name: flat[name] for name in outputs}, shapes, tuple(firsts[:-1].tolist()))

    def _smooth(self, mesh: DeviceMesh, requests: Sequence[RenderRequest], style: Style) -> DeviceArray:
        """Render supersampled colours and average them."""
        samples = style.supersampling
        finer = [
            RenderRequest(
                r.camera.resized(samples * r.camera.width, samples * r.camera.height), r.world_from_ego, r.parts
            )
            for r in requests
        ]
        fine = self._pass(mesh, finer, style, ["rgb"])["rgb"]
        fine_views, _, _ = device_views(finer, style, self._rays)
        views, rows, pixels = device_views(requests, style, self._rays)
        rgb, lines = _pixels("rgb", int(pixels[-1])), int(rows[-1])
        kernels.average[lines, self._threads](fine, views, fine_views, _row_views(rows), samples, rgb)
        return rgb

    def _pass(
        self, mesh: DeviceMesh, requests: Sequence[RenderRequest], style: Style, outputs: Sequence[str]
    ) -> dict[str, DeviceArray]:
        views, rows, pixels = device_views(requests, style, self._rays)
        flat = {name: _pixels(name, int(pixels[-1]) if name in outputs else 0) for name in PIXELS}
        polygons = self._polygons(mesh.arrays, views, len(requests))
        counts, starts = self._lines(views, polygons, int(rows[-1]))
        widest = max(request.camera.width for request in requests)
        look = _Look(
            cuda.to_device(style.palette),
            cuda.to_device(np.array(style.background, np.uint8)),
            np.float32(1.0 / style.depth_limit),
        )
        kernels.shade_rows[(int(rows[-1]), -(-widest // kernels.TILE)), self._threads](
            mesh.arrays,
            views,
            _row_views(rows),
            self._planes.rows,
            self._outlines.rows,
            starts,
            counts,
            self._spans.rows,
            _Rays(self._rays.x.rows, self._rays.y.rows),
            look,
            _Images(*(flat[name] for name in PIXELS)),
        )
        return {name: flat[name] for name in outputs}

    def _polygons(self, mesh: MeshArrays, views: DeviceCameras, count: int) -> int:
        """Fill planes, outlines, starts and chords; return the number of polygons."""
        chunks, counters = len(mesh.chunk_radii), _zeros(kernels.COUNTERS)
        pairs = self._pairs.reserve(max(chunks * count, 1))
        if not chunks:
            return 0
        kernels.cull_chunks[(-(-chunks // self._threads), count), self._threads](mesh, views, pairs, counters)
        found = int(counters.copy_to_host()[kernels.PAIRS])
        polygons, chords = max(self._outlines.length, count * _POLYGONS), max(self._chords.length, count * _CHORDS)
        while found:
            planes, outlines = self._planes.reserve(polygons), self._outlines.reserve(polygons)
            starts, points, counters = (
                self._starts.reserve(polygons),
                self._chords.reserve(chords),
                _zeros(kernels.COUNTERS),
            )
            kernels.clip_triangles[found, 2 * kernels.WARP](
                mesh, views, pairs, planes, outlines, starts, points, counters
            )
            needed = counters.copy_to_host()
            if needed[kernels.POLYGONS] <= polygons and needed[kernels.CHORDS] <= chords:
                return int(needed[kernels.POLYGONS])
            polygons, chords = (int(needed[k]) for k in (kernels.POLYGONS, kernels.CHORDS))
        return 0

    def _lines(self, views: DeviceCameras, polygons: int, lines: int) -> tuple[DeviceArray, DeviceArray]:
        """Fill the spans; return the number of spans per row, and their offsets."""
        counts, starts, counters = _zeros(lines, np.int32), _zeros(lines), _zeros(kernels.COUNTERS)
        if not polygons:
            self._spans.reserve(1)
            return counts, starts
        outlines = self._outlines.rows[:polygons]
        grid = -(-polygons * kernels.WARP // self._threads)
        kernels.count_spans[grid, self._threads](
            views, outlines, self._starts.rows, self._chords.rows, counts, counters
        )
        kernels.allocate_rows[-(-lines // self._threads), self._threads](counts, starts, counters)
        totals = counters.copy_to_host()
        if totals[kernels.CROSSED_TOO_OFTEN]:
            raise SwerveError("an edge crosses one image row too often: lens model not one-to-one over the image")
        spans = self._spans.reserve(max(int(totals[kernels.SPANS]), 1))
        kernels.write_spans[grid, self._threads](
            views, outlines, self._starts.rows, self._chords.rows, starts, counts, spans
        )
        return counts, starts


class _Rays(NamedTuple):
    x: DeviceArray
    y: DeviceArray


def _zeros(length: int, dtype: type = np.int64) -> DeviceArray:
    zeros: DeviceArray = cuda.to_device(np.zeros(length, dtype))
    return zeros


def _pixels(name: str, count: int) -> DeviceArray:
    dtype, shape = PIXELS[name]
    pixels: DeviceArray = cuda.device_array((count, *shape), dtype)
    return pixels


def _row_views(rows: np.ndarray) -> DeviceArray:
    """Return the view index of each row of all images."""
    views: DeviceArray = cuda.to_device(np.repeat(np.arange(len(rows) - 1, dtype=np.int32), np.diff(rows)))
    return views
