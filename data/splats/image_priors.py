"""Priors of each photo before a fit: depth and instance of its pixels."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int32

from swerve.data.dataset.capture import tracks_at
from swerve.data.splats.depth_from_motion import depths_by_motion
from swerve.data.splats.lidar import measured_depths
from swerve.data.splats.log_images import PosedImage
from swerve.data.splats.moving_tracks import moving_rows
from swerve.data.splats.optimization.training_images import Depth, DepthKind, TrainingImage
from swerve.rasterizer import Style, render
from swerve.scenes import Log
from swerve.scenes.primitives import NO_INSTANCE, Primitives, build_dynamic, build_static

# Range of trusted raster depth, metres; ratio below which nearer depth from motion takes precedence.
_SIGHT, _HIDDEN = 80.0, 0.8
# Instance of ignored pixels: neither a track nor static.
_IGNORED = -1


@dataclass(frozen=True, eq=False)
class ImagePriors:
    """Photo with its priors.

    Attributes:
        image: photo.
        depth: metres along the camera's z axis, from the rasterized primitives and from motion; infinity where unknown.
        instance: row + 1 of the moving track at a pixel; -1 for ignored pixels; 0 elsewhere.
        lidar_depth: depth by LiDAR; infinity where not measured.
    """

    image: PosedImage
    depth: Float32[np.ndarray, "h w"]
    instance: Int32[np.ndarray, "h w"]
    lidar_depth: Float32[np.ndarray, "h w"]

    @property
    def to_training_image(self) -> TrainingImage:
        """Convert to a training image, with measured depths if available."""
        depths = (Depth(self.lidar_depth, DepthKind.LIDAR), Depth(self.depth, DepthKind.RASTER))
        depth = next((depth for depth in depths if np.isfinite(depth.depth).any()), None)
        own = self.image
        return TrainingImage(
            own.name, own.camera, own.world_from_ego, own.time_us, own.rgb, ignored=own.ignored, depth=depth
        )


def image_priors(log: Log, photos: Sequence[PosedImage]) -> list[ImagePriors]:
    """Compute the priors of photos from the log's map, boxes, sweeps, and from each other.

    Where the rasterized primitives are in range, the depth is theirs, unless motion indicates a nearer surface (a
    house, a tree). Elsewhere it is from motion. Boxes of tracks are not exact: pixels around a moving object may be
    assigned wrongly.

    Args:
        log: log of the photos.
        photos: photos to use.

    Raises:
        LogError: a sweep is damaged.
    """
    moving, static = moving_rows(log.tracks), build_static(log.road_map)
    known = []
    by_all = zip(photos, depths_by_motion(photos), measured_depths(log, photos), strict=True)
    for photo, by_motion, measured in by_all:
        raster, instance = _raster(log, static, photo)
        instance = np.where(np.isin(instance, moving + 1), instance, NO_INSTANCE).astype(np.int32)
        if photo.ignored is not None:
            instance[photo.ignored] = _IGNORED
        # Depth from motion is invalid on moving objects.
        nearer = (by_motion < _HIDDEN * raster) & (instance == NO_INSTANCE)
        depth = np.where(nearer | ~np.isfinite(raster), by_motion, raster)
        known.append(ImagePriors(photo, depth.astype(np.float32), instance, measured))
    return known


def _raster(log: Log, static: Primitives, photo: PosedImage) -> tuple[Float32[np.ndarray, "h w"], np.ndarray]:
    """Rasterize depth and instance of the log's primitives at the photo's time."""
    nearest = int(np.abs(log.times_us - photo.time_us).argmin())
    tracks = tracks_at(log.tracks, log.times_us, photo.time_us)
    primitives = static.concatenate(build_dynamic(tracks, log.lights.at(slice(nearest, nearest + 1)), 0))
    style = Style.surfaces(_SIGHT)
    ((view,),) = render(primitives, [photo.camera], photo.world_from_ego[None], style, ("depth", "instance"))
    assert view.depth is not None
    assert view.instance is not None
    return view.depth, view.instance


def is_known(known: ImagePriors) -> Bool[np.ndarray, "h w"]:
    """Test which pixels are static and have known depth."""
    valid: Bool[np.ndarray, "h w"] = np.isfinite(known.depth) & (known.instance == NO_INSTANCE)
    return valid
