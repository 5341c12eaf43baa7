"""Cameras of a session: those that a planner declares, among those that AlpaSim has."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from swerve.data.storage.checked_image import decode_pixels
from swerve.eval.alpasim.camera_specs import camera_of, sized
from swerve.eval.alpasim.service_error import ServiceError, invalid, not_ready
from swerve.eval.benchmark.evaluate.observations import declared_cameras, uses_images
from swerve.eval.planner_process import ProcessPlanner
from swerve.eval.planner_process.held_images import HeldImage, HeldObservation, LoadImage
from swerve.scenes import Camera, SwerveError
from swerve.scenes.camera_roles import HINT, cameras_named, renamed
from swerve.scenes.planning import Image, Observation, Planner, preparation_of

# Images kept of each camera: the newest, and those before it, for drive calls of earlier times.
_KEPT: Final = 2
MOST_CAMERAS: Final = 64


@dataclass(frozen=True)
class TimedImage:
    """An image, the time at which its frame ended, and its camera, both prepared if the planner prepares images.

    Those that a planner's process prepared are there: the image is a reference, and the camera as it came.
    """

    time_us: int
    image: Image | HeldImage
    camera: Camera


@dataclass(frozen=True)
class FailedImage:
    """An image that the planner failed to prepare: plans that need it fail.

    Attributes:
        time_us: end of its frame.
        reason: how the planner failed.
    """

    time_us: int
    reason: str


def negotiated(planner: Planner, available: Sequence[Any]) -> Mapping[str, Camera]:
    """Return the cameras that a planner declares, under the planner's names, by AlpaSim's logical id.

    A planner's name is a logical id, or else a role such as front_left (`swerve.scenes.camera_roles`).

    Args:
        planner: to be served.
        available: `AvailableCamera`s of the session.

    Raises:
        ServiceError: there is no such camera, or it is one that Swerve cannot describe.
    """
    if not uses_images(planner):
        declared_cameras(planner, (), "of AlpaSim", "")
        return {}
    if len(available) > MOST_CAMERAS:
        raise invalid(f"{len(available)} available cameras, {MOST_CAMERAS} are the most")
    cameras, refused = _converted(available)
    names = getattr(planner, "cameras", None)
    listed = [str(name) for name in names] if names is not None and not callable(names) else None
    try:
        named = cameras if listed is None else list(renamed(cameras_named(cameras, listed), cameras))
        _check_present(listed, named, cameras, refused)
        chosen = declared_cameras(planner, named, "of AlpaSim", "start_session names no available cameras")
    except ServiceError:
        raise
    except SwerveError as error:
        raise not_ready(str(error)) from error
    return dict(zip(_logical_ids(chosen, cameras), chosen, strict=True))


class CameraImages:
    """Newest images of the cameras of a session.

    Args:
        cameras: by logical id, see `negotiated`.
    """

    def __init__(self, cameras: Mapping[str, Camera]) -> None:
        self.cameras = cameras
        self._images: dict[str, list[TimedImage | FailedImage]] = {name: [] for name in cameras}

    def add(self, logical_id: str, image: TimedImage | FailedImage) -> None:
        """Keep an image; one of the same time is replaced."""
        kept = [one for one in self._images[logical_id] if one.time_us != image.time_us]
        self._images[logical_id] = sorted([*kept, image], key=lambda one: one.time_us)[-_KEPT:]

    def at(self, now_us: int, max_age: float, leave_out: bool) -> list[TimedImage]:
        """Return the images up to a time.

        Args:
            now_us: the time.
            max_age: how old an image may be, seconds.
            leave_out: whether a camera without such an image is left out, rather than an error.

        Raises:
            ServiceError: a camera has none, or the planner failed to prepare it.
        """
        found, missing = list[TimedImage](), list[str]()
        for logical_id in self.cameras:
            last = next((one for one in reversed(self._images[logical_id]) if one.time_us <= now_us), None)
            if last is None or now_us - last.time_us > max_age * 1e6:
                age = "no image" if last is None else f"last image {(now_us - last.time_us) * 1e-6:.2f} s old"
                missing.append(f"{logical_id} ({age})")
            elif isinstance(last, FailedImage):
                raise ServiceError("INTERNAL", last.reason)
            else:
                found.append(last)
        if missing and not leave_out:
            raise not_ready(
                f"images are missing at {now_us} us: {', '.join(missing)}; {max_age:g} s is the most they may be old"
            )
        return found


def prepares_images(planner: Planner) -> bool:
    """Return whether a planner prepares images when they arrive, in this process or in its own."""
    return (
        planner.info.has_prepare_image if isinstance(planner, ProcessPlanner) else preparation_of(planner) is not None
    )


def timed_image(time_us: int, load: LoadImage, camera: Camera, planner: Planner) -> TimedImage:
    """Return an image with its camera, prepared if the planner prepares images.

    Args:
        time_us: end of its frame.
        load: returns the image as it came.
        camera: of the sensor.
        planner: that will see it.

    Raises:
        ServiceError: the planner failed to prepare it.
    """
    image = load()
    camera = sized(camera, image.shape[1], image.shape[0])
    try:
        if isinstance(planner, ProcessPlanner):
            held = planner.hold_image(image, camera, load) if planner.info.has_prepare_image else image
            return TimedImage(time_us, held, camera)
        if (prepare := preparation_of(planner)) is not None:
            image, camera = prepare(image, camera)
            image.setflags(write=False)
        return TimedImage(time_us, image, camera)
    except Exception as error:  # of a planner that may be anyone's: told to the client
        raise ServiceError("INTERNAL", f"camera {camera.name}: prepare_image failed: {error}") from error


def with_images(observation: Observation, seen: Sequence[TimedImage]) -> Observation:
    """Return an observation with images, or with references to those that the planner's process holds."""
    images = {one.camera.name: one.image for one in seen if not isinstance(one.image, HeldImage)}
    if seen and not images:
        return HeldObservation.of(observation, [one.image for one in seen if isinstance(one.image, HeldImage)])
    return replace(observation, cameras=tuple(one.camera for one in seen), images=images)


