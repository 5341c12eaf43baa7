"""Argoverse 2 sensor logs."""

from swerve.data.sources.av2.av2_source import av2_source

__all__ = ["av2_source"]
