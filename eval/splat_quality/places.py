"""Where splat views are looked at: at logged poses, and shifted beside and along the driven path."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from swerve.scenes import Camera, Log, Photo, SwerveError
from swerve.scenes.transforms import inverse
from swerve.scenes.viewpoints.log_geometry import LogGeometry


@dataclass(frozen=True)
class Shift:
    """A pose beside a logged one.

    Attributes:
        along: metres ahead on the driven path.
        lateral: metres to its left.
        turn: to the left against it, radians.
    """

    along: float = 0.0
    lateral: float = 0.0
    turn: float = 0.0

    @property
    def name(self) -> str:
        """For people, as in "1 m left"."""
        side = "left" if self.lateral > 0 else "right"
        parts = [
            f"{self.along:g} m ahead" if self.along else "",
            f"{abs(self.lateral):g} m {side}" if self.lateral else "",
            f"{np.rad2deg(self.turn):+.0f} degrees" if self.turn else "",
        ]
        return ", ".join(filter(None, parts)) or "on the path"


# The columns of the stage-two grid, its first row ahead, and two turns.
SHIFTS = (
    *(Shift(lateral=lateral) for lateral in (0.0, 0.5, -0.5, 1.0, -1.0, 2.0, -2.0)),
    Shift(along=5.0),
    *(Shift(turn=float(np.deg2rad(turn))) for turn in (10.0, -10.0)),
)


@dataclass(frozen=True)
class Place:
    """Where one image is taken, and when.

    Attributes:
        moment: step of the log that it belongs to.
        shift: from the logged pose.
        camera: with the size of the image.
        time_us: when.
        world_from_ego: pose of the vehicle.
        photo: the real image that was taken there and then, if there is one.
    """

    moment: int
    shift: Shift
    camera: Camera
    time_us: int
    world_from_ego: Float[np.ndarray, "4 4"]
    photo: Photo | None = None


def moments_of(log: Log, every: float) -> list[int]:
    """Steps of a log, so many seconds apart; the first is half of that after the log's beginning.

    Raises:
        SwerveError: `every` is not above 0.
    """
    if not every > 0:
        raise SwerveError(f"every: {every} s must be above 0")
    stride = max(round(every / log.step), 1)
    return list(range(len(log.times_us)))[stride // 2 :: stride] or [0]


def places_of(
    geometry: LogGeometry, moments: Sequence[int], cameras: Sequence[Camera], shifts: Sequence[Shift]
) -> Iterator[Place]:
    """Every camera at every shift, at some moments of a log.

    On the path, a camera that took a photograph within half a step is placed when and where it took it.
    """
    log = geometry.log
    for step in moments:
        time_us, poses = int(log.times_us[step]), shifted(geometry, step, shifts)
        for shift, pose in zip(shifts, poses, strict=True):
            for camera in cameras:
                photo = _photo(log, camera.name, time_us) if shift == Shift() else None
                if photo is None:
                    yield Place(step, shift, camera, time_us, pose)
                else:
                    yield Place(step, shift, camera, photo.time_us, photo.world_from_ego, photo)


def shifted(geometry: LogGeometry, step: int, shifts: Sequence[Shift]) -> Float[np.ndarray, "s 4 4"]:
    """Poses shifted from the logged one at a step: by as much as on the smoothed path, with the ground's height."""
    path = geometry.path
    along = path.schedule[step] + np.array([0.0, *(shift.along for shift in shifts)])
    lateral = np.array([0.0, *(shift.lateral for shift in shifts)])
    turns = np.array([0.0, *(shift.turn for shift in shifts)])
    at = path.at(along)
    left = np.stack([-np.sin(at.headings), np.cos(at.headings)], axis=-1)
    smooth = geometry.poses_beside(at.positions[:, :2] + lateral[:, None] * left, at.headings + turns, along)
    return geometry.log.ego.world_from_ego[step] @ inverse(smooth[0]) @ smooth[1:]


def _photo(log: Log, camera: str, time_us: int) -> Photo | None:
    """The camera's photograph nearest to a time, if it is within half a step of it."""
    own = [photo for photo in log.photos if photo.camera == camera]
    nearest = min(own, key=lambda photo: abs(photo.time_us - time_us), default=None)
    return nearest if nearest and abs(nearest.time_us - time_us) <= log.step * 0.5e6 else None
