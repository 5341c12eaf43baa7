"""Flat Gaussians at LiDAR points, coloured by the photos that show them."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import scipy
from jaxtyping import Bool, Float, Int

from swerve.data.splats.image_priors import ImagePriors
from swerve.data.splats.lidar import HIDDEN, Scan, depth_image, moving_nodes, split_sweep, visible_points
from swerve.data.splats.log_images import PosedImage
from swerve.data.splats.surfels import Surfels
from swerve.rasterizer.splats import RigidNode
from swerve.scenes import Log
from swerve.scenes.primitives import NO_INSTANCE
from swerve.scenes.transforms import transform_points

# Edge of the cubes that keep one point each, metres, and growth factor until the points are few enough.
_FINEST, _COARSER = 0.05, 1.25
# Ratio of gathered to requested points: many points are not visible in any photo.
_SPARE = 3
# Occlusion factor on moving objects, whose far side is occluded by the near one.
_THIN = 1.1
# Number of neighbours for the surface normal; their largest distance, metres.
_AROUND, _WIDEST = 8, 1.0
# Variance of a Gaussian relative to the mean squared distance of its neighbours (on a grid of spacing s, 0.75 s^2 along
# either axis); and its least thickness relative to the mean distance.
_SHARE, _THICKNESS = 0.5, 0.1
# Radius around a point, in focal lengths (1.5 degrees), in which a photo's pixels count as covered by it.
_COVERS = 0.026
# Range of cube indices per axis, so that three fit into 64 bits.
_AXIS = 2**21


def gather_points(log: Log, most: int, spacing: float) -> Scan:
    """Gather the points of all sweeps, thinned: at most three times `most` static ones, with twice as many in memory.

    Args:
        log: log, with or without sweeps.
        most: requested number of points.
        spacing: edge of the cubes that keep one point of a moving track each, metres.

    Raises:
        LogError: a sweep is damaged.
    """
    nodes = moving_nodes(log)
    moving = {row: np.zeros((0, 3)) for row in nodes}

    def still() -> Iterable[np.ndarray]:
        for sweep in log.sweeps:
            scan = split_sweep(log, nodes, sweep)
            for row, points in scan.track_points.items():
                joined = np.concatenate([moving[row], points])
                moving[row] = joined[voxel_downsample(joined, spacing)]
            yield scan.static_points

    return Scan(_thinned(still(), _SPARE * most), moving)


def static_surfels(scan: Scan, known: Sequence[ImagePriors], most: int) -> Surfels:
    """Build at most `most` surfels of static points, world frame; points not visible in any photo are left out."""
    colors = _colors(scan.static_points, known, NO_INSTANCE, lambda _: np.eye(4), HIDDEN)
    return _surfels(scan.static_points, colors, most)


def track_surfels(scan: Scan, known: Sequence[ImagePriors], node: RigidNode) -> Surfels:
    """Build the surfels of a moving track, in its box's frame; points not visible in any photo are left out."""
    points = scan.track_points.get(node.instance - 1, np.zeros((0, 3)))
    colors = _colors(points, known, node.instance, lambda view: node.pose_at(view.image.time_us), _THIN)
    return _surfels(points, colors, len(points))


def covered_pixels(picture: PosedImage, points: Float[np.ndarray, "n 3"]) -> Bool[np.ndarray, "h w"]:
    """Test which pixels show, or are near (1.5 degrees), one of the world points."""
    image = depth_image(picture, visible_points(picture, points))
    if not np.isfinite(image).any():
        return np.zeros(image.shape, bool)
    near: Bool[np.ndarray, "h w"] = scipy.ndimage.distance_transform_edt(np.isinf(image)) <= _COVERS * picture.camera.fx
    return near


def voxel_downsample(points: Float[np.ndarray, "n 3"], spacing: float) -> Int[np.ndarray, "m"]:
    """Return the rows of the first point in each cube with the given edge."""
    if not len(points):
        return np.zeros(0, int)
    cubes = np.floor(points / spacing).astype(np.int64)
    x, y, z = (cubes - cubes.min(axis=0)).T
    return np.sort(np.unique((x * _AXIS + y) * _AXIS + z, return_index=True)[1])


def _thinned(clouds: Iterable[Float[np.ndarray, "_ 3"]], most: int) -> Float[np.ndarray, "n 3"]:
    """Merge and thin clouds with the finest cubes that leave few enough points.

    Holds at most twice that many points and one cloud.
    """
    cloud: Float[np.ndarray, "_ 3"] = np.zeros((0, 3))
    spacing = _FINEST
    for points in clouds:
        cloud = np.concatenate([cloud, points])
        while len(cloud) > 2 * most:
            cloud = cloud[voxel_downsample(cloud, spacing)]
            spacing *= _COARSER if len(cloud) > most else 1.0
    cloud = cloud[voxel_downsample(cloud, spacing)]
    while len(cloud) > most:
        spacing *= _COARSER
        cloud = cloud[voxel_downsample(cloud, spacing)]
    return cloud


def _colors(
    points: Float[np.ndarray, "n 3"],
    known: Sequence[ImagePriors],
    instance: int,
    world_from_points: Callable[[ImagePriors], np.ndarray | None],
    factor: float,
) -> Float[np.ndarray, "n 3"]:
    """Sample the colour in the nearest photo that shows a point on the instance; NaN if there is none."""
    colors, nearest = np.full((len(points), 3), np.nan), np.full(len(points), np.inf)
    for view in known:
        pose = world_from_points(view)
        if pose is not None and len(points):
            seen = visible_points(view.image, transform_points(pose, points), factor)
            own = view.instance[seen.rows, seen.columns] == instance
            chosen = own & (seen.depths < nearest[seen.points])
            nearest[seen.points[chosen]] = seen.depths[chosen]
            colors[seen.points[chosen]] = view.image.rgb[seen.rows[chosen], seen.columns[chosen]] / 255
    return colors


def _surfels(points: Float[np.ndarray, "n 3"], colors: Float[np.ndarray, "n 3"], most: int) -> Surfels:
    """Build at most `most` surfels of the coloured points, along the surface given by their neighbours."""
    found = np.isfinite(colors[:, 0])
    points, colors, spacing = points[found], colors[found], _FINEST
    while len(points) > most:
        rows = voxel_downsample(points, spacing)
        points, colors, spacing = points[rows], colors[rows], spacing * _COARSER
    if len(points) <= _AROUND:
        return Surfels.empty()
    distances, rows = scipy.spatial.cKDTree(points).query(points, _AROUND + 1)
    short = _WIDEST / np.maximum(distances[:, 1:], _WIDEST)
    steps = (points[rows[:, 1:]] - points[:, None]) * short[..., None]
    flat = _SHARE * np.einsum("nki,nkj->nij", steps, steps) / _AROUND
    thickness = _THICKNESS * np.minimum(distances[:, 1:], _WIDEST).mean(axis=1)
    return Surfels(points, colors, flat + (thickness**2)[:, None, None] * np.eye(3))
