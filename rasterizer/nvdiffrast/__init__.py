"""The back end that draws with NVIDIA's nvdiffrast. Imported only where it is asked for."""

from swerve.rasterizer.nvdiffrast.differentiable import differentiable_render
from swerve.rasterizer.nvdiffrast.drawing import Shot, draw
from swerve.rasterizer.nvdiffrast.library import Library, load_library

__all__ = ["Library", "Shot", "differentiable_render", "draw", "load_library"]
