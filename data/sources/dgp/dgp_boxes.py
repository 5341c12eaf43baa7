"""3D boxes of a DGP scene's LiDAR sweeps, as tracks."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from jaxtyping import Float

from swerve.data.sources.dgp.dgp_documents import BOXES, BOXES_3D, ONTOLOGY, transform_of
from swerve.data.sources.dgp.dgp_scene import DgpScene
from swerve.data.sources.velocities import causal_velocities
from swerve.data.storage.checked_json import read_json
from swerve.scenes import LogError, ObjectClass, Tracks
from swerve.scenes.transforms import yaw_of

# Names in DDAD's ontology, and those of other DGP data sets.
_CLASSES: Final = {
    ObjectClass.VEHICLE: ("Car", "Truck", "Bus/RV/Caravan", "Bus", "Caravan/RV", "Train", "Trailer", "Towed Object"),
    ObjectClass.PEDESTRIAN: ("Person", "Pedestrian"),
    ObjectClass.BICYCLE: ("Bicycle", "Bicyclist", "Motorcycle", "Motorcyclist", "Wheeled Slow"),
    ObjectClass.GENERIC: ("Animal", "OtherMovable"),
}
_CLASS_OF_NAME: Final = {name: kind for kind, names in _CLASSES.items() for name in names}


@dataclass(frozen=True)
class _Box:
    """One box: track, step, class, pose in the log's world, (length, width, height)."""

    track: str
    step: int
    kind: ObjectClass
    world_from_box: Float[np.ndarray, "4 4"]
    size: tuple[float, float, float]


def read_tracks(scene: DgpScene) -> Tracks:
    """Read the boxes of all sweeps; those of one `instance_id` are a track.

    A sweep without annotations has no boxes.

    Raises:
        LogError: a file is missing or malformed, a class is unknown, or a track has two boxes at a time.
    """
    boxes = [box for step in range(len(scene.times_us)) for box in _boxes(scene, step)]
    ids = tuple(dict.fromkeys(box.track for box in boxes))
    number = {track: row for row, track in enumerate(ids)}
    tracks = _blank(ids, len(scene.times_us))
    for box in boxes:
        place = number[box.track], box.step
        if tracks.valid[place]:
            raise LogError(scene.file, "instance_id", f"{box.track} has two boxes at {scene.times_us[box.step]} us")
        tracks.valid[place] = True
        tracks.classes[place[0]] = box.kind
        tracks.positions[place] = box.world_from_box[:3, 3]
        tracks.headings[place] = yaw_of(box.world_from_box)
        tracks.sizes[place] = box.size
    tracks.velocities[:] = causal_velocities(tracks.positions, tracks.valid, scene.times_us)
    return tracks


def _blank(ids: tuple[str, ...], steps: int) -> Tracks:
    shape = (len(ids), steps)
    return Tracks(
        ids,
        np.zeros(len(ids), np.uint8),
        np.zeros((*shape, 3)),
        np.zeros(shape),
        np.zeros((*shape, 3)),
        np.zeros((*shape, 2)),
        np.zeros(shape, bool),
    )


def _boxes(scene: DgpScene, step: int) -> Iterator[_Box]:
    """Yield the boxes of a step's sweep."""
    datum = scene.sweep_data[step]
    name = datum.record.get("annotations", {}).get(BOXES_3D)
    if name is None:
        return
    path = scene.file.parent / name
    classes = _classes(scene)
    world_from_lidar = scene.world_from_ego(datum) @ scene.mounts[datum.sensor]
    for record in read_json(path, BOXES)["annotations"]:
        box = record["box"]
        size = (float(box.get("length", 0.0)), float(box.get("width", 0.0)), float(box.get("height", 0.0)))
        pose = world_from_lidar @ transform_of(box["pose"], path)
        yield _Box(str(record["instance_id"]), step, _class_of(record, classes, path), pose, size)


def _classes(scene: DgpScene) -> dict[int, str]:
    """Return the names of the ontology of 3D boxes by number."""
    if BOXES_3D not in scene.ontologies:
        raise LogError(scene.file, "ontologies", "there is none of 3D boxes, although there are boxes")
    path = scene.file.parent / "ontology" / f"{scene.ontologies[BOXES_3D]}.json"
    return {item.get("id", 0): item["name"] for item in read_json(path, ONTOLOGY)["items"]}


def _class_of(record: Mapping[str, Any], classes: Mapping[int, str], path: Path) -> ObjectClass:
    number = record.get("class_id", 0)
    name = classes.get(number)
    if name not in _CLASS_OF_NAME:
        problem = f"{number} ({name}) is unknown" if name else f"{number} is not in the scene's ontology"
        raise LogError(path, "class_id", problem)
    return _CLASS_OF_NAME[name]
