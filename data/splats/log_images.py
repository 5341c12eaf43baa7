"""Photos of a log for fitting."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image

from swerve.data.dataset.capture import select_cameras
from swerve.data.sources.town.photos import TownPhotoRenderer
from swerve.data.splats.fit_job_options import SceneOptions
from swerve.data.splats.masks import check_masks, load_mask
from swerve.data.splats.optimization.training_images import WINDOW
from swerve.data.splats.photo_poses import PhotoPose
from swerve.data.stream.image_decoding import decode_rgb
from swerve.scenes import Camera, Log, LogError, Photo, SwerveError


@dataclass(frozen=True, eq=False)
class PosedImage:
    """Resized photo with its camera pose.

    Attributes:
        camera: camera with the size of the image.
        time_us: capture time.
        world_from_ego: ego pose at the capture time.
        rgb: colours; a grey photo has three equal channels.
        ignored: mask of ignored pixels; None if there are none.
    """

    camera: Camera
    time_us: int
    world_from_ego: Float[np.ndarray, "4 4"]
    rgb: UInt8[np.ndarray, "h w 3"]
    ignored: Bool[np.ndarray, "h w"] | None = None

    @property
    def name(self) -> str:
        """Name, unique in its log."""
        return f"{self.camera.name}-{self.time_us:012d}"

    @property
    def world_from_camera(self) -> Float[np.ndarray, "4 4"]:
        """Pose of the camera."""
        pose: Float[np.ndarray, "4 4"] = self.world_from_ego @ self.camera.ego_from_camera
        return pose


@dataclass(frozen=True, eq=False)
class LogImages:
    """Photos of a log by purpose; each in the order of cameras, then of time.

    Attributes:
        train: training photos.
        held_out: held-out photos of the same cameras.
        test_cameras: photos of cameras without training photos.
    """

    train: tuple[PosedImage, ...]
    held_out: tuple[PosedImage, ...]
    test_cameras: tuple[PosedImage, ...]


class _Shot(NamedTuple):
    """A photo to read; None for a synthetic one of a town, to be rendered."""

    pose: PhotoPose
    photo: Photo | None


class _Shots(NamedTuple):
    """Photos by purpose, as in `LogImages`."""

    train: tuple[_Shot, ...]
    held_out: tuple[_Shot, ...]
    test_cameras: tuple[_Shot, ...]


def images_of_log(log: Log, options: SceneOptions) -> LogImages:
    """Return the photos of a log; for a town, synthetic ones (`data.sources.town.photos`).

    Raises:
        SwerveError: the log has no photos, or none of a camera, or they get too small; or a photo or a mask cannot be
            read or used.
    """
    if options.masks:
        check_masks(Path(options.masks), log)
    studio = TownPhotoRenderer(log, options.fit.seed) if _is_synthetic(log) else None
    return LogImages(*(tuple(_taken(log, options, studio, shot) for shot in shots) for shots in _shots(log, options)))


def training_poses(log: Log, options: SceneOptions) -> tuple[PhotoPose, ...]:
    """Return the poses of the training photos that `images_of_log` reads, without reading them.

    Raises:
        SwerveError: the log has no photos, or none of a camera, or they get too small.
    """
    return tuple(shot.pose for shot in _shots(log, options).train)


def _shots(log: Log, options: SceneOptions) -> _Shots:
    """Return the photos of a log by purpose, in the order of cameras, then of time."""
    names = [camera.name for camera in select_cameras(log, log.cameras, options.cameras)]
    unseen = [camera.name for camera in select_cameras(log, log.cameras, options.test_cameras) if options.test_cameras]
    if both := [name for name in names if options.cameras and name in unseen]:
        raise SwerveError(f"cameras: {both[0]} of log {log.name} must not be in both cameras and test_cameras")
    taken = {name: tuple(_shots_of(log, name, options)) for name in (*names, *unseen)}
    fitted, held_out = list[_Shot](), list[_Shot]()
    for name in (name for name in names if name not in unseen):
        for index, shot in enumerate(taken[name]):
            (held_out if options.holdout_interval and index % options.holdout_interval == 1 else fitted).append(shot)
    if not fitted:
        raise SwerveError(f"log {log.name}: no photo is left for training")
    return _Shots(tuple(fitted), tuple(held_out), tuple(shot for name in unseen for shot in taken[name]))


def _is_synthetic(log: Log) -> bool:
    return log.source == "town" and not log.photos


def _shots_of(log: Log, name: str, options: SceneOptions) -> Iterator[_Shot]:
    """Yield one camera's photos in the order of time."""
    camera = next(camera for camera in log.cameras if camera.name == name)
    size = (round(camera.width * options.image_scale), round(camera.height * options.image_scale))
    if min(size) < WINDOW:
        few = f"{size[0]}x{size[1]} pixels at this scale, {WINDOW}x{WINDOW} are the fewest. Choose a larger one"
        raise SwerveError(f"log {log.name}: photos of camera {name!r} have {few}")
    resized = camera.resized(*size)
    if _is_synthetic(log):
        for step in select_times(log.times_us.tolist(), options.photo_interval):
            yield _Shot(PhotoPose(resized, int(log.times_us[step]), log.ego.world_from_ego[step]), None)
        return
    photos = sorted((photo for photo in log.photos if photo.camera == name), key=lambda photo: photo.time_us)
    if not photos:
        raise SwerveError(f"log {log.name} has no photos of camera {name!r}")
    for row in select_times([photo.time_us for photo in photos], options.photo_interval):
        yield _Shot(PhotoPose(resized, photos[row].time_us, photos[row].world_from_ego), photos[row])


