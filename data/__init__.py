"""Data sources, training sets, streaming loaders, splat fitting and jobs."""

from swerve.data.sources.registry import open_source
from swerve.data.sources.source import Source

__all__ = ["Source", "open_source"]
