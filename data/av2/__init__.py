"""Argoverse 2 sensor logs."""

from swerve.data.av2.source import Av2Source

__all__ = ["Av2Source"]
