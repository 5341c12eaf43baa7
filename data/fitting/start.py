"""The scene that a fit starts from: what the fitted photographs show, put where it is known, or thought, to be."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float

from swerve.data.fitting.known import Known, is_known, moving_rows
from swerve.data.fitting.motion import is_textured, pixel_centers
from swerve.data.fitting.pictures import Picture
from swerve.data.fitting.surfels import Surfels, surfels_of
from swerve.rasterizer.splats import Gaussians, RigidNode, Sky, SplatScene
from swerve.rasterizer.splats.harmonics import SIZES, constant_harmonics
from swerve.scenes import Log, SwerveError
from swerve.scenes.primitives import NO_INSTANCE
from swerve.scenes.transforms import inverse, rigid, rotation_about_z

# Spacings of points in a photograph, pixels; the finest one that gives few enough points is taken.
_SPACINGS = (2, 3, 4, 6, 8, 12, 16, 24, 32)
# Depths differ by less than this factor: the same surface.
_SAME = 1.3
# Where depth is unknown: the ground that the car stands on up to so many metres, else so far away.
_GROUND, _FAR = 40.0, 150.0
# Of nodes: metres between points, and how far one may lie outside of its box.
_NODE_SPACING, _BOX_MARGIN, _NODE_LEAST = 0.12, 0.3, 30
_NODE_WIDTH = 0.6
_DEGREE, _SKY_DEGREE, _OPACITY = 2, 2, 0.8


def start_scene(log: Log, known: Sequence[Known], most: int) -> SplatScene:
    """A scene for `fit_scene`: flat Gaussians where the photographs' pixels are, in their colours.

    The last photograph comes first, since it mostly sees from nearest by what is not seen later; of each further one
    only what none before has shown, or shown from much farther off. Pixels whose depth is unknown are put on
    the ground that the car stands on, if they look down on it, and 150 m away if they look up and have texture; what
    has none there is left to the sky. Nodes get what the photographs show on the boxes of moving tracks.

    Args:
        log: for the tracks.
        known: the photographs that are fitted: no others are looked at.
        most: how many Gaussians there may be.

    Raises:
        SwerveError: the photographs show too little.
    """
    origin = np.round(np.stack([view.picture.world_from_ego[:3, 3] for view in known]).mean(axis=0))
    nodes = _nodes(log, known)
    left = most - sum(len(node.gaussians) for node in nodes)
    if left < 1000:
        raise SwerveError(f"log {log.name}: nodes alone take {most - left} Gaussians of {most}. Allow more")
    local_from_world = rigid(np.eye(3), -origin)
    background = _background(known, left).moved(local_from_world).gaussians(_DEGREE, _OPACITY)
    return SplatScene(background, nodes, origin, _sky(known))


def _background(known: Sequence[Known], most: int) -> Surfels:
    """In the world, with the finest spacing of few enough."""
    for spacing in _SPACINGS:
        surfels = _surfels(known, spacing)
        if len(surfels.places) <= most:
            return surfels
    raise SwerveError(f"{len(surfels.places)} Gaussians are the fewest to start from, {most} are allowed. Allow more")


def _surfels(known: Sequence[Known], spacing: int) -> Surfels:
    """One for each square of `spacing` pixels of what no photograph before has shown."""
    surfels = Surfels.none()
    for view in sorted(known, key=lambda view: (-view.picture.time_us, view.picture.name)):
        depth, wanted = _supposed_depth(view)
        rows, columns = np.indices(depth.shape)[:, spacing // 2 :: spacing, spacing // 2 :: spacing].reshape(2, -1)
        wanted = wanted[rows, columns] & ~_shown(surfels.places, view.picture, depth, spacing)[rows, columns]
        surfels = surfels.joined(surfels_of(view.picture, depth, rows[wanted], columns[wanted], spacing))
    return surfels


def _supposed_depth(view: Known) -> tuple[Float[np.ndarray, "h w"], Bool[np.ndarray, "h w"]]:
    """Depth, by guess where it is not known; and the pixels that are worth a Gaussian."""
    picture = view.picture
    sure = is_known(view)
    ground = _ground_depth(picture)
    depth = np.where(sure, view.depth, np.where(ground < _GROUND, ground, _FAR))
    worth = sure | (ground < _GROUND) | is_textured(picture)
    return depth, worth & (view.instance == NO_INSTANCE)


def _ground_depth(picture: Picture) -> Float[np.ndarray, "h w"]:
    """Of the plane that the car stands on; infinity above the horizon."""
    camera = picture.camera
    rays = camera.unproject(pixel_centers(camera).reshape(-1, 2)) @ camera.ego_from_camera[:3, :3].T
    with np.errstate(divide="ignore", invalid="ignore"):
        depth = -camera.ego_from_camera[2, 3] / rays[:, 2]
    return np.where(depth > 0, depth, np.inf).reshape(camera.height, camera.width)


def _shown(
    points: Float[np.ndarray, "n 3"], picture: Picture, depth: Float[np.ndarray, "h w"], spacing: int
) -> Bool[np.ndarray, "h w"]:
    """Pixels in whose square a point lies at about their depth."""
    shown = np.zeros(depth.shape, bool)
    if len(points):
        pixels, distances, inside = picture.camera.project_world(points, picture.world_from_ego)
        columns, rows = np.floor(pixels[inside]).astype(int).T
        ratio = distances[inside] / depth[rows, columns]
        same = (ratio < _SAME) & (ratio > 1 / _SAME)
        # The middle of the square is the pixel that is asked.
        rows = rows[same] // spacing * spacing + spacing // 2
        columns = columns[same] // spacing * spacing + spacing // 2
        within = (rows < depth.shape[0]) & (columns < depth.shape[1])
        shown[rows[within], columns[within]] = True
    return shown


def _sky(known: Sequence[Known]) -> Sky:
    """One colour: the median of what is far up and without texture; light grey if nothing is."""
    seen = [view.picture.rgb[~_supposed_depth(view)[1] & (view.instance == NO_INSTANCE)] for view in known]
    pixels = np.concatenate(seen)
    color = np.median(pixels, axis=0) / 255 if len(pixels) else np.full(3, 0.8)
    harmonics = np.zeros((SIZES[_SKY_DEGREE], 3), np.float32)
    harmonics[0] = constant_harmonics(color)
    return Sky(harmonics)


def _nodes(log: Log, known: Sequence[Known]) -> tuple[RigidNode, ...]:
    """One for each moving track that the photographs show."""
    found = (_node(log, int(row), known) for row in moving_rows(log.tracks))
    return tuple(node for node in found if node is not None)


def _node(log: Log, row: int, known: Sequence[Known]) -> RigidNode | None:
    """What is seen of a track, in its box's frame, thinned to one in each cube; None if it is little."""
    tracks, steps = log.tracks, np.flatnonzero(log.tracks.valid[row])
    turns = rotation_about_z(tracks.headings[row, steps])
    poses, times = rigid(turns, tracks.positions[row, steps]), log.times_us[steps].astype(np.int64)
    node = RigidNode(tracks.ids[row], row + 1, Gaussians.empty(_DEGREE), times, poses)
    surfels = Surfels.none()
    for view in known:
        pose = node.pose_at(view.picture.time_us)
        rows, columns = np.nonzero((view.instance == row + 1) & np.isfinite(view.depth))
        if pose is not None and len(rows):
            depth = np.where(np.isfinite(view.depth), view.depth, _FAR)
            surfels = surfels.joined(surfels_of(view.picture, depth, rows, columns, 1).moved(inverse(pose)))
    inside = np.abs(surfels.places) <= np.median(tracks.sizes[row, steps], axis=0) / 2 + _BOX_MARGIN
    surfels = surfels.of(inside.all(axis=1))
    _, first = np.unique(np.floor(surfels.places / _NODE_SPACING).astype(int), axis=0, return_index=True)
    if len(first) < _NODE_LEAST:
        return None
    return replace(node, gaussians=_widened(surfels.of(first)).gaussians(_DEGREE, _OPACITY))


def _widened(surfels: Surfels) -> Surfels:
    """Wide enough to close the gaps that thinning left."""
    return surfels._replace(covariances=surfels.covariances + (_NODE_WIDTH * _NODE_SPACING) ** 2 * np.eye(3))
