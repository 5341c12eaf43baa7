"""Photographs with the rasters of the same views: from a finished set, or drawn for the photographs of a log."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8

from swerve.data.dataset.augment_options import StyleName
from swerve.data.dataset.capture import tracks_at
from swerve.data.dataset.sample import STYLES
from swerve.data.stream import ImageFit, Part, SampleStream, StreamOptions
from swerve.planners.rap.alignment_probe import Alignment, alignment_of, features_of
from swerve.planners.rap.rap_config import RapConfig
from swerve.planners.rap.rap_model import RapModel
from swerve.rasterizer import StaticLayer
from swerve.scenes import Log, Photo, Split, SwerveError
from swerve.scenes.primitives import build_dynamic, build_static

_Pair = tuple[UInt8[np.ndarray, "h w 3"], UInt8[np.ndarray, "h w 3"], str, str]


@dataclass(frozen=True)
class ImagePairs:
    """Images of some views, in a planner's size.

    Attributes:
        photographs: or what stands in for them.
        rasters: of the same views.
        logs: that each view is of.
        cameras: that took it.
    """

    photographs: UInt8[np.ndarray, "n h w 3"]
    rasters: UInt8[np.ndarray, "n h w 3"]
    logs: tuple[str, ...]
    cameras: tuple[str, ...]

    @property
    def groups(self) -> tuple[str, ...]:
        """What a classifier must not be both fitted to and tried on: views of one log; of a single log, of one camera.

        Neighbouring moments look alike through the same camera; through different cameras they do not.
        """
        return self.logs if len(set(self.logs)) > 1 else self.cameras


def measure(model: RapModel, pairs: ImagePairs) -> Alignment:
    """How alike a network's features of the pairs are.

    Raises:
        SwerveError: see `alignment_of`.
    """
    return alignment_of(features_of(model, pairs.photographs), features_of(model, pairs.rasters), pairs.groups)


def pairs_of_set(
    folder: Path, config: RapConfig, split: Split, most: int, cameras: Sequence[str] | None = None
) -> ImagePairs:
    """Pairs of a finished set's logged samples, as the planner is shown them.

    Args:
        folder: of the set.
        config: says the size.
        split: whose samples are taken.
        most: samples at most, drawn from all.
        cameras: names; the planner's own if None.

    Raises:
        SwerveError: the set is not finished, or has no photographs of this split and these cameras.
    """
    part = Part("paired", images="both", limit=most)
    own = config.cameras if cameras is None else tuple(cameras)
    stream = SampleStream(folder, StreamOptions((part,), fit_of(config), own, batch=1, split=split))
    found = []
    for step in range(round(stream.pass_steps["paired"])):
        batch = stream.batch(step)
        assert batch.photo is not None
        assert batch.raster is not None
        for row in np.flatnonzero(batch.has_photo[0] & batch.has_raster[0]):
            found.append((batch.photo[0, row], batch.raster[0, row], batch.provenance[0].log, stream.cameras[row]))
    photographs, rasters, logs, names = zip(*found, strict=True)
    photos, drawn = (np.moveaxis(np.stack(one), 1, -1) for one in (photographs, rasters))
    return ImagePairs(photos, drawn, logs, names)


def pairs_of_logs(
    logs: Sequence[Log], config: RapConfig, most: int, cameras: Sequence[str] | None = None, style: StyleName = "rap"
) -> ImagePairs:
    """The photographs of logs, each with the raster of the same camera, time and pose.

    Rasters are drawn in the planner's size, as in sets that were made in it; they are not made smaller.

    Args:
        logs: those without photographs are passed over.
        config: says the size. What is measured does not depend on a camera's place, so that any camera will do.
        most: photographs at most of each log and camera, evenly over its time.
        cameras: names; all if None.
        style: of the rasters.

    Raises:
        SwerveError: there is no photograph of these cameras, or one cannot be read.
    """
    made = [one for log in logs for one in _drawn(log, _spread(log, most, cameras), fit_of(config), style)]
    if not made:
        known = sorted({photo.camera for log in logs for photo in log.photos})
        raise SwerveError(
            f"probe: no photograph of {', '.join(cameras) if cameras else 'any camera'} in "
            f"{', '.join(log.name for log in logs)}; there are of {', '.join(known) or 'none'}"
        )
    photographs, rasters, names, seen = zip(*made, strict=True)
    return ImagePairs(np.stack(photographs), np.stack(rasters), names, seen)


def fit_of(config: RapConfig) -> ImageFit:
    """How images become the planner's."""
    return ImageFit((config.width, config.height), config.trim)


def _spread(log: Log, most: int, cameras: Sequence[str] | None) -> list[Photo]:
    """At most so many photographs of each camera."""
    kept = []
    for name in dict.fromkeys(photo.camera for photo in log.photos):
        own = sorted((photo for photo in log.photos if photo.camera == name), key=lambda photo: photo.time_us)
        rows = np.unique(np.linspace(0, len(own) - 1, min(most, len(own))).round().astype(int))
        kept += [own[row] for row in rows if cameras is None or name in cameras]
    return kept


def _drawn(log: Log, photos: Sequence[Photo], fit: ImageFit, style: StyleName) -> list[_Pair]:
    """Each photograph, and what is drawn at its time and pose in the very same window."""
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
            raise SwerveError(f"{photo.file}: the photograph of {photo.camera} is damaged ({error})") from error
    return made
