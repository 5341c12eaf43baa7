"""CUDA back end: numba-cuda kernels for NVIDIA GPUs. Imported on demand."""

from swerve.rasterizer.cuda.device import DeviceMesh, Request
from swerve.rasterizer.cuda.device_renderer import DeviceImages, DeviceRenderer

__all__ = ["DeviceImages", "DeviceMesh", "DeviceRenderer", "Request"]
