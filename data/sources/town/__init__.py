"""Procedurally generated towns with traffic."""

from typing import TYPE_CHECKING

from swerve.scenes.lazy_package import make_lazy

if TYPE_CHECKING:
    from swerve.data.sources.town.rig import town_rig
    from swerve.data.sources.town.town_options import TownOptions
    from swerve.data.sources.town.town_source import TownSource, generate_town

__all__ = ["TownOptions", "TownSource", "generate_town", "town_rig"]

make_lazy(__name__)
