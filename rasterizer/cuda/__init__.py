"""CUDA back end: numba-cuda kernels for NVIDIA GPUs. Imported on demand."""

from typing import TYPE_CHECKING

from swerve.scenes.lazy_package import make_lazy

if TYPE_CHECKING:
    from swerve.rasterizer.cuda.device import DeviceMesh, RenderRequest
    from swerve.rasterizer.cuda.device_renderer import DeviceImages, DeviceRenderer

__all__ = ["DeviceImages", "DeviceMesh", "DeviceRenderer", "RenderRequest"]

make_lazy(__name__)
