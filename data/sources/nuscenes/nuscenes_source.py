"""nuScenes as a source: `nuscenes:ROOT`, or `nuscenes:ROOT/v1.0-mini` where there are several versions."""

from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from swerve.data.sources.nuscenes.nuscenes_log import read_log, read_rig
from swerve.data.sources.nuscenes.tables import NuscenesTables
from swerve.data.sources.source import HOLDINGS, Holding
from swerve.scenes import Camera, Log, LogError

_HINT = "ROOT has samples, sweeps, maps, and the tables in a folder such as v1.0-mini"


@dataclass(frozen=True)
class NuscenesSource:
    """Source of the scenes of one version of nuScenes, named after them.

    Attributes:
        path: the data's folder, or that of a version's tables in it.
    """

    path: Path
    kind: str = "nuscenes"

    def names(self) -> tuple[str, ...]:
        """Return the names of the scenes.

        Raises:
            LogError: there are no tables, those of several versions, or they are damaged.
        """
        return tuple(row["name"] for row in self._tables().scenes)

    def load(self, name: str) -> Log:
        """Read one scene.

        Raises:
            LogError: there is no such scene, or a file is damaged.
        """
        tables = self._tables()
        return read_log(tables.folder.parent, tables, name)

    def rigs(self, names: Collection[str]) -> dict[str, tuple[Camera, ...]]:
        """Read the cameras of scenes, see `RigSource`."""
        found = {}
        for name in names:
            with suppress(LogError):
                found[name] = read_rig(self._tables(), name)
        return found

    def absent(self, _: Collection[str]) -> frozenset[Holding]:
        """Return what all scenes lack, see `PartialSource`: whose folders are not there."""
        root = self._tables().folder.parent
        there = {
            "photographs": any(True for folder in ("samples", "sweeps") for _ in (root / folder).glob("CAM_*")),
            "map": any(True for folder in ("maps/expansion", "maps") for _ in (root / folder).glob("*.json")),
        }
        return frozenset(name for name in HOLDINGS if not there[name])

    def _tables(self) -> NuscenesTables:
        folders = version_folders(self.path)
        if not folders:
            raise LogError(self.path, "folder", "no tables of nuScenes (scene.json, sample.json)", _HINT)
        if len(folders) > 1:
            problem = f"tables of several versions: {', '.join(folder.name for folder in folders)}"
            raise LogError(self.path, "folder", problem, f"Choose one: nuscenes:{self.path / folders[0].name}")
        return NuscenesTables(folders[0])


def version_folders(path: Path) -> list[Path]:
    """Return the folders of tables at or in a path, in order; empty if there are none."""
    if not path.is_dir():
        return []
    at = [path.absolute(), *sorted(child for child in path.absolute().iterdir() if child.name.startswith("v1.0-"))]
    return [folder for folder in at if all((folder / name).is_file() for name in ("scene.json", "sample.json"))]
