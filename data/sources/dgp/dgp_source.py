"""DGP scenes (DDAD): surround cameras, LiDAR, poses of every image and sweep, 3D boxes with tracks; no map, no lights.

A scene is a folder with one `scene_*.json`, and below it `calibration/`, `ontology/`, `rgb/CAMERA/`, `point_cloud/` and
`bounding_box_3d/`. DDAD is a folder of scenes with `ddad.json`, which lists those of each split (Guizilini et al. 2020,
"3D Packing for Self-Supervised Monocular Depth Estimation"; github.com/TRI-ML/DDAD).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from swerve.data.sources.checks import check_log, check_motion
from swerve.data.sources.dgp.dgp_boxes import read_tracks
from swerve.data.sources.dgp.dgp_documents import DATASET
from swerve.data.sources.dgp.dgp_scene import read_scene
from swerve.data.sources.folder_source import FolderSource
from swerve.data.sources.source import Holding
from swerve.data.storage.checked_json import read_json
from swerve.scenes import Camera, Ego, Log, LogError, Split, TrafficLights, Vehicle

# The data set does not name its cars. TRI's of that time were Lexus LS 600h L: the maker's dimensions.
_VEHICLE: Final = Vehicle("lexus_ls", length=5.21, width=1.875, height=1.48, wheelbase=3.09, rear_overhang=1.13)
# `DatasetSplit` of DGP.
_SPLITS: Final[Mapping[str, Split]] = {"0": "train", "1": "val", "2": "test"}


def dgp_source(path: str | Path) -> FolderSource:
    """Open a scene's folder, or a folder of them as DDAD's is."""
    path = Path(path)
    hint = "A scene is a folder with one scene_*.json"
    return FolderSource(path, "dgp", "DGP scene", hint, scene_folders, read_dgp_log, read_dgp_rig, find_absent=_absent)


def _absent(_: Path) -> frozenset[Holding]:
    """Return what the data set lacks."""
    return frozenset({"map"})


def scene_folders(path: Path) -> list[Path]:
    """List the scenes at or in a path, in order; empty if there are none."""
    if _is_scene(path):
        return [path.absolute()]
    return [child for child in sorted(path.absolute().iterdir()) if _is_scene(child)] if path.is_dir() else []


def read_dgp_log(folder: Path, split: Split | None = None) -> Log:
    """Read one scene, with a step at each sample, which is at the time of its LiDAR sweep.

    The data set's vehicle frame is the ego frame as it stands: its origin lies at the rear axle and, in DDAD, on the
    ground (the road is 0.01 to 0.12 m above it in its LiDAR). Photos have the ego's pose at their own time, as the
    scene states it for each image. Boxes are those of the sweep. The split is that of the data set's JSON file
    beside the scene, else that of the folders' names.

    Raises:
        LogError: a file is missing or malformed.
    """
    scene = read_scene(folder)
    world_from_ego = scene.source_from_ego.copy()
    origin = scene.origin
    world_from_ego[:, :3, 3] -= origin
    check_motion(scene.times_us, world_from_ego, scene.file)
    log = Log(
        name=folder.name,
        source="dgp",
        times_us=scene.times_us,
        ego=Ego.from_poses(world_from_ego, scene.times_us),
        vehicle=_VEHICLE,
        tracks=read_tracks(scene),
        lights=TrafficLights.empty(len(scene.times_us)),
        road_map=None,
        cameras=scene.cameras(),
        origin=(float(origin[0]), float(origin[1]), float(origin[2])),
        split=_listed_split(folder) or split,
        photos=scene.photos(),
        sweeps=scene.sweeps(),
    )
    return check_log(log, scene.file)


def read_dgp_rig(folder: Path) -> tuple[Camera, ...]:
    """Read the cameras of a scene.

    Raises:
        LogError: a file is missing or malformed.
    """
    return read_scene(folder).cameras()


def _is_scene(path: Path) -> bool:
    return path.is_dir() and any(path.glob("scene_*.json"))


def _listed_split(folder: Path) -> Split | None:
    """Return the split under which a JSON file of the data set, beside the scene's folder, lists the scene.

    Raises:
        LogError: the file is malformed, or the scene is in two splits.
    """
    found: dict[Split, Path] = {}
    for path in sorted(folder.parent.glob("*.json")):
        document: Any = read_json(path)
        if not isinstance(document, dict) or "scene_splits" not in document:
            continue
        read_json(path, DATASET)
        for key, listed in document["scene_splits"].items():
            if key in _SPLITS and any(Path(name).parent.name == folder.name for name in listed["filenames"]):
                found[_SPLITS[key]] = path
    if len(found) > 1:
        raise LogError(next(iter(found.values())), "scene_splits", f"{folder.name} is in {' and in '.join(found)}")
    return next(iter(found), None)
