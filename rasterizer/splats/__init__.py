"""Scenes of Gaussians, drawn under the same contract as primitives."""

from swerve.rasterizer.splats.draw import SplatView, render_splats
from swerve.rasterizer.splats.gaussians import Gaussians
from swerve.rasterizer.splats.ply import read_ply, to_ply
from swerve.rasterizer.splats.scene import PoseCorrections, RigidNode, Sky, SplatFrame, SplatScene

__all__ = [
    "Gaussians",
    "PoseCorrections",
    "RigidNode",
    "Sky",
    "SplatFrame",
    "SplatScene",
    "SplatView",
    "read_ply",
    "render_splats",
    "to_ply",
]
