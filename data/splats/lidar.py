"""What a LiDAR measured: points of what stands still and of what moves, and how far the pixels of photographs are."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float32, Int
from scipy.ndimage import minimum_filter

from swerve.data.splats.log_images import PosedImage
from swerve.data.splats.moving_tracks import box_size, empty_node, moving_rows
from swerve.rasterizer.splats import RigidNode
from swerve.scenes import Log, Sweep
from swerve.scenes.transforms import inverse, transform_points

# Microseconds between a photograph and sweeps that tell its depths.
_APART = 150_000
# Metres: around a box its thing may still be; its lowest part is the ground below it.
_MARGIN, _FEET = 0.3, 0.1
# A point is hidden if another one within so many focal lengths of it (half a degree) is nearer by more than the factor:
# beams of a LiDAR lie so far apart, and the LiDAR sees behind what hides things from a camera.
_REACH, HIDDEN = 0.009, 1.5


@dataclass(frozen=True, eq=False)
class Scan:
    """Points by what they are on.

    Attributes:
        still: on what stands still: in the world, metres.
        moving: on tracks that move, by row: in the frame of the track's box.
    """

    still: Float[np.ndarray, "n 3"]
    moving: Mapping[int, Float[np.ndarray, "_ 3"]]


class VisiblePoints(NamedTuple):
    """Points that a photograph shows.

    Attributes:
        points: their rows.
        rows: of the pixels that they lie in.
        columns: likewise.
        depths: along the camera's z axis, metres.
    """

    points: Int[np.ndarray, "n"]
    rows: Int[np.ndarray, "n"]
    columns: Int[np.ndarray, "n"]
    depths: Float[np.ndarray, "n"]


def measured_depths(log: Log, pictures: Sequence[PosedImage]) -> list[Float32[np.ndarray, "h w"]]:
    """Depth along the camera's z axis of each photograph, metres; infinity where nothing was measured.

    It is that of the last sweep before a photograph and of the first after it, if they are within 0.15 s. Points on
    moving tracks go with their boxes to the time of the photograph. A sweep takes its time: as a box is where its thing
    was measured, which is up to a turn (0.1 s) off the sweep's own time, so are depths of what moves, by what it moves
    in that time. Of the points in a pixel the nearest counts. What the camera cannot see from where it is, is told by
    nearer points around it (`seen_points`).

    Args:
        log: with sweeps, or without.
        pictures: of the log.

    Raises:
        LogError: a sweep is damaged.
    """
    nodes = moving_nodes(log)

    # Photographs in the order of time ask for the same two sweeps again and again.
    @lru_cache(maxsize=3)
    def scan(number: int) -> Scan:
        return scan_of(log, nodes, log.sweeps[number])

    depths = {}
    for picture in sorted(pictures, key=lambda picture: picture.time_us):
        scans = [scan(number) for number in _beside(log.sweeps, picture.time_us)]
        depths[picture.name] = _depth(picture, scans, nodes)
    return [depths[picture.name] for picture in pictures]


def moving_nodes(log: Log) -> dict[int, RigidNode]:
    """The ways of all boxes that move, by row of the track."""
    return {row: empty_node(log, row) for row in moving_rows(log.tracks).tolist()}


def scan_of(log: Log, nodes: Mapping[int, RigidNode], sweep: Sweep) -> Scan:
    """A sweep's points; those beside a moving box (0.3 m), and on the ground below it (0.1 m), are left out.

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


def seen_points(picture: PosedImage, points: Float[np.ndarray, "n 3"], factor: float = HIDDEN) -> VisiblePoints:
    """Which world points a photograph shows, as far as the points themselves tell.

    A point is taken to be hidden where another one within half a degree is nearer by more than `factor`. So what lies
    beside the rim of something nearer is lost, and ground that is seen at a flatter angle than 1.5 degrees.
    """
    pixels, depths, inside = picture.camera.project_world(points, picture.world_from_ego)
    rows = np.flatnonzero(inside)
    columns, lines = np.floor(pixels[rows]).astype(int).T
    found = VisiblePoints(rows, lines, columns, depths[rows])
    reach = max(round(_REACH * picture.camera.fx), 1)
    nearest = minimum_filter(depth_image(picture, found), 2 * reach + 1, mode="nearest")
    shown = found.depths <= factor * nearest[lines, columns]
    return VisiblePoints(*(values[shown] for values in found))


def depth_image(picture: PosedImage, seen: VisiblePoints) -> Float32[np.ndarray, "h w"]:
    """The nearest depth in each pixel; infinity where there is none."""
    image = np.full(picture.rgb.shape[:2], np.inf, np.float32)
    np.minimum.at(image, (seen.rows, seen.columns), seen.depths.astype(np.float32))
    return image


def _beside(sweeps: Sequence[Sweep], time_us: int) -> list[int]:
    """The last sweep that is not after a time and the first after it, as far as they are near enough."""
    times = np.array([sweep.time_us for sweep in sweeps], np.int64)
    after = int(np.searchsorted(times, time_us, side="right"))
    return [n for n in (after - 1, after) if 0 <= n < len(times) and abs(times[n] - time_us) <= _APART]


def _depth(picture: PosedImage, scans: Sequence[Scan], nodes: Mapping[int, RigidNode]) -> Float32[np.ndarray, "h w"]:
    points = [np.zeros((0, 3))]
    for scan in scans:
        points.append(scan.still)
        for row, places in scan.moving.items():
            pose = nodes[row].pose_at(picture.time_us)
            if pose is not None:
                points.append(transform_points(pose, places))
    return depth_image(picture, seen_points(picture, np.concatenate(points)))
