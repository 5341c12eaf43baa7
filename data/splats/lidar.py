"""LiDAR points: static and dynamic points of sweeps, and measured depths of photos."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import scipy
from jaxtyping import Float, Float32, Int

from swerve.data.splats.log_images import PosedImage
from swerve.data.splats.moving_tracks import box_size, empty_node, moving_rows
from swerve.rasterizer.splats import RigidNode
from swerve.scenes import Log, Sweep
from swerve.scenes.transforms import inverse, transform_points

# Largest time between a photo and the sweeps used for its depths, microseconds.
_APART = 150_000
# Margin around a box, and height of the ground layer removed from it, metres.
_MARGIN, _FEET = 0.3, 0.1
# A point is occluded if another one within this many focal lengths (half a degree) is nearer by more than the factor:
# LiDAR beams are that far apart, and the LiDAR sees past objects that occlude the camera.
_REACH, HIDDEN = 0.009, 1.5


@dataclass(frozen=True, eq=False)
class Scan:
    """Points of a sweep by object.

    Attributes:
        static_points: static points: world frame, metres.
        track_points: points on moving tracks, by row: frame of the track's box.
    """

    static_points: Float[np.ndarray, "n 3"]
    track_points: Mapping[int, Float[np.ndarray, "_ 3"]]


class VisiblePoints(NamedTuple):
    """Points visible in a photo.

    Attributes:
        points: indices of the points.
        rows: pixel rows.
        columns: pixel columns.
        depths: along the camera's z axis, metres.
    """

    points: Int[np.ndarray, "n"]
    rows: Int[np.ndarray, "n"]
    columns: Int[np.ndarray, "n"]
    depths: Float[np.ndarray, "n"]


def measured_depths(log: Log, photos: Sequence[PosedImage]) -> list[Float32[np.ndarray, "h w"]]:
    """Compute the measured depth along the camera's z axis of each photo, metres; infinity where not measured.

    Uses the last sweep before a photo and the first after it, if they are within 0.15 s. Points on moving tracks are
    moved with their boxes to the time of the photo. A sweep takes up to 0.1 s, and boxes are annotated where their
    object was measured: depths of moving objects are off by their motion in that time. Of several points in a pixel the
    nearest counts. Points occluded from the camera are removed by nearer points around them (`visible_points`).

    Args:
        log: log, with or without sweeps.
        photos: photos of the log.

    Raises:
        LogError: a sweep is damaged.
    """
    nodes = moving_nodes(log)

    # Photos in order of time reuse the same two sweeps.
    @lru_cache(maxsize=3)
    def scan(number: int) -> Scan:
        return split_sweep(log, nodes, log.sweeps[number])

    depths = {}
    for photo in sorted(photos, key=lambda photo: photo.time_us):
        scans = [scan(number) for number in _beside(log.sweeps, photo.time_us)]
        depths[photo.name] = _depth(photo, scans, nodes)
    return [depths[photo.name] for photo in photos]


def moving_nodes(log: Log) -> dict[int, RigidNode]:
    """Return the box poses of all moving tracks, by row of the track."""
    return {row: empty_node(log, row) for row in moving_rows(log.tracks).tolist()}


def split_sweep(log: Log, nodes: Mapping[int, RigidNode], sweep: Sweep) -> Scan:
    """Split a sweep's points; those near a moving box (0.3 m), and on the ground below it (0.1 m), are left out.

    Raises:
        LogError: the sweep is damaged.
    """
    points = transform_points(sweep.world_from_ego, sweep.read().astype(np.float64))
    still, moving = np.ones(len(points), bool), dict[int, np.ndarray]()
    for row, node in nodes.items():
        pose = node.pose_at(sweep.time_us)
        if pose is not None:
            half = box_size(log.tracks, row) / 2
            near = np.flatnonzero((np.abs(points - pose[:3, 3]) <= np.linalg.norm(half + _MARGIN)).all(axis=1))
            places = transform_points(inverse(pose), points[near])
            still[near] &= (np.abs(places) > half + _MARGIN).any(axis=1)
            inside = (np.abs(places) <= half).all(axis=1) & (places[:, 2] > _FEET - half[2])
            moving[row] = places[inside]
    return Scan(points[still], moving)


def visible_points(photo: PosedImage, points: Float[np.ndarray, "n 3"], factor: float = HIDDEN) -> VisiblePoints:
    """Test which world points are visible in a photo, as far as the points themselves tell.

    A point counts as occluded where another one within half a degree is nearer by more than `factor`. So points just
    beside the silhouette of a nearer object are lost, and ground seen at a flatter angle than 1.5 degrees.
    """
    pixels, depths, inside = photo.camera.project_world(points, photo.world_from_ego)
    rows = np.flatnonzero(inside)
    columns, lines = np.floor(pixels[rows]).astype(int).T
    found = VisiblePoints(rows, lines, columns, depths[rows])
    reach = max(round(_REACH * photo.camera.fx), 1)
    nearest = scipy.ndimage.minimum_filter(depth_image(photo, found), 2 * reach + 1, mode="nearest")
    shown = found.depths <= factor * nearest[lines, columns]
    return VisiblePoints(*(values[shown] for values in found))


def depth_image(photo: PosedImage, seen: VisiblePoints) -> Float32[np.ndarray, "h w"]:
    """Return the nearest depth in each pixel; infinity where there is none."""
    image = np.full(photo.rgb.shape[:2], np.inf, np.float32)
    np.minimum.at(image, (seen.rows, seen.columns), seen.depths.astype(np.float32))
    return image


def _beside(sweeps: Sequence[Sweep], time_us: int) -> list[int]:
    """Return the last sweep not after a time and the first after it, if they are near enough."""
    times = np.array([sweep.time_us for sweep in sweeps], np.int64)
    after = int(np.searchsorted(times, time_us, side="right"))
    return [n for n in (after - 1, after) if 0 <= n < len(times) and abs(times[n] - time_us) <= _APART]


def _depth(photo: PosedImage, scans: Sequence[Scan], nodes: Mapping[int, RigidNode]) -> Float32[np.ndarray, "h w"]:
    points = [np.zeros((0, 3))]
    for scan in scans:
        points.append(scan.static_points)
        for row, places in scan.track_points.items():
            pose = nodes[row].pose_at(photo.time_us)
            if pose is not None:
                points.append(transform_points(pose, places))
    return depth_image(photo, visible_points(photo, np.concatenate(points)))
