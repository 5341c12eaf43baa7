"""Stored snapshots of dynamic objects, for sets that render rasters on demand (docs/formats.md)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int

from swerve.data.dataset.augment_options import AugmentOptions, StyleName
from swerve.data.dataset.capture import ImageRequest, tracks_at
from swerve.data.storage.archive import from_bytes, to_bytes
from swerve.scenes import Tracks, TrafficLights
from swerve.scenes.primitives import Primitives, build_dynamic
from swerve.scenes.viewpoints import Viewpoint

MEMBER: Final = "snapshots.npz"
_KIND, _VERSION = "snapshots of a sample", 2


@dataclass(frozen=True)
class StoredSnapshot:
    """Dynamic objects at the time of a group of images.

    Attributes:
        world_from_ego: ego pose.
        tracks: agents at a single step, at which all are valid.
        lights: signals at a single step.
    """

    world_from_ego: Float[np.ndarray, "4 4"]
    tracks: Tracks
    lights: TrafficLights

    def primitives(self) -> Primitives:
        """Build the primitives of agents and lights."""
        return build_dynamic(self.tracks, self.lights, 0)


@dataclass(frozen=True)
class SnapshotStore:
    """Inputs of rendering a sample's rasters, except the log's map and the cameras.

    Attributes:
        style: colour style.
        supersampling: points per pixel along each axis, see `Style`.
        snapshots: snapshots of all images.
        snapshot_indices: index of each camera's snapshot, in the order of the sample's JSON.
    """

    style: StyleName
    supersampling: int
    snapshots: tuple[StoredSnapshot, ...]
    snapshot_indices: Int[np.ndarray, "c"]


def dynamic_objects_at(viewpoint: Viewpoint, time_us: int) -> tuple[Tracks, TrafficLights]:
    """Return all other agents at a time, and the lights at the nearest step: a single step of each."""
    scene = viewpoint.scene
    nearest = int(np.abs(scene.times_us - time_us).argmin())
    return tracks_at(viewpoint.tracks, scene.times_us, time_us), scene.lights.at(slice(nearest, nearest + 1))


def capture_groups(captures: Sequence[ImageRequest]) -> list[list[int]]:
    """Group the rows of captures that share time and pose."""
    groups = dict[tuple[int, bytes], list[int]]()
    for row, capture in enumerate(captures):
        groups.setdefault((capture.time_us, capture.world_from_ego.tobytes()), []).append(row)
    return list(groups.values())


def snapshots_to_bytes(viewpoint: Viewpoint, captures: Sequence[ImageRequest], options: AugmentOptions) -> bytes:
    """Encode the member: some 5 kB where all images share one snapshot."""
    groups, rows = capture_groups(captures), np.zeros(len(captures), np.int64)
    for number, group in enumerate(groups):
        rows[group] = number
    snapshots = tuple(_snapshot(viewpoint, captures[group[0]]) for group in groups)
    return to_bytes(SnapshotStore(options.style, options.supersampling, snapshots, rows), _KIND, _VERSION)


def snapshots_from_bytes(content: bytes, path: str) -> SnapshotStore:
    """Decode the member written by `snapshots_to_bytes`; `path` is used in error messages.

    Raises:
        SwerveError: the content is damaged, or of another version.
    """
    return from_bytes(content, SnapshotStore, _KIND, _VERSION, path)


def _snapshot(viewpoint: Viewpoint, capture: ImageRequest) -> StoredSnapshot:
    tracks, lights = dynamic_objects_at(viewpoint, capture.time_us)
    return StoredSnapshot(capture.world_from_ego, tracks.select_tracks(np.flatnonzero(tracks.valid[:, 0])), lights)
