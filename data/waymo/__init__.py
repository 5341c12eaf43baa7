"""Waymo motion scenarios and perception frames, without TensorFlow."""

from swerve.data.waymo.source import WaymoSource

__all__ = ["WaymoSource"]
