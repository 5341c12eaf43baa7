"""Lazy loading of NVIDIA's nvdiffrast (docs/backends.md: its licence allows research use only)."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from swerve.rasterizer.optics import CameraParameters, lens_table
from swerve.scenes import Camera

_CACHED_CAMERAS = 16

Rays = tuple[Float32[torch.Tensor, "..."], Float32[torch.Tensor, "..."]]


@dataclass(frozen=True, eq=False)
class NvdiffrastLibrary:
    """Handle of the library, its context and its device.

    Attributes:
        dr: the module `nvdiffrast.torch`.
        context: CUDA rasterizer context; keeps memory on the device.
        device: device of the tensors.
    """

    dr: Any
    context: Any
    device: torch.device
    _rays: dict[CameraParameters, Rays] = field(default_factory=dict)

    def upload(self, array: np.ndarray) -> torch.Tensor:
        """Copy an array to the device."""
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def rays(self, camera: Camera) -> Rays:
        """Return the pixels' rays as x / z and y / z, or arrays that broadcast to them; sixteen cameras are cached."""
        table = lens_table(camera)
        if table.optics not in self._rays:
            if len(self._rays) == _CACHED_CAMERAS:
                del self._rays[next(iter(self._rays))]
            rays = (table.rays_x, table.rays_y) if table.rays_x.size else _straight(camera)
            self._rays[table.optics] = (self.upload(rays[0]), self.upload(rays[1]))
        return self._rays[table.optics]


@lru_cache(maxsize=1)
def load_library() -> NvdiffrastLibrary:
    """Return the library on the current CUDA device; the same in every call.

    Raises:
        ImportError: nvdiffrast is not installed; `backends.resolved` reports it earlier.
    """
    import nvdiffrast.torch as dr

    device = torch.device("cuda", torch.cuda.current_device())
    return NvdiffrastLibrary(dr, dr.RasterizeCudaContext(device=device), device)


def _straight(camera: Camera) -> tuple[Float32[np.ndarray, "w"], Float32[np.ndarray, "h 1"]]:
    """Compute the rays of a pinhole camera."""
    x = (np.arange(camera.width) + 0.5 - camera.cx) / camera.fx
    y = (np.arange(camera.height) + 0.5 - camera.cy) / camera.fy
    return x.astype(np.float32), y.astype(np.float32)[:, None]
