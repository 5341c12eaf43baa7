"""Labels of KITTI tracking as Tracks.

A line has frame, track, kind, truncation, occlusion, viewing angle, a box in the image (left, top, right, bottom), then
height, width and length, the middle of the box's bottom in the rectified frame of the left grey camera (x right, y
down, z ahead), and its rotation about y: at zero the box heads to the right, at -pi / 2 ahead.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Float, Int

from swerve.data.sources.kitti.kitti_text import lines_of, numbers_of
from swerve.data.sources.velocities import causal_velocities
from swerve.scenes import LogError, ObjectClass, Tracks
from swerve.scenes.transforms import rigid_transform, yaw_of

CLASSES: Final = {
    "Car": ObjectClass.VEHICLE,
    "Van": ObjectClass.VEHICLE,
    "Truck": ObjectClass.VEHICLE,
    "Tram": ObjectClass.VEHICLE,
    "Pedestrian": ObjectClass.PEDESTRIAN,
    "Person": ObjectClass.PEDESTRIAN,
    "Person_sitting": ObjectClass.PEDESTRIAN,
    "Person (sitting)": ObjectClass.PEDESTRIAN,
    "Cyclist": ObjectClass.BICYCLE,
    "Misc": ObjectClass.GENERIC,
}
_IGNORED: Final = "DontCare"
_COLUMNS: Final = 17


@dataclass(frozen=True)
class Labels:
    """Labelled boxes.

    Attributes:
        frames: frame of each.
        ids: number of the track of each.
        kinds: `ObjectClass` of each.
        truncated: 0 if the box is whole in the image, 1 partly, 2 mostly outside.
        occluded: 0 visible, 1 partly, 2 largely occluded, 3 unknown.
        pixels: left, top, right, bottom in the image.
        rect_from_box: pose of the middle of each in the rectified frame, x ahead, y left, z up.
        sizes: length, width, height.
    """

    frames: Int[np.ndarray, "n"]
    ids: Int[np.ndarray, "n"]
    kinds: Int[np.ndarray, "n"]
    truncated: Int[np.ndarray, "n"]
    occluded: Int[np.ndarray, "n"]
    pixels: Float[np.ndarray, "n 4"]
    rect_from_box: Float[np.ndarray, "n 4 4"]
    sizes: Float[np.ndarray, "n 3"]


def read_labels(path: Path, frames: int) -> Labels:
    """Read the labels of a sequence of so many frames; regions to be ignored ("DontCare") are left out.

    Raises:
        LogError: the file cannot be read, a line is malformed, or of a frame or a kind that is not known.
    """
    lines = lines_of(path)
    rows, kinds = [], []
    for row, line in enumerate(lines):
        words = line.split()
        kind = words[2] if len(words) > 2 else ""
        if kind == _IGNORED:
            continue
        if kind not in CLASSES:
            raise LogError(path, f"line {row + 1}", f"has the kind {kind!r}, not one of {', '.join(CLASSES)}")
        numbers = numbers_of(path, [" ".join([*words[:2], *words[3:]])], 0, _COLUMNS - 1)
        if not 0 <= numbers[0] < frames or numbers[0] % 1 or numbers[1] % 1:
            raise LogError(path, f"line {row + 1}", f"is of frame {numbers[0]:g}; the sequence has {frames}")
        rows.append(numbers)
        kinds.append(CLASSES[kind])
    table = np.array(rows).reshape(-1, _COLUMNS - 1)
    height, width, length = table[:, 9], table[:, 10], table[:, 11]
    whole = table[:, :4].astype(np.int64)
    return Labels(
        frames=whole[:, 0],
        ids=whole[:, 1],
        kinds=np.array(kinds, np.int64),
        truncated=whole[:, 2],
        occluded=whole[:, 3],
        pixels=table[:, 5:9],
        rect_from_box=_poses(table[:, 12:15], height, table[:, 15]),
        sizes=np.column_stack([length, width, height]),
    )


def _poses(
    bottoms: Float[np.ndarray, "n 3"], heights: Float[np.ndarray, "n"], turns: Float[np.ndarray, "n"]
) -> Float[np.ndarray, "n 4 4"]:
    """Return poses of boxes from the middle of their bottoms and their rotations about y, which points down."""
    cos, sin, none = np.cos(turns), np.sin(turns), np.zeros_like(turns)
    ahead, left, up = np.stack([cos, none, -sin]), np.stack([sin, none, cos]), np.stack([none, none - 1, none])
    rotation = np.stack([ahead, left, up]).transpose(2, 1, 0)
    return rigid_transform(rotation, bottoms - np.column_stack([none, heights / 2, none]))


def tracks_of(
    labels: Labels, world_from_rect: Float[np.ndarray, "t 4 4"], times_us: Int[np.ndarray, "t"], path: Path
) -> Tracks:
    """Convert labels to tracks; boxes, upright in the camera's frame, become upright in the world.

    Raises:
        LogError: a track has two boxes in one frame.
    """
    names, row = np.unique(labels.ids, return_inverse=True)
    shape = (len(names), len(times_us))
    valid = np.zeros(shape, bool)
    valid[row, labels.frames] = True
    if valid.sum() < len(row):
        raise LogError(path, "track", "a track has two boxes in one frame")
    world_from_box = world_from_rect[labels.frames] @ labels.rect_from_box
    classes, headings = np.zeros(len(names), np.uint8), np.zeros(shape)
    positions, sizes = np.zeros((*shape, 3)), np.zeros((*shape, 3))
    classes[row[::-1]] = labels.kinds[::-1]
    positions[row, labels.frames] = world_from_box[:, :3, 3]
    headings[row, labels.frames] = yaw_of(world_from_box)
    sizes[row, labels.frames] = labels.sizes
    ids = tuple(str(name) for name in names.tolist())
    return Tracks(ids, classes, positions, headings, sizes, causal_velocities(positions, valid, times_us), valid)
