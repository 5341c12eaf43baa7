"""Options of `swerve info`: none."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Info:
    """Print the version, cores, rasterizer back ends and installed packages of this machine."""
