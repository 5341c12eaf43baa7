"""Data sources, training sets, streaming loaders, splat fitting and jobs."""

from typing import TYPE_CHECKING

from swerve.scenes.lazy_package import make_lazy

if TYPE_CHECKING:
    from swerve.data.sources.registry import open_source
    from swerve.data.sources.source import Source

__all__ = ["Source", "open_source"]

make_lazy(__name__)
