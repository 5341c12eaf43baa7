"""Photos of a log for fitting."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Bool, Float, UInt8
from PIL import Image

from swerve.data.dataset.capture import select_cameras
from swerve.data.sources.town.photos import TownPhotoRenderer
from swerve.data.splats.fit_job_options import SceneOptions
from swerve.data.splats.masks import check_masks, load_mask
from swerve.data.splats.optimization.training_images import WINDOW
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


def images_of_log(log: Log, options: SceneOptions) -> LogImages:
    """Return the photos of a log; for a town, synthetic ones (`data.sources.town.photos`).

    Raises:
        SwerveError: the log has no photos, or none of a camera, or they get too small; or a photo or a mask cannot be
            read or used.
    """
    if options.masks:
        check_masks(Path(options.masks), log)
    names = [camera.name for camera in select_cameras(log, log.cameras, options.cameras)]
    unseen = [camera.name for camera in select_cameras(log, log.cameras, options.test_cameras) if options.test_cameras]
    taken = {name: tuple(_taken(log, name, options)) for name in (*names, *unseen)}
    seen = [name for name in names if name not in unseen]
    fitted, held_out = list[PosedImage](), list[PosedImage]()
    for name in seen:
        for index, picture in enumerate(taken[name]):
            (held_out if options.holdout_interval and index % options.holdout_interval == 1 else fitted).append(picture)
    if not fitted:
        raise SwerveError(f"log {log.name}: no photo is left for training")
    return LogImages(tuple(fitted), tuple(held_out), tuple(p for name in unseen for p in taken[name]))


def _taken(log: Log, name: str, options: SceneOptions) -> Iterator[PosedImage]:
    """Yield one camera's photos in the order of time."""
    camera = next(camera for camera in log.cameras if camera.name == name)
    size = (round(camera.width * options.image_scale), round(camera.height * options.image_scale))
    if min(size) < WINDOW:
        few = f"{size[0]}x{size[1]} pixels at this scale, {WINDOW}x{WINDOW} are the fewest. Choose a larger one"
        raise SwerveError(f"log {log.name}: photos of camera {name!r} have {few}")
    if log.source == "town" and not log.photos:
        yield from _stand_ins(log, camera.resized(*size), options)
        return
    photos = sorted((photo for photo in log.photos if photo.camera == name), key=lambda photo: photo.time_us)
    if not photos:
        raise SwerveError(f"log {log.name} has no photos of camera {name!r}")
    for row in _spread([photo.time_us for photo in photos], options.photo_interval):
        photo = photos[row]
        rgb, resized = _read(photo, camera, size), camera.resized(*size)
        ignored = load_mask(Path(options.masks), log, resized, photo) if options.masks else None
        yield PosedImage(resized, photo.time_us, photo.world_from_ego, rgb, ignored)


def _stand_ins(log: Log, camera: Camera, options: SceneOptions) -> Iterator[PosedImage]:
    """Render synthetic photos at the log's steps, at the requested size."""
    studio = TownPhotoRenderer(log, options.fit.seed)
    ignored = load_mask(Path(options.masks), log, camera, None) if options.masks else None
    for step in _spread(log.times_us.tolist(), options.photo_interval):
        now, pose = slice(step, step + 1), log.ego.world_from_ego[step]
        (photograph,) = studio.photograph([camera], pose, log.tracks.at(now), log.lights.at(now))
        yield PosedImage(camera, int(log.times_us[step]), pose, photograph.rgb, ignored)


def _spread(times_us: Sequence[int], every: float) -> list[int]:
    """Select rows of increasing times at the given interval in seconds, to within a hundredth of it."""
    rows = list[int]()
    for row, time in enumerate(times_us):
        if not rows or time - times_us[rows[-1]] >= 0.99e6 * every:
            rows.append(row)
    return rows


def _read(photo: Photo, camera: Camera, size: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
    """Read the photo, box-filtered to the requested size."""
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
