"""Logs in, datasets out."""

from swerve.data.source import Source, open_source

__all__ = ["Source", "open_source"]
