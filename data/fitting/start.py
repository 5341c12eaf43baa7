"""The scene that a fit starts from: what the fitted photographs show, put where it is known, or thought, to be."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float
from scipy.ndimage import uniform_filter

from swerve.data.fitting.known import Known, is_known, moving_rows
from swerve.data.fitting.motion import is_textured, pixel_centers
from swerve.data.fitting.pictures import Picture
from swerve.rasterizer.splats import Gaussians, RigidNode, Sky, SplatScene
from swerve.rasterizer.splats.harmonics import SIZES, constant_harmonics
from swerve.rasterizer.splats.start import gaussians_at_points
from swerve.scenes import Log, SwerveError
from swerve.scenes.primitives import NO_INSTANCE
from swerve.scenes.transforms import inverse, rigid, rotation_about_z, transform_points

# Spacings of points in a photograph, pixels; the finest one that gives few enough points is taken.
_SPACINGS = (2, 3, 4, 6, 8, 12, 16, 24, 32)
# Depths differ by less than this factor: the same surface.
_SAME = 1.3
# Where depth is unknown: the ground that the car stands on up to so many metres, else so far away.
_GROUND, _FAR = 40.0, 150.0
# Of nodes: metres between points, and how far one may lie outside of its box.
_NODE_SPACING, _BOX_MARGIN, _NODE_LEAST = 0.12, 0.3, 30
# Standard deviation of a Gaussian over the spacing.
_WIDTH = 0.6
_DEGREE, _SKY_DEGREE, _OPACITY = 2, 2, 0.5


class _Points(NamedTuple):
    """Coloured points.

    Attributes:
        places: metres.
        colors: 0 to 1.
        sizes: standard deviations of what is put there, metres.
    """

    places: Float[np.ndarray, "n 3"]
    colors: Float[np.ndarray, "n 3"]
    sizes: Float[np.ndarray, "n"]

    @classmethod
    def none(cls) -> "_Points":
        return cls(np.zeros((0, 3)), np.zeros((0, 3)), np.zeros(0))

    def joined(self, other: "_Points") -> "_Points":
        return _Points(*(np.concatenate(pair) for pair in zip(self, other, strict=True)))

    def of(self, rows: np.ndarray) -> "_Points":
        return _Points(*(array[rows] for array in self))


def start_scene(log: Log, known: Sequence[Known], most: int) -> SplatScene:
    """A scene for `fit_scene`: balls where the photographs' pixels are, in their colours.

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
    points = _background(known, left)
    background = _balls(points._replace(places=points.places - origin))
    return SplatScene(background, nodes, origin, _sky(known))


def _balls(points: _Points) -> Gaussians:
    """No larger than the pixels that they come from, since depths scatter by more than these lie apart."""
    balls = gaussians_at_points(points.places, points.colors, _DEGREE, _OPACITY)
    return replace(balls, log_scales=np.minimum(balls.log_scales, np.log(points.sizes)[:, None]).astype(np.float32))


def _background(known: Sequence[Known], most: int) -> _Points:
    """In the world, with the finest spacing of few enough points."""
    for spacing in _SPACINGS:
        points = _points(known, spacing)
        if len(points.sizes) <= most:
            return points
    raise SwerveError(f"{len(points.sizes)} Gaussians are the fewest to start from, {most} are allowed. Allow more")


def _points(known: Sequence[Known], spacing: int) -> _Points:
    """One for each square of `spacing` pixels of what no photograph before has shown."""
    points = _Points.none()
    for view in sorted(known, key=lambda view: (-view.picture.time_us, view.picture.name)):
        depth, wanted = _supposed_depth(view)
        rows, columns = np.indices(depth.shape)[:, spacing // 2 :: spacing, spacing // 2 :: spacing].reshape(2, -1)
        wanted = wanted[rows, columns] & ~_shown(points.places, view.picture, depth, spacing)[rows, columns]
        rows, columns = rows[wanted], columns[wanted]
        points = points.joined(_seen(view.picture, rows, columns, depth[rows, columns], spacing))
    return points


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


def _seen(picture: Picture, rows: np.ndarray, columns: np.ndarray, depth: np.ndarray, spacing: int) -> _Points:
    """What squares of pixels show, in the world."""
    rays = picture.camera.unproject(np.stack([columns, rows], axis=1) + 0.5)
    places = transform_points(picture.world_from_camera, rays * depth[:, None])
    colors = uniform_filter(picture.rgb.astype(np.float64), (spacing, spacing, 0))[rows, columns] / 255
    return _Points(places, colors, depth * spacing * _WIDTH / picture.camera.fx)


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
    """A track's points in its box, thinned to one in each cube; None if they are few."""
    tracks, steps = log.tracks, np.flatnonzero(log.tracks.valid[row])
    turns = rotation_about_z(tracks.headings[row, steps])
    poses, times = rigid(turns, tracks.positions[row, steps]), log.times_us[steps].astype(np.int64)
    node = RigidNode(tracks.ids[row], row + 1, Gaussians.empty(_DEGREE), times, poses)
    points = _Points.none()
    for view in known:
        pose = node.pose_at(view.picture.time_us)
        rows, columns = np.nonzero((view.instance == row + 1) & np.isfinite(view.depth))
        if pose is not None and len(rows):
            seen = _seen(view.picture, rows, columns, view.depth[rows, columns], 1)
            points = points.joined(seen._replace(places=transform_points(inverse(pose), seen.places)))
    inside = np.abs(points.places) <= np.median(tracks.sizes[row, steps], axis=0) / 2 + _BOX_MARGIN
    points = points.of(inside.all(axis=1))
    _, first = np.unique(np.floor(points.places / _NODE_SPACING).astype(int), axis=0, return_index=True)
    if len(first) < _NODE_LEAST:
        return None
    chosen = points.of(first)
    return replace(node, gaussians=_balls(chosen._replace(sizes=np.maximum(chosen.sizes, _NODE_SPACING * _WIDTH))))
