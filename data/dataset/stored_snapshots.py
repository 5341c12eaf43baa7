"""What a sample's images are drawn of, for sets that store it instead of rasters (docs/formats.md)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int

from swerve.data.dataset.augment_options import AugmentOptions, StyleName
from swerve.data.dataset.capture import Capture, tracks_at
from swerve.data.storage.archive import from_bytes, to_bytes
from swerve.scenes import Tracks, TrafficLights
from swerve.scenes.primitives import Primitives, build_dynamic
from swerve.scenes.viewpoints import Viewpoint

MEMBER: Final = "moments.npz"
_KIND, _VERSION = "moments of a sample", 1


@dataclass(frozen=True)
class StoredSnapshot:
    """What moves, as the images that are taken at one time see it.

    Attributes:
        world_from_ego: where the vehicle is.
        tracks: agents; a single step, in which all are valid.
        lights: a single step.
    """

    world_from_ego: Float[np.ndarray, "4 4"]
    tracks: Tracks
    lights: TrafficLights

    def primitives(self) -> Primitives:
        """Agents and lights."""
        return build_dynamic(self.tracks, self.lights, 0)


@dataclass(frozen=True)
class SnapshotStore:
    """All that rasters are drawn of, but the log's map and the cameras.

    Attributes:
        style: the look.
        samples: points per pixel along each axis, see `Style`.
        moments: of all images.
        rows: which of them each camera's image is of, in the order of the sample's json.
    """

    style: StyleName
    samples: int
    moments: tuple[StoredSnapshot, ...]
    rows: Int[np.ndarray, "c"]


def moving_at(viewpoint: Viewpoint, time_us: int) -> tuple[Tracks, TrafficLights]:
    """Everybody else at a time, and the lights as at the nearest step: a single step of each."""
    scene = viewpoint.scene
    nearest = int(np.abs(scene.times_us - time_us).argmin())
    return tracks_at(viewpoint.tracks, scene.times_us, time_us), scene.lights.at(slice(nearest, nearest + 1))


def capture_groups(captures: Sequence[Capture]) -> list[list[int]]:
    """Rows of captures that share time and pose."""
    groups = dict[tuple[int, bytes], list[int]]()
    for row, capture in enumerate(captures):
        groups.setdefault((capture.time_us, capture.world_from_ego.tobytes()), []).append(row)
    return list(groups.values())


def moments_to_bytes(viewpoint: Viewpoint, captures: Sequence[Capture], options: AugmentOptions) -> bytes:
    """The content of the member: some 5 kB where all images are of one moment."""
    groups, rows = capture_groups(captures), np.zeros(len(captures), np.int64)
    for number, group in enumerate(groups):
        rows[group] = number
    moments = tuple(_moment(viewpoint, captures[group[0]]) for group in groups)
    return to_bytes(SnapshotStore(options.style, options.samples, moments, rows), _KIND, _VERSION)


def moments_from_bytes(content: bytes, path: str) -> SnapshotStore:
    """What `moments_to_bytes` made; `path` says where it lies.

    Raises:
        SwerveError: it is damaged, or of another version.
    """
    return from_bytes(content, SnapshotStore, _KIND, _VERSION, path)


def _moment(viewpoint: Viewpoint, capture: Capture) -> StoredSnapshot:
    tracks, lights = moving_at(viewpoint, capture.time_us)
    return StoredSnapshot(capture.world_from_ego, tracks.of(np.flatnonzero(tracks.valid[:, 0])), lights)
