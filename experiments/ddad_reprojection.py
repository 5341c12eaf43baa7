"""Project DDAD's 3D boxes into its photos and compare them with the data set's own 2D boxes.

    python -m experiments.ddad_reprojection PATH

prints the errors of the boxes' edges in pixels: median, 90th percentile and greatest, per camera and of all.
"""

import sys
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float

from swerve.data.sources.registry import open_source
from swerve.data.storage.checked_json import fields, integer, list_of, number, read_json
from swerve.scenes import Log, Photo
from swerve.scenes.primitives import agent_cuboids

_SIDES: Final = ("x", "y", "w", "h")
_BOXES_2D: Final = fields(
    {"annotations": list_of(fields({"box": fields(dict.fromkeys(_SIDES, number())), "instance_id": integer()}))}
)


def edge_errors(folder: Path) -> Float[np.ndarray, "n 4"]:
    """Return the errors of all boxes of a scene that has 2D boxes: left, top, right, bottom, pixels.

    A 2D box is in whole pixels, counted from the first pixel's centre, so that a projection is rounded likewise.
    """
    return np.concatenate(list(errors_by_camera(folder).values()))


def errors_by_camera(folder: Path) -> dict[str, Float[np.ndarray, "n 4"]]:
    """Return the errors of `edge_errors` by camera; those without a box are left out."""
    log = open_source(f"dgp:{folder}").load(folder.name)
    found: dict[str, list[Float[np.ndarray, "4"]]] = {}
    for photo in log.photos:
        step = int(np.argmin(np.abs(log.times_us - photo.time_us)))
        drawn = _projected(log, photo, step)
        for track, edges in _boxes_2d(folder, photo.camera, step).items():
            found.setdefault(photo.camera, []).append(drawn[track] - edges)
    return {camera: np.stack(rows) for camera, rows in found.items()}


def _projected(log: Log, photo: Photo, step: int) -> dict[str, Float[np.ndarray, "4"]]:
    """Return the edges of each track's projected box: left, top, right, bottom, rounded down."""
    (camera,) = (camera for camera in log.cameras if camera.name == photo.camera)
    corners = agent_cuboids(log.tracks, step).vertices.reshape(-1, 8, 3).astype(float)
    tracks = [track for track, valid in zip(log.tracks.ids, log.tracks.valid[:, step], strict=True) if valid]
    found = {}
    for track, box in zip(tracks, corners, strict=True):
        pixels, _, _ = camera.project_world(box, photo.world_from_ego)
        found[track] = np.floor(np.concatenate([pixels.min(axis=0), pixels.max(axis=0)]) - 0.5)
    return found


def _boxes_2d(folder: Path, camera: str, step: int) -> dict[str, Float[np.ndarray, "4"]]:
    """Return the edges of the 2D boxes of a camera's image by track; files are named after the sweeps' times."""
    path = sorted((folder / "bounding_box_2d" / camera).glob("*.json"))[step]
    boxes = {str(row["instance_id"]): row["box"] for row in read_json(path, _BOXES_2D)["annotations"]}
    return {
        track: np.array([box["x"], box["y"], box["x"] + box["w"], box["y"] + box["h"]], float)
        for track, box in boxes.items()
    }


def main() -> None:
    """Print the errors of the scene that the command line names."""
    found = errors_by_camera(Path(sys.argv[1]))
    for name, errors in {**found, "all": np.concatenate(list(found.values()))}.items():
        sizes = np.abs(errors)
        median, high = np.percentile(sizes, [50, 90])
        print(f"{name}: {len(errors)} boxes, median {median:.1f}, 90 % {high:.1f}, greatest {sizes.max():.1f} pixels")


if __name__ == "__main__":
    main()
