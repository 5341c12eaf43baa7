"""The scene that a fit starts from: what the fitted photographs show, put where it is known, or thought, to be."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float, Int

from swerve.data.splats.depth_from_motion import is_textured, pixel_centers
from swerve.data.splats.image_priors import ImagePriors, is_known
from swerve.data.splats.lidar import Scan
from swerve.data.splats.lidar_surfels import covered, gathered, moving_cloud, one_per_cube, still_cloud
from swerve.data.splats.log_images import PosedImage
from swerve.data.splats.moving_tracks import box_size, empty_node, moving_rows
from swerve.data.splats.surfels import Surfels, spans_of, surfels_of
from swerve.rasterizer.splats import RigidNode, Sky, SplatScene
from swerve.rasterizer.splats.harmonics import SIZES, constant_harmonics
from swerve.scenes import Log, SwerveError
from swerve.scenes.primitives import NO_INSTANCE
from swerve.scenes.transforms import inverse, rigid

# Spacings of points in a photograph, pixels; the finest one that gives few enough points is taken.
_SPACINGS = (2, 3, 4, 6, 8, 12, 16, 24, 32)
# Depths differ by less than this factor: the same surface.
_SAME = 1.3
# Where depth is unknown: the ground that the car stands on up to so many metres, else so far away.
_GROUND, _FAR = 40.0, 150.0
# Of nodes: metres between points, and how far one may lie outside of its box.
_NODE_SPACING, _BOX_MARGIN, _NODE_LEAST = 0.12, 0.3, 30
_NODE_WIDTH = 0.6
# Of the background's Gaussians, those that a LiDAR may give.
_MEASURED = 0.75
_DEGREE, _SKY_DEGREE, _OPACITY = 2, 2, 0.8
# By name of the photograph: pixels that no point of a LiDAR tells of.
_Open = Mapping[str, Bool[np.ndarray, "_ _"]]


def start_scene(log: Log, known: Sequence[ImagePriors], most: int) -> SplatScene:
    """A scene for `fit_scene`: flat Gaussians where a LiDAR measured something, and where the photographs' pixels are.

    Points of the LiDAR that a photograph shows come first, thinned out to three quarters of the Gaussians at most. Then
    pixels that are not near such points: the last photograph's before all others', since it mostly sees from nearest by
    what is not seen later; of each further one only what none before has shown, or shown from much farther off. Pixels
    whose depth is unknown are put on the ground that the car stands on, if they look down on it, and 150 m away if they
    look up and have texture; what has none there is left to the sky. Nodes get the points in the boxes of moving
    tracks; without a LiDAR, or where it gives few, what the photographs show on the boxes.

    Args:
        log: for the tracks and sweeps.
        known: the photographs that are fitted: no others are looked at.
        most: how many Gaussians there may be.

    Raises:
        SwerveError: the photographs show too little, or a sweep is damaged.
    """
    origin = np.round(np.stack([view.picture.world_from_ego[:3, 3] for view in known]).mean(axis=0))
    scan = gathered(log, most, _NODE_SPACING)
    nodes = _nodes(log, known, scan)
    left = most - sum(len(node.gaussians) for node in nodes)
    if left < 1000:
        raise SwerveError(f"log {log.name}: nodes alone take {most - left} Gaussians of {most}. Allow more")
    local_from_world = rigid(np.eye(3), -origin)
    cloud = still_cloud(scan, known, round(_MEASURED * left))
    open_to = {view.picture.name: ~covered(view.picture, cloud.places) for view in known}
    background = _background(known, open_to, cloud, left).moved(local_from_world).gaussians(_DEGREE, _OPACITY)
    return SplatScene(background, nodes, origin, _sky(known, open_to))


def _background(known: Sequence[ImagePriors], open_to: _Open, cloud: Surfels, most: int) -> Surfels:
    """The cloud and, with the finest spacing of few enough, what it does not cover; in the world."""
    for spacing in _SPACINGS:
        surfels = _surfels(known, open_to, spacing, most - len(cloud.places))
        if surfels is not None:
            return cloud.joined(surfels)
    raise SwerveError(f"{most} Gaussians are too few to start from, even one in {spacing}x{spacing} pixels. Allow more")


def _surfels(known: Sequence[ImagePriors], open_to: _Open, spacing: int, most: int) -> Surfels | None:
    """One for each square of `spacing` pixels, or part of it, that is open and that no photograph before has shown.

    None if those are more than `most`.
    """
    surfels = Surfels.none()
    for view in sorted(known, key=lambda view: (-view.picture.time_us, view.picture.name)):
        depth, wanted = _supposed_depth(view)
        spans = spans_of(view.picture, depth, spacing)
        rows, columns = np.indices(depth.shape)
        wanted &= (
            open_to[view.picture.name] & (_middle(rows, spans[0]) == rows) & (_middle(columns, spans[1]) == columns)
        )
        wanted &= ~_shown(surfels.places, view.picture, depth, spans)
        rows, columns = np.nonzero(wanted)
        own = spans[0][rows, columns], spans[1][rows, columns]
        surfels = surfels.joined(surfels_of(view.picture, depth, rows, columns, own))
        if len(surfels.places) > most:
            return None
    return surfels


def _middle(places: Int[np.ndarray, "*n"], spans: Int[np.ndarray, "*n"]) -> Int[np.ndarray, "*n"]:
    """Row, or column, of the pixel that stands for all in its rectangle."""
    return places // spans * spans + spans // 2


def _supposed_depth(view: ImagePriors) -> tuple[Float[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """Depth, by guess where it is not known; and the pixels that are worth a Gaussian."""
    picture = view.picture
    sure = is_known(view)
    ground = _ground_depth(picture)
    depth = np.where(sure, view.depth, np.where(ground < _GROUND, ground, _FAR))
    worth = sure | (ground < _GROUND) | is_textured(picture)
    return depth, worth & (view.instance == NO_INSTANCE)


def _ground_depth(picture: PosedImage) -> Float[np.ndarray, "h w"]:
    """Of the plane that the car stands on; infinity above the horizon."""
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
    """Pixels in whose rectangle a point lies at about their depth; of each rectangle, the one in its middle."""
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
    """One colour: the median of what is far up and without texture; light grey if nothing is."""
    seen = list[np.ndarray]()
    for view in known:
        empty = ~_supposed_depth(view)[1] & open_to[view.picture.name]
        seen.append(view.picture.rgb[empty & (view.instance == NO_INSTANCE)])
    pixels = np.concatenate(seen)
    color = np.median(pixels, axis=0) / 255 if len(pixels) else np.full(3, 0.8)
    harmonics = np.zeros((SIZES[_SKY_DEGREE], 3), np.float32)
    harmonics[0] = constant_harmonics(color)
    return Sky(harmonics)


def _nodes(log: Log, known: Sequence[ImagePriors], scan: Scan) -> tuple[RigidNode, ...]:
    """One for each moving track that the photographs show."""
    found = (_node(log, row, known, scan) for row in moving_rows(log.tracks).tolist())
    return tuple(node for node in found if node is not None)


def _node(log: Log, row: int, known: Sequence[ImagePriors], scan: Scan) -> RigidNode | None:
    """What was measured of a track; if that is little, what is seen of it; None if that is little, too."""
    node = empty_node(log, row, _DEGREE)
    surfels = moving_cloud(scan, known, node)
    if len(surfels.places) < _NODE_LEAST:
        surfels = _seen(node, known, box_size(log.tracks, row))
    return replace(node, gaussians=surfels.gaussians(_DEGREE, _OPACITY)) if len(surfels.places) >= _NODE_LEAST else None


def _seen(node: RigidNode, known: Sequence[ImagePriors], size: Float[np.ndarray, "3"]) -> Surfels:
    """What photographs show of a track, in its box's frame, thinned to one in each cube."""
    surfels = Surfels.none()
    for view in known:
        pose = node.pose_at(view.picture.time_us)
        rows, columns = np.nonzero((view.instance == node.instance) & np.isfinite(view.depth))
        if pose is not None and len(rows):
            depth, one = np.where(np.isfinite(view.depth), view.depth, _FAR), np.ones(len(rows), int)
            surfels = surfels.joined(surfels_of(view.picture, depth, rows, columns, (one, one)).moved(inverse(pose)))
    surfels = surfels.of((np.abs(surfels.places) <= size / 2 + _BOX_MARGIN).all(axis=1))
    return _widened(surfels.of(one_per_cube(surfels.places, _NODE_SPACING)))


def _widened(surfels: Surfels) -> Surfels:
    """Wide enough to close the gaps that thinning left."""
    return surfels._replace(covariances=surfels.covariances + (_NODE_WIDTH * _NODE_SPACING) ** 2 * np.eye(3))
