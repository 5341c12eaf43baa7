"""Layout of an exported benchmark, which is NAVSIM's, and its texts."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from swerve.data.export_navsim.split_files import DATA_SPLIT, SPLITS

# The devkit opens maps of its four locations only. All logs are put side by side into the first one's.
LOCATION, ZONE = "us-ma-boston", 19
INDEX: Final = "nuplan-maps-v1.0.json"
VERSIONS: Final = {
    LOCATION: "9.12.1817",
    "sg-one-north": "9.17.1964",
    "us-nv-las-vegas-strip": "9.15.1915",
    "us-pa-pittsburgh-hazelwood": "9.17.1937",
}
ZONES: Final = {LOCATION: ZONE, "sg-one-north": 48, "us-nv-las-vegas-strip": 11, "us-pa-pittsburgh-hazelwood": 17}


@dataclass(frozen=True)
class ExportFolder:
    """Paths of an exported benchmark.

    Attributes:
        root: the folder, NAVSIM's OPENSCENE_DATA_ROOT.
        name: of the split.
    """

    root: Path
    name: str

    @property
    def maps(self) -> Path:
        """Folder of the maps."""
        return self.root / "maps"

    def map_file(self, location: str) -> Path:
        """Return the path of a location's map."""
        return self.maps / location / VERSIONS[location] / "map.gpkg"

    def log(self, name: str) -> Path:
        """Return the path of a log's frames."""
        return self.root / "navsim_logs" / DATA_SPLIT / f"{name}.pkl"

    @property
    def sensors(self) -> Path:
        """Folder of the images of logged frames."""
        return self.root / "sensor_blobs" / DATA_SPLIT

    @property
    def synthetic_sensors(self) -> Path:
        """Folder of the images of follow-up scenes."""
        return self.root / self.name / "sensor_blobs"

    def synthetic_scene(self, token: str) -> Path:
        """Return the path of a follow-up scene."""
        return self.root / self.name / "synthetic_scene_pickles" / f"{token}.pkl"

    @property
    def splits(self) -> Path:
        """Folder of the split files."""
        return self.root / SPLITS


def read_me(name: str, lines: list[str]) -> str:
    """Return the text of README.txt.

    Args:
        name: of the split.
        lines: what is special about this export.
    """
    notes = "".join(f"- {line}\n" for line in lines)
    return f"""A benchmark of Swerve in the formats of NAVSIM v2

Maps, frames and traffic are those of the benchmark, not nuPlan's: the map of {LOCATION} here is no map of Boston.
Keep this folder apart from nuPlan's data.

Run with NAVSIM, in its checkout ($NAVSIM_DEVKIT_ROOT), with this folder as ROOT:

export OPENSCENE_DATA_ROOT=ROOT
export NUPLAN_MAPS_ROOT=$OPENSCENE_DATA_ROOT/maps
export NUPLAN_MAP_VERSION=nuplan-maps-v1.0
cp -r $OPENSCENE_DATA_ROOT/{SPLITS}/. \\
  $NAVSIM_DEVKIT_ROOT/navsim/planning/script/{SPLITS}/
python $NAVSIM_DEVKIT_ROOT/navsim/planning/script/run_metric_caching.py \\
  train_test_split={name} metric_cache_path=$NAVSIM_EXP_ROOT/{name}_cache \\
  synthetic_sensor_path=$OPENSCENE_DATA_ROOT/{name}/sensor_blobs \\
  synthetic_scenes_path=$OPENSCENE_DATA_ROOT/{name}/synthetic_scene_pickles
python $NAVSIM_DEVKIT_ROOT/navsim/planning/script/run_pdm_score.py \\
  train_test_split={name} agent=constant_velocity_agent experiment_name={name} \\
  metric_cache_path=$NAVSIM_EXP_ROOT/{name}_cache \\
  synthetic_sensor_path=$OPENSCENE_DATA_ROOT/{name}/sensor_blobs \\
  synthetic_scenes_path=$OPENSCENE_DATA_ROOT/{name}/synthetic_scene_pickles

The same with Swerve, without NAVSIM:

swerve evaluate navsim:ROOT results --split ROOT/{SPLITS}/{name}.yaml --planners constant-velocity

Notes
{notes}
tokens.csv has the benchmark's name of each scene, map_ids.csv the log's name of each thing in the map.
"""
