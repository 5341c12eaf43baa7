"""Waymo motion scenarios and perception frames, without TensorFlow."""

from swerve.data.sources.waymo.waymo_source import WaymoSource

__all__ = ["WaymoSource"]
