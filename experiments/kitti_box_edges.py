"""Boxes of KITTI tracking in the image: `python -m experiments.kitti_box_edges FOLDER [SEQUENCE...]`.

Projects the corners of each labelled box into the left colour camera and compares their extent, cut at the image's
borders, with the box that the annotators drew there. Twice: as labelled, upright in the camera's frame, and as in the
log, upright in the world.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float, Int

from swerve.data import open_source
from swerve.data.sources.kitti.labels import read_labels
from swerve.data.sources.kitti.tracking_sequence import recording_of, tracking_sequences
from swerve.scenes import Camera, Log
from swerve.scenes.transforms import pose_from_yaw, transform_points

# Boxes that reach nearer to the camera's plane, metres, have corners that do not project.
_NEAREST = 0.5
_SIGNS = np.array([[x, y, z] for x in (-0.5, 0.5) for y in (-0.5, 0.5) for z in (-0.5, 0.5)])


@dataclass(frozen=True)
class EdgeErrors:
    """Errors of the edges of boxes in the image.

    Attributes:
        log: left, top, right and bottom of the log's boxes minus the drawn ones, pixels; NaN where they do not project.
        labelled: the same of the boxes as labelled.
        truncated: 0 if the box is whole in the image, 1 partly, 2 mostly outside.
        occluded: 0 visible, 1 partly, 2 largely occluded, 3 unknown.
    """

    log: Float[np.ndarray, "n 4"]
    labelled: Float[np.ndarray, "n 4"]
    truncated: Int[np.ndarray, "n"]
    occluded: Int[np.ndarray, "n"]


def edge_errors(sequence: Path, log: Log) -> EdgeErrors:
    """Compare the boxes of a sequence (`oxts/NAME`), which has been read as a log, with those in its images."""
    labels = read_labels(sequence.parent.parent / "label_02" / f"{sequence.name}.txt", len(log.times_us))
    world_from_rect, camera = recording_of(sequence).world_from_rect, log.cameras[0]
    row_of = {name: row for row, name in enumerate(log.tracks.ids)}
    errors = [
        [
            _extent(pose, size, camera, log.ego.world_from_ego[frame]) - labels.pixels[index] - 0.5
            for pose, size in (
                _box_of(log, row_of[str(labels.ids[index])], frame),
                (world_from_rect[frame] @ labels.rect_from_box[index], labels.sizes[index]),
            )
        ]
        for index, frame in enumerate(labels.frames.tolist())
    ]
    of_log, labelled = np.array(errors).reshape(-1, 2, 4).transpose(1, 0, 2)
    return EdgeErrors(of_log, labelled, labels.truncated, labels.occluded)


def _box_of(log: Log, row: int, step: int) -> tuple[np.ndarray, np.ndarray]:
    tracks = log.tracks
    return pose_from_yaw(tracks.positions[row, step], tracks.headings[row, step]), tracks.sizes[row, step]


def _extent(
    world_from_box: Float[np.ndarray, "4 4"],
    size: Float[np.ndarray, "3"],
    camera: Camera,
    world_from_ego: Float[np.ndarray, "4 4"],
) -> Float[np.ndarray, "4"]:
    """Return left, top, right and bottom of a box in the image; NaN if a corner is too near or behind."""
    pixels, depths, _ = camera.project_world(transform_points(world_from_box, _SIGNS * size), world_from_ego)
    if depths.min() < _NEAREST:
        return np.full(4, np.nan)
    # The drawn boxes end at the centres of the outer pixels.
    inside = np.clip(pixels, 0.5, [camera.width - 0.5, camera.height - 0.5])
    return np.concatenate([inside.min(axis=0), inside.max(axis=0)])


def table_of(errors: EdgeErrors) -> str:
    """Return the errors in words."""
    whole = (errors.truncated == 0) & (errors.occluded == 0)
    rows = [f"{'':28}{'boxes':>7}{'median':>8}{'90 %':>7}    left    top  right bottom"]
    for name, off in (("as labelled", errors.labelled), ("in the log", errors.log)):
        for which, chosen in (("all", np.full(len(off), True)), ("whole and visible", whole)):
            known = np.abs(off[chosen & np.isfinite(off).all(axis=1)])
            each = "".join(f"{value:7.2f}" for value in np.median(known, axis=0))
            total = f"{len(known):7}{np.median(known):8.2f}{np.percentile(known, 90):7.2f}"
            rows.append(f"{f'{name}, {which}':28}{total} {each}")
    return "\n".join(rows)


def main(folder: str, names: list[str]) -> None:
    """Print the errors of some sequences, all if none is named."""
    source = open_source(f"kitti:{folder}")
    for sequence in tracking_sequences(Path(folder)):
        if not names or sequence.name in names:
            errors = edge_errors(sequence, source.load(sequence.name))
            print(f"{sequence.name}: pixels between edges of boxes\n{table_of(errors)}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
