"""Options of exports for gsplat's trainer."""

from dataclasses import dataclass

from swerve.data.splats.fit_job_options import SceneOptions
from swerve.scenes.errors import SwerveError


@dataclass(frozen=True)
class GsplatOptions:
    """Options of an export.

    Attributes:
        cameras: Names of the cameras; all if none is given.
        image_scale: Size of the images, as a share of the photos' size.
        photo_interval: Time between frames, in seconds; 0 uses all.
        holdout_interval: Every so many-th frame, from the second on, is held out; 0 holds out none.
        voxel: Edge of the cubes that keep one LiDAR point of a frame each, in metres; 0 keeps all.

    Raises:
        SwerveError: an option is out of its range.
    """

    cameras: tuple[str, ...] = ()
    image_scale: float = 0.5
    photo_interval: float = 0.0
    holdout_interval: int = 8
    voxel: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.voxel <= 100:
            raise SwerveError(f"voxel: {self.voxel:g} must lie between 0 and 100 m")
        # The others have the bounds of a fit's options.
        self.as_scene_options()

    def as_scene_options(self) -> SceneOptions:
        """Return the options by which photos are read."""
        return SceneOptions(
            cameras=self.cameras,
            holdout_interval=self.holdout_interval,
            photo_interval=self.photo_interval,
            image_scale=self.image_scale,
        )
