"""The folder of nuPlan maps: `nuplan-maps-v1.0.json`, and `map.gpkg` per location and version."""

from functools import lru_cache
from pathlib import Path

from swerve.data.sources.nuplan.nuplan_map import NuplanMap
from swerve.data.storage.checked_json import fields, file_name, mapping_of, read_json
from swerve.scenes import LogError

# The index's file name; other versions of the maps have other ids.
MAP_VERSION = "nuplan-maps-v1.0"
_INDEX = mapping_of(fields({"version": file_name}), key=file_name)


def load_nuplan_map(maps_root: str | Path, location: str) -> NuplanMap:
    """Return the map of a location, the same object on each call in a process while its file does not change.

    Layers are read when they are first used.

    Args:
        maps_root: folder with `nuplan-maps-v1.0.json`.
        location: name such as "us-ma-boston"; a trailing ".gpkg" is ignored.

    Raises:
        LogError: no map of the location, or of the version that the index names.
    """
    maps_root = Path(maps_root)
    path = map_file(maps_root, location)
    return _opened(path.absolute(), location.removesuffix(".gpkg"), path.stat().st_mtime_ns)


def map_file(maps_root: Path, location: str) -> Path:
    """Return the `map.gpkg` of a location in the version that the index names.

    Raises:
        LogError: see `load_nuplan_map`.
    """
    location = location.removesuffix(".gpkg")
    index = maps_root / f"{MAP_VERSION}.json"
    version = _versions(index).get(location)
    if version is None:
        raise LogError(index, "locations", f"has no {location!r}", f"It has {', '.join(_versions(index))}")
    path = maps_root / location / version / "map.gpkg"
    if not path.is_file():
        others = sorted(found.parent.name for found in (maps_root / location).glob("*/map.gpkg"))
        there = f"There is version {', '.join(others)} instead" if others else "Download the nuPlan maps"
        raise LogError(path, "file", f"no such file; {index.name} asks for version {version}", there)
    return path


def _versions(index: Path) -> dict[str, str]:
    """Read the version of each location."""
    if not index.exists():
        others = ", ".join(sorted(path.name for path in index.parent.glob("*.json"))) or "no index"
        raise LogError(index, "file", "no such file", f"The maps' folder must have it; {index.parent} has {others}")
    return {location: entry["version"] for location, entry in read_json(index, _INDEX).items()}


@lru_cache(maxsize=8)
def _opened(path: Path, location: str, changed_ns: int) -> NuplanMap:
    return NuplanMap(path, location)
