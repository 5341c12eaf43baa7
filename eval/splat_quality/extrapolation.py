"""Distance of a view from the photos that a splat scene was fitted to, and the share of it that they show.

Both are known before anything is rendered and need no true image, so they hold wherever a view is. They say whether
the fit had evidence, not whether it used it well: `agreement` measures that.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, pairwise

import numpy as np
from jaxtyping import Bool, Float

from swerve.data.splats.photo_poses import PhotoPose
from swerve.rasterizer import View
from swerve.scenes.transforms import transform_points

# Points farther from the view or from the photo are not counted, metres.
_REACH = 50.0
# About this many pixels of a view are tested: a standard error of 2 % at a share of one half.
_SAMPLES = 600
# Photos of one camera farther apart than this are not joined by a straight line, seconds.
_LONGEST_GAP = 2.0
# Fewer static pixels than this share of the image are not measured.
_LEAST_SHARE = 0.005


@dataclass(frozen=True)
class Extrapolation:
    """Distance of a view from the fitted photos, and its visibility in them.

    Attributes:
        distance: metres from the camera to the nearest path of a fitted camera that looked in the same direction to
            within the allowed turn; infinite if none did.
        seen: share of the raster's static pixels within 50 m that lie in a fitted photo and within 50 m of its camera;
            NaN if there are fewer than half a percent of the image. Occlusion is ignored, so it is an upper bound.
    """

    distance: float
    seen: float


@dataclass(frozen=True, eq=False)
class FittedPhotos:
    """Photos that a scene was fitted to.

    Attributes:
        poses: cameras and poses, in the order of cameras, then of time.
    """

    poses: Sequence[PhotoPose]

    def measure(self, raster: View, max_turn: float) -> Extrapolation:
        """Measure a view.

        Args:
            raster: of the view's camera and pose, with depth and instances.
            max_turn: largest angle between the optical axes of the view and of a photo on a path, radians.
        """
        pose = raster.world_from_ego @ raster.camera.ego_from_camera
        return Extrapolation(self.distance(pose, max_turn), self.seen(raster))

    def distance(self, world_from_camera: Float[np.ndarray, "4 4"], max_turn: float) -> float:
        """Return the distance to the nearest path of a camera that looked the same way, metres; see `Extrapolation`."""
        starts, ends = self._segments
        alike = (self._axes @ world_from_camera[:3, 2] >= np.cos(max_turn))[starts]
        distances = _distances_to_segments(
            world_from_camera[:3, 3], self._centres[starts[alike]], self._centres[ends[alike]]
        )
        return float(distances.min(initial=np.inf))

    def seen(self, raster: View) -> float:
        """Return the share of static pixels that lie in a fitted photo, see `Extrapolation`."""
        points = _static_points(raster)
        if points is None:
            return np.nan
        found: Bool[np.ndarray, "n"] = np.zeros(len(points), bool)
        near = np.linalg.norm(self._centres - _centre(raster), axis=1) < 2 * _REACH
        for index in np.flatnonzero(near):
            left, photo = np.flatnonzero(~found), self.poses[index]
            if len(left):
                _, depths, inside = photo.camera.project_world(points[left], photo.world_from_ego)
                found[left] = inside & (depths < _REACH)
        return float(found.mean())

    @cached_property
    def _centres(self) -> Float[np.ndarray, "n 3"]:
        return np.array([photo.world_from_camera[:3, 3] for photo in self.poses]).reshape(-1, 3)

    @cached_property
    def _axes(self) -> Float[np.ndarray, "n 3"]:
        return np.array([photo.world_from_camera[:3, 2] for photo in self.poses]).reshape(-1, 3)

    @cached_property
    def _segments(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the photos at the two ends of each straight piece of the paths; a photo by itself is one too."""
        pairs = [(index, index) for index in range(len(self.poses))]
        rows = range(len(self.poses))
        for _, group in groupby(rows, lambda row: self.poses[row].camera.name):
            pairs += [pair for pair in pairwise(group) if self._gap(*pair) <= _LONGEST_GAP]
        # Either end's direction counts, so a piece stands once for each.
        both = np.array([*pairs, *(pair[::-1] for pair in pairs)]).reshape(-1, 2)
        return both[:, 0], both[:, 1]

    def _gap(self, first: int, second: int) -> float:
        return (self.poses[second].time_us - self.poses[first].time_us) * 1e-6


def _centre(raster: View) -> Float[np.ndarray, "3"]:
    centre: Float[np.ndarray, "3"] = (raster.world_from_ego @ raster.camera.ego_from_camera)[:3, 3]
    return centre


def _static_points(raster: View) -> Float[np.ndarray, "n 3"] | None:
    """Return points of the world on a grid of static pixels within reach; None if there are too few such pixels."""
    depth, instance = raster.depth, raster.instance
    if depth is None or instance is None:
        raise ValueError(f"camera {raster.camera.name} was rendered without depth or instance")
    counted = (depth < _REACH) & (instance == 0)
    if counted.sum() <= _LEAST_SHARE * counted.size:
        return None
    rows, columns = np.nonzero(counted)
    chosen = np.linspace(0, len(rows) - 1, min(_SAMPLES, len(rows))).astype(int)
    rows, columns = rows[chosen], columns[chosen]
    rays = raster.camera.unproject(np.stack([columns, rows], axis=1) + 0.5)
    points = rays / rays[:, 2:] * depth[rows, columns, None]
    return transform_points(raster.world_from_ego @ raster.camera.ego_from_camera, points)


def _distances_to_segments(
    point: Float[np.ndarray, "3"], starts: Float[np.ndarray, "n 3"], ends: Float[np.ndarray, "n 3"]
) -> Float[np.ndarray, "n"]:
    """Compute the distances from a point to straight segments."""
    along, off = ends - starts, point - starts
    squared = np.maximum((along**2).sum(axis=1), 1e-12)
    share = np.clip((along * off).sum(axis=1) / squared, 0.0, 1.0)
    distances: Float[np.ndarray, "n"] = np.linalg.norm(off - share[:, None] * along, axis=1)
    return distances
