"""NVIDIA's nvdiffrast, loaded where it is first used (docs/backends.md: its licence allows research alone)."""

from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Float32

from swerve.rasterizer.optics import Optics, lens_table
from swerve.scenes import Camera

_CACHED_CAMERAS = 16

Rays = tuple[Float32[torch.Tensor, "..."], Float32[torch.Tensor, "..."]]


@dataclass(frozen=True, eq=False)
class NvdiffrastLibrary:
    """The library and what it draws on.

    Attributes:
        dr: the module `nvdiffrast.torch`.
        context: its rasterizer; keeps memory on the device.
        device: where the tensors live.
    """

    dr: Any
    context: Any
    device: torch.device
    _rays: dict[Optics, Rays] = field(default_factory=dict)

    def upload(self, array: np.ndarray) -> torch.Tensor:
        """The array on the device."""
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)

    def rays(self, camera: Camera) -> Rays:
        """The pixels' rays as x / z and y / z, or what broadcasts to them; those of sixteen cameras are kept."""
        table = lens_table(camera)
        if table.optics not in self._rays:
            if len(self._rays) == _CACHED_CAMERAS:
                del self._rays[next(iter(self._rays))]
            rays = (table.rays_x, table.rays_y) if table.rays_x.size else _straight(camera)
            self._rays[table.optics] = (self.upload(rays[0]), self.upload(rays[1]))
        return self._rays[table.optics]


@lru_cache(maxsize=1)
def load_library() -> NvdiffrastLibrary:
    """The library on the current CUDA device; the same in every call.

    Raises:
        ImportError: nvdiffrast is not installed; `backends.resolved` says so before.
    """
    import nvdiffrast.torch as dr

    device = torch.device("cuda", torch.cuda.current_device())
    return NvdiffrastLibrary(dr, dr.RasterizeCudaContext(device=device), device)


def _straight(camera: Camera) -> tuple[Float32[np.ndarray, "w"], Float32[np.ndarray, "h 1"]]:
    """The rays of a pinhole."""
    x = (np.arange(camera.width) + 0.5 - camera.cx) / camera.fx
    y = (np.arange(camera.height) + 0.5 - camera.cy) / camera.fy
    return x.astype(np.float32), y.astype(np.float32)[:, None]
