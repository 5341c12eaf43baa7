"""`tracklet_labels.xml` of KITTI's raw data: boxes of tracked objects in the laser scanner's frame.

A tracklet has a kind, height, width and length, its first frame, and a pose for each frame from there on: the middle of
the box's bottom, and its rotation about z.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import numpy as np
from jaxtyping import Float, Int

from swerve.data.sources.kitti.labels import CLASSES
from swerve.data.sources.velocities import causal_velocities
from swerve.scenes import LogError, Tracks
from swerve.scenes.transforms import pose_from_yaw, yaw_of

_LARGEST: Final = 2**26


@dataclass(frozen=True)
class Tracklet:
    """An object over consecutive frames.

    Attributes:
        kind: one of `CLASSES`.
        size: length, width, height.
        first: first frame.
        velo_from_box: poses of the middle of the box, the scanner's frame.
    """

    kind: str
    size: tuple[float, float, float]
    first: int
    velo_from_box: Float[np.ndarray, "f 4 4"]


def read_tracklets(path: Path) -> list[Tracklet]:
    """Read a file of tracklets.

    Raises:
        LogError: it cannot be read, is no such XML, or defines entities, which nothing of KITTI does.
    """
    try:
        if path.stat().st_size > _LARGEST:
            raise LogError(path, "file", "is longer than 64 MiB")
        content = path.read_bytes()
        # In UTF-16, which expat reads too, entities would not be seen here.
        if b"<!ENTITY" in content or b"\0" in content:
            raise LogError(path, "file", "defines entities, or is not UTF-8")
        document = ElementTree.fromstring(content)
    except (OSError, ElementTree.ParseError, ValueError, LookupError) as error:
        raise LogError(path, "file", f"cannot be read ({error})") from error
    items = document.findall("./tracklets/item")
    return [_tracklet(item, path, number) for number, item in enumerate(items)]


def tracks_of(
    tracklets: list[Tracklet], world_from_velo: Float[np.ndarray, "t 4 4"], times_us: Int[np.ndarray, "t"], path: Path
) -> Tracks:
    """Convert tracklets to tracks.

    Raises:
        LogError: one is of frames that the drive does not have.
    """
    shape = (len(tracklets), len(times_us))
    positions, headings, sizes = np.zeros((*shape, 3)), np.zeros(shape), np.zeros((*shape, 3))
    valid = np.zeros(shape, bool)
    for row, one in enumerate(tracklets):
        frames = slice(one.first, one.first + len(one.velo_from_box))
        if not 0 <= frames.start <= frames.stop <= shape[1]:
            problem = f"is of frames {frames.start} to {frames.stop - 1}; the drive has {shape[1]}"
            raise LogError(path, f"tracklet {row}", problem)
        world_from_box = world_from_velo[frames] @ one.velo_from_box
        positions[row, frames], headings[row, frames] = world_from_box[:, :3, 3], yaw_of(world_from_box)
        sizes[row, frames], valid[row, frames] = one.size, True
    ids = tuple(str(row) for row in range(len(tracklets)))
    classes = np.array([CLASSES[one.kind] for one in tracklets], np.uint8)
    return Tracks(ids, classes, positions, headings, sizes, causal_velocities(positions, valid, times_us), valid)


def _tracklet(item: ElementTree.Element, path: Path, number: int) -> Tracklet:
    kind = item.findtext("objectType", "")
    if kind not in CLASSES:
        raise LogError(path, f"tracklet {number}", f"has the kind {kind!r}, not one of {', '.join(CLASSES)}")
    height, width, length, first = (_number(item, name, path, number) for name in ("h", "w", "l", "first_frame"))
    if first % 1:
        raise LogError(path, f"tracklet {number}: first_frame", f"is {first:g}, not a whole number")
    poses = item.findall("./poses/item")
    rows = np.array(
        [[_number(pose, name, path, number) for name in ("tx", "ty", "tz", "rz")] for pose in poses]
    ).reshape(-1, 4)
    middles = rows[:, :3] + [0.0, 0.0, height / 2]
    return Tracklet(kind, (length, width, height), int(first), pose_from_yaw(middles, rows[:, 3]))


def _number(element: ElementTree.Element, name: str, path: Path, number: int) -> float:
    try:
        value = float(element.findtext(name, ""))
    except ValueError:
        value = np.nan
    if not abs(value) < 1e6:
        raise LogError(path, f"tracklet {number}: {name}", "is missing or not a finite number")
    return value
