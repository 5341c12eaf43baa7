"""What is known of each photograph before a fit: how far its pixels are, and which moving track they show."""

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

# How far the raster is believed, metres; and the share by which nearer things may hide it before motion is believed.
_SIGHT, _HIDDEN = 80.0, 0.8
# What shows nothing is of nothing: neither of a track nor of what stands still.
_IGNORED = -1


@dataclass(frozen=True, eq=False)
class ImagePriors:
    """A photograph and what is known of it.

    Attributes:
        picture: the photograph.
        depth: metres along the camera's z axis, by our primitives and by motion; infinity where unknown.
        instance: row + 1 of the moving track that a pixel shows; -1 where the photograph is to be ignored; 0 elsewhere.
        measured: depth by LiDAR; infinity where none was measured.
    """

    picture: PosedImage
    depth: Float32[np.ndarray, "h w"]
    instance: Int32[np.ndarray, "h w"]
    measured: Float32[np.ndarray, "h w"]

    @property
    def shot(self) -> TrainingImage:
        """As a fit takes it: with measured depths if there are any."""
        depths = (Depth(self.measured, DepthKind.LIDAR), Depth(self.depth, DepthKind.RASTER))
        depth = next((depth for depth in depths if np.isfinite(depth.meters).any()), None)
        own = self.picture
        return TrainingImage(
            own.name, own.camera, own.world_from_ego, own.time_us, own.rgb, ignored=own.ignored, depth=depth
        )


def image_priors(log: Log, pictures: Sequence[PosedImage]) -> list[ImagePriors]:
    """What the log's map, its boxes, its sweeps and the photographs say of each other.

    Where our primitives are in sight, the depth is theirs, unless motion shows something nearer there: a house, a tree.
    Elsewhere it is by motion. Boxes of tracks are not exact: pixels around a moving thing may be given to it, or not.

    Args:
        log: which the photographs are of.
        pictures: which may be looked at.

    Raises:
        LogError: a sweep is damaged.
    """
    moving, static = moving_rows(log.tracks), build_static(log.road_map)
    known = []
    by_all = zip(pictures, depths_by_motion(pictures), measured_depths(log, pictures), strict=True)
    for picture, by_motion, measured in by_all:
        raster, instance = _raster(log, static, picture)
        instance = np.where(np.isin(instance, moving + 1), instance, NO_INSTANCE).astype(np.int32)
        if picture.ignored is not None:
            instance[picture.ignored] = _IGNORED
        # What moves is off its place if it is found by motion.
        nearer = (by_motion < _HIDDEN * raster) & (instance == NO_INSTANCE)
        depth = np.where(nearer | ~np.isfinite(raster), by_motion, raster)
        known.append(ImagePriors(picture, depth.astype(np.float32), instance, measured))
    return known


def _raster(log: Log, static: Primitives, picture: PosedImage) -> tuple[Float32[np.ndarray, "h w"], np.ndarray]:
    """Depth and instance of the log's primitives at the photograph's time."""
    nearest = int(np.abs(log.times_us - picture.time_us).argmin())
    tracks = tracks_at(log.tracks, log.times_us, picture.time_us)
    primitives = static.joined(build_dynamic(tracks, log.lights.at(slice(nearest, nearest + 1)), 0))
    style = Style.surfaces(_SIGHT)
    ((view,),) = render(primitives, [picture.camera], picture.world_from_ego[None], style, ("depth", "instance"))
    assert view.depth is not None
    assert view.instance is not None
    return view.depth, view.instance


def is_known(known: ImagePriors) -> Bool[np.ndarray, "h w"]:
    """Pixels that stand still and whose depth is known."""
    return np.isfinite(known.depth) & (known.instance == NO_INSTANCE)
