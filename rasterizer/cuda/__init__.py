"""The back end for NVIDIA GPUs: our own kernels in numba-cuda. Imported only where it is asked for."""

from swerve.rasterizer.cuda.device import DeviceMesh, Request
from swerve.rasterizer.cuda.device_renderer import DeviceImages, DeviceRenderer

__all__ = ["DeviceImages", "DeviceMesh", "DeviceRenderer", "Request"]
