"""Folders of a NAVSIM data set, and the environment variables that its users have set."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from swerve.scenes import SwerveError

DATA_VARIABLE: Final = "OPENSCENE_DATA_ROOT"
MAPS_VARIABLE: Final = "NUPLAN_MAPS_ROOT"
_LOGS, _SENSORS, _MAPS, _SYNTHETIC = "navsim_logs", "sensor_blobs", "maps", "synthetic_scene_pickles"
_DEFAULT_SYNTHETIC: Final = "navhard_two_stage"


@dataclass(frozen=True)
class NavsimFolders:
    """A NAVSIM data set on disk: `navsim_logs/SPLIT`, `sensor_blobs/SPLIT`, `maps`, and two-stage folders.

    Attributes:
        root: folder that has `navsim_logs`.
        split: the only split that is used; None for all.
    """

    root: Path
    split: str | None = None

    @property
    def maps(self) -> Path:
        """Folder of nuPlan's maps: `maps`, or where there is none that of `NUPLAN_MAPS_ROOT`."""
        own, named = self.root / _MAPS, os.environ.get(MAPS_VARIABLE)
        return own if own.is_dir() or not named else Path(named).expanduser()

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits whose logs are there."""
        logs = self.root / _LOGS
        found = sorted(folder.name for folder in logs.iterdir() if folder.is_dir()) if logs.is_dir() else []
        return tuple(name for name in found if self.split in (None, name))

    def logs(self, split: str) -> Path:
        """Return the folder of a split's logs.

        Raises:
            SwerveError: it does not exist.
        """
        folder = self.root / _LOGS / split
        if not folder.is_dir() or self.split not in (None, split):
            there = ", ".join(self.splits or NavsimFolders(self.root).splits) or "none"
            raise SwerveError(f"{folder}: no logs of the split {split!r}. Splits that are there: {there}")
        return folder

    def log_files(self, split: str) -> dict[str, Path]:
        """Return the split's log files by the name of the log.

        Raises:
            SwerveError: there are none.
        """
        folder = self.logs(split)
        files = {file.stem: file for file in sorted(folder.glob("*.pkl"))}
        if not files:
            raise SwerveError(f"{folder}: no log files (.pkl)")
        return files

    def sensors(self, split: str) -> Path:
        """Return the folder of a split's images and point clouds; it need not exist."""
        return self.root / _SENSORS / split

    def synthetic(self, name: str) -> Path:
        """Return the folder of a two-stage benchmark: the one of that name, or the only one that is there.

        Raises:
            SwerveError: there is none, or several of other names.
        """
        found = sorted(folder.parent.name for folder in self.root.glob(f"*/{_SYNTHETIC}") if folder.is_dir())
        candidates: list[str] = [name, *(found if len(found) == 1 else ()), _DEFAULT_SYNTHETIC]
        for candidate in candidates:
            if candidate in found:
                return self.root / candidate
        problem = f"several ({', '.join(found)}), none of that name" if found else "none"
        raise SwerveError(
            f"{self.root}: the split {name} needs the synthetic scenes of a two-stage benchmark, in a folder such as "
            f"{_DEFAULT_SYNTHETIC}/{_SYNTHETIC}; there is {problem}"
        )

    def synthetic_files(self, name: str) -> dict[str, Path]:
        """Return the files of a two-stage benchmark's synthetic scenes by token.

        Raises:
            SwerveError: there are none.
        """
        folder = self.synthetic(name) / _SYNTHETIC
        files = {file.stem: file for file in sorted(folder.glob("*.pkl"))}
        if not files:
            raise SwerveError(f"{folder}: no synthetic scenes (.pkl)")
        return files

    def synthetic_sensors(self, name: str) -> Path:
        """Return the folder of a two-stage benchmark's images; it need not exist.

        Raises:
            SwerveError: there is no such benchmark.
        """
        return self.synthetic(name) / _SENSORS


def navsim_folders(text: str) -> NavsimFolders:
    """Return the folders of a data set given by its root, by `navsim_logs/SPLIT`, or if empty by its variable.

    Raises:
        SwerveError: there are no logs, or none of that split.
    """
    given = text or os.environ.get(DATA_VARIABLE, "")
    if not given:
        raise SwerveError(f"navsim: give the folder that has {_LOGS}, as navsim:ROOT, or set {DATA_VARIABLE}")
    path = Path(given).expanduser()
    if path.parent.name == _LOGS:
        folders = NavsimFolders(path.parent.parent, path.name)
    elif path.name == _LOGS:
        folders = NavsimFolders(path.parent)
    else:
        folders = NavsimFolders(path)
    if not NavsimFolders(folders.root).splits:
        raise SwerveError(f"{path}: no NAVSIM data: the folder {_LOGS} with a folder for each split is not there")
    if folders.split is not None:
        folders.logs(folders.split)
    return folders


def is_navsim(path: Path) -> bool:
    """Test whether a path is a NAVSIM data set, its `navsim_logs` folder, or a split in it."""
    logs = next((one for one in (path, path.parent, path / _LOGS) if one.name == _LOGS), None)
    return logs is not None and path.is_dir() and logs.is_dir() and any(logs.glob("*/*.pkl"))
