"""Time and pose of each camera's image: those of the scene, or of its photo."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float, Int

from swerve.data.storage.files import safe_name
from swerve.scenes import Camera, Log, Photo, SwerveError, Tracks
from swerve.scenes.camera_roles import HINT, cameras_named
from swerve.scenes.past_frames import past_name, past_step, split_past_name
from swerve.scenes.resize import WHOLE, Resize, Window
from swerve.scenes.transforms import wrap_angle
from swerve.scenes.viewpoints import Viewpoint, ViewpointKind


@runtime_checkable
class EncodedImage(Protocol):
    """EncodedImage image file in memory or on disk."""

    def read(self) -> bytes:
        """Return the JPEG or PNG image."""


@dataclass(frozen=True)
class ImageRequest:
    """Image to render.

    Attributes:
        camera: camera of the image.
        time_us: capture time.
        world_from_ego: ego pose at that time.
        photo: corresponding real image, if there is one; or synthetic photo.
        photo_window: part of the photo that the camera's image shows, see `Resize.window`.
    """

    camera: Camera
    time_us: int
    world_from_ego: Float[np.ndarray, "4 4"]
    photo: Photo | EncodedImage | None = None
    photo_window: Window = WHOLE


def image_requests(
    viewpoint: Viewpoint,
    names: Sequence[str] = (),
    resize: Resize | None = None,
    past: Sequence[float] = (),
) -> tuple[ImageRequest, ...]:
    """Return the images of a viewpoint, camera by camera.

    A logged viewpoint's image is taken at the time and pose of the camera's photo, if there is one within half a step
    of now; all others now. Other kinds of viewpoints have no photos.

    Args:
        viewpoint: viewpoint.
        names: names of the selected cameras, in the order of the rig; all if empty.
        resize: resizing of the cameras; none if None.
        past: seconds ago of past frames, which follow the images of now; see `swerve.scenes.past_frames`.

    Raises:
        SwerveError: there is no camera of one of the names, the history is shorter than a past frame is ago, or a past
            frame's file would have the name of another camera's.
    """
    chosen, resize = select_cameras(viewpoint.scene.log, viewpoint.cameras, names), resize or Resize()
    if past and (marked := [camera.name for camera in chosen if split_past_name(camera.name)[1]]):
        raise SwerveError(f"camera {marked[0]} bears the name of a past frame")
    requests = tuple(_request(viewpoint, camera, resize, seconds) for seconds in (0.0, *past) for camera in chosen)
    if past:
        _check_file_names([one.camera.name for one in requests])
    return requests


def _check_file_names(cameras: Sequence[str]) -> None:
    """Check that images of different cameras have different files, of which one would replace the other.

    Raises:
        SwerveError: they have not.
    """
    named = dict[str, str]()
    for camera in cameras:
        other = named.setdefault(safe_name(camera), camera)
        if other != camera:
            raise SwerveError(
                f"cameras {other} and {camera} would have the same files ({safe_name(camera)}). Choose another "
                "past_interval, or other cameras"
            )


def _request(viewpoint: Viewpoint, camera: Camera, resize: Resize, seconds: float) -> ImageRequest:
    """Return the image of a camera so many seconds ago."""
    scene, step = viewpoint.scene, past_step(viewpoint, seconds)
    time_us = int(scene.times_us[step])
    photo = _photo(scene.log, camera.name, time_us) if viewpoint.kind is ViewpointKind.LOGGED else None
    drawn = resize.camera(camera)
    if seconds:
        drawn = replace(drawn, name=past_name(camera.name, seconds))
    if photo is None:
        return ImageRequest(drawn, time_us, viewpoint.ego.world_from_ego[step])
    return ImageRequest(drawn, photo.time_us, photo.world_from_ego, photo, resize.window(camera))


def select_cameras(log: Log, cameras: Sequence[Camera], names: Sequence[str]) -> list[Camera]:
    """Return the cameras of the given names or roles (`cameras_named`), in the rig's order; all if no name is given.

    Raises:
        SwerveError: there are no cameras, or none of one of the names; or two names mean one camera.
    """
    known = [camera.name for camera in cameras]
    if not known:
        raise SwerveError(f"log {log.name} has no cameras: there is nothing to render. Use --rig default")
    chosen = cameras_named(cameras, names)
    if missing := [name for name in names if name not in chosen]:
        raise SwerveError(f"log {log.name} has no camera {missing[0]!r}; it has {', '.join(known)}. {HINT}")
    own = {camera.name for camera in chosen.values()}
    return [camera for camera in cameras if not names or camera.name in own]


def _photo(log: Log, camera: str, now: int) -> Photo | None:
    """Return the camera's photo nearest to now, if it is within half a step of it."""
    own = [photo for photo in log.photos if photo.camera == camera]
    nearest = min(own, key=lambda photo: (abs(photo.time_us - now), photo.time_us), default=None)
    return nearest if nearest and abs(nearest.time_us - now) <= log.step * 0.5e6 else None


def tracks_at(tracks: Tracks, times_us: Int[np.ndarray, "t"], time_us: int) -> Tracks:
    """Return the tracks at a time, a single step: interpolated between their steps, and at a step as they are.

    Positions are interpolated linearly, headings along the shorter arc, where the track is valid on both sides;
    otherwise it is extrapolated from the nearer step with its velocity. At 0.1 s between steps and 4 m/s2 either is off
    by 5 mm at most.
    """
    if len(times_us) < 2:
        return tracks
    if len(exact := np.flatnonzero(times_us == time_us)):
        return tracks.at(slice(int(exact[0]), int(exact[0]) + 1))
    after = int(np.clip(np.searchsorted(times_us, time_us), 1, len(times_us) - 1))
    before = after - 1
    share = float(time_us - times_us[before]) / float(times_us[after] - times_us[before])
    near = before if share < 0.5 else after
    held, seconds = tracks.at(slice(near, near + 1)), float(time_us - times_us[near]) * 1e-6
    both = (tracks.valid[:, before] & tracks.valid[:, after])[:, None]
    low, high = tracks.at(slice(before, after)), tracks.at(slice(after, after + 1))
    moved = held.positions + np.pad(held.velocities * seconds, ((0, 0), (0, 0), (0, 1)))
    turned = wrap_angle(low.headings + share * wrap_angle(high.headings - low.headings))
    return Tracks(
        held.ids,
        held.classes,
        np.where(both[..., None], low.positions + share * (high.positions - low.positions), moved),
        np.where(both, turned, held.headings),
        held.sizes,
        held.velocities,
        held.valid,
    )
