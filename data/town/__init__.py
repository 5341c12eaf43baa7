"""A procedural town."""

from swerve.data.town.options import TownOptions
from swerve.data.town.rig import town_rig
from swerve.data.town.source import TownSource, generate_town

__all__ = ["TownOptions", "TownSource", "generate_town", "town_rig"]