def _taken(log: Log, options: SceneOptions, studio: TownPhotoRenderer | None, shot: _Shot) -> PosedImage:
    """Read a photo, or render a synthetic one at its step of the log, at the requested size."""
    resized, time_us, world_from_ego = shot.pose.camera, shot.pose.time_us, shot.pose.world_from_ego
    if shot.photo is None:
        assert studio is not None
        step = int(np.searchsorted(log.times_us, time_us))
        now = slice(step, step + 1)
        (rendered,) = studio.photograph([resized], world_from_ego, log.tracks.at(now), log.lights.at(now))
        rgb = rendered.rgb
    else:
        camera = next(camera for camera in log.cameras if camera.name == resized.name)
        rgb = read_photo(shot.photo, camera, (resized.width, resized.height))
    ignored = load_mask(Path(options.masks), log, resized, shot.photo) if options.masks else None
    return PosedImage(resized, time_us, world_from_ego, rgb, ignored)


def select_times(times_us: Sequence[int], every: float) -> list[int]:
    """Select rows of increasing times at the given interval in seconds, to within a hundredth of it."""
    rows = list[int]()
    for row, time in enumerate(times_us):
        if not rows or time - times_us[rows[-1]] >= 0.99e6 * every:
            rows.append(row)
    return rows


def read_photo(photo: Photo, camera: Camera, size: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
    """Read the photo, box-filtered to the requested size.

    Raises:
        LogError: the file is missing, no picture, damaged, or of another shape than the camera.
    """
    try:
        rgb = decode_rgb(photo.read(), (float(size[0]), float(size[1])))
    except ValueError as error:
        raise LogError(photo.file, f"photo of {photo.camera}", str(error)) from error
    if rgb.shape[0] * camera.width != rgb.shape[1] * camera.height:
        shape = f"{rgb.shape[1]}x{rgb.shape[0]}"
        raise LogError(photo.file, f"photo of {photo.camera}", f"is {shape}, its camera {camera.width}x{camera.height}")
    if rgb.shape[:2] == size[::-1]:
        return np.ascontiguousarray(rgb)
    return np.array(Image.fromarray(rgb).resize(size, Image.Resampling.BOX))
