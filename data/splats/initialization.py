"""Initial scene of a fit: Gaussians at the known or assumed depths of the training photos' pixels."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int

from swerve.data.splats.depth_from_motion import is_textured, pixel_centers
from swerve.data.splats.image_priors import ImagePriors, is_known
from swerve.data.splats.lidar import Scan
from swerve.data.splats.lidar_surfels import (
    covered_pixels,
    gather_points,
    static_surfels,
    track_surfels,
    voxel_downsample,
)
from swerve.data.splats.log_images import PosedImage
from swerve.data.splats.moving_tracks import box_size, empty_node, moving_rows
from swerve.data.splats.surfels import Surfels, spans_of, surfels_of
from swerve.rasterizer.splats import RigidNode, Sky, SplatScene
from swerve.rasterizer.splats.harmonics import SIZES, rgb_to_sh
from swerve.scenes import Log, SwerveError
from swerve.scenes.primitives import NO_INSTANCE
from swerve.scenes.transforms import inverse, rigid_transform

# Candidate spacings of points in a photo, pixels; the finest with few enough points is used.
_SPACINGS = (2, 3, 4, 6, 8, 12, 16, 24, 32)
# Largest ratio of depths on the same surface.
_SAME = 1.3
# For unknown depth: range of the ground plane, metres, and the default depth.
_GROUND, _FAR = 40.0, 150.0
# Nodes: metres between points, largest distance of a point outside its box, least number of points.
_NODE_SPACING, _BOX_MARGIN, _NODE_LEAST = 0.12, 0.3, 30
_NODE_WIDTH = 0.6
# Largest share of the background's Gaussians from LiDAR.
_MEASURED = 0.75
_DEGREE, _SKY_DEGREE, _OPACITY = 2, 2, 0.8
# By name of the photo: pixels not covered by LiDAR points.
_Open = Mapping[str, Bool[np.ndarray, "_ _"]]


def initial_scene(log: Log, known: Sequence[ImagePriors], most: int) -> SplatScene:
    """Build the initial scene for `fit_scene`: flat Gaussians at LiDAR points and at the photos' pixels.

    LiDAR points visible in a photo come first, thinned to three quarters of the Gaussians at most. Then pixels away
    from such points: the last photo's before all others', since it mostly shows from nearest what is not visible later;
    of each further photo only pixels that no earlier one covers, or covers from much farther. Pixels of unknown depth
    are placed on the ground plane if they look down on it, and 150 m away if they look up and have texture; untextured
    ones there are left to the sky. Nodes get the points in the boxes of moving tracks; without LiDAR, or with few
    points, the photos' pixels on the boxes.

    Args:
        log: log with tracks and sweeps.
        known: training photos with priors.
        most: maximum number of Gaussians.

    Raises:
        SwerveError: too few points are available, or a sweep is damaged.
    """
    origin = np.round(np.stack([view.image.world_from_ego[:3, 3] for view in known]).mean(axis=0))
    scan = gather_points(log, most, _NODE_SPACING)
    nodes = _nodes(log, known, scan)
    left = most - sum(len(node.gaussians) for node in nodes)
    if left < 1000:
        raise SwerveError(f"log {log.name}: nodes alone take {most - left} Gaussians of {most}. Allow more")
    local_from_world = rigid_transform(np.eye(3), -origin)
    cloud = static_surfels(scan, known, round(_MEASURED * left))
    open_to = {view.image.name: ~covered_pixels(view.image, cloud.centers) for view in known}
    background = _background(known, open_to, cloud, left).moved(local_from_world).gaussians(_DEGREE, _OPACITY)
    return SplatScene(background, nodes, origin, _sky(known, open_to))


def _background(known: Sequence[ImagePriors], open_to: _Open, cloud: Surfels, most: int) -> Surfels:
    """Return the LiDAR cloud and, with the finest feasible spacing, the pixels it does not cover; world frame."""
    for spacing in _SPACINGS:
        surfels = _surfels(known, open_to, spacing, most - len(cloud.centers))
        if surfels is not None:
            return cloud.concatenate(surfels)
    raise SwerveError(f"{most} Gaussians are too few to start from, even one in {spacing}x{spacing} pixels. Allow more")


def _surfels(known: Sequence[ImagePriors], open_to: _Open, spacing: int, most: int) -> Surfels | None:
    """Build one surfel per open square of `spacing` pixels (or part of it) that no earlier photo covers.

    None if there are more than `most`.
    """
    surfels = Surfels.empty()
    for view in sorted(known, key=lambda view: (-view.image.time_us, view.image.name)):
        depth, wanted = _supposed_depth(view)
        spans = spans_of(view.image, depth, spacing)
        rows, columns = np.indices(depth.shape)
        wanted &= open_to[view.image.name] & (_middle(rows, spans[0]) == rows) & (_middle(columns, spans[1]) == columns)
        wanted &= ~_shown(surfels.centers, view.image, depth, spans)
        rows, columns = np.nonzero(wanted)
        own = spans[0][rows, columns], spans[1][rows, columns]
        surfels = surfels.concatenate(surfels_of(view.image, depth, rows, columns, own))
        if len(surfels.centers) > most:
            return None
    return surfels


def _middle(places: Int[np.ndarray, "*n"], spans: Int[np.ndarray, "*n"]) -> Int[np.ndarray, "*n"]:
    """Return the row or column of the pixel that represents its rectangle."""
    middle: Int[np.ndarray, "*n"] = places // spans * spans + spans // 2
    return middle


def _supposed_depth(view: ImagePriors) -> tuple[Float[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """Return depth, assumed where unknown; and the mask of pixels worth a Gaussian."""
    picture = view.image
    sure = is_known(view)
    ground = _ground_depth(picture)
    depth = np.where(sure, view.depth, np.where(ground < _GROUND, ground, _FAR))
    worth = sure | (ground < _GROUND) | is_textured(picture)
    return depth, worth & (view.instance == NO_INSTANCE)


def _ground_depth(picture: PosedImage) -> Float[np.ndarray, "h w"]:
    """Compute the depth of the ground plane; infinity above the horizon."""
    camera = picture.camera
    rays = camera.unproject(pixel_centers(camera).reshape(-1, 2)) @ camera.ego_from_camera[:3, :3].T
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = -camera.ego_from_camera[2, 3] / rays[:, 2]
    return np.where(depth > 0, depth, np.inf).reshape(camera.height, camera.width)


def _shown(
    points: Float[np.ndarray, "n 3"],
    picture: PosedImage,
    depth: Float[np.ndarray, "h w"],
    spans: tuple[Int[np.ndarray, "h w"], Int[np.ndarray, "h w"]],
) -> Bool[np.ndarray, "h w"]:
    """Test which rectangles contain a point at about their depth, at the pixel in their centre."""
    shown = np.zeros(depth.shape, bool)
    if len(points):
        pixels, distances, inside = picture.camera.project_world(points, picture.world_from_ego)
        columns, rows = np.floor(pixels[inside]).astype(int).T
        ratio = distances[inside] / depth[rows, columns]
        same = (ratio < _SAME) & (ratio > 1 / _SAME)
        rows, columns = rows[same], columns[same]
        rows, columns = _middle(rows, spans[0][rows, columns]), _middle(columns, spans[1][rows, columns])
        within = (rows < depth.shape[0]) & (columns < depth.shape[1])
        shown[rows[within], columns[within]] = True
    return shown


def _sky(known: Sequence[ImagePriors], open_to: _Open) -> Sky:
    """Return a constant sky: the median colour of distant untextured pixels; light grey without any."""
    seen = list[np.ndarray]()
    for view in known:
        empty = ~_supposed_depth(view)[1] & open_to[view.image.name]
        seen.append(view.image.rgb[empty & (view.instance == NO_INSTANCE)])
    pixels = np.concatenate(seen)
    color = np.median(pixels, axis=0) / 255 if len(pixels) else np.full(3, 0.8)
    harmonics = np.zeros((SIZES[_SKY_DEGREE], 3), np.float32)
    harmonics[0] = rgb_to_sh(color)
    return Sky(harmonics)


def _nodes(log: Log, known: Sequence[ImagePriors], scan: Scan) -> tuple[RigidNode, ...]:
    """Build a node for each moving track visible in the photos."""
    found = (_node(log, row, known, scan) for row in moving_rows(log.tracks).tolist())
    return tuple(node for node in found if node is not None)


def _node(log: Log, row: int, known: Sequence[ImagePriors], scan: Scan) -> RigidNode | None:
    """Build a track's node from LiDAR points, or from photos if there are few; None if both are few."""
    node = empty_node(log, row, _DEGREE)
    surfels = track_surfels(scan, known, node)
    if len(surfels.centers) < _NODE_LEAST:
        surfels = _seen(node, known, box_size(log.tracks, row))
    return (
        replace(node, gaussians=surfels.gaussians(_DEGREE, _OPACITY)) if len(surfels.centers) >= _NODE_LEAST else None
    )


def _seen(node: RigidNode, known: Sequence[ImagePriors], size: Float[np.ndarray, "3"]) -> Surfels:
    """Build surfels from the photos' pixels of a track, in its box's frame, thinned to one per cube."""
    surfels = Surfels.empty()
    for view in known:
        pose = node.pose_at(view.image.time_us)
        rows, columns = np.nonzero((view.instance == node.instance) & np.isfinite(view.depth))
        if pose is not None and len(rows):
            depth, one = np.where(np.isfinite(view.depth), view.depth, _FAR), np.ones(len(rows), int)
            surfels = surfels.concatenate(surfels_of(view.image, depth, rows, columns, (one, one)).moved(inverse(pose)))
    surfels = surfels.of((np.abs(surfels.centers) <= size / 2 + _BOX_MARGIN).all(axis=1))
    return _widened(surfels.of(voxel_downsample(surfels.centers, _NODE_SPACING)))


def _widened(surfels: Surfels) -> Surfels:
    """Widen surfels to close the gaps left by thinning."""
    return surfels._replace(covariances=surfels.covariances + (_NODE_WIDTH * _NODE_SPACING) ** 2 * np.eye(3))
