"""Reference images: recorded photos and, for towns, synthetic photos from any pose."""

from functools import cached_property

import numpy as np
from jaxtyping import UInt8

from swerve.data.dataset.capture import tracks_at
from swerve.data.sources.town.photos import TownPhotoRenderer
from swerve.eval.splat_quality.evaluation_poses import EvaluationPose
from swerve.scenes import Log


class ReferenceImages:
    """Reference images of one log.

    Args:
        log: towns are rendered from any pose; other logs have recorded photos only.
        seed: of a town's weather, light and colours.
    """

    def __init__(self, log: Log, seed: int = 0) -> None:
        self._log, self._seed = log, seed

    def at(self, evaluation_pose: EvaluationPose) -> UInt8[np.ndarray, "h w 3"] | None:
        """Return the image at a pose, in the camera's size; None if there is none."""
        if evaluation_pose.photo is not None:
            return evaluation_pose.photo
        if self._log.source != "town":
            return None
        tracks = tracks_at(self._log.tracks, self._log.times_us, evaluation_pose.time_us)
        nearest = int(np.abs(self._log.times_us - evaluation_pose.time_us).argmin())
        lights = self._log.lights.at(slice(nearest, nearest + 1))
        return self._studio.photograph([evaluation_pose.camera], evaluation_pose.world_from_ego, tracks, lights)[0].rgb

    @cached_property
    def _studio(self) -> TownPhotoRenderer:
        return TownPhotoRenderer(self._log, self._seed)
