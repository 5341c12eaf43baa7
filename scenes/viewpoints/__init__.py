"""Viewpoints: the logged one, and those that leave the log."""

from swerve.scenes.viewpoints.viewpoint import Command, Rejection, Viewpoint, ViewpointKind

__all__ = ["Command", "Rejection", "Viewpoint", "ViewpointKind"]
