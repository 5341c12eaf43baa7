"""Primitives and cameras in, images out."""

from swerve.rasterizer.render import View, render
from swerve.rasterizer.style import Style

__all__ = ["Style", "View", "render"]
