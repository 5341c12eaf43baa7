"""Scenes as the NPZ files of gsplat's trainer for driving scenes (its `examples/av_trainer.py`).

Arrays, as its converter of PandaSet writes them (`examples/prepare_pandaset.py`), of f frames and c cameras:

| array | type | content |
|---|---|---|
| images | uint8 (f, c, h, w, 3) | RGB, pinhole |
| cam_intrinsics | float32 (c, 4) | fx, fy, cx, cy of these images, pixels from the image's corner |
| cam_to_worlds | float32 (f, c, 4, 4) | x right, y down, z ahead |
| lidar_points | float32 (m, 4) | x, y, z in the world, metres; brightness, 0 to 1 |
| lidar_frame_indices | int32 (m,) | the frame of each point |
| lidar_to_worlds | float32 (f, 4, 4) | the ego's pose at the sweep |
| is_test | bool (f,) | frames to hold out |
| camera_names | str (c,) | |
| frame_ids | int32 (f,) | step of the log nearest to the frame |
| downsample | int32 | how many times smaller the images are than the photos |
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from swerve.data.export_gsplat.gsplat_options import GsplatOptions
from swerve.data.export_gsplat.pinhole_images import common_crop, cropped, undistorted
from swerve.data.splats.lidar import visible_points
from swerve.data.splats.lidar_surfels import voxel_downsample
from swerve.data.splats.log_images import PosedImage, images_of_log
from swerve.scenes import Log, Sweep, SwerveError
from swerve.scenes.transforms import transform_points

# Cameras of a frame may have taken their photos so far from its first camera, and so may its sweep, microseconds.
_APART = 75_000
# Brightness of points that no photo shows, where PandaSet has the laser's intensity.
_UNKNOWN = 0.5
_LUMINANCE = np.array([0.299, 0.587, 0.114]) / 255.0


@dataclass(frozen=True)
class GsplatScene:
    """Arrays of a scene, and what is left out.

    Attributes:
        arrays: by name, see the module.
        frames_left_out: photos of the first camera for which another camera has none at the time.
        frames_without_sweep: frames without LiDAR points.
    """

    arrays: dict[str, np.ndarray] = field(repr=False)
    frames_left_out: int
    frames_without_sweep: int

    def encode(self) -> bytes:
        """Return the content of the file."""
        buffer, arrays = io.BytesIO(), dict[str, Any](self.arrays)
        np.savez_compressed(buffer, **arrays)
        return buffer.getvalue()


def gsplat_scene(log: Log, options: GsplatOptions) -> GsplatScene:
    """Return the arrays of a log's scene, in the log's world coordinates (its source's minus `origin`).

    The trainer starts with a Gaussian at each point, whose grey is the point's fourth number: it is the brightness of
    the frame's photo that shows the point, and 0.5 where none does, since sweeps have no intensities here. Lenses are
    resampled to pinholes; images of different sizes are cropped around their centres to the largest common one.

    Raises:
        SwerveError: there are no photos, or no time at which all cameras have one; or a photo or a sweep cannot be
            read.
    """
    photos = images_of_log(log, replace(options.as_scene_options(), holdout_interval=0)).train
    frames, left_out = _frames(photos)
    if not frames:
        names = ", ".join(dict.fromkeys(photo.camera.name for photo in photos))
        raise SwerveError(
            f"log {log.name}: there is no time at which all of {names} have a photo. Choose cameras, with --cameras"
        )
    cameras = [photo.camera for photo in frames[0]]
    targets = common_crop([camera.undistorted() for camera in cameras])
    images = [
        [
            cropped(undistorted(photo.rgb, photo.camera), photo.camera, target)
            for photo, target in zip(own, targets, strict=True)
        ]
        for own in frames
    ]
    times = np.array([own[0].time_us for own in frames])
    sweeps = [_nearest(log.sweeps, int(time)) for time in times]
    points = [_points(own, sweep, options.voxel) for own, sweep in zip(frames, sweeps, strict=True)]
    nearest = np.abs(log.times_us[None] - times[:, None]).argmin(axis=1)
    arrays = {
        "images": np.array(images, np.uint8),
        "cam_intrinsics": np.array([(one.fx, one.fy, one.cx, one.cy) for one in targets], np.float32),
        "cam_to_worlds": np.array([[photo.world_from_camera for photo in own] for own in frames], np.float32),
        "lidar_points": np.concatenate(points).astype(np.float32),
        "lidar_frame_indices": np.repeat(np.arange(len(frames), dtype=np.int32), [len(one) for one in points]),
        "lidar_to_worlds": np.array(
            [
                own[0].world_from_ego if sweep is None else sweep.world_from_ego
                for own, sweep in zip(frames, sweeps, strict=True)
            ],
            np.float32,
        ),
        "is_test": _is_test(len(frames), options.holdout_interval),
        "camera_names": np.array([camera.name for camera in cameras]),
        "frame_ids": nearest.astype(np.int32),
        "downsample": np.int32(max(round(1 / options.image_scale), 1)),
    }
    return GsplatScene({name: np.asarray(one) for name, one in arrays.items()}, left_out, sweeps.count(None))


def _frames(photos: Sequence[PosedImage]) -> tuple[list[list[PosedImage]], int]:
    """Group photos of all cameras by the times of the first; return also how many of its photos lack a partner."""
    by_camera: dict[str, list[PosedImage]] = {}
    for photo in photos:
        by_camera.setdefault(photo.camera.name, []).append(photo)
    first, *others = by_camera.values()
    frames = []
    for photo in first:
        own = [photo, *(min(other, key=lambda one: abs(one.time_us - photo.time_us)) for other in others)]
        if all(abs(one.time_us - photo.time_us) <= _APART for one in own):
            frames.append(own)
    return frames, len(first) - len(frames)


def _nearest(sweeps: Sequence[Sweep], time_us: int) -> Sweep | None:
    """Return the sweep nearest in time, if it is near enough."""
    found = min(sweeps, key=lambda sweep: abs(sweep.time_us - time_us), default=None)
    return found if found is not None and abs(found.time_us - time_us) <= _APART else None


def _points(photos: Sequence[PosedImage], sweep: Sweep | None, voxel: float) -> Float[np.ndarray, "m 4"]:
    """Return the points of a frame in the world, with the brightness of the photos that show them."""
    if sweep is None:
        return np.zeros((0, 4))
    points = transform_points(sweep.world_from_ego, sweep.read().astype(np.float64))
    if voxel:
        points = points[voxel_downsample(points, voxel)]
    brightness = np.full(len(points), _UNKNOWN)
    for photo in photos:
        seen = visible_points(photo, points)
        brightness[seen.points] = photo.rgb[seen.rows, seen.columns] @ _LUMINANCE
    return np.column_stack([points, brightness])


def _is_test(count: int, interval: int) -> Bool[np.ndarray, "f"]:
    """Return the mask of held-out frames, as `swerve fit` holds out photos."""
    return np.arange(count) % interval == 1 if interval else np.zeros(count, bool)
