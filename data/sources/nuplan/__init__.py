"""nuPlan: logs (.db) and maps (.gpkg), read without the nuPlan devkit."""

from swerve.data.sources.nuplan.map_objects import MapLayer
from swerve.data.sources.nuplan.nuplan_map import NuplanMap
from swerve.data.sources.nuplan.nuplan_maps import load_nuplan_map
from swerve.data.sources.nuplan.nuplan_source import NuplanSource

__all__ = ["MapLayer", "NuplanMap", "NuplanSource", "load_nuplan_map"]
