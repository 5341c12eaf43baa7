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
# How groups of test cameras' views are called, before the name of the camera.
TEST_CAMERA = "test camera "
# The columns of the stage-two grid, its first row ahead, and two rotations.
POSE_OFFSETS = (
    *(PoseOffset(lateral=lateral) for lateral in (0.5, -0.5, 1.0, -1.0, 2.0, -2.0)),
    PoseOffset(along=5.0),
    *(PoseOffset(turn=float(np.deg2rad(turn))) for turn in (10.0, -10.0)),
)


@dataclass(frozen=True, eq=False)
class EvaluationPose:
    """Camera, pose and time of one evaluated image.

    Attributes:
        step: nearest step of the log.
        group: group of its mean: the offset's name, or that of a camera left out of the fit.
        offset: offset from the photo's pose.
        camera: with the size of the image.
        time_us: timestamp.
        world_from_ego: pose of the ego.
        photo: the recorded photo, if there is one.
        ignored: its masked pixels; None if all are valid.
    """

    step: int
    group: str
    offset: PoseOffset
    camera: Camera
    time_us: int
    world_from_ego: Float[np.ndarray, "4 4"]
    photo: UInt8[np.ndarray, "h w 3"] | None = None
    ignored: Bool[np.ndarray, "h w"] | None = None


def evaluation_poses(
    geometry: LogGeometry, images: LogImages, interval: float, offsets: Sequence[PoseOffset] = POSE_OFFSETS
) -> list[EvaluationPose]:
    """Return the poses of held-out photos, and poses offset from them.

    Args:
        geometry: of the log.
        images: of the log; fitted photos are not used.
        interval: seconds between a camera's photos that are offset.
        offsets: offsets; all held-out photos are used without an offset, too.

    Raises:
        SwerveError: none were held out, or `interval` is not above 0.
    """
    if not interval > 0:
        raise SwerveError(f"scene_interval: {interval} s must be above 0")
    if not images.held_out:
        raise SwerveError(f"log {geometry.log.name} was fitted to all of its photos: hold some out for the measurement")
    poses_to_evaluate, last = list[EvaluationPose](), dict[str, int]()
    for image in sorted(images.held_out, key=lambda image: image.time_us):
        poses_to_evaluate.append(_place(geometry, image, ON_PATH.name, ON_PATH, image.world_from_ego))
        name = image.camera.name
        if name not in last or image.time_us - last[name] >= interval * 1e6:
            last[name] = image.time_us
            poses = offset_poses(geometry, image, offsets)
            poses_to_evaluate += [
                _place(geometry, image, offset.name, offset, pose) for offset, pose in zip(offsets, poses, strict=True)
            ]
    for image in images.test_cameras:
        group = f"{TEST_CAMERA}{image.camera.name}"
        poses_to_evaluate.append(_place(geometry, image, group, ON_PATH, image.world_from_ego))
    return poses_to_evaluate


def offset_poses(geometry: LogGeometry, image: PosedImage, offsets: Sequence[PoseOffset]) -> Float[np.ndarray, "s 4 4"]:
    """Offset a photo's pose along and beside the smoothed path, with the ground's height."""
    seconds = (image.time_us - int(geometry.log.times_us[0])) * 1e-6
    start = float(geometry.arc_lengths_at(np.array([seconds]))[0])
    along = start + np.array([0.0, *(offset.along for offset in offsets)])
    lateral = np.array([0.0, *(offset.lateral for offset in offsets)])
    turns = np.array([0.0, *(offset.turn for offset in offsets)])
    at = geometry.path.at(along)
    left = np.stack([-np.sin(at.headings), np.cos(at.headings)], axis=-1)
    smooth = geometry.poses_beside(at.positions[:, :2] + lateral[:, None] * left, at.headings + turns, along)
    poses: Float[np.ndarray, "s 4 4"] = image.world_from_ego @ inverse(smooth[0]) @ smooth[1:]
    return poses


def _place(
    geometry: LogGeometry, image: PosedImage, group: str, offset: PoseOffset, pose: Float[np.ndarray, "4 4"]
) -> EvaluationPose:
    step = int(np.abs(geometry.log.times_us - image.time_us).argmin())
    taken = (image.rgb, image.ignored) if offset == ON_PATH else (None, None)
    return EvaluationPose(step, group, offset, image.camera, image.time_us, pose, *taken)
