"""Back end that renders with NVIDIA's nvdiffrast. Imported on demand."""

from swerve.rasterizer.nvdiffrast.differentiable_render import differentiable_render
from swerve.rasterizer.nvdiffrast.nvdiffrast_library import NvdiffrastLibrary, load_library
from swerve.rasterizer.nvdiffrast.nvdiffrast_renderer import NvdiffrastView, draw

__all__ = ["NvdiffrastLibrary", "NvdiffrastView", "differentiable_render", "draw", "load_library"]
