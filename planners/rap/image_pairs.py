"""Pairs of photos and rasters of the same views: from a finished set, or rasterized for a log's photos."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from swerve.data.dataset.augment_options import StyleName
from swerve.data.dataset.capture import tracks_at
from swerve.data.dataset.sample import STYLES
from swerve.data.stream import ImageFit, Part, SampleStream, StreamOptions
from swerve.planners.learning.model import PlannerModel
from swerve.planners.learning.model_config import ModelConfig
from swerve.planners.rap.alignment_probe import Alignment, alignment_metrics, features_of
from swerve.rasterizer import StaticLayer
from swerve.scenes import Log, Photo, Split, SwerveError
from swerve.scenes.primitives import build_dynamic, build_static

_Pair = tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w 3"], str, str]


@dataclass(frozen=True)
class ImagePairs:
    """Image pairs in a planner's image size.

    Attributes:
        photos: photos, real or synthetic.
        rasters: rasters of the same views.
        logs: log of each view.
        cameras: camera of each view.
    """

    photos: UInt8[np.ndarray, "n h w 3"]
    rasters: UInt8[np.ndarray, "n h w 3"]
    logs: tuple[str, ...]
    cameras: tuple[str, ...]

    @property
    def groups(self) -> tuple[str, ...]:
        """Groups for cross-validation: views of one log; for a single log, of one camera.

        Neighbouring timestamps look alike through the same camera; through different cameras they do not.
        """
        return self.logs if len(set(self.logs)) > 1 else self.cameras


def measure(model: PlannerModel, pairs: ImagePairs) -> Alignment:
    """Compute the alignment of a network's features of the pairs.

    Raises:
        SwerveError: see `alignment_metrics`.
    """
    return alignment_metrics(features_of(model, pairs.photos), features_of(model, pairs.rasters), pairs.groups)


def pairs_of_set(
    folder: Path, config: ModelConfig, split: Split, most: int, cameras: Sequence[str] | None = None
) -> ImagePairs:
    """Load pairs of a finished set's logged samples, preprocessed as for the planner.

    Args:
        folder: folder of the set.
        config: config with the image size.
        split: split of the samples.
        most: maximum number of samples, randomly chosen.
        cameras: camera names; the planner's if None.

    Raises:
        SwerveError: the set is not finished, or has no photos of this split and these cameras.
    """
    part = Part("paired", images="both", limit=most)
    own = config.cameras if cameras is None else tuple(cameras)
    stream = SampleStream(folder, StreamOptions((part,), fit_of(config), own, batch_size=1, split=split))
    found = []
    for step in range(round(stream.steps_per_epoch["paired"])):
        batch = stream.batch(step)
        assert batch.photo is not None
        assert batch.raster is not None
        for row in np.flatnonzero(batch.has_photo[0] & batch.has_raster[0]):
            found.append((batch.photo[0, row], batch.raster[0, row], batch.provenance[0].log, stream.cameras[row]))
    photographs, rasters, logs, names = zip(*found, strict=True)
    photos, drawn = (np.moveaxis(np.stack(one), 1, -1) for one in (photographs, rasters))
    return ImagePairs(photos, drawn, logs, names)


def pairs_of_logs(
    logs: Sequence[Log], config: ModelConfig, most: int, cameras: Sequence[str] | None = None, style: StyleName = "rap"
) -> ImagePairs:
    """Pair the photos of logs with rasters of the same camera, time and pose.

    Rasters are rendered in the planner's size, as in sets of that size; they are not downscaled.

    Args:
        logs: logs; those without photos are skipped.
        config: config with the image size. The metrics do not depend on a camera's mounting, so any camera is valid.
        most: maximum number of photos per log and camera, evenly spaced in time.
        cameras: camera names; all if None.
        style: style of the rasters.

    Raises:
        SwerveError: there is no photo of these cameras, or one cannot be read.
    """
    made = [one for log in logs for one in _drawn(log, _spread(log, most, cameras), fit_of(config), style)]
    if not made:
        known = sorted({photo.camera for log in logs for photo in log.photos})
        if not known:
            raise SwerveError(
                f"probe: no photos in {', '.join(log.name for log in logs)}. Towns get synthetic ones with swerve "
                "augment --photos; give the set that it makes"
            )
        raise SwerveError(
            f"probe: no photo of {', '.join(cameras) if cameras else 'any camera'} in "
            f"{', '.join(log.name for log in logs)}; there are photos of {', '.join(known)}"
        )
    photographs, rasters, names, seen = zip(*made, strict=True)
    return ImagePairs(np.stack(photographs), np.stack(rasters), names, seen)


def fit_of(config: ModelConfig) -> ImageFit:
    """Return the preprocessing of images for the planner."""
    return ImageFit((config.image_width, config.image_height), config.trim)


def _spread(log: Log, most: int, cameras: Sequence[str] | None) -> list[Photo]:
    """Select at most `most` photos of each camera, evenly spaced."""
    kept = []
    for name in dict.fromkeys(photo.camera for photo in log.photos):
        own = sorted((photo for photo in log.photos if photo.camera == name), key=lambda photo: photo.time_us)
        rows = np.unique(np.linspace(0, len(own) - 1, min(most, len(own))).round().astype(int))
        kept += [own[row] for row in rows if cameras is None or name in cameras]
    return kept


def _drawn(log: Log, photos: Sequence[Photo], fit: ImageFit, style: StyleName) -> list[_Pair]:
    """Pair each photo with the raster at its time and pose with the same crop."""
    backdrop, cameras = StaticLayer(build_static(log.road_map)), {camera.name: camera for camera in log.cameras}
    made = []
    for photo in photos:
        nearest = int(np.abs(log.times_us - photo.time_us).argmin())
        lights = log.lights.at(slice(nearest, nearest + 1))
        moving = build_dynamic(tracks_at(log.tracks, log.times_us, photo.time_us), lights, 0)
        camera, pose = cameras[photo.camera], photo.world_from_ego[None]
        raster = backdrop.render(moving, [fit.camera(camera)], pose, STYLES[style](), ("rgb",))[0][0].rgb
        assert raster is not None
        try:
            made.append((fit.decode(photo.read(), camera), raster, log.name, photo.camera))
        except ValueError as error:
            raise SwerveError(f"{photo.file}: the photo of {photo.camera} is damaged ({error})") from error
    return made
