"""Rasterization of primitives: cameras and poses in, images out."""

from swerve.rasterizer.backends import Backend
from swerve.rasterizer.render import View, render
from swerve.rasterizer.static_layer import StaticLayer
from swerve.rasterizer.style import Style

__all__ = ["Backend", "StaticLayer", "Style", "View", "render"]
