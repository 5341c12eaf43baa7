"""Argoverse 2 sensor logs."""

from swerve.data.av2.source import av2_source

__all__ = ["av2_source"]
