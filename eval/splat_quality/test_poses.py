"""Evaluation poses of splat views: held-out photos, and offsets beside and along the driven path."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, UInt8

from swerve.data.splats.log_images import LogImages, PosedImage
from swerve.scenes import Camera, SwerveError
from swerve.scenes.transforms import inverse
from swerve.scenes.viewpoints.log_geometry import LogGeometry


@dataclass(frozen=True)
class PoseOffset:
    """An offset from a photo's pose.

    Attributes:
        along: metres ahead along the driven path.
        lateral: metres to its left.
        turn: rotation to the left, radians.
    """

    along: float = 0.0
    lateral: float = 0.0
    turn: float = 0.0

    @property
    def name(self) -> str:
        """Return a readable name, as in "1 m left"."""
        side = "left" if self.lateral > 0 else "right"
        parts = [
            f"{self.along:g} m ahead" if self.along else "",
            f"{abs(self.lateral):g} m {side}" if self.lateral else "",
            f"{np.rad2deg(self.turn):+.0f} degrees" if self.turn else "",
        ]
        return ", ".join(filter(None, parts)) or "on the path"


ON_PATH = PoseOffset()
# The columns of the stage-two grid, its first row ahead, and two rotations.
SHIFTS = (
    *(PoseOffset(lateral=lateral) for lateral in (0.5, -0.5, 1.0, -1.0, 2.0, -2.0)),
    PoseOffset(along=5.0),
    *(PoseOffset(turn=float(np.deg2rad(turn))) for turn in (10.0, -10.0)),
)


@dataclass(frozen=True, eq=False)
class EvaluationPose:
    """Camera, pose and time of one evaluated image.

    Attributes:
        moment: nearest step of the log.
        group: group of its mean: the offset's name, or that of a camera left out of the fit.
        shift: offset from the photo's pose.
        camera: with the size of the image.
        time_us: timestamp.
        world_from_ego: pose of the ego.
        photograph: the recorded photo, if there is one.
        ignored: its masked pixels; None if all are valid.
    """

    moment: int
    group: str
    shift: PoseOffset
    camera: Camera
    time_us: int
    world_from_ego: Float[np.ndarray, "4 4"]
    photograph: UInt8[np.ndarray, "h w 3"] | None = None
    ignored: Bool[np.ndarray, "h w"] | None = None


def places_of(
    geometry: LogGeometry, pictures: LogImages, every: float, shifts: Sequence[PoseOffset] = SHIFTS
) -> list[EvaluationPose]:
    """Return the poses of held-out photos, and poses offset from them.

    Args:
        geometry: of the log.
        pictures: of the log; fitted photos are not used.
        every: seconds between a camera's photos that are offset.
        shifts: offsets; all held-out photos are used without an offset, too.

    Raises:
        SwerveError: none were held out, or `every` is not above 0.
    """
    if not every > 0:
        raise SwerveError(f"every: {every} s must be above 0")
    if not pictures.held_out:
        raise SwerveError(f"log {geometry.log.name} was fitted to all of its photos: hold some out for the measurement")
    places, last = list[EvaluationPose](), dict[str, int]()
    for picture in sorted(pictures.held_out, key=lambda picture: picture.time_us):
        places.append(_place(geometry, picture, ON_PATH.name, ON_PATH, picture.world_from_ego))
        name = picture.camera.name
        if name not in last or picture.time_us - last[name] >= every * 1e6:
            last[name] = picture.time_us
            poses = shifted(geometry, picture, shifts)
            places += [
                _place(geometry, picture, shift.name, shift, pose) for shift, pose in zip(shifts, poses, strict=True)
            ]
    for picture in pictures.unseen:
        group = f"unseen camera {picture.camera.name}"
        places.append(_place(geometry, picture, group, ON_PATH, picture.world_from_ego))
    return places


def shifted(geometry: LogGeometry, picture: PosedImage, shifts: Sequence[PoseOffset]) -> Float[np.ndarray, "s 4 4"]:
    """Offset a photo's pose along and beside the smoothed path, with the ground's height."""
    seconds = (picture.time_us - int(geometry.log.times_us[0])) * 1e-6
    start = float(geometry.arc_lengths_at(np.array([seconds]))[0])
    along = start + np.array([0.0, *(shift.along for shift in shifts)])
    lateral = np.array([0.0, *(shift.lateral for shift in shifts)])
    turns = np.array([0.0, *(shift.turn for shift in shifts)])
    at = geometry.path.at(along)
    left = np.stack([-np.sin(at.headings), np.cos(at.headings)], axis=-1)
    smooth = geometry.poses_beside(at.positions[:, :2] + lateral[:, None] * left, at.headings + turns, along)
    return picture.world_from_ego @ inverse(smooth[0]) @ smooth[1:]


def _place(
    geometry: LogGeometry, picture: PosedImage, group: str, shift: PoseOffset, pose: Float[np.ndarray, "4 4"]
) -> EvaluationPose:
    moment = int(np.abs(geometry.log.times_us - picture.time_us).argmin())
    taken = (picture.rgb, picture.ignored) if shift == ON_PATH else (None, None)
    return EvaluationPose(moment, group, shift, picture.camera, picture.time_us, pose, *taken)
