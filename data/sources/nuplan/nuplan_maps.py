"""The folder of nuPlan maps: `nuplan-maps-v1.0.json`, and `map.gpkg` per location and version."""

import json
from functools import lru_cache
from pathlib import Path

from swerve.data.sources.nuplan.nuplan_map import NuplanMap
from swerve.scenes import LogError

# The index's file name; other versions of the maps have other ids.
MAP_VERSION = "nuplan-maps-v1.0"


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
        raise LogError(index, location, "no such location", f"It has {', '.join(_versions(index))}")
    path = maps_root / location / version / "map.gpkg"
    if not path.is_file():
        others = sorted(found.parent.name for found in (maps_root / location).glob("*/map.gpkg"))
        there = f"There is version {', '.join(others)} instead" if others else "Download the nuPlan maps"
        raise LogError(path, "file", f"no such file; {index.name} asks for version {version}", there)
    return path


def _versions(index: Path) -> dict[str, str]:
    """Read the version of each location."""
    try:
        document = json.loads(index.read_text())
        return {str(location): str(entry["version"]) for location, entry in document.items()}
    except FileNotFoundError as error:
        others = ", ".join(sorted(path.name for path in index.parent.glob("*.json"))) or "no index"
        hint = f"The maps' folder must have it; {index.parent} has {others}"
        raise LogError(index, "file", "no such file", hint) from error
    except (OSError, ValueError, AttributeError, TypeError, KeyError) as error:
        raise LogError(index, "file", f"is not an index of nuPlan maps ({error})") from error


@lru_cache(maxsize=8)
def _opened(path: Path, location: str, changed_ns: int) -> NuplanMap:
    return NuplanMap(path, location)
