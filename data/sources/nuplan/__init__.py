"""nuPlan: logs (.db) and maps (.gpkg), read without the nuPlan devkit."""

from swerve.data.sources.nuplan.nuplan_map import MapLayer, NuplanMap
from swerve.data.sources.nuplan.nuplan_maps import load_nuplan_map

__all__ = ["MapLayer", "NuplanMap", "load_nuplan_map"]
