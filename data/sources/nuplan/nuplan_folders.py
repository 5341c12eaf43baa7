"""Folders of nuPlan's logs, maps and sensor data: in its own layout, in OpenScene's, or in parts of them."""

import os
from pathlib import Path

from swerve.data.sources.nuplan.nuplan_maps import MAP_VERSION
from swerve.scenes import LogError

MAPS_VARIABLE, SENSORS_VARIABLE = "NUPLAN_MAPS_ROOT", "NUPLAN_SENSOR_ROOT"
# Below a root: its own splits, or those of a version of nuPlan.
_SPLITS = (".", "*", "splits/*", "nuplan/splits/*", "nuplan-v*/splits/*", "nuplan/nuplan-v*/splits/*")
# Folders above the one given in which `maps` and `sensor_blobs` are looked for.
_LEVELS = 4


def log_files(path: Path) -> list[Path]:
    """List the .db files at a path, in the layouts nuplan-v1.1/splits/SPLIT, nuplan/splits/SPLIT, splits/SPLIT, SPLIT.

    Returns:
        files in order of their names; empty if there are none.
    """
    if path.is_file():
        return [path.absolute()] if path.suffix == ".db" else []
    found = {file for pattern in _SPLITS for file in path.absolute().glob(f"{pattern}/*.db") if file.is_file()}
    return sorted(found, key=lambda file: (file.name, file))


def maps_root(path: Path) -> Path | None:
    """Return the folder of maps: NUPLAN_MAPS_ROOT, else `maps` in or above a path; None if there is none.

    Raises:
        LogError: the variable is set, and names no folder.
    """
    named = _named(MAPS_VARIABLE)
    if named:
        return named
    folders = [folder / "maps" for folder in _upwards(path)]
    return next((folder for folder in folders if (folder / f"{MAP_VERSION}.json").is_file()), None)


def sensor_folder(path: Path, file: Path, log: str) -> Path | None:
    """Return the folder that holds a log's folder of images and point clouds; None if there is none.

    NUPLAN_SENSOR_ROOT, else `sensor_blobs` in or above the source's path, or above the log's file; in it the log's
    folder stands directly, or in the folder of the split.

    Args:
        path: the source's path.
        file: the log's file.
        log: name of the log's folder.

    Raises:
        LogError: the variable is set, and names no folder.
    """
    roots = sensor_roots(path, file)
    candidates = [folder for root in roots for folder in (root, root / file.parent.name, *sorted(root.glob("*")))]
    return next((folder for folder in candidates if (folder / log).is_dir()), None)


def sensor_roots(path: Path, file: Path) -> list[Path]:
    """Return the folders in which `sensor_folder` looks, whether they exist or not.

    Raises:
        LogError: the variable is set, and names no folder.
    """
    if named := _named(SENSORS_VARIABLE):
        return [named]
    return [folder / "sensor_blobs" for folder in (*_upwards(path), *_upwards(file.parent))]


def _upwards(path: Path) -> list[Path]:
    start = path.absolute()
    return [start, *list(start.parents)[:_LEVELS]]


def _named(variable: str) -> Path | None:
    value = os.environ.get(variable)
    if not value:
        return None
    folder = Path(value).expanduser()
    if not folder.is_dir():
        raise LogError(folder, variable, "no such folder")
    return folder