def decoded_image(encoded: bytes, logical_id: str) -> Image:
    """Return the RGB image of a JPEG or PNG file, read-only.

    Raises:
        ServiceError: it is neither, or damaged.
    """
    try:
        image = decode_pixels(encoded, "RGB")
    except ValueError as error:
        raise invalid(f"camera {logical_id}: its image is {error}") from error
    image.setflags(write=False)
    return image


def _converted(available: Sequence[Any]) -> tuple[list[Camera], dict[str, str]]:
    """Return the cameras that Swerve can describe, and why not the others, by name.

    Raises:
        ServiceError: two have the same logical id.
    """
    cameras, refused = list[Camera](), dict[str, str]()
    for message in available:
        try:
            cameras.append(camera_of(message))
        except ServiceError as error:
            refused[message.logical_id or message.intrinsics.logical_id] = str(error)
    names = [camera.name for camera in cameras]
    if twice := [name for name in names if names.count(name) > 1]:
        raise invalid(f"two available cameras have the logical_id {twice[0]!r}")
    return cameras, refused


def _check_present(
    listed: Sequence[str] | None, named: Sequence[Camera], cameras: Sequence[Camera], refused: Mapping[str, str]
) -> None:
    """Check that there is a camera for each name.

    Raises:
        ServiceError: there is none, or one that Swerve cannot describe.
    """
    there = {camera.name for camera in named}
    missing = [name for name in listed or () if name not in there]
    if refused and (listed is None or missing):
        raise not_ready("; ".join(refused.values()))
    if missing:
        known = ", ".join(camera.name for camera in cameras) or "none"
        raise not_ready(f"the planner needs camera {missing[0]!r}; available: {known}. {HINT}")


def _logical_ids(chosen: Sequence[Camera], cameras: Sequence[Camera]) -> list[str]:
    """Return the logical id of each chosen camera, whatever its name: they are told apart by their mounts."""
    by_mount = {id(camera.ego_from_camera): camera.name for camera in cameras}
    return [by_mount[id(camera.ego_from_camera)] for camera in chosen]
