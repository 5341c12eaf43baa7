"""Rendering of many views with nvdiffrast: geometry on the CPU, visibility and shading on the GPU.

nvdiffrast returns the visible facet of each pixel. Depth is then that of the facet's whole triangle on the pixel's own
ray, as on the CPU, and not interpolated over the planar facet.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt8

from swerve.rasterizer.mesh import Mesh
from swerve.rasterizer.nvdiffrast.facets import Facets, facets_of
from swerve.rasterizer.nvdiffrast.nvdiffrast_library import NvdiffrastLibrary, Rays, load_library
from swerve.rasterizer.style import Style
from swerve.scenes import Camera, SwerveError

# Per pass; nvdiffrast takes some 50 bytes of device memory per pixel.
_PIXELS_PER_PASS = 1 << 25
# nvdiffrast stores triangle ids in a float32.
_FACETS_PER_PASS = (1 << 24) - 1


@dataclass(frozen=True)
class NvdiffrastView:
    """View to render: a camera on a vehicle at a pose."""

    camera: Camera
    world_from_ego: Float[np.ndarray, "4 4"]


def render_views(
    mesh: Mesh,
    shots: Sequence[NvdiffrastView],
    style: Style,
    outputs: Sequence[str],
    using: NvdiffrastLibrary | None = None,
) -> list[dict[str, torch.Tensor]]:
    """Render images by view, then output; they stay on the device.

    Args:
        mesh: scene geometry.
        shots: views to render; images may differ in size.
        style: colours and depth limit.
        outputs: any of rgb, depth, semantic, instance.
        using: library handle; nvdiffrast on the current device if None.

    Raises:
        SwerveError: a view contains more triangles than nvdiffrast can number.
    """
    painter = _Painter(mesh, style, using or load_library())
    if style.supersampling == 1 or "rgb" not in outputs:
        return painter.paint(shots, outputs)
    others = [name for name in outputs if name != "rgb"]
    images = painter.paint(shots, others) if others else [{} for _ in shots]
    for shot, image in zip(shots, images, strict=True):
        width, height = shot.camera.width, shot.camera.height
        finer = NvdiffrastView(
            shot.camera.resized(style.supersampling * width, style.supersampling * height), shot.world_from_ego
        )
        image["rgb"] = _averaged(painter.paint([finer], ["rgb"])[0]["rgb"], style.supersampling)
    return images


class _Painter:
    """Mesh and style on the device. Row 0 of its tables is the background."""

    def __init__(self, mesh: Mesh, style: Style, using: NvdiffrastLibrary) -> None:
        self._mesh, self._using, self._depth_limit = mesh, using, style.depth_limit
        colors = style.palette[mesh.semantics, mesh.faces].astype(np.float32)
        self._background = self._using.upload(np.array(style.background, np.float32))
        self._colors = self._using.upload(np.concatenate([np.array([style.background], np.float32), colors]))
        self._semantics = self._using.upload(np.concatenate([np.zeros(1, np.uint8), mesh.semantics]))
        self._instances = self._using.upload(np.concatenate([np.zeros(1, np.int32), mesh.instances]))

    def paint(self, shots: Sequence[NvdiffrastView], outputs: Sequence[str]) -> list[dict[str, torch.Tensor]]:
        """Render images by view, then output."""
        images: list[dict[str, torch.Tensor]] = [{} for _ in shots]
        for batch in self._batches(shots):
            cameras, facets = [shots[row].camera for row, _ in batch], [facets for _, facets in batch]
            shown = self._rasterized(facets, cameras[0].height, cameras[0].width)
            planes, sources = self._tables(facets)
            for (row, _), camera, polygons in zip(batch, cameras, shown, strict=True):
                images[row] = self._shaded(polygons, planes, sources, self._using.rays(camera), outputs)
        return images

    def _batches(self, shots: Sequence[NvdiffrastView]) -> Iterator[list[tuple[int, Facets]]]:
        """Yield batches of views of one size with their facets, as many as one pass takes."""
        sizes = [(shot.camera.height, shot.camera.width) for shot in shots]
        for size in dict.fromkeys(sizes):
            batch, used, most = list[tuple[int, Facets]](), 0, max(_PIXELS_PER_PASS // (size[0] * size[1]), 1)
            for row in (row for row, other in enumerate(sizes) if other == size):
                shot = shots[row]
                facets = facets_of(self._mesh, shot.camera, shot.world_from_ego, self._depth_limit)
                if len(facets.polygons) > _FACETS_PER_PASS:
                    raise SwerveError(f"camera {shot.camera.name!r} sees too many triangles for nvdiffrast: use numba")
                if batch and (len(batch) == most or used + len(facets.polygons) > _FACETS_PER_PASS):
                    yield batch
                    batch, used = [], 0
                batch.append((row, facets))
                used += len(facets.polygons)
            yield batch

    def _rasterized(self, facets: Sequence[Facets], height: int, width: int) -> Int64[torch.Tensor, "b h w"]:
        """Rasterize facets; return the row in `_tables` of each pixel."""
        counts = np.array([len(one.polygons) for one in facets])
        if not counts.any():
            return torch.zeros((len(facets), height, width), dtype=torch.int64, device=self._using.device)
        clip = self._using.upload(np.concatenate([one.clip for one in facets]).reshape(-1, 4))
        triangles = torch.arange(len(clip), dtype=torch.int32, device=clip.device).reshape(-1, 3)
        ranges = torch.from_numpy(np.stack([np.cumsum(counts) - counts, counts], axis=1).astype(np.int32))
        seen, _ = self._using.dr.rasterize(
            self._using.context, clip, triangles, (height, width), ranges=ranges, grad_db=False
        )
        firsts = np.cumsum([0, *(len(one.planes) for one in facets)])
        owners = [one.polygons + (1 + first) for one, first in zip(facets, firsts[:-1], strict=True)]
        return self._using.upload(np.concatenate([np.zeros(1, np.int64), *owners]))[seen[..., 3].long()]

    def _tables(self, facets: Sequence[Facets]) -> tuple[Float32[torch.Tensor, "p 3"], Int64[torch.Tensor, "p"]]:
        """Build the inverse depth planes of all views' polygons, and their triangles' rows in this painter's tables."""
        planes = np.concatenate([np.zeros((1, 3)), *(one.planes for one in facets)])
        sources = np.concatenate([np.zeros(1, np.int64), *(one.sources + 1 for one in facets)])
        return self._using.upload(planes.astype(np.float32)), self._using.upload(sources.astype(np.int64))

    def _shaded(
        self,
        polygons: Int64[torch.Tensor, "h w"],
        planes: Float32[torch.Tensor, "p 3"],
        sources: Int64[torch.Tensor, "p"],
        rays: Rays,
        outputs: Sequence[str],
    ) -> dict[str, torch.Tensor]:
        """Shade one view's images. Comparisons with NaN are false: pixels outside the lens model are background."""
        slope_x, slope_y, offset = planes[polygons].unbind(-1)
        nearness = slope_x * rays[0] + slope_y * rays[1] + offset
        farthest = 1.0 / self._depth_limit
        seen = nearness > farthest
        triangles = torch.where(seen, sources[polygons], 0)
        images = dict[str, torch.Tensor]()
        if "rgb" in outputs:
            images["rgb"] = self._faded(triangles, torch.where(seen, 1.0 - farthest / nearness, 0.0))
        if "depth" in outputs:
            images["depth"] = torch.where(seen, 1.0 / nearness, torch.inf)
        if "semantic" in outputs:
            images["semantic"] = self._semantics[triangles]
        if "instance" in outputs:
            images["instance"] = self._instances[triangles]
        return {name: images[name] for name in outputs}

    def _faded(
        self, triangles: Int64[torch.Tensor, "h w"], alpha: Float32[torch.Tensor, "h w"]
    ) -> UInt8[torch.Tensor, "h w 3"]:
        """Return colours faded to the background linearly in depth."""
        full = self._colors[triangles] - self._background
        return (self._background + full * alpha[..., None] + 0.5).to(torch.uint8)


def _averaged(fine: UInt8[torch.Tensor, "hs ws 3"], samples: int) -> UInt8[torch.Tensor, "h w 3"]:
    """Average samples x samples fine pixels per pixel, rounded."""
    height, width = fine.shape[0] // samples, fine.shape[1] // samples
    total = fine.reshape(height, samples, width, samples, 3).to(torch.int32).sum(dim=(1, 3))
    return ((total + samples * samples // 2) // (samples * samples)).to(torch.uint8)
